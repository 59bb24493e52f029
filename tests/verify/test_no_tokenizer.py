"""`convert --no-tokenizer`: the weights alone, of which verify says that no tokenizer is covered."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ConfigurationError
from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.tokenizers import SENTENCEPIECE, VOCABULARY_FILES, TokenizerClass
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Run
from ..tokenizer_files import SPECIAL, write_config, write_lines

CHARACTERS = [*SPECIAL, *"abcdefgh", *(f"##{one}" for one in "abcdefgh")]


@pytest.fixture(scope="module")
def plain(seeded: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with a tokenizer that is in order."""
    folder = tmp_path_factory.mktemp("plain") / "source"
    shutil.copytree(seeded("BertModel", vocab_size=len(CHARACTERS) + 2), folder)
    write_lines(folder / "vocab.txt", CHARACTERS)
    return folder


@pytest.fixture
def refused(plain: Path, tmp_path: Path) -> Path:
    """A source whose tokenizer is refused: PaddleNLP does not read such ids either."""
    source = tmp_path / "source"
    shutil.copytree(plain, source)
    (source / "added_tokens.json").write_text(json.dumps({"newtok": 99}))
    return source


REFUSED = [
    (family, entry)
    for family in FAMILIES.values()
    if family.tokenizer is not None and family.withdrawn is None
    for entry in family.tokenizer.classes
    if entry.refused is not None
]


@pytest.mark.parametrize(("family", "entry"), REFUSED, ids=[entry.name for _, entry in REFUSED])
def test_weights_beside_a_tokenizer_that_has_no_counterpart(
    family: Family, entry: TokenizerClass, seeded: Callable[..., Path], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(seeded(family.base), source)
    write_config(source, tokenizer_class=entry.name)
    (source / (entry.sentencepiece_file or VOCABULARY_FILES[SENTENCEPIECE])).write_bytes(b"\n\x00")
    said = f"{entry.name} {entry.refused}; `convert --no-tokenizer` converts the weights alone"
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        convert_checkpoint(source, tmp_path / "converted")
    assert convert_checkpoint(source, tmp_path / "converted", no_tokenizer=True).tokenizer is None


def test_the_weights_are_proven_and_the_tokenizer_is_not_covered(refused: Path, tmp_path: Path, both: Runners) -> None:
    convert_checkpoint(refused, tmp_path / "converted", no_tokenizer=True)
    report = verify_checkpoint(refused, tmp_path / "converted", runners=both).assert_passed()
    assert "tokenizer" in report.not_run
    assert report.not_run_reasons["tokenizer"].startswith("not covered: converted with --no-tokenizer")
    assert report.check("tokenizer") is None
    for name in ("files", "as_loaded", "weights"):
        check = report.check(name)
        assert check is not None
        assert check.passed, check.problems


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
def test_a_tokenizer_in_such_a_folder_is_named(name: str, plain: Path, tmp_path: Path) -> None:
    with_tokenizer = convert_checkpoint(plain, tmp_path / "whole").output
    converted = convert_checkpoint(plain, tmp_path / "converted", no_tokenizer=True).output
    shutil.copyfile(with_tokenizer / name, converted / name)
    report = verify_checkpoint(plain, converted, checks=["files", "weights"])
    check = report.check("files")
    assert check is not None
    assert not check.passed
    assert any(problem.startswith(f"{name}: ") for problem in check.problems)


def test_a_folder_without_its_tokenizer_is_accepted_by_its_record_alone(plain: Path, tmp_path: Path) -> None:
    converted = convert_checkpoint(plain, tmp_path / "converted").output
    for path in converted.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    report = verify_checkpoint(plain, converted, checks=["files"])
    check = report.check("files")
    assert check is not None
    assert not check.passed
    assert "tokenizer.json: is missing" in check.problems
    alone = convert_checkpoint(plain, tmp_path / "alone", no_tokenizer=True).output
    check = verify_checkpoint(plain, alone, checks=["files"]).check("files")
    assert check is not None
    assert check.passed, check.problems


def test_several_vocabularies_hinder_neither_conversion_nor_proof(
    plain: Path, tmp_path: Path, paddle2torch: Run
) -> None:
    source, converted = tmp_path / "source", tmp_path / "converted"
    shutil.copytree(plain, source)
    (source / "vocab.txt").unlink()
    for name in ("a.vocab.txt", "b.vocab.txt"):
        write_lines(source / name, CHARACTERS)
    failed = paddle2torch("convert", source, converted)
    assert failed.returncode == 2
    assert failed.stderr.startswith("Error: ")
    assert "several vocabularies" in failed.stderr
    assert "`convert --no-tokenizer` converts the weights alone" in failed.stderr
    done = paddle2torch("convert", source, converted, "--no-tokenizer")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "converted without the tokenizer, as asked for: verify does not cover it" in lines
    assert not any(line.startswith(("tokenizer:", "no tokenizer")) for line in lines)
    again = paddle2torch("convert", source, converted, "--no-tokenizer", "--resume", "--json")
    assert again.returncode == 0, again.stderr
    document = json.loads(again.stdout)
    assert (document["kept"], document["no_tokenizer"], document["tokenizer"]) == (True, True, None)
    checked = paddle2torch("verify", source, converted, "--check", "files,weights")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_token_more_than_word_embeddings_is_a_warning_and_the_rest_is_proven(
    plain: Path, tmp_path: Path, both: Runners, paddle2torch: Run
) -> None:
    source, converted = tmp_path / "source", tmp_path / "converted"
    shutil.copytree(plain, source)
    write_lines(source / "vocab.txt", [*CHARACTERS, "one", "two", "beyond"])
    done = paddle2torch("convert", source, converted)
    assert done.returncode == 0, done.stderr
    assert "1 of 24 tokens are beyond the model's 23 word embeddings" in done.stdout
    verify_checkpoint(source, converted, runners=both).assert_passed()


def test_many_conversions_take_the_option(refused: Path, tmp_path: Path, paddle2torch: Run) -> None:
    done = paddle2torch("convert", refused.parent, tmp_path.parent / f"{tmp_path.name}-out", "--tree", "--no-tokenizer")
    assert done.returncode == 0, done.stdout + done.stderr
    output = tmp_path.parent / f"{tmp_path.name}-out" / "source"
    assert sorted(path.name for path in output.iterdir()) == ["config.json", "model.safetensors"]


def test_it_goes_with_the_way_to_torch_only(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no_tokenizer and .* go with the way to torch only"):
        convert_checkpoint(plain, tmp_path / "output", to="paddle", no_tokenizer=True)
