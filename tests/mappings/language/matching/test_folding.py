"""Folding of tensor names: readable for real names, and without loss for any."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddle2torch.mappings.language.matching.folding import fold_names


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], []),
        (["a"], ["a"]),
        (["a", "a"], ["a"]),
        (["a.0"], ["a.0"]),
        ([f"layers.{i}.w" for i in range(12)], ["layers.{0..11}.w"]),
        ([f"layers.{i}.w" for i in (11, 2, 9, 10)], ["layers.{2,9,10,11}.w"]),
        (["layers.0.w", "layers.2.w"], ["layers.{0,2}.w"]),
        (["layers.1.w", "other", "layers.0.w"], ["layers.{0..1}.w", "other"]),
        ([f"g.{g}.l.{i}.w" for g in range(2) for i in range(3)], ["g.{0..1}.l.{0..2}.w"]),
        (["g.0.l.0.w", "g.0.l.1.w", "g.1.l.0.w"], ["g.0.l.{0..1}.w", "g.1.l.0.w"]),
        (["0.a", "1.a"], ["{0..1}.a"]),
        (["a.0", "a.1"], ["a.{0..1}"]),
        (["0.1", "0.2"], ["0.{1..2}"]),
        # A number inside a word is part of its name.
        (["linear1.w", "linear2.w"], ["linear1.w", "linear2.w"]),
        (["a.0.b", "a.1.c"], ["a.0.b", "a.1.c"]),
        ([f"g.{g}.w" for g in range(2)] + [f"g.{g}.l.{i}.w" for g in range(2) for i in range(2)],
         ["g.{0..1}.w", "g.{0..1}.l.{0..1}.w"]),
    ],
)  # fmt: skip
def test_folding(names: list[str], folded: list[str]) -> None:
    assert fold_names(names) == folded


@pytest.mark.parametrize(
    "names",
    [
        ["layer.", "layer.1", "layer.2"],
        ["a.{0..1}", "a.1", "a.2"],
        ["a." + "9" * 5000, "a.1"],
        ["a.01", "a.1", "a.2"],
        ["a.²", "a.2", "a.٣"],
        ["", ".", "..", "1", "1.1", ".1"],
        ["a\n.1", "a\n.2"],
    ],
)
def test_names_of_a_hostile_file_do_no_harm(names: list[str]) -> None:
    assert fold_names(names)


def unfold(name: str) -> list[str]:
    """Every name that a folded one stands for."""
    choices = []
    for part in name.split("."):
        choices.append([part])
    text = re.sub(
        r"\{(\d+)\.\.(\d+)\}", lambda m: "{" + ",".join(map(str, range(int(m[1]), int(m[2]) + 1))) + "}", name
    )
    pieces = [piece[1:-1].split(",") if piece.startswith("{") else [piece] for piece in re.split(r"(\{[\d,]+\})", text)]
    return ["".join(combination) for combination in product(*pieces)]


parts = st.sampled_from(["a", "b", "0", "1", "2", "3", "10", "11"])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.lists(parts, min_size=1, max_size=4).map(".".join), max_size=12))
def test_folded_names_stand_for_exactly_the_given_ones(names: list[str]) -> None:
    assert sorted(name for folded in fold_names(names) for name in unfold(folded)) == sorted(set(names))
