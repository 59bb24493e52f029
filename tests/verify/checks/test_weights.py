"""The weight check sees every bit: single changes to the converted file, each named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.formats.dtypes import Array
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.checks.weights import is_bit_equal
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed

Tensors = dict[str, Array]
LAYER = "encoder.albert_layer_groups.0.albert_layers.1"


@pytest.fixture
def pair(seed_small: Seed, tmp_path: Path) -> tuple[Path, Path]:
    source = seed_small("AlbertModel")
    convert_checkpoint(source, tmp_path / "converted")
    return source, tmp_path / "converted"


def weights_only(pair: tuple[Path, Path], change: Callable[[Tensors], None]) -> Report:
    path = pair[1] / "model.safetensors"
    tensors = load_file(str(path))
    change(tensors)
    save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, str(path), {"format": "pt"})
    return verify_checkpoint(*pair, checks=("weights",))


def one_ulp(tensors: Tensors) -> None:
    bits = tensors[f"{LAYER}.ffn.weight"].view(np.uint32)
    bits[7, 3] ^= 1


def negative_zero(tensors: Tensors) -> None:
    tensors["pooler.bias"][2] = -0.0 if tensors["pooler.bias"][2] == 0 else -tensors["pooler.bias"][2]


def unused_vocabulary_row(tensors: Tensors) -> None:
    tensors["embeddings.word_embeddings.weight"][33] += 1


def padding_row_zeroed(tensors: Tensors) -> None:
    tensors["embeddings.word_embeddings.weight"][0] = 0


def key_bias(tensors: Tensors) -> None:
    tensors[f"{LAYER}.attention.key.bias"][:] = 0


def square_not_transposed(tensors: Tensors) -> None:
    name = f"{LAYER}.attention.query.weight"
    tensors[name] = tensors[name].T


def query_doubled_and_key_halved(tensors: Tensors) -> None:
    tensors[f"{LAYER}.attention.query.weight"] *= 2
    tensors[f"{LAYER}.attention.query.bias"] *= 2
    tensors[f"{LAYER}.attention.key.weight"] /= 2
    tensors[f"{LAYER}.attention.key.bias"] /= 2


def tensor_lost(tensors: Tensors) -> None:
    del tensors[f"{LAYER}.ffn.bias"]


def tensor_added(tensors: Tensors) -> None:
    tensors["decoder.weight"] = np.ones((2, 2), np.float32)


def other_type(tensors: Tensors) -> None:
    tensors["pooler.weight"] = tensors["pooler.weight"].astype(np.float64)


def other_shape(tensors: Tensors) -> None:
    tensors[f"{LAYER}.ffn.weight"] = tensors[f"{LAYER}.ffn.weight"].T


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        (one_ulp, f"{LAYER}.ffn.weight differs in 1 of 864 elements, first at [7, 3]"),
        (negative_zero, "pooler.bias differs in 1 of 24"),
        (unused_vocabulary_row, "embeddings.word_embeddings.weight differs in 12 of 600 elements, first at [33, 0]"),
        (padding_row_zeroed, "embeddings.word_embeddings.weight differs in 12 of 600 elements, first at [0, 0]"),
        (key_bias, f"{LAYER}.attention.key.bias differs in 24 of 24"),
        (square_not_transposed, f"{LAYER}.attention.query.weight differs in"),
        (query_doubled_and_key_halved, f"{LAYER}.attention.query.weight differs in 576 of 576"),
        (tensor_lost, f"{LAYER}.ffn.bias is missing in the converted weights"),
        (tensor_added, "decoder.weight is in the converted weights without a rule"),
        (other_type, "pooler.weight holds float64, float32 is expected"),
        (other_shape, f"{LAYER}.ffn.weight has shape [24, 36], expected [36, 24]"),
    ],
)
def test_a_single_change_is_seen_and_named(
    pair: tuple[Path, Path], change: Callable[[Tensors], None], culprit: str
) -> None:
    report = weights_only(pair, change)
    check = report.check("weights")
    assert check is not None
    assert not report.passed
    assert any(problem.startswith(culprit) for problem in check.problems), check.problems
    if change is not query_doubled_and_key_halved:
        assert len(check.problems) == 1


def test_unchanged_weights_pass_and_say_what_was_not_run(pair: tuple[Path, Path]) -> None:
    report = weights_only(pair, lambda tensors: None)
    assert report.passed
    assert {"config", "float64", "float32"} <= set(report.not_run)
    assert report.check("weights").details["live_models_compared"] == []  # type: ignore[union-attr]


def test_what_torch_cannot_load_is_a_finding(pair: tuple[Path, Path], runners: Runners) -> None:
    path = pair[1] / "model.safetensors"
    tensors = load_file(str(path))
    del tensors["pooler.bias"]
    save_file(tensors, str(path), {"format": "pt"})
    report = verify_checkpoint(*pair, runners=runners)
    assert not report.passed
    failed = {check.name: check.where for check in report.checks if not check.passed}
    assert set(failed) >= {"weights", "float64", "float32"}
    assert "missing pooler.bias" in failed["float64"]


@pytest.mark.parametrize(
    ("field", "value", "caught_by", "culprit"),
    [
        ("hidden_act", "gelu", {"config", "float64"}, "activation function in use is gelu_new in Paddle and gelu"),
        (
            "layer_norm_eps",
            1e-5,
            {"config", "float64"},
            "epsilon of embeddings.layer_norm is 1e-12 in Paddle",
        ),
        ("num_attention_heads", 2, {"config", "float64"}, "num_attention_heads is 4 in Paddle and 2 in torch"),
        ("num_hidden_layers", 6, {"config", "float64"}, "num_hidden_layers is 4 in Paddle and 6 in torch"),
        ("pad_token_id", 3, {"config"}, "pad_token_id is 0 in Paddle and 3 in torch"),
    ],
)
def test_a_changed_configuration_is_seen_and_named(
    pair: tuple[Path, Path], runners: Runners, field: str, value: object, caught_by: set[str], culprit: str
) -> None:
    path = pair[1] / "config.json"
    document = json.loads(path.read_text())
    assert document[field] != value
    path.write_text(json.dumps({**document, field: value}))
    report = verify_checkpoint(*pair, runners=runners)
    failed = {check.name for check in report.checks if not check.passed}
    assert failed >= caught_by
    config = report.check("config")
    assert config is not None
    assert any(problem.startswith(culprit) for problem in config.problems), config.problems


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4), (300, 7), (7, 300), (2, 3, 4), (0, 4)])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("storage", [np.float32, np.float16, np.uint16, np.float64, np.int64])
def test_bits_are_compared_in_any_order(shape: tuple[int, ...], turned: bool, storage: type[np.generic]) -> None:
    values = np.random.default_rng(0).standard_normal(shape).astype(storage)
    expected = np.ascontiguousarray(values.T).T if turned else values
    assert is_bit_equal(expected, values)
    for place in {0, values.size // 2, values.size - 1} if values.size else ():
        other = values.copy()
        other.reshape(-1).view(f"u{other.itemsize}")[place] ^= 1
        assert not is_bit_equal(expected, other)


def test_bits_and_not_numbers_are_compared() -> None:
    zeros, nan = np.zeros((2, 2), np.float32), np.full((2, 2), np.nan, np.float32)
    assert not is_bit_equal(zeros, -zeros)
    assert is_bit_equal(nan, nan.T)
