"""The goals of the conversion's speed and memory, judged by measured medians."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TINY, BASE = "albert-chinese-tiny", "albert-base-v2"
XLARGE, XXLARGE = "albert-xlarge-v2", "albert-xxlarge-v2"

Medians = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Medians by model, contestant, and "seconds", "peak_mib" or "seconds_per_gb"."""


@dataclass(frozen=True)
class Goal:
    """A goal for `value`, which is at most (or at least) `limit`. `is_ratio`: it holds whatever the machine is."""

    text: str
    limit: float
    at_least: bool
    is_ratio: bool
    models: tuple[str, ...]
    value: Callable[[Medians], float]


def _ratio(model: str, above: str, below: str) -> Callable[[Medians], float]:
    return lambda medians: medians[model][above]["seconds"] / medians[model][below]["seconds"]


def _peak(model: str, contestant: str = "convert") -> Callable[[Medians], float]:
    return lambda medians: medians[model][contestant]["peak_mib"]


def _imbalance(medians: Medians) -> float:
    one, other = (medians[model]["convert"]["seconds_per_gb"] for model in (XLARGE, XXLARGE))
    return max(one, other) / min(one, other)


GOALS = (
    Goal(
        "xxlarge without the reload check: times a plain copy",
        3,
        False,
        True,
        (XXLARGE,),
        _ratio(XXLARGE, "convert, no reload", "copy"),
    ),
    Goal("xxlarge: times a plain copy", 5, False, True, (XXLARGE,), _ratio(XXLARGE, "convert", "copy")),
    Goal("xxlarge: times faster than the usual script", 8, True, True, (XXLARGE,), _ratio(XXLARGE, "usual", "convert")),
    *(
        Goal(
            f"xxlarge, {what}: times the plain conversion",
            1.25,
            False,
            True,
            (XXLARGE,),
            _ratio(XXLARGE, what, "convert"),
        )
        for what in ("convert to float16", "convert to shards")
    ),
    Goal("seconds per GB, xlarge against xxlarge", 1.25, False, True, (XLARGE, XXLARGE), _imbalance),
    Goal(
        "growth of the peak from base to xxlarge, MiB",
        30,
        False,
        False,
        (BASE, XXLARGE),
        lambda medians: _peak(XXLARGE)(medians) - _peak(BASE)(medians),
    ),
    *(
        Goal(f"peak of {model}, MiB", 120, False, False, (model,), _peak(model))
        for model in (TINY, BASE, XLARGE, XXLARGE)
    ),
    *(
        Goal(f"peak of xxlarge, {what}, MiB", 120, False, False, (XXLARGE,), _peak(XXLARGE, what))
        for what in ("convert to float16", "convert to shards")
    ),
    Goal("chinese-tiny, seconds", 0.35, False, False, (TINY,), lambda medians: medians[TINY]["convert"]["seconds"]),
)


def judge(medians: Medians) -> list[dict[str, Any]]:
    """Each goal with its value and whether it is met; both are None where its models were not measured."""
    judged = []
    for goal in GOALS:
        value = goal.value(medians) if all(model in medians for model in goal.models) else None
        met = None if value is None else (value >= goal.limit if goal.at_least else value <= goal.limit)
        judged.append(
            {
                "goal": goal.text,
                "limit": f"{'at least' if goal.at_least else 'at most'} {goal.limit:g}",
                "value": None if value is None else round(value, 3),
                "met": met,
                "is_ratio": goal.is_ratio,
            }
        )
    return judged
