"""The verification of a folder that was converted to Paddle turns red for every fault put into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.formats.byte_source import MemorySource, at_start
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.converters.formats.pdparams_writer import write_pdparams
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.formats.tensors import Tensor
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import Paddle2TorchError
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ...conftest import SMALL, Run, checks_of, write_torch_checkpoints

Arrays = dict[str, np.ndarray[Any, Any]]
WEIGHT = "transformer.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight"


@pytest.fixture(scope="module")
def torch_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    models = [
        ["albert", "AlbertForMaskedLM", {**SMALL["albert"], "hidden_act": "gelu"}],
        ["untied", "AlbertForMaskedLM", {**SMALL["albert"], "tie_word_embeddings": False}],
        ["bert", "BertForMaskedLM", SMALL["bert"]],
    ]
    write_torch_checkpoints(folder, models)
    return folder


@pytest.fixture
def source(torch_folders: Path, tmp_path: Path) -> Path:
    folder: Path = shutil.copytree(torch_folders / "albert" / "safetensors", tmp_path / "source")
    return folder


@pytest.fixture
def converted(source: Path, tmp_path: Path) -> Path:
    convert_checkpoint(source, tmp_path / "paddle", to="paddle")
    return tmp_path / "paddle"


def change_weights(folder: Path, change: Callable[[Arrays], object]) -> None:
    """Write the folder's weights again with a change."""
    path = folder / "model_state.pdparams"
    with open_checkpoint(folder) as checkpoint:
        arrays = {name: tensor.read() for name, tensor in checkpoint.tensors.items()}
        dtypes = {name: tensor.dtype for name, tensor in checkpoint.tensors.items()}
    change(arrays)
    path.unlink()
    entries = []
    for name, array in arrays.items():
        source = MemorySource(path, np.ascontiguousarray(array).tobytes())
        dtype = dtypes.get(name, DTYPES["float32"])
        entries.append(Entry(name, (Tensor(name, dtype, array.shape, partial(at_start, source)),)))
    write_pdparams(path, entries, lambda count: None)


def change_configuration(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def failed(report: Report) -> set[str]:
    assert report.direction == "Hugging Face to PaddleNLP"
    return {check.name for check in report.checks if not check.passed}


def test_a_change_that_changes_nothing_passes(source: Path, converted: Path, runners: Runners) -> None:
    change_weights(converted, lambda arrays: None)
    verify_checkpoint(source, converted, runners=runners).assert_passed()


def flip(name: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name].reshape(-1).view(np.uint8)[8] ^= 1

    return change


def transpose(arrays: Arrays) -> None:
    arrays[WEIGHT] = arrays[WEIGHT].T


def swap(arrays: Arrays) -> None:
    other = WEIGHT.replace("query", "key")
    arrays[WEIGHT], arrays[other] = arrays[other], arrays[WEIGHT]


FAULTS: dict[str, Callable[[Arrays], object]] = {
    "flipped bit": flip(WEIGHT),
    "flipped bit in the word embeddings": flip("transformer.embeddings.word_embeddings.weight"),
    "flipped bit in the decoder's copy": flip("predictions.decoder.weight"),
    "flipped bit in the copy of the bias": flip("predictions.decoder.bias"),
    "flipped bit in a buffer": flip("transformer.embeddings.position_ids"),
    "square matrix not transposed": transpose,
    "query and key swapped": swap,
    "tensor missing": lambda arrays: arrays.pop(WEIGHT),
    "copy missing": lambda arrays: arrays.pop("predictions.decoder.weight"),
    "buffer missing": lambda arrays: arrays.pop("transformer.embeddings.position_ids"),
    "tensor too many": lambda arrays: arrays.update(extra=np.zeros(3, np.float32)),
    "shape": lambda arrays: arrays.update({"predictions.bias": np.zeros(49, np.float32)}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_weights_is_found(name: str, source: Path, converted: Path, runners: Runners) -> None:
    change_weights(converted, FAULTS[name])
    report = verify_checkpoint(source, converted, runners=runners, certificate=True)
    assert "weights" in failed(report)
    assert json.loads((converted / "parity.json").read_text())["passed"] is False


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hidden_act": "relu"}, {"config", "float64", "float32", "layers"}),
        ({"hidden_act": "gelu_new"}, {"config", "float64", "layers"}),
        ({"layer_norm_eps": 1e-3}, {"config", "float64", "embeddings"}),
        ({"num_attention_heads": 2}, {"config", "float64", "layers"}),
        ({"num_hidden_layers": 2}, {"config", "float64"}),
        ({"pad_token_id": 7}, {"config"}),
        ({"vocab_size": 49}, set(checks_of("AlbertModel"))),
        ({"architectures": ["AlbertModel"]}, set(checks_of("AlbertModel"))),
        ({"hidden_act": "swish"}, set(checks_of("AlbertModel"))),
    ],
)
def test_a_fault_in_the_configuration_is_found(
    fields: dict[str, Any], expected: set[str], source: Path, converted: Path, runners: Runners
) -> None:
    change_configuration(converted, **fields)
    report = verify_checkpoint(source, converted, runners=runners)
    assert expected <= failed(report)


def test_a_decoder_of_its_own_that_is_tied_is_found(torch_folders: Path, tmp_path: Path, runners: Runners) -> None:
    source, converted = torch_folders / "untied" / "safetensors", tmp_path / "paddle"
    convert_checkpoint(source, converted, to="paddle")
    verify_checkpoint(source, converted, checks=("weights", "float64"), runners=runners).assert_passed()
    change_configuration(converted, tie_word_embeddings=True)
    report = verify_checkpoint(source, converted, checks=("weights", "float64"), runners=runners)
    assert failed(report) == {"weights", "float64"}


def test_a_decoder_of_its_own_may_equal_the_embeddings(torch_folders: Path, tmp_path: Path, runners: Runners) -> None:
    source, converted = tmp_path / "source", tmp_path / "paddle"
    shutil.copytree(torch_folders / "untied" / "safetensors", source)
    arrays = load_file(source / "model.safetensors")
    arrays["predictions.decoder.weight"] = arrays["albert.embeddings.word_embeddings.weight"]
    save_file(arrays, source / "model.safetensors", {"format": "pt"})
    convert_checkpoint(source, converted, to="paddle")
    verify_checkpoint(source, converted, checks=("weights", "gradients"), runners=runners).assert_passed()
    change_weights(converted, flip("predictions.decoder.weight"))
    assert failed(verify_checkpoint(source, converted, checks=("weights",), runners=runners)) == {"weights"}


def test_another_source_is_found(torch_folders: Path, converted: Path, runners: Runners) -> None:
    untied = torch_folders / "untied" / "safetensors"
    assert "weights" in failed(verify_checkpoint(untied, converted, checks=("weights",), runners=runners))
    bert = torch_folders / "bert" / "safetensors"
    report = verify_checkpoint(bert, converted, checks=("weights",), runners=runners)
    where = report.checks[0].where
    assert where == "the converted folder holds AlbertForMaskedLM, the source converts to BertForMaskedLM"


@pytest.mark.parametrize("form", ["bin", "sharded-bin", "sharded-safetensors", "float16", "bfloat16"])
def test_every_form_is_proven(form: str, torch_folders: Path, tmp_path: Path, runners: Runners) -> None:
    source = torch_folders / "albert" / form
    convert_checkpoint(source, tmp_path / "paddle", to="paddle")
    verify_checkpoint(source, tmp_path / "paddle", runners=runners).assert_passed()


def test_the_certificate_says_which_is_which(source: Path, converted: Path, paddle2torch: Run) -> None:
    done = paddle2torch("verify", source, converted)
    assert done.returncode == 0, done.stderr
    assert "Hugging Face to PaddleNLP" in done.stdout.splitlines()[0]
    certificate = json.loads((converted / "parity.json").read_text())
    assert certificate["passed"] is True
    assert certificate["direction"] == "Hugging Face to PaddleNLP"
    assert set(certificate["source"]["files"]) == {"config.json", "model.safetensors"}
    assert set(certificate["output"]["files"]) == {"config.json", "model_state.pdparams"}
    moves = {move["target"]: move["source"] for move in certificate["mapping"]["moves"]}
    assert moves[WEIGHT] == WEIGHT.replace("transformer.", "albert.")
    assert set(moves.values()) == set(certificate["source"]["tensors"])

    assert paddle2torch("verify", source, converted, "--certificate-only").returncode == 0
    change_weights(converted, flip(WEIGHT))
    changed = paddle2torch("verify", source, converted, "--certificate-only")
    assert changed.returncode == 1
    assert f"converted tensor {WEIGHT} is not what was verified" in changed.stdout
    changed = paddle2torch("verify", source, converted, "--certificate-only", "--quiet")
    assert (changed.returncode, changed.stdout) == (1, "")
    assert "converted file model_state.pdparams is not what was verified" in changed.stderr


def test_faults_on_demand_are_for_the_other_direction(source: Path, converted: Path, paddle2torch: Run) -> None:
    done = paddle2torch("verify", source, converted, "--faults")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --faults does not go")


def test_an_unreadable_folder_is_an_error(source: Path, converted: Path, runners: Runners) -> None:
    path = converted / "model_state.pdparams"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Paddle2TorchError, match="truncated"):
        verify_checkpoint(source, converted, runners=runners)
