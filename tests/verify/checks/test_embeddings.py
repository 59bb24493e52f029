"""The check of the embeddings: every row of every table, and what a changed one is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.formats.dtypes import Array
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.checks.embeddings import all_rows, check_embeddings
from paddle2torch.verify.inputs import make_inputs
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult, Report
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed

FIELDS = {"vocab_size": 50, "max_position_embeddings": 30, "type_vocab_size": 2, "pad_token_id": 0}


def verify(source: Path, runners: Runners, checks: tuple[str, ...] = ("embeddings",)) -> Report:
    return verify_checkpoint(source, source.parent / "converted", checks=checks, runners=runners)


def change_row(folder: Path, table: str, row: int) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith(f"{table}.weight"))
    tensors[name][row, 1] += 1e-3
    save_file(tensors, path, metadata={"format": "pt"})


def test_a_row_that_no_input_touches_is_seen(seed_small: Seed, runners: Runners) -> None:
    source = seed_small("AlbertModel", vocab_size=300)
    convert_checkpoint(source, source.parent / "converted")
    touched = make_inputs({**FIELDS, "vocab_size": 300}).input_ids
    row = next(row for row in range(1, 300) if row not in touched)
    change_row(source.parent / "converted", "word_embeddings", row)
    report = verify(source, runners, ("weights", "float64", "layers", "embeddings"))
    passed = {check.name: check.passed for check in report.checks}
    assert passed == {"weights": False, "float64": True, "layers": True, "embeddings": False}
    check = report.check("embeddings")
    assert check is not None
    assert check.where == f"vocabulary row {row}"


@pytest.mark.parametrize(
    ("table", "row", "where"),
    [
        ("position_embeddings", 17, "positions row 17"),
        ("token_type_embeddings", 1, "token types row 1"),
        ("word_embeddings", 49, "vocabulary row 49"),
    ],
)
@pytest.mark.parametrize("architecture", ["AlbertForMaskedLM", "BertModel"])
def test_the_table_is_named(
    architecture: str, table: str, row: int, where: str, seed_small: Seed, runners: Runners
) -> None:
    source = seed_small(architecture)
    convert_checkpoint(source, source.parent / "converted")
    change_row(source.parent / "converted", table, row)
    check = verify(source, runners).check("embeddings")
    assert check is not None
    assert not check.passed
    assert check.where == where


def test_the_padding_row_is_left_out_only_where_it_is_declared(seed_small: Seed, runners: Runners) -> None:
    """Its bits are the business of the check of the weights."""
    outcomes = {}
    for architecture in ("AlbertModel", "BertModel"):
        source = seed_small(architecture, folder=f"{architecture}/source")
        convert_checkpoint(source, source.parent / "converted")
        change_row(source.parent / "converted", "word_embeddings", 0)
        check = verify(source, runners).check("embeddings")
        assert check is not None
        outcomes[architecture] = (check.passed, check.details["excluded_vocabulary_ids"])
    assert outcomes == {"AlbertModel": (True, [0]), "BertModel": (False, [])}


def test_rows_are_counted(seed_small: Seed, runners: Runners) -> None:
    source = seed_small("AlbertModel", vocab_size=300)
    convert_checkpoint(source, source.parent / "converted")
    check = verify(source, runners).check("embeddings")
    assert check is not None
    assert check.passed
    coverage = check.details["coverage"]
    # Two positions stand in the gap of the inputs' mask and nowhere else.
    assert coverage["positions"] == {"rows": 30, "forward": 28, "check": 30}
    assert coverage["token types"] == {"rows": 2, "forward": 2, "check": 2}
    assert coverage["vocabulary"]["rows"] == 300
    assert coverage["vocabulary"]["check"] == 299
    inputs = make_inputs({**FIELDS, "vocab_size": 300})
    assert coverage["vocabulary"]["forward"] == len(set(inputs.input_ids[inputs.attention_mask == 1]))
    assert json.dumps(check.to_json())


@pytest.mark.parametrize(
    ("architecture", "fields", "tables"),
    [
        ("BertModel", {}, ["vocabulary", "positions", "token types"]),
        ("DistilBertModel", {}, ["vocabulary", "positions"]),
        ("DebertaModel", {"type_vocab_size": 0, "position_biased_input": False}, ["vocabulary"]),
        ("XLNetModel", {}, ["vocabulary"]),
    ],
)
def test_no_table_is_named_that_a_model_lacks(
    architecture: str, fields: dict[str, Any], tables: list[str], seed_small: Seed, runners: Runners
) -> None:
    source = seed_small(architecture, **fields)
    convert_checkpoint(source, source.parent / "converted")
    check = verify(source, runners).check("embeddings")
    assert check is not None
    assert check.passed
    assert [*check.details["coverage"]] == [part.rpartition(" row ")[0] for part in check.where.split(", ")] == tables


@pytest.mark.parametrize("padding", [None, 0, 49])
@pytest.mark.parametrize(
    "fields", [FIELDS, {**FIELDS, "max_position_embeddings": 70}, {**FIELDS, "type_vocab_size": 1, "vocab_size": 51}]
)
def test_all_rows_holds_every_row(fields: dict[str, Any], padding: int | None) -> None:
    rows = all_rows(fields, padding)
    attended = rows.attention_mask == 1
    assert set(rows.input_ids[attended]) == set(range(fields["vocab_size"])) - {padding}
    assert set(rows.position_ids[attended]) == set(range(fields["max_position_embeddings"]))
    assert set(rows.token_type_ids[attended]) == set(range(fields["type_vocab_size"]))


def checked(token: int | None, value: float, blocks: int = 3, tokens: int = 9) -> CheckResult:
    """Embeddings in blocks of 20 tokens; torch has another value at one of them, fewer blocks or a shorter last one."""
    whole = np.random.default_rng(0).standard_normal((1, 49, 4))
    paddle: dict[str, Array] = {}
    torch: dict[str, Array] = {}
    for index, start in enumerate(range(0, 49, 20)):
        paddle[f"embeddings.{index:04d}"] = whole[:, start : start + 20]
    if token is not None:
        whole = whole.copy()
        whole[0, token, 2] = value
    for index in range(blocks):
        torch[f"embeddings.{index:04d}"] = whole[:, 20 * index : 40 + tokens if index == 2 else 20 * index + 20]
    with np.errstate(invalid="ignore"):
        return check_embeddings(FIELDS, make_inputs(FIELDS), all_rows(FIELDS, 0), paddle, torch, 0)


def test_blocks_are_compared_whole() -> None:
    assert checked(None, 0.0).passed
    assert not checked(None, 0.0, blocks=2).passed
    assert not checked(None, 0.0, tokens=8).passed
    for value in (9.0, np.nan, np.inf):
        check = checked(25, value)
        assert not check.passed
        assert check.where == "vocabulary row 26"
