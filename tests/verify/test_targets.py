"""Weights that may become one of two models of Hugging Face's: which one a folder holds is recorded in its weights, and
what was proven is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.errors import ConfigurationError, UnknownNameError, UnreadableFileError
from paddle2torch.verify.certificate import check_certificate
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Run
from .conftest import Seed

POSITIONS = "embeddings.position_embeddings.weight"
KEY = "paddle2torch.target"


def metadata_of(folder: Path) -> dict[str, str]:
    with safe_open(folder / "model.safetensors", "np") as opened:
        found: dict[str, str] = opened.metadata()
        return found


def save_again(folder: Path, metadata: Mapping[str, str], shift: int = 0) -> None:
    """Write the weights anew with other metadata, and the table of positions shifted by rows."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors[POSITIONS] = np.roll(tensors[POSITIONS], -shift, axis=0)
    save_file(tensors, path, dict(metadata))


def names(report: Report) -> set[str]:
    return {difference.name for difference in report.declared_differences}


@pytest.fixture
def pair(seed_small: Seed, tmp_path: Path) -> tuple[Path, Path]:
    """A small RoBERTa, and the BERT that is made of it."""
    source, converted = seed_small("RobertaModel"), tmp_path / "converted"
    done = convert_checkpoint(source, converted, target="bert")
    assert (done.family, done.target, done.target_architecture) == ("roberta", "bert", "BertModel")
    return source, converted


def test_a_folder_knows_its_target(pair: tuple[Path, Path], both: Runners, tmp_path: Path) -> None:
    """Nobody says it again: neither to verify, nor on the way back, nor to the certificate."""
    source, converted = pair
    assert metadata_of(converted)[KEY] == "roberta/bert"
    assert json.loads((converted / "config.json").read_text())["model_type"] == "bert"
    report = verify_checkpoint(source, converted, runners=both, certificate=True).assert_passed()
    assert report.notes[0].startswith("target bert, BertModel: positions count from 0, as in PaddleNLP up to 2.4")
    assert {"positions_from_0", "default_positions"} <= names(report)
    (own,) = (one for one in report.declared_differences if one.name == "default_positions")
    assert own.measured is not None
    assert own.measured > 0.1
    assert json.loads((converted / "parity.json").read_text())["mapping"]["target"] == "bert"
    assert check_certificate(source, converted).passed
    back = convert_checkpoint(converted, tmp_path / "back", to="paddle")
    assert (back.target_architecture, back.target) == ("RobertaModel", "bert")
    verify_checkpoint(converted, tmp_path / "back", runners=both).assert_passed()
    with open_checkpoint(source) as first, open_checkpoint(tmp_path / "back") as second:
        assert first.tensors.keys() == second.tensors.keys()
        assert all(np.array_equal(first.tensors[name].read(), second.tensors[name].read()) for name in first.tensors)


def test_the_usual_target_is_named_too(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    source, converted = seed_small("RobertaModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    assert KEY not in metadata_of(converted)
    report = verify_checkpoint(source, converted, runners=runners).assert_passed()
    assert report.notes[0].startswith("target as usual, RobertaModel: equal to PaddleNLP 2.8.1 as it is called")
    assert not {"positions_from_0", "default_positions"} & names(report)
    with pytest.raises(ConfigurationError, match="was converted without --target, which its weights record"):
        verify_checkpoint(source, converted, target="bert", runners=runners)


@pytest.mark.parametrize("shift", [0, 1])
def test_a_folder_without_a_record(shift: int, pair: tuple[Path, Path], runners: Runners, tmp_path: Path) -> None:
    """It is a BERT, and beside a RoBERTa can be one thing only; with its table shifted it is another model, though that
    one gives what PaddleNLP 2.8.1 gives by default."""
    source, converted = pair
    save_again(converted, {"format": "pt"}, shift)
    report = verify_checkpoint(source, converted, runners=runners)
    assert report.foreign
    assert report.passed == (shift == 0)
    assert {"weights", "float64", "embeddings", "as_loaded"} & {
        one.name for one in report.checks if not one.passed
    } == ({"weights", "float64", "embeddings", "as_loaded"} if shift else set())
    plain = convert_checkpoint(converted, tmp_path / "plain", to="paddle")
    assert (plain.family, plain.target_architecture) == ("bert", "BertModel")
    back = convert_checkpoint(converted, tmp_path / "back", to="paddle", family="roberta")
    assert (back.family, back.target, back.target_architecture) == ("roberta", "bert", "RobertaModel")
    verify_checkpoint(converted, tmp_path / "back", runners=runners).assert_passed()


def test_a_lost_record_is_red(pair: tuple[Path, Path], runners: Runners) -> None:
    """A folder of this package's without it was converted for the usual target, and this one holds no RoBERTa."""
    source, converted = pair
    save_again(converted, {name: text for name, text in metadata_of(converted).items() if name != KEY})
    report = verify_checkpoint(source, converted, runners=runners)
    assert {"files", "float64", "as_loaded"} <= {check.name for check in report.checks if not check.passed}


@pytest.mark.parametrize(
    ("recorded", "message"),
    [("roberta/other", "family roberta has no target 'other'"), ("nothing", "records the target 'nothing': unknown")],
)
def test_an_unknown_record_is_an_error(recorded: str, message: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    source, converted = pair
    save_again(converted, {**metadata_of(converted), KEY: recorded})
    with pytest.raises(UnreadableFileError, match=message):
        verify_checkpoint(source, converted)
    with pytest.raises(UnreadableFileError, match=message):
        convert_checkpoint(converted, tmp_path / "back", to="paddle")


@pytest.mark.parametrize("task", ["MaskedLM", "CausalLM"])
def test_a_head_that_a_bert_computes_otherwise(task: str, seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small(f"RobertaFor{task}", hidden_act="relu")
    with pytest.raises(
        ConfigurationError, match=f"RobertaFor{task} cannot become BertForMaskedLM: PaddleNLP's head appl"
    ):
        convert_checkpoint(source, tmp_path / "converted", target="bert")
    assert not (tmp_path / "converted").exists()


def test_a_class_that_is_refused_hides_no_other(seed_small: Seed, tmp_path: Path) -> None:
    """Classes are tried one after the other where none is named, and on the way back."""
    source = seed_small("RobertaForTokenClassification", hidden_act="relu", num_labels=3)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "architectures": None}))
    done = convert_checkpoint(source, tmp_path / "converted", target="bert")
    assert done.target_architecture == "BertForTokenClassification"
    back = convert_checkpoint(tmp_path / "converted", tmp_path / "back", to="paddle")
    assert back.target_architecture == "RobertaForTokenClassification"


def test_a_target_that_a_family_lacks(seed_small: Seed, tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match="family roberta has no target 'bart'; its targets are bert, and without"
    ):
        convert_checkpoint(seed_small("RobertaModel"), tmp_path / "converted", target="bart")
    with pytest.raises(UnknownNameError, match="family bert has no target 'bert'; it has the usual one alone"):
        convert_checkpoint(seed_small("BertModel", folder="bert"), tmp_path / "converted", target="bert")


def test_a_target_that_the_folder_contradicts(seed_small: Seed, tmp_path: Path) -> None:
    """A usual RoBERTa records no target; its model_type says what it is."""
    convert_checkpoint(seed_small("RobertaModel"), tmp_path / "converted")
    with pytest.raises(ConfigurationError, match="model_type is 'roberta', and with --target bert it is 'bert'"):
        convert_checkpoint(tmp_path / "converted", tmp_path / "back", to="paddle", target="bert")
    assert not (tmp_path / "back").exists()


def test_the_command_line(seed_small: Seed, paddle2torch: Run, tmp_path: Path) -> None:
    source = seed_small("RobertaForTokenClassification")
    done = paddle2torch("convert", source, tmp_path / "out", "--target", "bert")
    assert done.returncode == 0, done.stderr
    assert "target bert, BertForTokenClassification: positions count from 0" in done.stdout
    seen = paddle2torch("inspect", tmp_path / "out")
    assert "converted from roberta with --target bert: positions count from 0" in seen.stdout
    only = ("--check", "weights,files")
    for options in ((), ("--target", "bert")):
        assert paddle2torch("verify", source, tmp_path / "out", *only, *options).returncode == 0
    wrong = paddle2torch("convert", source, tmp_path / "other", "--target", "bart")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("Error: family roberta has no target 'bart'")
    assert wrong.stderr.count("\n") == 1
