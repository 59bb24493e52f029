"""The optional check of the gradients. That they agree for every architecture is tested with the other checks, and that
its limit holds over seeds with the others' limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.formats.dtypes import Array
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.checks.gradients import projections
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed


def gradients_of(source: Path, runners: Runners, convert: bool = True) -> CheckResult:
    converted = source.parent / "converted"
    if convert:
        convert_checkpoint(source, converted)
    check = verify_checkpoint(source, converted, checks=("gradients",), runners=runners).check("gradients")
    assert check is not None
    return check


def test_a_changed_weight_changes_gradients(seed_small: Seed, runners: Runners) -> None:
    source = seed_small("BertModel")
    convert_checkpoint(source, source.parent / "converted")
    path = source.parent / "converted" / "model.safetensors"
    tensors = load_file(path)
    tensors["encoder.layer.2.output.dense.weight"][3, 4] += 1e-4
    save_file(tensors, path, metadata={"format": "pt"})
    check = gradients_of(source, runners, convert=False)
    assert not check.passed
    assert check.where.startswith("first differing gradient: embeddings.word_embeddings.weight; largest: ")
    assert len(check.problems) > 10


def test_the_layer_behind_a_changed_head_is_named(seed_small: Seed, runners: Runners) -> None:
    """A change of the head's bias changes no gradient at all: only its bits tell."""
    source = seed_small("BertForSequenceClassification")
    convert_checkpoint(source, source.parent / "converted")
    path = source.parent / "converted" / "model.safetensors"
    tensors = load_file(path)
    tensors["classifier.bias"] += 1
    save_file(tensors, path, metadata={"format": "pt"})
    assert gradients_of(source, runners, convert=False).passed


def test_twins_that_paddle_trains_apart_are_summed(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """AlbertForPretraining does not tie its decoder; where the two are equal, Hugging Face does."""
    seeded = seed_small("AlbertForPretraining")
    with open_checkpoint(seeded) as checkpoint:
        tensors: dict[str, Array] = {name: np.array(tensor.read()) for name, tensor in checkpoint.tensors.items()}
    words = "transformer.embeddings.word_embeddings.weight"
    tensors["predictions.decoder.weight"] = tensors[words].copy()
    source = tmp_path / "equal" / "source"
    source.mkdir(parents=True)
    save_file(tensors, source / "model.safetensors", metadata={"format": "np"})
    (source / "config.json").write_bytes((seeded / "config.json").read_bytes())
    check = gradients_of(source, runners)
    assert check.passed, check.problems
    assert check.details["summed"]["predictions.decoder.weight"] == words


def test_projections_leave_out_what_is_not_attended() -> None:
    outputs: dict[str, Array] = {
        "last_hidden_state": np.ones((2, 3, 4)),
        "pooler_output": np.ones((2, 4)),
        "logits": np.ones((2, 3, 5)),
        "hidden_state.00": np.ones((2, 3, 4)),
        "attention.00": np.ones((2, 2, 3, 3)),
    }
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    made = projections(outputs, mask)
    assert set(made) == {"last_hidden_state", "pooler_output", "logits"}
    assert (made["last_hidden_state"][0, 2] == 0).all()
    assert (made["logits"][0, 2] == 0).all()
    assert (made["last_hidden_state"][mask == 1] != 0).all()
    assert (made["pooler_output"] != 0).all()
    again = projections(outputs, mask)
    assert all(np.array_equal(made[name], again[name]) for name in made)
