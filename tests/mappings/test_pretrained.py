"""The pretrained names against PaddleNLP's own tables, and their parameter counts against the rules and the models."""

from __future__ import annotations

from typing import Any

import pytest

from paddle2torch.errors import UnknownNameError
from paddle2torch.mappings.language.plan import TensorFacts, make_plan
from paddle2torch.mappings.language.pretrained import Pretrained
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, get_family, get_pretrained

from ..conftest import TINY
from .conftest import Facts

COUNTS = {
    "base-v1": (11_683_584, 11_221_680, 11_813_810),
    "large-v1": (17_683_968, 16_795_824, 17_847_474),
    "xlarge-v1": (58_724_864, 54_821_040, 59_021_490),
    "xxlarge-v1": (222_595_584, 206_368_944, 223_158_450),
    "base-v2": (11_683_584, 11_221_680, 11_813_810),
    "large-v2": (17_683_968, 16_795_824, 17_847_474),
    "xlarge-v2": (58_724_864, 54_821_040, 59_021_490),
    "xxlarge-v2": (222_595_584, 206_368_944, 223_158_450),
    "chinese-tiny": (4_080_520, 4_044_312, 4_142_594),
    "chinese-small": (4_742_272, 4_665_096, 4_813_706),
    "chinese-base": (10_547_968, 10_077_192, 10_669_322),
    "chinese-large": (16_548_352, 15_651_336, 16_702_986),
    "chinese-xlarge": (57_589_248, 53_676_552, 57_877_002),
    "chinese-xxlarge": (221_459_968, 205_224_456, 222_013_962),
}
"""Backbone with pooler; masked LM without pooler, tied; pretraining, tied."""

entries = pytest.mark.parametrize("entry", PRETRAINED.values(), ids=list(PRETRAINED))


def test_the_names_are_those_of_paddlenlp(paddle_facts: Facts) -> None:
    assert sorted(PRETRAINED) == sorted(paddle_facts["configurations"]) == paddle_facts["names"]
    assert len(PRETRAINED) == 14


@entries
def test_configuration_and_addresses_are_those_of_paddlenlp(entry: Pretrained, paddle_facts: Facts) -> None:
    assert dict(entry.configuration) == paddle_facts["configurations"][entry.name]
    assert entry.weights_url == paddle_facts["weights"][entry.name]
    kind = "sentencepiece_model_file" if entry.language == "English" else "vocab_file"
    addresses = {key: table.get(entry.name) for key, table in paddle_facts["tokenizers"].items()}
    assert addresses.pop(kind) == entry.tokenizer_url
    assert not any(addresses.values())


@entries
def test_parameter_counts(entry: Pretrained) -> None:
    """The literal numbers, and the same from the rules: mapped tensors only, so tied ones are counted once."""
    backbone, masked, pretraining = COUNTS[entry.name.removeprefix("albert-")]
    assert entry.parameters == {
        "AlbertModel": backbone,
        "AlbertForMaskedLM": masked,
        "AlbertForPretraining": pretraining,
    }
    for architecture, count in entry.parameters.items():
        rules = FAMILIES[entry.family].rules(architecture, {**entry.configuration, "num_labels": 2}, prefixed=True)
        assert sum(rule.size for rule in rules if rule.kind is Kind.MAPPED) == count


@entries
def test_a_backbone_has_25_tensors(entry: Pretrained) -> None:
    rules = FAMILIES[entry.family].rules("AlbertModel", entry.configuration, prefixed=False)
    assert sum(rule.kind is Kind.MAPPED for rule in rules) == 25


def test_parameter_counts_of_the_real_tiny_model(paddle_facts: Facts) -> None:
    """PaddleNLP keeps the pooler in its masked language model and does not tie AlbertForPretraining's decoder."""
    tiny = PRETRAINED[TINY]
    hidden, words = tiny.configuration["hidden_size"], tiny.configuration["vocab_size"]
    real = {name: paddle_facts["models"][name, TINY]["parameters"] for name in tiny.parameters}
    pooler, decoder = hidden * hidden + hidden, words * tiny.configuration["embedding_size"]
    assert real["AlbertModel"] == tiny.parameters["AlbertModel"]
    mapped = {
        architecture: plan_of(tiny, architecture, paddle_facts["models"][architecture, TINY]["state"]).parameters
        for architecture in tiny.parameters
    }
    assert mapped == dict(tiny.parameters)
    assert real["AlbertForMaskedLM"] == mapped["AlbertForMaskedLM"] + pooler
    assert real["AlbertForPretraining"] == mapped["AlbertForPretraining"] + decoder


def plan_of(entry: Pretrained, architecture: str, state: dict[str, list[int]]) -> Any:
    facts = {name: TensorFacts("int64" if "_ids" in name else "float32", tuple(s)) for name, s in state.items()}
    return make_plan(FAMILIES[entry.family], architecture, {**entry.configuration, "num_labels": 2}, facts)


@entries
def test_counterpart_and_licence(entry: Pretrained) -> None:
    if entry.language == "English":
        assert (entry.counterpart, entry.license) == (f"albert/{entry.name}", "apache-2.0")
    else:
        assert entry.counterpart == "voidful/" + entry.name.replace("-", "_")
        assert entry.license is None


def test_a_typo_gets_the_near_names() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean albert-base-v2"):
        get_pretrained("albert-bse-v2")
    with pytest.raises(UnknownNameError, match=r"did you mean albert or bert"):
        get_family("alberta")
    with pytest.raises(UnknownNameError, match=r"known are albert, bert"):
        get_family("zzz")
