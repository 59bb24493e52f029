"""What a model writes: the same tokens in both libraries, near ties told from differences, and nothing where there are
no texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import UnreadableFileError
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.check import Outcome
from paddle2torch.verify.checks.generation import COUNT, PROMPTS, Comparison, prompts
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult
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
    assert check.worst is not None
    assert check.worst < 1e-5
    # Another model computes something else in every layer, and does not write the same for that.
    path = converted / "model.safetensors"
    with safe_open(path, "np") as opened:
        metadata = opened.metadata()
    tensors = load_file(path)
    largest = max(tensors, key=lambda name: tensors[name].size)
    save_file({**tensors, largest: np.roll(tensors[largest], 1, axis=0)}, path, metadata)
    (check,) = verify_checkpoint(source, converted, checks=("generation",), runners=each_torch).checks
    assert not check.passed
    assert "logits of token 0" in str(check.problems)


LANGUAGES: dict[str, tuple[dict[str, int | None], int | None]] = {
    "no start of its own": ({"decoder_start_token_id": None}, None),
    "started with a language": ({"decoder_start_token_id": 46}, None),
    "forced to begin with a language": ({"decoder_start_token_id": 2, "forced_bos_token_id": 44}, 44),
    "forced without a start": ({"decoder_start_token_id": None, "forced_bos_token_id": 44, "bos_token_id": 5}, 44),
}
"""What the names of MBART state: mbart-large-cc25, mbart-large-en-ro, mbart-large-50-many-to-one-mmt, and none."""


@pytest.mark.parametrize("stated", LANGUAGES)
def test_texts_begin_where_the_source_says(stated: str, seed_small: Seed, tmp_path: Path, both: Runners) -> None:
    """From the beginning of a text where no start is stated, in both libraries; a user may begin with a language."""
    fields, first = LANGUAGES[stated]
    source, converted = seed_small("MBartForConditionalGeneration", **fields), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, checks=("generation",), runners=both).assert_passed()
    (check,) = report.checks
    assert first is None or [row[0] for row in check.details["written"]] == [first] * PROMPTS
    # Another beginning would be seen.
    path = converted / "generation_config.json"
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**document, "decoder_start_token_id": 11}), "utf-8")
    report = verify_checkpoint(source, converted, checks=("generation",), runners=both)
    assert [check.passed for side in report.sides for check in side.checks] == [False, False]


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


def compared(paddle: dict[str, Any], torch: dict[str, Any], noise: float = 0.0) -> Outcome:
    return Comparison(paddle, torch, noise, 4).outcome()


def result_of(paddle: dict[str, Any], torch: dict[str, Any], noise: float = 0.0) -> CheckResult:
    result = compared(paddle, torch, noise).result
    assert result is not None
    return result


def test_rows_are_compared_up_to_the_end_of_their_text() -> None:
    paddle, torch = outputs([[1, 4, 0], [2, 3, 1]]), outputs([[1, 4, 4], [2, 3, 1]])
    # What fills the first row is no part of it.
    torch["logits.02"][0] = 9
    result = result_of(paddle, torch)
    assert result.passed
    assert result.details["written"] == [[1, 4], [2, 3, 1]]
    torch["logits.02"][1] = 0.999
    result = result_of(paddle, torch)
    assert not result.passed
    assert result.problems[0].startswith("logits of token 2 at [0, ")


def test_a_near_tie_is_reported_and_a_difference_is_not_excused() -> None:
    tie = outputs([[1, 2]], b=1.0, c=1.0 - 2e-6), outputs([[2, 3]], b=1.0 - 1e-6, c=1.0)
    outcome = compared(*tie)
    assert outcome.result is not None
    assert outcome.result.passed
    (seen,) = outcome.declared
    assert seen.name == "near_tie"
    assert "prompt 0, token 0: 1 in Paddle and 2 in torch" in seen.text
    assert seen.measured == pytest.approx(2e-6, rel=0.1)
    # Of the step after that, on which the two do not agree what comes before, nothing is known.
    assert [state["name"] for state in outcome.result.details["states"]] == ["logits of token 0"]

    # One library is sure.
    for paddle, torch in ((outputs([[1, 2]], b=1.0, c=0.9), tie[1]), (tie[0], outputs([[2, 3]], b=0.9, c=1.0))):
        problems = result_of(paddle, torch).problems
        assert "prompt 0, token 0: 1 in Paddle and 2 in torch, whose logits are 1.00e-01 apart" in problems[0]
        assert "rounding explains 1.00e-05" in problems[0]
        assert len(problems) == 2


def test_the_limit_follows_from_the_rounding_of_the_model() -> None:
    paddle, torch = outputs([[1]], b=1.0, c=0.999), outputs([[2]], b=0.999, c=1.0)
    assert not result_of(paddle, torch).passed
    assert result_of(paddle, torch, noise=1e-4).passed
    assert not result_of(paddle, torch, noise=float("nan")).passed


def test_a_text_that_ends_earlier_is_a_difference() -> None:
    assert result_of(outputs([[1, 2]]), outputs([[1]])).problems == (
        "torch wrote no token 1",
        "prompt 0, token 1: torch wrote no more of it",
    )
    assert not result_of(outputs([[1]]), outputs([[1, 2]])).passed
