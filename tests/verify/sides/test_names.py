"""Sources whose names no framework loads are verified all the same, against the real models, and it is said how."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.certificate import read_certificate
from paddle2torch.errors import ConfigurationError, UnreadableFileError
from paddle2torch.verify.certificate import check_certificate
from paddle2torch.verify.faults.runs import run_faults
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.reports.text import report_lines
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed

Arrays = dict[str, np.ndarray[Any, Any]]
OLD, NOW = "cls.predictions.decoder_weight", "cls.predictions.decoder.weight"
STAGED = "got the same tensors under the names of its own model, and not the source's file"


def change(source: Path, changed: Callable[[Arrays], Any]) -> None:
    """Write the tensors of a checkpoint that PaddleNLP wrote anew."""
    path = source / "model_state.pdparams"
    state = pickle.loads(path.read_bytes())
    state.pop("StructuredToParameterName@@", None)
    tensors = {name: one[1] if isinstance(one, tuple) else one for name, one in state.items()}
    path.write_bytes(pickle.dumps(changed(tensors), protocol=4))


def old(tensors: Arrays) -> Arrays:
    """As PaddleNLP up to 2.5.2 wrote it."""
    kept = {name: one for name, one in tensors.items() if not name.startswith("cls.predictions.decoder.")}
    return {**kept, OLD: tensors["bert.embeddings.word_embeddings.weight"]}


KINDS: dict[str, tuple[str, Callable[[Arrays], Any], int, str | None]] = {
    "nested": ("BertModel", lambda tensors: {"state_dict": tensors, "epoch": 3}, 2, STAGED),
    "a task model's": (
        "AlbertModel",
        lambda tensors: {f"transformer.{name}": one for name, one in tensors.items()},
        1,
        STAGED,
    ),
    "replaced": (
        "AlbertForSequenceClassification",
        lambda tensors: {name.replace("transformer.", "ptm."): one for name, one in tensors.items()},
        2,
        STAGED,
    ),
    "without prefix": (
        "BertForTokenClassification",
        lambda tensors: {name.removeprefix("bert."): one for name, one in tensors.items()},
        2,
        STAGED,
    ),
    "old": ("BertForMaskedLM", old, 1, f"{OLD} is an old name of {NOW}, and is read as that"),
    "old below": ("BertForPretraining", lambda tensors: {"model": old(tensors)}, 3, STAGED),
}


@pytest.mark.parametrize(("architecture", "changed", "notes", "note"), KINDS.values(), ids=list(KINDS))
def test_a_source_with_other_names_is_verified(
    architecture: str,
    changed: Callable[[Arrays], Any],
    notes: int,
    note: str,
    each_torch: Runners,
    seed_small: Seed,
    tmp_path: Path,
) -> None:
    source, converted = seed_small(architecture), tmp_path / "converted"
    change(source, changed)
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, runners=each_torch, certificate=True).assert_passed()
    assert {"weights", "float64", "float32", "as_loaded"} <= {check.name for check in report.checks}
    assert len(report.notes) == notes
    assert any(note in one for one in report.notes)
    assert all(any(one in line for line in report_lines(report)) for one in report.notes)
    assert report.to_json()["notes"] == list(report.notes)
    certificate = read_certificate(converted)
    renamed = certificate["mapping"]["renamed"]
    assert set(renamed) <= set(certificate["source"]["tensors"])
    assert check_certificate(source, converted).passed


def test_a_fault_in_what_was_converted_from_other_names_is_found(
    runners: Runners, seed_small: Seed, tmp_path: Path
) -> None:
    source, converted = seed_small("BertForSequenceClassification"), tmp_path / "converted"
    change(source, lambda tensors: {f"Student.{name}": one for name, one in tensors.items()})
    convert_checkpoint(source, converted)
    results = run_faults(source, converted, runners=runners)
    assert sum(result.injected for result in results) > 10
    assert all(result.caught for result in results if result.injected)
    path = converted / "model.safetensors"
    tensors = load_file(path)
    tensors["classifier.bias"] += 1
    save_file(tensors, path, {"format": "pt"})
    report = verify_checkpoint(source, converted, runners=runners)
    assert {"weights", "float64"} <= {check.name for check in report.checks if not check.passed}


def test_the_way_back_is_verified(both: Runners, seed_small: Seed, tmp_path: Path) -> None:
    source = tmp_path / "torch"
    convert_checkpoint(seed_small("BertForSequenceClassification"), source)
    tensors = load_file(source / "model.safetensors")
    save_file({f"module.{name}": one for name, one in tensors.items()}, source / "model.safetensors", {"format": "pt"})
    convert_checkpoint(source, tmp_path / "paddle", to="paddle")
    report = verify_checkpoint(source, tmp_path / "paddle", runners=both, certificate=True).assert_passed()
    assert [STAGED in note for note in report.notes] == [False, True]
    assert "transformers" in report.notes[-1]
    renamed = read_certificate(tmp_path / "paddle")["mapping"]["renamed"]
    assert renamed == {f"module.{name}": name for name in tensors}
    assert check_certificate(source, tmp_path / "paddle").passed
    change(tmp_path / "paddle", lambda tensors: {**tensors, "classifier.bias": tensors["classifier.bias"] + 1})
    assert not verify_checkpoint(source, tmp_path / "paddle", runners=both).passed


def test_an_output_with_other_names_does_not_pass(runners: Runners, seed_small: Seed, tmp_path: Path) -> None:
    """Its user's framework would not find the tensors, whatever can be read from it."""
    source, converted, back = seed_small("BertForSequenceClassification"), tmp_path / "torch", tmp_path / "paddle"
    convert_checkpoint(source, converted)
    # As another program saves it.
    save_file(load_file(converted / "model.safetensors"), converted / "model.safetensors", {"format": "pt"})
    convert_checkpoint(converted, back, to="paddle")
    change(back, lambda tensors: {f"module.{name}": one for name, one in tensors.items()})
    report = verify_checkpoint(converted, back, runners=runners)
    assert not report.passed
    assert "PaddleNLP does not load the converted folder: module.bert." in report.checks[0].where
    tensors = load_file(converted / "model.safetensors")
    foreign = tmp_path / "foreign"
    shutil.copytree(converted, foreign)
    save_file({f"module.{name}": one for name, one in tensors.items()}, foreign / "model.safetensors", {"format": "pt"})
    report = verify_checkpoint(source, foreign, runners=runners)
    assert report.foreign
    failed = {check.name for check in report.checks if not check.passed}
    assert {"weights", "config", "float64", "as_loaded"} <= failed


def test_the_configuration_that_was_used_is_certified(runners: Runners, seed_small: Seed, tmp_path: Path) -> None:
    source, converted = seed_small("BertForTokenClassification"), tmp_path / "converted"
    weights = tmp_path / "bare" / "x.pdparams"
    weights.parent.mkdir()
    shutil.copy(source / "model_state.pdparams", weights)
    facts = tmp_path / "facts.json"
    fields = {"num_attention_heads": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0}
    facts.write_text(json.dumps(fields))
    chosen: dict[str, Any] = {"family": "bert", "architecture": "BertForTokenClassification", "config": facts}
    convert_checkpoint(weights, converted, **chosen)
    report: Report = verify_checkpoint(weights, converted, **chosen, runners=runners, certificate=True)
    report.assert_passed()
    assert any("hidden_size 24" in note for note in report.notes)
    assert set(read_certificate(converted)["source"]["files"]) == {"x.pdparams", "facts.json"}
    assert check_certificate(weights, converted, facts).passed
    with pytest.raises(ConfigurationError, match="no configuration"):
        verify_checkpoint(weights, converted, runners=runners)
    facts.write_text(json.dumps({**fields, "num_attention_heads": 8}))
    assert "source file facts.json is not what was verified" in check_certificate(weights, converted, facts).where
    # Other numbers, which no file of the source but this one shows.
    assert not verify_checkpoint(weights, converted, **chosen, runners=runners).passed
    facts.unlink()
    with pytest.raises(UnreadableFileError, match=r"facts\.json"):
        verify_checkpoint(weights, converted, **chosen, runners=runners)
