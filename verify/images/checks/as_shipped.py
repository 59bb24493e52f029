"""The check of what a user gets: transformers' network untouched, and the causes of what is left of a difference."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....converters.formats.dtypes import Array
from ...check import Outcome, scientific
from ...reports.result import CheckResult, DeclaredDifferenceSeen
from ..check import NetworkCheck, NetworkContext, distances

LIMIT = 1e-3
"""Of the largest value, in float32, which itself costs up to 2e-4 with networks of a hundred layers."""

LIMITS = {"float64": 1e-4, "float32": LIMIT}
"""In float64, nothing but the constants costs anything: 1e-10 to 3e-5."""


def moved(one: Array, other: Array) -> tuple[int, int]:
    """At how many places the arg max along the last axis is another, and how many places there are."""
    if one.shape != other.shape or one.shape[-1] < 2:
        return 0, 0
    apart = one.argmax(-1) != other.argmax(-1)
    return int(apart.sum()), int(apart.size)


def _run(context: NetworkContext) -> Outcome:
    pair = context.pair
    seen = []
    exact = context.paddle_run("float64")
    for constant in pair.constants:
        others = [one for one in pair.constants if one is not constant]
        without = context.torch_run("float64", others)
        cost = max(distances(exact, without).values(), default=None)
        seen.append(DeclaredDifferenceSeen(constant.name, constant.text, cost))
    details: dict[str, Any] = {"causes": {one.name: one.measured for one in seen}}
    places: dict[str, tuple[int, int]] = {}
    shares: dict[str, dict[str, float]] = {}
    problems = []
    for dtype in ("float64", "float32"):
        paddle, torch = context.paddle_run(dtype), context.torch_run(dtype)
        shares[dtype] = distances(paddle, torch)
        for name in shares[dtype]:
            if not name.endswith(".logits") and pair.network.task != "detection":
                places[f"{dtype} {name}"] = moved(paddle[name], torch[name])
        details[dtype] = {
            name: {"share": shares[dtype][name], "largest difference": _apart(paddle[name], torch[name])}
            for name in shares[dtype]
        }
    problems += [
        f"{name} in {dtype}: {share:.2e} of the largest value apart"
        for dtype, found in shares.items()
        for name, share in found.items()
        if share > LIMITS[dtype]
    ]
    details["arg max moved"] = {name: list(found) for name, found in places.items()}
    worst = max(shares["float32"], key=lambda name: shares["float32"][name])
    result = CheckResult(
        name="as_shipped",
        passed=not problems,
        worst=shares["float32"][worst],
        limit=LIMIT,
        where=problems[0] if problems else f"picture {worst}; {_causes(shares, seen)}{_places(places)}",
        measure="largest difference of transformers' untouched network in float32, as a share of the largest value",
        problems=tuple(problems),
        details=details,
    )
    return Outcome(result, declared=tuple(seen))


def _apart(one: Array, other: Array) -> float:
    if one.shape != other.shape:
        return float("inf")
    return float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64))))


def _causes(shares: dict[str, dict[str, float]], seen: list[DeclaredDifferenceSeen]) -> str:
    """How far apart in float64, where nothing but the causes is left, and the largest of them."""
    total = max(shares["float64"].values(), default=0.0)
    first = max(seen, key=lambda one: one.measured or 0.0, default=None)
    cause = f", above all by {first.name}" if first is not None else ""
    return f"{total:.1e} in float64{cause}"


def _places(places: dict[str, tuple[int, int]]) -> str:
    if not places:
        return ""
    apart, of = (sum(one[index] for one in places.values()) for index in (0, 1))
    return f"; the arg max is another at {apart} of {of} places"


CHECK = NetworkCheck(
    name="as_shipped",
    order=40,
    establishes="what a user gets who loads the folder with its path alone: how far transformers' untouched network is "
    "from Paddle's in float32 and in float64, what each constant of its own costs, and whether the arg max moved",
    limit=f"{scientific(LIMIT)} of the largest value in float32, {scientific(LIMITS['float64'])} in float64",
    run=_run,
)
