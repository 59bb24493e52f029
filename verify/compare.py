"""Comparison of what two framework runs put out, state by state, at attended positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..converters.dtypes import Array
from .report import Check

FLOAT64_LIMIT = 1e-9
"""Times the largest value of the state; correct conversions stay below 6e-12."""

FLOAT32_NOISE = 32
"""Times torch's own float32 rounding error of the state; correct conversions stay below 7.5."""

FLOAT32_FLOOR = 1e-5
"""Times the largest value of the state, added to the above."""

_PER_TOKEN = frozenset({"last_hidden_state", "mlm_logits", "start_logits", "end_logits", "qa_logits"})


@dataclass(frozen=True)
class StateDifference:
    """The difference of one state: largest absolute difference, the state's largest value, and where."""

    name: str
    difference: float
    scale: float
    limit: float
    place: tuple[int, ...]

    @property
    def relative(self) -> float:
        """Difference over the state's largest value."""
        return self.difference / self.scale if self.scale else (0.0 if self.difference == 0 else float("inf"))

    @property
    def share_of_limit(self) -> float:
        """Difference over limit: 1 and more is too much."""
        return self.difference / self.limit if self.limit else (0.0 if self.difference == 0 else float("inf"))

    @property
    def holds(self) -> bool:
        """Whether the difference is within the limit; NaN and infinity on either side never are."""
        return math.isfinite(self.difference) and math.isfinite(self.limit) and self.difference <= self.limit

    @property
    def where(self) -> str:
        """The state and the position of its largest difference, in words."""
        return f"{describe(self.name)} at {list(self.place)}"


def describe(name: str) -> str:
    """An output's name in words: `hidden_state.03` is hidden state 3, the output of layer 3."""
    if not name.startswith("hidden_state."):
        return name
    index = int(name.removeprefix("hidden_state."))
    return "hidden state 0 (mapped embedding)" if index == 0 else f"hidden state {index} (output of layer {index})"


def compare_float64(paddle: Mapping[str, Array], torch: Mapping[str, Array], mask: Array) -> Check:
    """End to end in float64: every output within FLOAT64_LIMIT of the state's largest value."""
    return _compare("float64", paddle, torch, mask, lambda name, scale: FLOAT64_LIMIT * scale)


def compare_float32(
    paddle: Mapping[str, Array], torch: Mapping[str, Array], torch64: Mapping[str, Array], mask: Array
) -> Check:
    """End to end in float32: the limit of each state follows from torch's own rounding error on the same inputs."""

    def limit(name: str, scale: float) -> float:
        if name not in torch64 or torch64[name].shape != torch[name].shape:
            return float("nan")
        noise = np.abs(
            _attended(name, torch[name].astype(np.float64), mask) - _attended(name, torch64[name], mask)
        ).max()
        return FLOAT32_NOISE * float(noise) + FLOAT32_FLOOR * scale

    return _compare("float32", paddle, torch, mask, limit)


def largest_difference(name: str, paddle: Array, torch: Array, mask: Array) -> float:
    """The largest absolute difference of one output at attended positions; infinite when the shapes differ."""
    if paddle.shape != torch.shape:
        return float("inf")
    difference = np.abs(paddle.astype(np.float64) - torch.astype(np.float64))
    return float(np.max(_attended(name, difference, mask), initial=0.0))


def _compare(
    check: str,
    paddle: Mapping[str, Array],
    torch: Mapping[str, Array],
    mask: Array,
    limit: Callable[[str, float], float],
) -> Check:
    measure = "largest difference of a state over its largest value"
    problems = _key_problems(paddle, torch)
    states: list[StateDifference] = []
    for name in sorted(set(paddle) & set(torch), key=_order):
        if paddle[name].shape != torch[name].shape:
            problems.append(
                f"{describe(name)} has shape {paddle[name].shape} in Paddle and {torch[name].shape} in torch"
            )
            continue
        states.append(_difference(name, paddle[name], torch[name], mask, limit))
    if not any(state.name.startswith("hidden_state.") for state in states):
        problems.append("no hidden state was compared")
    failed = [state for state in states if not state.holds]
    problems += [f"{state.where}: difference {state.difference:.2e}, limit {state.limit:.2e}" for state in failed]
    worst = max(states, key=lambda state: _nan_last(state.share_of_limit), default=None)
    if failed:
        where = f"first diverging state: {failed[0].where}"
    elif problems:
        where = problems[0]
    else:
        where = worst.where if worst else "nothing"
    return Check(
        name=check,
        passed=not problems,
        worst=worst.relative if worst else None,
        limit=worst.limit / worst.scale if worst and worst.scale else None,
        where=where,
        measure=measure,
        problems=tuple(problems),
        details={
            "states": [
                {"name": state.name, "difference": state.difference, "scale": state.scale, "limit": state.limit}
                for state in states
            ]
        },
    )


def _key_problems(paddle: Mapping[str, Array], torch: Mapping[str, Array]) -> list[str]:
    problems = []
    counts = [sum(name.startswith("hidden_state.") for name in side) for side in (paddle, torch)]
    if counts[0] != counts[1]:
        problems.append(f"Paddle has {counts[0]} hidden states, torch {counts[1]}")
    for name in sorted(set(paddle) ^ set(torch), key=_order):
        problems.append(f"{describe(name)} exists only in {'Paddle' if name in paddle else 'torch'}")
    return problems


def _difference(
    name: str, paddle: Array, torch: Array, mask: Array, limit: Callable[[str, float], float]
) -> StateDifference:
    difference = np.abs(paddle.astype(np.float64) - torch.astype(np.float64))
    attended = _mask_of(name, paddle.shape, mask)
    scale = float(np.max(np.abs(paddle[attended]).astype(np.float64), initial=0.0))
    difference = np.where(attended.reshape(attended.shape + (1,) * (difference.ndim - attended.ndim)), difference, 0.0)
    # argmax takes a NaN for the largest value, so that a NaN is found and reported.
    place = tuple(int(index) for index in np.unravel_index(int(np.argmax(difference)), difference.shape))
    return StateDifference(name, float(difference[place]), scale, limit(name, scale), place)


def _has_token_axis(name: str, shape: tuple[int, ...]) -> bool:
    """Whether an output is [rows, tokens, ...]; `logits` are when they have three axes (token classification)."""
    return name.startswith("hidden_state.") or name in _PER_TOKEN or (name == "logits" and len(shape) == 3)


def _mask_of(name: str, shape: tuple[int, ...], mask: Array) -> Array:
    """Which leading positions of an output count: attended ones, or all when it has no token axis."""
    if _has_token_axis(name, shape):
        return mask.astype(bool)
    return np.ones(shape[:1], bool)


def _attended(name: str, values: Array, mask: Array) -> Array:
    return values[_mask_of(name, values.shape, mask)]


def _order(name: str) -> tuple[int, str]:
    return (0 if name.startswith("hidden_state.") else 1, name)


def _nan_last(value: float) -> float:
    return float("inf") if np.isnan(value) else value
