"""The check of the tokenizer within a verification: by default, when there is nothing to check, and in the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import UnreadableFileError
from paddle2torch.verify.certificate import check_certificate
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.text import report_lines, report_verdict
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.sides.provenance import with_files

from ...tokenizer_files import make_vocabulary, train_spiece, write_config, write_lines
from ..conftest import Seed

QUICK = ("weights", "tokenizer")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return make_vocabulary(train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model"))


@pytest.fixture
def pair(seed_small: Seed, vocabulary: list[str], tmp_path: Path) -> tuple[Path, Path]:
    source = seed_small("AlbertModel", vocab_size=len(vocabulary))
    write_lines(source / "vocab.txt", vocabulary)
    write_config(source, tokenizer_class="AlbertTokenizer", do_lower_case=False, unk_token="[UNK]", pad_token="[PAD]")
    convert_checkpoint(source, tmp_path / "converted")
    return source, tmp_path / "converted"


def test_a_full_verification_includes_the_tokenizer(pair: tuple[Path, Path], runners: Runners) -> None:
    report = verify_checkpoint(*pair, runners=runners, certificate=True).assert_passed()
    assert [check.name for check in report.checks][-2:] == ["tokenizer", "as_loaded"]
    assert report.not_run == ("gradients",)
    assert report_verdict(report) == "passed"
    names = {one.name for one in report.declared_differences}
    assert names == {"padding_row", "default_mask", "tokenizer: tokens in text", "tokenizer: pair truncation"}
    lines = report_lines(report)
    assert any(line.startswith("  declared difference tokenizer: tokens in text: ") for line in lines)
    # The tokenizer's files are among those that the proof is bound to, on both sides.
    source, converted = pair
    certificate = json.loads((converted / "parity.json").read_text())
    assert {"vocab.txt", "tokenizer_config.json"} <= set(certificate["source"]["files"])
    assert {"vocab.txt", "tokenizer.json", "tokenizer_config.json"} <= set(certificate["output"]["files"])
    assert check_certificate(source, converted).passed
    files = with_files(report, source, converted).files
    assert {"vocab.txt", "tokenizer_config.json"} <= set(files["source"])
    (converted / "tokenizer_config.json").write_text("{}")
    assert not check_certificate(source, converted).passed


def test_a_tokenizer_on_one_side_only_is_a_failed_check(pair: tuple[Path, Path], runners: Runners) -> None:
    source, converted = pair
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (converted / name).unlink()
    report = verify_checkpoint(source, converted, checks=QUICK, runners=runners)
    check = report.check("tokenizer")
    assert check is not None
    assert not check.passed
    assert check.where == f"there is a tokenizer in {source / 'vocab.txt'} and none in {converted}"
    convert_checkpoint(source, converted, overwrite=True)
    (source / "vocab.txt").unlink()
    check = verify_checkpoint(source, converted, checks=QUICK, runners=runners).check("tokenizer")
    assert check is not None
    assert not check.passed
    assert check.where == f"there is a tokenizer in {converted} and none in {source}"


def test_without_a_tokenizer_the_check_is_not_run_and_says_why(
    seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    source = seed_small("AlbertModel")
    convert_checkpoint(source, tmp_path / "converted")
    report = verify_checkpoint(source, tmp_path / "converted", checks=QUICK, runners=runners)
    assert report.check("tokenizer") is None
    assert "tokenizer" in report.not_run
    assert report.to_json()["not_run_reasons"] == {"tokenizer": "the source has no tokenizer"}
    assert any("tokenizer (the source has no tokenizer)" in line for line in report_lines(report))
    with pytest.raises(UnreadableFileError, match="has no tokenizer, nothing was verified"):
        verify_checkpoint(source, tmp_path / "converted", checks=("tokenizer",), runners=runners)
    # Any file of a tokenizer makes one for whoever loads the folder.
    (tmp_path / "converted" / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')
    check = verify_checkpoint(source, tmp_path / "converted", checks=QUICK, runners=runners).check("tokenizer")
    assert check is not None
    assert not check.passed


def test_a_wrong_tokenizer_fails_the_verification(pair: tuple[Path, Path], runners: Runners) -> None:
    source, converted = pair
    shutil.copyfile(source / "vocab.txt", converted / "vocab.txt")
    config = json.loads((converted / "tokenizer_config.json").read_text())
    (converted / "tokenizer_config.json").write_text(json.dumps({**config, "padding_side": "left"}))
    report = verify_checkpoint(source, converted, checks=QUICK, runners=runners)
    assert not report.passed
    check = report.check("tokenizer")
    assert check is not None
    assert "padding_side is 'left', expected from PaddleNLP is 'right'" in check.problems
