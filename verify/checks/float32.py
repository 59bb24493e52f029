"""The check end to end in single precision, with limits that follow from torch's own rounding."""

from __future__ import annotations

from collections.abc import Mapping

from ...converters.formats.dtypes import Array
from ..check import DTYPES, Check, Context, Needs, Outcome, scientific
from ..reports.result import CheckResult
from ..states import OF_STATE, StateDifference, compare_outputs, largest_difference, state_difference

NOISE = 32
"""Times torch's own float32 rounding error of the state; correct conversions stay below 7.5."""

FLOOR = 1e-5
"""Times the largest value of the state, added to the above."""


def compare_float32(
    paddle: Mapping[str, Array], torch: Mapping[str, Array], torch64: Mapping[str, Array], mask: Array
) -> CheckResult:
    """End to end in float32: the limit of each state follows from torch's own rounding error on the same inputs."""

    def difference(name: str) -> StateDifference:
        return float32_difference(name, paddle[name], torch[name], torch64.get(name), mask)

    return compare_outputs("float32", OF_STATE, paddle, torch, difference)


def float32_difference(name: str, paddle: Array, torch: Array, torch64: Array | None, mask: Array) -> StateDifference:
    """The difference of one output in float32, with its limit; none holds without torch's own output in float64."""
    noise = float("nan")
    if torch64 is not None and torch64.shape == torch.shape:
        noise = largest_difference(name, torch, torch64, mask)
    return state_difference(name, paddle, torch, mask, lambda scale: NOISE * noise + FLOOR * scale)


def _run(context: Context) -> Outcome:
    comparable = context.pair.comparable
    paddle, torch = context.paddle("float32").outputs, context.torch("float32").outputs
    torch64 = context.torch("float64").outputs
    return Outcome(compare_float32(comparable(paddle), comparable(torch), torch64, context.mask))


CHECK = Check(
    name="float32",
    order=40,
    establishes="the same in single precision",
    limit=f"{NOISE} times torch's own rounding error, plus {scientific(FLOOR)} of the largest value",
    # The limit follows from torch's run in float64.
    needs=Needs(dtypes=DTYPES),
    sees_faults=True,
    run=_run,
)
