"""The check end to end in double precision, where only a real difference shows."""

from __future__ import annotations

from collections.abc import Mapping

from ...converters.formats.dtypes import Array
from ..check import DTYPES, Check, Context, Needs, Outcome, scientific
from ..reports.result import CheckResult
from ..states import OF_STATE, StateDifference, compare_outputs, state_difference

LIMIT = 1e-9
"""Times the largest value of the state; correct conversions stay below 6e-12."""


def compare_float64(paddle: Mapping[str, Array], torch: Mapping[str, Array], mask: Array) -> CheckResult:
    """End to end in float64: every output within LIMIT of the state's largest value."""

    def difference(name: str) -> StateDifference:
        return state_difference(name, paddle[name], torch[name], mask, lambda scale: LIMIT * scale)

    return compare_outputs("float64", OF_STATE, paddle, torch, difference)


def _run(context: Context) -> Outcome:
    comparable = context.pair.comparable
    paddle, torch = context.paddle("float64").outputs, context.torch("float64").outputs
    return Outcome(compare_float64(comparable(paddle), comparable(torch), context.mask))


CHECK = Check(
    name="float64",
    order=30,
    establishes="every hidden state, attention map, the pooler and the logits agree in double precision, where only a "
    "real difference shows",
    limit=f"{scientific(LIMIT)} of the state's largest value",
    needs=Needs(dtypes=DTYPES),
    sees_faults=True,
    look_at="the check layers, which names the first layer and module that differ, and weights: `paddle2torch "
    "verify {source} {converted} --check weights,layers`",
    run=_run,
)
