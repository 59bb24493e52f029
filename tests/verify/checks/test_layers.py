"""The check of the layers: its limits over many seeds, and faults that must be named by layer and module."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.formats.dtypes import Array
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.checks.layers import LIMITS, short_names
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.states import token_difference

from ..conftest import Seed

Tensors = dict[str, Array]
ALBERT = "encoder.albert_layer_groups.0.albert_layers.0"
BERT = "encoder.layer.0"
FIRST = f"layer 0 (its weights are {ALBERT.removesuffix('.0')})"


def check_of(source: Path, runners: Runners, name: str = "layers", **options: Any) -> CheckResult:
    report = verify_checkpoint(source, source.parent / "converted", checks=(name,), runners=runners, **options)
    check = report.check(name)
    assert check is not None
    return check


def change_weights(folder: Path, change: Callable[[Tensors], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def change_configuration(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def converted(source: Path) -> Path:
    folder = source.parent / "converted"
    convert_checkpoint(source, folder, overwrite=True)
    return folder


@pytest.mark.parametrize("architecture", ["AlbertForMaskedLM", "BertForSequenceClassification"])
def test_limits_hold_over_seeds(architecture: str, seed_small: Seed, runners: Runners) -> None:
    """Every limit of the default checks, far from the values that correct conversions reach."""
    worst: dict[str, float] = {}
    for seed in range(20):
        source = seed_small(architecture, seed=seed, folder=f"source{seed}")
        convert_checkpoint(source, source.parent / "converted", overwrite=True)
        checks = ("float64", "float32", "embeddings", "layers", "gradients")
        report = verify_checkpoint(source, source.parent / "converted", checks=checks, seed=seed, runners=runners)
        report.assert_passed()
        for check in report.checks:
            states = check.details.get("states", [])
            shares = [state["difference"] / state["limit"] for state in states if state["limit"]]
            shares += [] if check.worst is None or check.limit is None else [check.worst / check.limit]
            worst[check.name] = max([worst.get(check.name, 0.0), *shares])
    assert set(worst) == {"float64", "float32", "embeddings", "layers", "gradients"}
    assert max(worst[name] for name in ("float64", "embeddings", "gradients")) < 0.01
    assert max(worst[name] for name in ("float32", "layers")) < 0.3


def add_to_query(tensors: Tensors) -> None:
    tensors[f"{ALBERT}.attention.query.weight"][2, 3] += 1e-3


def add_to_dense(tensors: Tensors) -> None:
    tensors[f"{ALBERT}.attention.dense.weight"][2, 3] += 1e-3


def add_to_inner(tensors: Tensors) -> None:
    tensors["encoder.albert_layer_groups.1.albert_layers.1.ffn.bias"][1] += 1e-3


def swap_norms(tensors: Tensors) -> None:
    for leaf in ("weight", "bias"):
        one, other = f"{ALBERT}.attention.LayerNorm.{leaf}", f"{ALBERT}.full_layer_layer_norm.{leaf}"
        tensors[one], tensors[other] = tensors[other], tensors[one]


def swap_query_and_key(tensors: Tensors) -> None:
    for leaf in ("weight", "bias"):
        one, other = f"{ALBERT}.attention.query.{leaf}", f"{ALBERT}.attention.key.{leaf}"
        tensors[one], tensors[other] = tensors[other], tensors[one]


def transpose_pooler(tensors: Tensors) -> None:
    tensors["pooler.weight"] = np.ascontiguousarray(tensors["pooler.weight"].T)


def add_to_embedding_norm(tensors: Tensors) -> None:
    tensors["embeddings.LayerNorm.bias"][0] += 1e-3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (add_to_query, f"{FIRST}, 0.attention.query; first diverging state: hidden state 1"),
        (add_to_dense, f"{FIRST}, 0.attention.dense; first diverging state: hidden state 1"),
        (
            add_to_inner,
            "layer 2 (its weights are encoder.albert_layer_groups.1.albert_layers), 1.ffn; first diverging state: "
            "hidden state 3",
        ),
        (swap_norms, f"{FIRST}, 0.attention.LayerNorm; first diverging state: hidden state 1"),
        (
            swap_query_and_key,
            f"{FIRST}, 0.attention.query (and 0.attention.key); first diverging state: hidden state 1",
        ),
        (transpose_pooler, "head, pooler; first diverging state: pooler_output"),
        (add_to_embedding_norm, "embeddings, embeddings.LayerNorm; first diverging state: hidden state 0"),
    ],
)
def test_a_changed_weight_is_named(
    change: Callable[[Tensors], None], text: str, seed_small: Seed, runners: Runners
) -> None:
    source = seed_small("AlbertModel")
    change_weights(converted(source), change)
    check = check_of(source, runners)
    assert not check.passed
    assert check.where.startswith(text)
    assert check.details["guilty"]["target"] is not None


def test_the_module_of_another_family_is_named(seed_small: Seed, runners: Runners) -> None:
    def change(tensors: Tensors) -> None:
        tensors["bert.encoder.layer.2.output.dense.weight"][1, 1] += 1e-3

    source = seed_small("BertForMaskedLM")
    change_weights(converted(source), change)
    check = check_of(source, runners)
    assert check.where.startswith("layer 2, output.dense; first diverging state: hidden state 3 (output of layer 2)")
    assert check.details["guilty"] == {
        "stage": 3,
        "place": "layer 2",
        "module": "output.dense",
        "source": "bert.encoder.layers.2.linear2",
        "target": "bert.encoder.layer.2.output.dense",
        "others": [],
        "weights": "",
    }
    # Fed with Paddle's states, no other layer differs.
    failed = [state for state in check.details["states"] if state["difference"] > state["limit"]]
    assert [state["name"] for state in failed if state["dtype"] == "float64"] == ["hidden_state.03"]
    assert {state["name"] for state in failed} == {"hidden_state.03"}


@pytest.mark.parametrize(
    ("architecture", "fields", "text"),
    [
        ("AlbertModel", {"hidden_act": "gelu"}, f"{FIRST}, feed-forward (activation, between 0.ffn and 0.ffn_output)"),
        (
            "BertModel",
            {"hidden_act": "gelu_new"},
            "layer 0, feed-forward (activation, between intermediate.dense and output.dense)",
        ),
        (
            "AlbertModel",
            {"num_attention_heads": 2},
            f"{FIRST}, attention (between 0.attention.value and 0.attention.dense)",
        ),
        (
            "BertModel",
            {"num_attention_heads": 6},
            "layer 0, attention (between attention.self.value and attention.output.dense)",
        ),
        ("AlbertModel", {"layer_norm_eps": 1e-3}, "embeddings, embeddings.LayerNorm"),
        ("BertModel", {"num_hidden_layers": 2}, "the frameworks"),
    ],
)
def test_a_changed_configuration_is_named(
    architecture: str, fields: dict[str, Any], text: str, seed_small: Seed, runners: Runners
) -> None:
    source = seed_small(architecture)
    change_configuration(converted(source), **fields)
    check = check_of(source, runners)
    assert not check.passed
    if "num_hidden_layers" in fields:
        # The weights of the third layer have no place any more.
        assert "unexpected encoder.layer.2" in check.where
        return
    assert check.where.startswith(text)


def test_a_missing_layer_is_counted_first(seed_small: Seed, runners: Runners) -> None:
    """ALBERT's layers share their weights, so that one too few loads silently."""
    source = seed_small("AlbertModel", num_hidden_groups=1, inner_group_num=1)
    change_configuration(converted(source), num_hidden_layers=3)
    for name in ("float64", "float32", "layers"):
        check = check_of(source, runners, name)
        assert not check.passed
        assert check.where == "Paddle has 5 hidden states, torch 4"
    check = check_of(source, runners, "float64")
    assert "Paddle has 4 attention maps, torch 3" in check.problems


def test_float32_is_reported_beside_float64(seed_small: Seed, runners: Runners) -> None:
    source = seed_small("AlbertForPretraining")
    converted(source)
    check = check_of(source, runners)
    assert check.passed
    assert check.limit == LIMITS["float64"]
    assert check.worst is not None
    assert 0 < check.worst < 1e-14
    float32 = check.details["float32"]
    assert float32["passed"]
    assert float32["limit"] == pytest.approx(LIMITS["float32"])
    assert 1e-8 < float32["worst"] < 3e-6
    names = {state["name"] for state in check.details["states"] if state["dtype"] == "float64"}
    hidden = {f"hidden_state.{index:02d}" for index in range(5)}
    assert names == {*hidden, "pooler_output", "mlm_logits", "sequence_relationship_logits"}
    assert names == {state["name"] for state in check.details["states"] if state["dtype"] == "float32"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", ["paddle", "torch", "both"])
def test_what_is_not_finite_never_holds(value: float, side: str) -> None:
    sides: Tensors = {name: np.ones((2, 3, 4)) for name in ("paddle", "torch")}
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    for name, array in sides.items():
        if side in (name, "both"):
            array[1, 2, 0] = value
            array[0, 2, 1] = value
    with np.errstate(invalid="ignore"):
        assert not token_difference("hidden_state.01", sides["paddle"], sides["torch"], mask, 1e-12).holds
        masked = token_difference("hidden_state.01", sides["paddle"], sides["torch"], mask * mask[0], 1e-12)
    assert masked.difference == 0


def test_a_token_is_held_to_its_own_largest_value() -> None:
    paddle = np.ones((1, 2, 2))
    paddle[0, 0] = 1000
    torch = paddle.copy()
    torch[0, 0, 0] += 1e-4
    torch[0, 1, 1] += 2e-6
    found = token_difference("hidden_state.01", paddle, torch, np.ones((1, 2)), 1e-6)
    assert found.place == (0, 1, 1)
    assert not found.holds
    zeros = np.zeros((1, 2, 2))
    assert token_difference("hidden_state.01", zeros, zeros, np.ones((1, 2)), 1e-6).holds
    assert not token_difference("hidden_state.01", zeros, zeros + 1e-300, np.ones((1, 2)), 1e-6).holds


def test_short_names() -> None:
    names = ["bert.encoder.layer.0.attention.self.query", "bert.encoder.layer.0.output.dense"]
    assert list(short_names(names).values()) == ["attention.self.query", "output.dense"]
    assert short_names(["albert.pooler"]) == {"albert.pooler": "albert.pooler"}
    assert short_names([]) == {}
