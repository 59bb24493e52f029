"""Comparison of what two framework runs put out, state by state, at attended positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..converters.formats.dtypes import Array
from .reports.result import CheckResult
from .runners.outputs import kind_of, stack_of

OF_STATE = "largest difference of a state over its largest value"
"""What the checks end to end measure."""

_PER_TOKEN = frozenset(
    {"last_hidden_state", "mlm_logits", "replaced_logits", "start_logits", "end_logits"}
    | {"qa_logits", "start_prob", "end_prob", "encoder_last_hidden_state"}
)

_MAPS = ("attention", "cross_attention")
"""Outputs of [batch, heads, queries, keys]."""


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
    def relative_limit(self) -> float:
        """Limit over the state's largest value, as `relative` is measured."""
        return self.limit / self.scale if self.scale else (0.0 if self.limit == 0 else float("inf"))

    @property
    def text(self) -> str:
        """Where, and by how much against which limit, in the measure of the check."""
        if not self.place:
            return f"{describe(self.name)}: no position of it was compared"
        if not self.scale:
            return f"{self.where}: difference {self.difference:.2e} where Paddle's values are 0 throughout"
        return f"{self.where}: relative difference {self.relative:.2e}, limit {self.relative_limit:.2e}"

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
        return f"{describe(self.name)} at {list(self.place)}" if self.place else f"{describe(self.name)} nowhere"


def of_stack(outputs: Mapping[str, Array], stack: str) -> dict[str, Array]:
    """Of outputs those of a stack of layers, by what stands before their names."""
    return {name: array for name, array in outputs.items() if stack_of(name) == stack}


def is_map(name: str) -> bool:
    """Whether an output is the map of an attention."""
    return kind_of(name) in _MAPS


def describe(name: str) -> str:
    """An output's name in words: `hidden_state.03` is hidden state 3, the output of layer 2. Layers are numbered as in
    the names of tensors, from 0; hidden state 0 is what they are given."""
    stack, kind, number = stack_of(name), kind_of(name), name.rpartition(".")[2]
    if kind not in ("hidden_state", *_MAPS) or not number.isdecimal():
        return name
    if stack:
        return f"decoder's {describe(f'{kind}.{number}')}"
    index = int(number)
    if kind in _MAPS:
        return f"{kind.replace('_', ' ')} map of layer {index}"
    return "hidden state 0 (the embeddings)" if index == 0 else f"hidden state {index} (output of layer {index - 1})"


def largest_difference(name: str, paddle: Array, torch: Array, mask: Array) -> float:
    """The largest absolute difference of one output at attended positions; infinite when the shapes differ."""
    if paddle.shape != torch.shape:
        return float("inf")
    return state_difference(name, paddle, torch, mask, lambda scale: scale).difference


def state_difference(
    name: str, paddle: Array, torch: Array, mask: Array, limit: Callable[[float], float]
) -> StateDifference:
    """The largest difference of two arrays of one shape at attended positions; `limit` follows from Paddle's largest
    value there. An attention map is compared for the queries of attended tokens."""
    paddle, torch = tokens_first(name, paddle), tokens_first(name, torch)
    attended = attended_positions(name, paddle.shape, mask)
    if not attended.any():
        return _nothing(name)
    difference = _absolute_difference(paddle, torch, attended)
    scale = float(np.max(np.abs(paddle[attended]).astype(np.float64), initial=0.0))
    # argmax takes a NaN for the largest value, so that a NaN is found and reported.
    place = tuple(int(index) for index in np.unravel_index(int(np.argmax(difference)), difference.shape))
    return StateDifference(name, float(difference[place]), scale, limit(scale), place)


def token_difference(name: str, paddle: Array, torch: Array, mask: Array, factor: float) -> StateDifference:
    """The attended token of [..., hidden] whose difference is the largest share of its own largest value in Paddle;
    the limit is `factor` times that value."""
    attended = attended_positions(name, paddle.shape, mask)
    if not attended.any():
        return _nothing(name)
    difference = _absolute_difference(paddle, torch, attended)
    scales = np.abs(paddle).astype(np.float64).max(axis=-1)
    largest = difference.max(axis=-1)
    shares = np.divide(largest, scales, out=np.where(largest == 0, 0.0, np.inf), where=scales != 0)
    token = tuple(int(index) for index in np.unravel_index(int(np.argmax(shares)), shares.shape))
    place = (*token, int(np.argmax(difference[token])))
    scale = float(scales[token])
    return StateDifference(name, float(difference[place]), scale, factor * scale, place)


def _nothing(name: str) -> StateDifference:
    """What comparing no position comes to: it never holds."""
    return StateDifference(name, math.inf, 0.0, 0.0, ())


def compare_outputs(
    check: str,
    measure: str,
    paddle: Mapping[str, Array],
    torch: Mapping[str, Array],
    difference: Callable[[str], StateDifference],
) -> CheckResult:
    """Compare all outputs: names and counts first, then shapes, then values by `difference(name)`."""
    counts = _count_problems(paddle, torch)
    problems = counts + _name_problems(paddle, torch)
    states: list[StateDifference] = []
    for name in sorted(set(paddle) & set(torch), key=_order):
        if paddle[name].shape != torch[name].shape:
            problems.append(
                f"{describe(name)} has shape {paddle[name].shape} in Paddle and {torch[name].shape} in torch"
            )
            continue
        states.append(difference(name))
    for stack in sorted({"", *(stack_of(name) for name in paddle)}):
        if not any(state.name.startswith(f"{stack}hidden_state.") for state in states):
            problems.append(f"no {'hidden state' if not stack else 'hidden state of the decoder'} was compared")
    failed = [state for state in states if not state.holds]
    problems += [state.text for state in failed]
    worst = max(states, key=lambda state: nan_last(state.share_of_limit), default=None)
    if failed and not counts:
        where = f"first diverging state: {failed[0].where}"
    elif problems:
        where = problems[0]
    else:
        where = worst.where if worst else "nothing"
    return CheckResult(
        name=check,
        passed=not problems,
        worst=worst.relative if worst else None,
        limit=worst.relative_limit if worst and worst.scale else None,
        where=where,
        measure=measure,
        problems=tuple(problems),
        details={
            "states": [
                {"name": state.name, "difference": state.difference, "scale": state.scale, "limit": state.limit}
                for state in states
            ],
            "first_failed": failed[0].name if failed else None,
        },
    )


def attended_positions(name: str, shape: tuple[int, ...], mask: Array) -> Array:
    """Which leading positions of an output count: attended ones, all of a decoder's, and all rows when it has no token
    axis."""
    if stack_of(name):
        return np.ones(shape[:2], bool)
    if _has_token_axis(name, shape):
        return mask.astype(bool)
    return np.ones(shape[:1], bool)


def _count_problems(paddle: Mapping[str, Array], torch: Mapping[str, Array]) -> list[str]:
    problems = []
    for kind, what in (("hidden_state", "hidden states"), ("attention", "attention maps")):
        counts = [sum(kind_of(name) == kind for name in side) for side in (paddle, torch)]
        if counts[0] != counts[1]:
            problems.append(f"Paddle has {counts[0]} {what}, torch {counts[1]}")
    return problems


def _name_problems(paddle: Mapping[str, Array], torch: Mapping[str, Array]) -> list[str]:
    return [
        f"{describe(name)} exists only in {'Paddle' if name in paddle else 'torch'}"
        for name in sorted(set(paddle) ^ set(torch), key=_order)
    ]


def _absolute_difference(paddle: Array, torch: Array, attended: Array) -> Array:
    """In float64, zero at positions that do not count."""
    difference = np.abs(paddle.astype(np.float64) - torch.astype(np.float64))
    counted: Array = np.where(
        attended.reshape(attended.shape + (1,) * (difference.ndim - attended.ndim)), difference, 0.0
    )
    return counted


def tokens_first(name: str, values: Array) -> Array:
    """An attention map [batch, heads, queries, keys] as [batch, queries, heads, keys]; anything else as it is."""
    return values.swapaxes(1, 2) if is_map(name) else values


def _has_token_axis(name: str, shape: tuple[int, ...]) -> bool:
    """Whether an output is [rows, tokens, ...], an attention map once its queries are its second axis; `logits` are
    when they have three axes (token classification)."""
    if stack_of(name) or name.startswith(("hidden_state.", "attention.")) or name in _PER_TOKEN:
        return True
    return name == "logits" and len(shape) == 3


def _order(name: str) -> tuple[int, str]:
    if kind_of(name) == "hidden_state":
        return (2 if stack_of(name) else 0, name)
    # What the decoder attends to comes before it.
    return (1 if name == "encoder_last_hidden_state" else 3, name)


def nan_last(value: float) -> float:
    """A key to sort by in which NaN counts as infinite."""
    return float("inf") if np.isnan(value) else value
