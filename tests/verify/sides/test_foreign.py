"""Foreign folders, which transformers or somebody else wrote, are verified for what they mean, and called foreign."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import UnreadableFileError
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.reports.text import report_lines
from paddle2torch.verify.runners.forward import Runners

from ...conftest import TORCH_PYTHON, run_child

Arrays = dict[str, np.ndarray[Any, Any]]

CLASSES = {
    "BertForMaskedLM": "BertForMaskedLM",
    "AlbertForPretraining": "AlbertForPreTraining",
    "AlbertModel": "AlbertModel",
    "BertForSequenceClassification": "BertForSequenceClassification",
}

FORWARD = ("weights", "config", "float64", "files")


@pytest.fixture(scope="module")
def folders(seeded: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """By PaddleNLP's class, a source and what transformers saved of it; never changed."""
    folder = tmp_path_factory.mktemp("foreign")
    jobs = []
    for source, target in CLASSES.items():
        convert_checkpoint(seeded(source), folder / source / "own")
        jobs.append([target, str(folder / source / "own"), str(folder / source / "foreign")])
    run_child(Path(__file__).with_name("save_again.py"), {"folders": jobs}, python=TORCH_PYTHON)
    return {source: (seeded(source), folder / source / "foreign") for source in CLASSES}


@pytest.mark.parametrize("architecture", CLASSES)
def test_what_transformers_saves_is_the_same_model_and_foreign(
    architecture: str, folders: dict[str, tuple[Path, Path]], tmp_path: Path, runners: Runners
) -> None:
    source, saved = folders[architecture]
    foreign = shutil.copytree(saved, tmp_path / "foreign")
    report = verify_checkpoint(source, foreign, runners=runners).assert_passed()
    assert report.foreign
    assert report.to_json()["foreign"] is True
    assert {check.name for check in report.checks} >= {"weights", "config", "float64", "float32", "layers"}
    assert "not applicable to a foreign folder" in report.not_run_reasons["files"]


def rewritten(change: Callable[[Arrays], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        arrays = load_file(folder / "model.safetensors")
        change(arrays)
        arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        save_file(arrays, folder / "model.safetensors", {"format": "pt"})

    return write


def configured(**fields: Any) -> Callable[[Path], None]:
    """Other fields in config.json; None takes one away."""

    def write(folder: Path) -> None:
        path = folder / "config.json"
        document = {**json.loads(path.read_text()), **fields}
        path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))

    return write


def tied_twice(arrays: Arrays) -> None:
    """As older versions of transformers saved it."""
    arrays["cls.predictions.decoder.weight"] = arrays["bert.embeddings.word_embeddings.weight"]
    arrays["cls.predictions.decoder.bias"] = arrays["cls.predictions.bias"]
    arrays["bert.embeddings.position_ids"] = np.arange(30)[None]


def older_names(arrays: Arrays) -> None:
    for name in [name for name in arrays if "LayerNorm" in name]:
        arrays[name.replace("weight", "gamma").replace("bias", "beta")] = arrays.pop(name)


def of_a_task_model(arrays: Arrays) -> None:
    for name in list(arrays):
        arrays[f"albert.{name}"] = arrays.pop(name)


def own_decoder(folder: Path) -> None:
    rewritten(tied_twice)(folder)
    configured(tie_word_embeddings=False)(folder)


def without_prefix(arrays: Arrays) -> None:
    for name in [name for name in arrays if name.startswith("bert.")]:
        arrays[name.removeprefix("bert.")] = arrays.pop(name)


SAME: dict[str, tuple[str, Callable[[Path], None]]] = {
    "tied tensors and a buffer": ("BertForMaskedLM", rewritten(tied_twice)),
    "a decoder of its own": ("BertForMaskedLM", own_decoder),
    "older names": ("BertForMaskedLM", rewritten(older_names)),
    "prefixed": ("AlbertModel", rewritten(of_a_task_model)),
    "a backbone without its prefix": ("BertForSequenceClassification", rewritten(without_prefix)),
    "defaults left out": (
        "BertForMaskedLM",
        configured(initializer_range=None, hidden_dropout_prob=None, layer_norm_eps=None, pad_token_id=None),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_what_means_the_same_passes(
    name: str, folders: dict[str, tuple[Path, Path]], tmp_path: Path, runners: Runners
) -> None:
    architecture, change = SAME[name]
    report = verify_changed(folders[architecture], change, tmp_path, runners)
    report.assert_passed()
    assert report.foreign


def verify_changed(pair: tuple[Path, Path], change: Callable[[Path], None], tmp_path: Path, runners: Runners) -> Report:
    source, saved = pair
    foreign = shutil.copytree(saved, tmp_path / "foreign")
    change(foreign)
    return verify_checkpoint(source, foreign, checks=FORWARD, runners=runners)


def flipped(arrays: Arrays) -> None:
    arrays["cls.predictions.bias"].view("u4")[3] ^= 1


def other_decoder(arrays: Arrays) -> None:
    tied_twice(arrays)
    arrays["cls.predictions.decoder.weight"] = arrays["cls.predictions.decoder.weight"] + 1


def without_a_layer(arrays: Arrays) -> None:
    for name in [name for name in arrays if ".layer.2." in name]:
        del arrays[name]


def own_other_decoder(folder: Path) -> None:
    rewritten(other_decoder)(folder)
    configured(tie_word_embeddings=False)(folder)


DIFFERENT: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a bit": (rewritten(flipped), "weights", "cls.predictions.bias differs in 1 of"),
    "a tied tensor that is another": (
        rewritten(other_decoder),
        "weights",
        "cls.predictions.decoder.weight is in the converted weights without a rule",
    ),
    "another decoder of its own": (own_other_decoder, "weights", "cls.predictions.decoder.weight differs in"),
    "a layer less": (rewritten(without_a_layer), "weights", "is missing in the converted weights"),
    "dropout": (
        configured(hidden_dropout_prob=0.95),
        "config",
        "hidden_dropout_prob is 0.1 in PaddleNLP's configuration and means 0.95",
    ),
    "a default that is another": (
        configured(num_attention_heads=None),
        "config",
        "num_attention_heads is 4 in PaddleNLP's configuration and means 12",
    ),
    "problem_type": (configured(problem_type="regression"), "config", "'regression' in the foreign one"),
    "a decoder": (configured(is_decoder=True), "config", "is_decoder is True"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_means_something_else_is_red(
    name: str, folders: dict[str, tuple[Path, Path]], tmp_path: Path, runners: Runners
) -> None:
    change, check, where = DIFFERENT[name]
    report = verify_changed(folders["BertForMaskedLM"], change, tmp_path, runners)
    found = report.check(check)
    assert found is not None
    assert not found.passed
    assert any(where in problem for problem in found.problems), found.problems


def test_what_no_check_gets_beyond_is_said_once(
    folders: dict[str, tuple[Path, Path]], tmp_path: Path, runners: Runners
) -> None:
    def wrapped(arrays: Arrays) -> None:
        for name in [*arrays]:
            arrays[f"ptm.{name}"] = arrays.pop(name)

    report = verify_changed(folders["BertForMaskedLM"], rewritten(wrapped), tmp_path, runners)
    lines = report_lines(report)
    assert [line for line in lines if re.search(r"does not fit its folder: missing (\S+, ){4}\S+ and \d+ more; ", line)]
    assert "  float64 FAILED: as config" in lines
    assert all(len(line) < 800 for line in lines)


def test_weights_that_are_only_pytorchs_are_an_error(folders: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    source, saved = folders["AlbertModel"]
    foreign = shutil.copytree(saved, tmp_path / "foreign")
    (foreign / "model.safetensors").rename(foreign / "pytorch_model.bin")
    with pytest.raises(UnreadableFileError, match=r"weights in pytorch_model\.bin and in no"):
        verify_checkpoint(source, foreign, checks=("weights",))


def test_only_files_on_a_foreign_folder_is_an_error(folders: dict[str, tuple[Path, Path]]) -> None:
    source, foreign = folders["AlbertModel"]
    with pytest.raises(UnreadableFileError, match="not applicable to a foreign folder"):
        verify_checkpoint(source, foreign, checks=("files",))
