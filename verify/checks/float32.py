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
        noise = rounding_error(name, torch[name], torch64.get(name), mask)
        return float32_difference(name, paddle[name], torch[name], noise, mask)

    return compare_outputs("float32", OF_STATE, paddle, torch, difference)


def float32_difference(name: str, paddle: Array, torch: Array, noise: float, mask: Array) -> StateDifference:
    """The difference of one output in float32, with the limit that follows from torch's rounding error `noise`."""
    return state_difference(name, paddle, torch, mask, lambda scale: NOISE * noise + FLOOR * scale)


def rounding_error(name: str, torch: Array, torch64: Array | None, mask: Array) -> float:
    """Torch's own rounding error in float32; NaN, with which no limit holds, without the output in float64."""
    if torch64 is None or torch64.shape != torch.shape:
        return float("nan")
    return largest_difference(name, torch, torch64, mask)


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
    look_at="the check float64: where that holds, only rounding differs, and `--seed 1` tries other inputs; where"
    " it fails, what it says",
    run=_run,
)
