"""Casts and zeroed padding rows: proven against the source altered likewise, and never taken for plain copies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from paddle2torch.converters.formats.casting import cast, widened
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import UnreadableFileError
from paddle2torch.verify.certificate import check_certificate
from paddle2torch.verify.faults.runs import run_faults
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.runners.protocol import rounded

from .conftest import Seed

Change = Callable[[dict[str, np.ndarray[Any, Any]], dict[str, str]], None]


def edit(folder: Path, change: Change) -> None:
    """Change the arrays and the metadata of a converted file in place."""
    path = folder / "model.safetensors"
    with safe_open(path, framework="np") as opened:
        metadata = dict(opened.metadata())
        arrays = {name: opened.get_tensor(name).copy() for name in opened.keys()}  # noqa: SIM118
    change(arrays, metadata)
    save_file(arrays, path, metadata)


def seen(report: Report) -> dict[str, float | None]:
    return {one.name: one.measured for one in report.declared_differences}


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("AlbertForMaskedLM", {"dtype": "float16"}),
        ("AlbertForMaskedLM", {"zero_padding_row": True}),
        ("AlbertForPretraining", {"dtype": "bfloat16", "zero_padding_row": True, "max_shard_size": "8KB"}),
        ("BertForSequenceClassification", {"dtype": "bfloat16"}),
        ("BertModel", {"max_shard_size": "8KB"}),
    ],
)
def test_altered_output_is_proven_against_the_source_altered_likewise(
    architecture: str, options: dict[str, Any], seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted, **options)
    report = verify_checkpoint(source, converted, runners=runners, certificate=True).assert_passed()
    differences = seen(report)
    weights = report.check("weights")
    assert weights is not None
    assert ("cast" in differences) is ("dtype" in options)
    if "dtype" in options:
        effect = differences["cast"]
        assert effect is not None
        assert 1e-4 < effect < 1
        assert weights.where.startswith("all ")
        assert f"to the source cast to {options['dtype']}" in weights.where
        assert weights.details["altered_elements"] > report.parameters / 2
    else:
        assert "altered_elements" not in weights.details or weights.details["altered_elements"] <= 50
    if "zero_padding_row" in options:
        assert "padding_row" not in differences
        assert differences["zero_padding_row"] is not None
        assert differences["zero_padding_row"] > 0
    assert check_certificate(source, converted).passed


def flip(arrays: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> None:
    arrays["pooler.weight"].view("u2")[3, 1] ^= 1


def forget(arrays: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> None:
    del metadata["paddle2torch.cast"]


def truncate_instead_of_round(arrays: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> None:
    name = "embeddings.position_embeddings.weight"
    arrays[name] = np.nextafter(arrays[name], np.float16(0))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (flip, "pooler.weight differs in 1 of"),
        (forget, "holds float16, float32 is expected"),
        (truncate_instead_of_round, "embeddings.position_embeddings.weight differs in"),
    ],
)
def test_a_wrong_cast_is_red(change: Change, where: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted, dtype="float16")
    edit(converted, change)
    report = verify_checkpoint(source, converted, checks=("weights", "float64"), runners=runners)
    weights = report.check("weights")
    assert not report.passed
    assert weights is not None
    assert any(where in problem for problem in weights.problems), weights.problems
    if change is truncate_instead_of_round:
        forward = report.check("float64")
        assert forward is not None
        assert not forward.passed


def test_a_record_of_a_cast_that_was_not_done_is_red(seed_small: Seed, tmp_path: Path) -> None:
    source, converted = seed_small("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    edit(converted, lambda arrays, metadata: metadata.update({"paddle2torch.cast": "bfloat16"}))
    assert not verify_checkpoint(source, converted, checks=("weights",)).passed
    edit(converted, lambda arrays, metadata: metadata.update({"paddle2torch.cast": "int4"}))
    with pytest.raises(UnreadableFileError, match="records a cast to 'int4'"):
        verify_checkpoint(source, converted, checks=("weights",))


def put(name: str, place: int | tuple[int, int], value: float) -> Change:
    """A change of a row or an element."""

    def change(arrays: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> None:
        arrays[name][place] = value

    return change


WORDS = "albert.embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, metadata: metadata.pop("paddle2torch.zero_padding_row"),
        put(WORDS, (0, 3), 1e-30),
        put(WORDS, 1, 0),
        put("predictions.decoder.weight", 0, 0),
    ],
    ids=["no record", "not all zeros", "another row too", "the decoder's row too"],
)
def test_a_wrong_padding_row_is_red(change: Change, seed_small: Seed, tmp_path: Path) -> None:
    source, converted = seed_small("AlbertForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted, zero_padding_row=True)
    assert verify_checkpoint(source, converted, checks=("weights",)).passed
    edit(converted, change)
    assert not verify_checkpoint(source, converted, checks=("weights",)).passed


@pytest.mark.parametrize(
    ("architecture", "row"), [("AlbertModel", 5), ("AlbertModel", 10**9), ("BertModel", 0), ("BertModel", 5)]
)
def test_a_row_that_is_no_padding_row_is_no_alteration(
    architecture: str, row: int, seed_small: Seed, tmp_path: Path
) -> None:
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)

    def lose(arrays: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> None:
        words = arrays["embeddings.word_embeddings.weight"]
        words[row : row + 1] = 0
        metadata["paddle2torch.zero_padding_row"] = str(row)

    edit(converted, lose)
    with pytest.raises(UnreadableFileError, match=f"records row {row} as written as zeros"):
        verify_checkpoint(source, converted, checks=("weights",))


def test_zeros_that_only_paddle_reads_are_seen_at_padding_positions(
    seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    """With the option the forward checks look at every position: a row that is not zeros in torch is found there."""
    source, converted = seed_small("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted, zero_padding_row=True)
    name = "embeddings.word_embeddings.weight"
    edit(converted, put(name, (0, 3), 0.5))
    report = verify_checkpoint(source, converted, checks=("float64", "embeddings", "layers"), runners=runners)
    assert [check.passed for check in report.checks] == [False, False, False]


def test_faults_are_injected_into_plain_conversions_only(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted, zero_padding_row=True)
    with pytest.raises(UnreadableFileError, match="plain conversions only"):
        run_faults(source, converted, runners=runners)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("given", ["f4", "f8"])
def test_the_runners_rounding_is_the_converters(dtype: str, given: str) -> None:
    """Two ways of computing, one result: over all sizes, subnormal numbers and ties included."""
    generator = np.random.default_rng(3)
    bits = generator.integers(0, 1 << 32, 200_000, dtype=np.uint64).astype("u4")
    ties = (np.arange(1, 60_000, dtype="u4") << 16 | 0x8000).astype("u4")
    values = np.concatenate([bits, ties]).view("f4")
    limit = 65504.0 if dtype == "float16" else 3.38e38
    values = values[np.isfinite(values) & (np.abs(values) < limit)]
    mine = widened(cast(values, DTYPES["float32"], DTYPES[dtype], "w"), DTYPES[dtype])
    theirs = rounded(values.astype(given), dtype)
    assert theirs.dtype == np.dtype(given)
    assert mine.tobytes() == theirs.astype("f4").tobytes()


def test_the_report_is_plain_json(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("BertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted, dtype="bfloat16")
    report = verify_checkpoint(source, converted, checks=("weights", "config"), runners=runners).assert_passed()
    document = json.loads(json.dumps(report.to_json()))
    assert [one["name"] for one in document["declared_differences"]] == ["cast"]
    assert document["checks"][0]["details"]["alterations"][0].startswith("cast to bfloat16")
