"""What a model writes: the same tokens in both libraries, near ties told from differences, and nothing where there are
no texts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import UnreadableFileError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.checks.generation import COUNT, PROMPTS, Comparison, prompts
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed

WRITING = [
    (family.name, model.source)
    for family in FAMILIES.values()
    for model in family.models
    if model.generation is not None
]


def test_prompts_hold_no_special_token_and_end_within_the_table() -> None:
    configuration = {"vocab_size": 12, "max_position_embeddings": 30, "eos_token_id": 7, "pad_token_id": None}
    ids, count = prompts(configuration, ("eos_token_id", "pad_token_id"))
    assert (ids.shape, count) == ((PROMPTS, 7), COUNT)
    assert 7 not in ids
    assert ids.max() < 12
    assert np.array_equal(ids, prompts(configuration, ("eos_token_id", "pad_token_id"))[0])
    assert prompts({**configuration, "max_position_embeddings": 9}, ())[1] == 7
    assert prompts({"vocab_size": 12}, ())[0].shape == (PROMPTS, 8)


@pytest.mark.parametrize(("family", "architecture"), WRITING)
def test_classes_that_write_texts_write_the_same(
    family: str, architecture: str, seed_small: Seed, tmp_path: Path, each_torch: Runners
) -> None:
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, checks=("generation",), runners=each_torch).assert_passed()
    (check,) = report.checks
    assert len(check.details["written"]) == PROMPTS
    assert all(check.details["written"])
    # Another model writes something else.
    path = converted / "model.safetensors"
    with safe_open(path, "np") as opened:
        metadata = opened.metadata()
    tensors = load_file(path)
    words = max(tensors, key=lambda name: tensors[name].size)
    save_file({**tensors, words: np.roll(tensors[words], 1, axis=0)}, path, metadata)
    (check,) = verify_checkpoint(source, converted, checks=("generation",), runners=each_torch).checks
    assert not check.passed
    assert check.problems[0].startswith("prompt ")
    assert "where rounding explains" in check.problems[0]


def test_a_class_that_writes_no_texts_has_none_to_compare(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """Not spoken of, unless it is asked for by its name."""
    source, converted = seed_small("BertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    with pytest.raises(UnreadableFileError, match="PaddleNLP's BertModel writes no texts, nothing was verified"):
        verify_checkpoint(source, converted, checks=("generation",), runners=runners)
    report = verify_checkpoint(source, converted, checks=("weights",), runners=runners)
    assert "generation" not in report.not_run
    report = verify_checkpoint(source, converted, checks=("weights", "generation", "causal"), runners=runners)
    assert report.assert_passed().not_run_reasons == {
        "causal": "PaddleNLP's BertModel reads texts in both directions",
        "generation": "PaddleNLP's BertModel writes no texts",
    }


def outputs(tokens: list[list[int]], **scores: float) -> dict[str, Any]:
    """Tokens of a vocabulary of 5, and logits of each step: 1 for the one that is chosen, 0 for others; of the first
    row at the first step those in `scores` by their letter."""
    array = np.array(tokens)
    made: dict[str, Any] = {"tokens": array}
    for step in range(array.shape[1]):
        made[f"logits.{step:02d}"] = np.eye(5, dtype="f4")[array[:, step]]
    for letter, value in scores.items():
        made["logits.00"][0, "abcde".index(letter)] = value
    return made


def compared(paddle: dict[str, Any], torch: dict[str, Any], wide: dict[str, Any]) -> Comparison:
    pair: Any = SimpleNamespace(configuration={"eos_token_id": 4})
    comparison = Comparison(pair, paddle, torch)
    if comparison.parted():
        comparison.judge(wide)
    return comparison


def test_rows_are_compared_up_to_the_end_of_their_text() -> None:
    comparison = compared(outputs([[1, 4, 0], [2, 3, 1]]), outputs([[1, 4, 4], [2, 3, 1]]), {})
    assert comparison.outcome().result.passed  # type: ignore[union-attr]
    assert comparison.rows(comparison.paddle) == [[1, 4], [2, 3, 1]]


def test_a_near_tie_is_reported_and_a_difference_is_not_excused() -> None:
    tie = outputs([[1, 2]], b=1.0, c=1.0 - 2e-6), outputs([[2, 3]], b=1.0 - 1e-6, c=1.0)
    wide = outputs([[2, 3]], b=1.0 - 1e-6, c=1.0)
    outcome = compared(*tie, wide).outcome()
    assert outcome.result is not None
    assert outcome.result.passed
    (seen,) = outcome.declared
    assert seen.name == "near_tie"
    assert "prompt 0, token 0: 1 in Paddle and 2 in torch" in seen.text
    assert seen.measured == pytest.approx(2e-6, rel=0.1)

    # One library is sure.
    for paddle, torch in (
        (outputs([[1, 2]], b=1.0, c=0.9), tie[1]),
        (tie[0], outputs([[2, 3]], b=0.9, c=1.0)),
    ):
        result = compared(paddle, torch, torch).outcome().result
        assert result is not None
        assert not result.passed
        assert result.problems[0].startswith("prompt 0, token 0: 1 in Paddle and 2 in torch, whose logits are 1.00e-01")


def test_nothing_is_excused_where_double_precision_wrote_something_else_before() -> None:
    paddle, torch = outputs([[0, 1]]), outputs([[0, 2]])
    for side, value in ((paddle, 1.0), (torch, 1.0)):
        side["logits.01"][0, 1:3] = value
    assert compared(paddle, torch, torch).outcome().result.passed  # type: ignore[union-attr]
    result = compared(paddle, torch, outputs([[3, 2]])).outcome().result
    assert result is not None
    assert not result.passed


def test_a_text_that_ends_earlier_is_a_difference() -> None:
    result = compared(outputs([[1, 2]]), outputs([[1]]), outputs([[1]])).outcome().result
    assert result is not None
    assert result.problems == ("prompt 0, token 1: torch wrote no more of it",)
