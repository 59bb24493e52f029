"""Checkpoints opened from the Python interface."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import paddle2torch
from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint, recognise
from paddle2torch.errors import ConfigurationError, SourceChangedError, UnknownNameError, UnreadableFileError


@pytest.mark.parametrize("form", ["pdparams", "safetensors", "sharded-pdparams", "sharded-safetensors"])
def test_every_form_holds_the_same_tensors(form: str, checkpoints: Path) -> None:
    values = np.load(checkpoints / "AlbertForPretraining" / "values.npz")
    with paddle2torch.open_checkpoint(checkpoints / "AlbertForPretraining" / form) as checkpoint:
        assert set(checkpoint.tensors) == set(values.files)
        for name, facts in checkpoint.facts.items():
            assert facts.shape == values[name].shape
            assert facts.dtype == values[name].dtype.name
            assert checkpoint.tensors[name].read().tobytes() == values[name].tobytes()
        recognised = recognise(checkpoint)
    assert recognised.family.name == "albert"
    assert recognised.plan.architecture == "AlbertForPretraining"
    assert recognised.configuration["num_labels"] == 3


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
@pytest.mark.parametrize("broken", [False, True])
def test_every_file_is_closed(broken: bool, checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoints / "BertModel" / "sharded-pdparams", tmp_path / "in")
    if broken:
        sorted((tmp_path / "in").glob("*.pdparams"))[-1].write_text("broken")
    before = descriptors()
    if broken:
        with pytest.raises(UnreadableFileError):
            open_checkpoint(tmp_path / "in")
    else:
        with open_checkpoint(tmp_path / "in") as checkpoint:
            assert descriptors() > before
            assert checkpoint.tensors
    assert descriptors() == before


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({"twice": np.zeros(1, np.float32), name: np.zeros(1, np.float32)}, tmp_path / f"{name}.safetensors")
    weight_map = {"a": "a.safetensors", "b": "b.safetensors", "twice": "a.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(UnreadableFileError, match=r"b\.safetensors: tensor twice is also in another shard"):
        open_checkpoint(tmp_path)


def test_a_change_while_open_is_noticed(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoints / "BertModel" / "pdparams", tmp_path / "in")
    with open_checkpoint(tmp_path / "in") as checkpoint:
        checkpoint.check_unchanged()
        with (tmp_path / "in" / "model_state.pdparams").open("ab") as file:
            file.write(b"more")
        with pytest.raises(SourceChangedError, match="changed while it was being read"):
            checkpoint.check_unchanged()


def test_what_is_asked_for_overrides_the_configuration(checkpoints: Path) -> None:
    with open_checkpoint(checkpoints / "BertForTokenClassification" / "pdparams") as checkpoint:
        chosen = recognise(checkpoint, architecture="BertForSequenceClassification")
        assert chosen.plan.architecture == "BertForSequenceClassification"
        with pytest.raises(UnknownNameError, match="unknown architecture 'BertModell'"):
            recognise(checkpoint, architecture="BertModell")
        with pytest.raises(UnknownNameError, match="unknown family"):
            recognise(checkpoint, family="camembert")


def test_an_unknown_architecture_gets_the_near_ones(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoints / "BertModel" / "pdparams", tmp_path / "in")
    document = json.loads((tmp_path / "in" / "config.json").read_text())
    document.pop("architectures")
    (tmp_path / "in" / "config.json").write_text(json.dumps(document))
    with (
        open_checkpoint(tmp_path / "in") as checkpoint,
        pytest.raises(UnknownNameError, match="did you mean BertModel"),
    ):
        recognise(checkpoint, architecture="BertModell")


def test_tensors_without_a_configuration_can_be_read(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoints / "BertModel" / "pdparams" / "model_state.pdparams", tmp_path / "x.pdparams")
    with open_checkpoint(tmp_path / "x.pdparams") as checkpoint:
        assert checkpoint.tensors
        with pytest.raises(ConfigurationError, match=r"x\.pdparams: no configuration"):
            recognise(checkpoint)
