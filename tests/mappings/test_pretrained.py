"""The registered pretrained names: their parameter counts against the rules and the models, and near names."""

from __future__ import annotations

from typing import Any

import pytest

from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.errors import UnknownNameError
from paddle2torch.mappings.language.matching.plan import TensorFacts, make_plan
from paddle2torch.mappings.language.pretrained import Pretrained
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.registry import FAMILIES, FOLDER, PRETRAINED, get_family, get_pretrained

from ..conftest import TINY
from .conftest import Facts

entries = pytest.mark.parametrize("entry", PRETRAINED.values(), ids=list(PRETRAINED))


@entries
def test_parameter_counts(entry: Pretrained) -> None:
    """From the rules: mapped tensors only, so tied ones are counted once."""
    for architecture, count in entry.parameters.items():
        family = FAMILIES[entry.family]
        rules = family.rules(architecture, complete_fields(family, entry.configuration), prefixed=True)
        assert sum(rule.size for rule in rules if rule.kind is Kind.MAPPED) == count


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


def test_a_typo_gets_the_near_names() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean albert-base-v2"):
        get_pretrained("albert-bse-v2")
    # More than a hundred are not listed.
    with pytest.raises(UnknownNameError, match=r"^unknown pretrained name 'src'; `paddle2torch list` shows all$"):
        get_pretrained("src")
    with pytest.raises(UnknownNameError, match=r"did you mean albert or bert"):
        get_family("alberta")
    with pytest.raises(UnknownNameError, match=r"known are albert, bart, bert"):
        get_family("zzz")


def test_readme_counts_the_names() -> None:
    assert f" {len(PRETRAINED)} pretrained names" in " ".join((FOLDER.parent / "README.md").read_text("utf-8").split())
