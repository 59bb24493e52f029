"""The goals of speed and memory, judged by measured medians."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TINY, BASE = "albert-chinese-tiny", "albert-base-v2"
XLARGE, XXLARGE = "albert-xlarge-v2", "albert-xxlarge-v2"
MODELS = (TINY, BASE, XLARGE, XXLARGE)

START, TENSORS, TREE, TOKENIZER, GATE = "start", "tensors", "tree", "tokenizer", "gate"
OTHERS = (START, TENSORS, TREE, TOKENIZER, GATE)
"""What is measured besides the conversions of single models."""

EARLIER = "1fec62e"
"""The commit whose build is compared with."""

Medians = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Medians by what is measured, contestant, and "seconds", "cpu_seconds" or "peak_mib"; of a model also "nbytes"."""


@dataclass(frozen=True)
class Goal:
    """A goal for `value`, which is at most (or at least) `limit`. It needs what `of` names to have been measured."""

    text: str
    limit: float
    of: tuple[str, ...]
    value: Callable[[Medians], float]
    at_least: bool = False


def _ratio(of: str, above: str, below: str, measure: str = "seconds") -> Callable[[Medians], float]:
    return lambda medians: medians[of][above][measure] / medians[of][below][measure]


def _of(of: str, contestant: str, measure: str) -> Callable[[Medians], float]:
    return lambda medians: medians[of][contestant][measure]


def _imbalance(medians: Medians) -> float:
    """How much longer a byte takes in the one than in the other, the start of the process apart: it is a third of the
    smaller one's seconds."""
    start = medians[TINY]["convert"]
    one, other = (
        (medians[model]["convert"]["seconds"] - start["seconds"])
        / (medians[model]["convert"]["nbytes"] - start["nbytes"])
        for model in (XLARGE, XXLARGE)
    )
    return max(one, other) / min(one, other)


def _beyond_one_line(medians: Medians) -> float:
    """What so many lines take in this build over what they take in the earlier one. Importing the frameworks, for five
    seconds in either, is not the tokenizers'."""
    own, earlier = (
        medians[TOKENIZER][name]["seconds"] - medians[TOKENIZER][f"{name}, one line"]["seconds"]
        for name in ("verify", "earlier")
    )
    return own / earlier


ALTERED = ("convert to float16", "convert to shards", "convert to paddle")

GOALS = (
    Goal("xxlarge: times a plain copy", 3, (XXLARGE,), _ratio(XXLARGE, "convert", "copy")),
    Goal("xxlarge: times as fast as EARLIER", 2.2, (XXLARGE,), _ratio(XXLARGE, "earlier", "convert"), at_least=True),
    Goal("xxlarge: times as fast as the script", 12, (XXLARGE,), _ratio(XXLARGE, "usual", "convert"), at_least=True),
    Goal("xxlarge, no reload: times a plain copy", 2.5, (XXLARGE,), _ratio(XXLARGE, "convert, no reload", "copy")),
    Goal(
        "xxlarge: processor seconds, times the copy's",
        4.5,
        (XXLARGE,),
        _ratio(XXLARGE, "convert", "copy", "cpu_seconds"),
    ),
    *(
        Goal(f"xxlarge, {what}: times the plain conversion", 1.25, (XXLARGE,), _ratio(XXLARGE, what, "convert"))
        for what in ALTERED
    ),
    *(Goal(f"{model}: peak MiB", 200, (model,), _of(model, "convert", "peak_mib")) for model in MODELS),
    *(Goal(f"xxlarge, {what}: peak MiB", 200, (XXLARGE,), _of(XXLARGE, what, "peak_mib")) for what in ALTERED),
    Goal("xxlarge, --low-memory: peak MiB", 120, (XXLARGE,), _of(XXLARGE, "convert, low memory", "peak_mib")),
    Goal("base: seconds", 0.30, (BASE,), _of(BASE, "convert", "seconds")),
    Goal("chinese-tiny: seconds", 0.25, (TINY,), _of(TINY, "convert", "seconds")),
    Goal("--help: seconds", 0.1, (START,), _of(START, "help", "seconds")),
    Goal("seconds per further GB, xlarge against xxlarge", 1.25, (TINY, XLARGE, XXLARGE), _imbalance),
    Goal("50,007 small tensors: seconds", 10, (TENSORS,), _of(TENSORS, "50,007", "seconds")),
    Goal("50,007 small tensors: times 25,015", 2.3, (TENSORS,), _ratio(TENSORS, "50,007", "25,015")),
    Goal(
        "a further folder of 44 KB in a tree: processor ms",
        6,
        (TREE,),
        lambda medians: 1000 * (medians[TREE]["220"]["cpu_seconds"] - medians[TREE]["20"]["cpu_seconds"]) / 200,
    ),
    Goal("verify of a tokenizer, 2,500 lines beyond one: times EARLIER", 0.5, (TOKENIZER,), _beyond_one_line),
    Goal("gate over 14 names: times EARLIER", 0.9, (GATE,), _ratio(GATE, "gate", "earlier")),
    Goal("gate: MiB of the largest process", 3584, (GATE,), _of(GATE, "gate", "peak_mib")),
)


def judge(medians: Medians) -> list[dict[str, Any]]:
    """Each goal with its value and whether it is met; both are None where not all that it needs was measured."""
    judged = []
    for goal in GOALS:
        value = goal.value(medians) if all(one in medians for one in goal.of) else None
        met = None if value is None else (value >= goal.limit if goal.at_least else value <= goal.limit)
        judged.append(
            {
                "goal": goal.text.replace("EARLIER", EARLIER),
                "limit": f"{'at least' if goal.at_least else 'at most'} {goal.limit:g}",
                "value": None if value is None else round(value, 3),
                "met": met,
            }
        )
    return judged
