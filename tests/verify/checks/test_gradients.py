"""The optional check of the gradients. That its limit holds over seeds is tested with the others' limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.formats.dtypes import Array
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.mappings.registry import FAMILIES, family_of_architecture
from paddle2torch.verify.checks.gradients import projections
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed

ARCHITECTURES = [model.source for family in FAMILIES.values() for model in family.models]


def gradients_of(source: Path, runners: Runners, convert: bool = True) -> CheckResult:
    converted = source.parent / "converted"
    if convert:
        convert_checkpoint(source, converted)
    check = verify_checkpoint(source, converted, checks=("gradients",), runners=runners).check("gradients")
    assert check is not None
    return check


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_of_every_parameter_agree(architecture: str, seed_small: Seed, runners: Runners) -> None:
    source = seed_small(architecture)
    check = gradients_of(source, runners)
    assert check.passed, check.problems
    assert check.worst is not None
    assert check.worst < 1e-12
    # What a chart shows of the worst state is the worst value.
    worst = max(check.details["states"], key=lambda state: state["difference"] / state["limit"])
    assert worst["difference"] / worst["over"] == pytest.approx(check.worst)
    assert worst["limit"] / worst["over"] == pytest.approx(check.limit)
    states = {state["name"]: state["scale"] for state in check.details["states"]}
    written = load_file(source.parent / "converted" / "model.safetensors")
    # The bias of an untied decoder is written twice; its gradients add up.
    assert states.keys() == {name for name in written if not name.endswith("decoder.bias")}
    # A key's bias cancels in the softmax; everything else decides what the model puts out.
    cancelled = {name for name, scale in states.items() if scale < 1e-12}
    assert cancelled == {name for name in states if name.endswith("key.bias")}
    padding = "word_embeddings.weight[0]"
    excluded = check.details["excluded_rows"]
    family = family_of_architecture(architecture)
    assert family is not None
    differs = any(difference.padding for difference in family.declared(architecture))
    assert [name.endswith(padding) for name in excluded] == ([True] if differs else [])


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
