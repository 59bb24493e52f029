"""The comparison of outputs, on arrays made here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from paddle2torch.converters.formats.dtypes import Array
from paddle2torch.verify.checks.float32 import compare_float32
from paddle2torch.verify.checks.float64 import compare_float64
from paddle2torch.verify.states import describe, largest_difference

Outputs = dict[str, Array]
MASK = np.array([[1, 1, 1, 0], [1, 1, 1, 1]])


def outputs(seed: int = 0) -> Outputs:
    generator = np.random.default_rng(seed)
    made: Outputs = {f"hidden_state.{index:02d}": generator.standard_normal((2, 4, 6)) for index in range(4)}
    made["last_hidden_state"] = made["hidden_state.03"]
    made["pooler_output"] = generator.standard_normal((2, 4))
    return made


def test_equal_outputs_pass() -> None:
    check = compare_float64(outputs(), outputs(), MASK)
    assert check.passed
    assert check.worst == 0
    assert check.problems == ()


def test_the_first_diverging_state_and_its_place_are_named() -> None:
    changed = outputs()
    changed["hidden_state.02"] = changed["hidden_state.02"].copy()
    changed["hidden_state.02"][1, 3, 5] += 1e-6
    changed["hidden_state.03"] = changed["hidden_state.03"] + 1
    check = compare_float64(outputs(), changed, MASK)
    assert not check.passed
    assert check.where == "first diverging state: hidden state 2 (output of layer 1) at [1, 3, 5]"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hidden_state.00", "hidden state 0 (the embeddings)"),
        ("hidden_state.04", "hidden state 4 (output of layer 3)"),
        ("attention.03", "attention map of layer 3"),
        ("pooler_output", "pooler_output"),
    ],
)
def test_layers_are_numbered_as_in_the_names_of_tensors(name: str, words: str) -> None:
    assert describe(name) == words


def test_a_line_has_relative_measures_only() -> None:
    large = {name: values * 1000 for name, values in outputs().items()}
    changed = {**large, "hidden_state.02": large["hidden_state.02"] * (1 + 1e-6)}
    check = compare_float64(large, changed, MASK)
    (problem,) = check.problems
    assert problem.endswith(f"relative difference {check.worst:.2e}, limit {check.limit:.2e}")
    assert check.worst == pytest.approx(1e-6)
    nothing = {name: values * 0 for name, values in outputs().items()}
    (problem,) = compare_float64(nothing, {**nothing, "pooler_output": nothing["pooler_output"] + 1}, MASK).problems
    assert problem.endswith("difference 1.00e+00 where Paddle's values are 0 throughout")


def test_positions_that_are_not_attended_do_not_count() -> None:
    changed = outputs()
    changed["hidden_state.01"] = changed["hidden_state.01"].copy()
    changed["hidden_state.01"][0, 3] += 100
    assert compare_float64(outputs(), changed, MASK).passed
    assert largest_difference("hidden_state.01", outputs()["hidden_state.01"], changed["hidden_state.01"], MASK) == 0
    shown = largest_difference("hidden_state.01", outputs()["hidden_state.01"], changed["hidden_state.01"], 1 - MASK)
    assert shown == pytest.approx(100)


def test_a_pooler_as_wide_as_the_sequence_is_compared_whole() -> None:
    """Its shape [rows, 4] equals the mask's; the mask must not hide its last value."""
    changed = outputs()
    changed["pooler_output"] = changed["pooler_output"].copy()
    changed["pooler_output"][0, 3] += 1e-3
    assert not compare_float64(outputs(), changed, MASK).passed


def lose_a_layer(made: Outputs) -> None:
    del made["hidden_state.03"]


def lose_the_pooler(made: Outputs) -> None:
    del made["pooler_output"]


def change_a_shape(made: Outputs) -> None:
    made["hidden_state.01"] = made["hidden_state.01"][:, :, :5]


def not_a_number(made: Outputs) -> None:
    made["hidden_state.01"] = made["hidden_state.01"].copy()
    made["hidden_state.01"][0, 0, 0] = np.nan


def infinite(made: Outputs) -> None:
    made["hidden_state.01"] = made["hidden_state.01"].copy()
    made["hidden_state.01"][0, 0, 0] = np.inf


@pytest.mark.parametrize("change", [lose_a_layer, lose_the_pooler, change_a_shape, not_a_number, infinite])
@pytest.mark.parametrize("side", ["paddle", "torch", "both"])
def test_what_is_lost_or_not_finite_never_passes(change: Callable[[Outputs], None], side: str) -> None:
    paddle, torch, torch64 = outputs(), outputs(), outputs()
    for name, made in (("paddle", paddle), ("torch", torch)):
        if side in (name, "both"):
            change(made)
    if change in (lose_a_layer, lose_the_pooler, change_a_shape) and side == "both":
        assert compare_float64(paddle, torch, MASK).passed
        return
    with np.errstate(invalid="ignore"):
        assert not compare_float64(paddle, torch, MASK).passed
        assert not compare_float32(paddle, torch, torch64, MASK).passed


def test_nothing_to_compare_is_a_failure() -> None:
    assert not compare_float64({}, {}, MASK).passed
    assert not compare_float64({"pooler_output": np.ones((2, 4))}, {"pooler_output": np.ones((2, 4))}, MASK).passed


def test_the_float32_limit_follows_torch_own_rounding() -> None:
    exact = outputs()
    torch = {name: values.astype(np.float32) + np.float32(1e-5) for name, values in exact.items()}
    near = {name: values + np.float32(2e-4) for name, values in torch.items()}
    far = {name: values + np.float32(2e-3) for name, values in torch.items()}
    assert compare_float32(near, torch, exact, MASK).passed
    assert not compare_float32(far, torch, exact, MASK).passed


def test_float32_without_its_float64_counterpart_fails() -> None:
    partial = outputs()
    del partial["hidden_state.02"]
    assert not compare_float32(outputs(), outputs(), partial, MASK).passed
