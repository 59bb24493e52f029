"""Sizes that follow from the tensors, for every family."""

from __future__ import annotations

import pytest

from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.matching.sizes import head_fields, measured_sizes, unsaid_fields
from paddle2torch.mappings.language.transforms import Shape
from paddle2torch.mappings.registry import FAMILIES

MODELS = [(family, model.source) for family in FAMILIES.values() for model in family.models]


def shapes_of(family: Family, architecture: str, configuration: dict[str, object]) -> dict[str, Shape]:
    rules = family.rules(architecture, configuration, prefixed=True)
    return {name: shape for rule in rules for name, shape in zip(rule.sources, rule.shapes, strict=True)}


@pytest.mark.parametrize(("family", "architecture"), MODELS, ids=[name for _, name in MODELS])
@pytest.mark.parametrize("before", ["", "a.model."])
def test_all_sizes_are_found_again(family: Family, architecture: str, before: str) -> None:
    for sample in family.samples():
        complete = {**sample, "num_labels": 5}
        shapes = {before + name: shape for name, shape in shapes_of(family, architecture, complete).items()}
        given = (*family.backbone_of(architecture), *family.model(architecture).head)
        rows = [row for one in given for row in one.under(complete)]
        wanted = {size for row in rows for size in row.sizes()}
        wanted |= {family.repeat[name] for row in rows for name in row.wildcards()}
        # Nor is anything stated that follows from the sizes.
        unstated = {"num_labels", *wanted, *(entry.name for entry in family.fields if callable(entry.runs))}
        unsized = {name: value for name, value in complete.items() if name not in unstated}
        assert measured_sizes(family, architecture, unsized, shapes) == {name: complete[name] for name in wanted}
        assert measured_sizes(family, architecture, complete, shapes) == {}


def test_labels_are_stated_in_either_way() -> None:
    bert = FAMILIES["bert"]
    shapes = {"classifier.weight": (24, 3), "classifier.bias": (3,)}
    sizes = dict.fromkeys(bert.sizes(), 24)
    assert measured_sizes(bert, "BertForTokenClassification", sizes, shapes) == {"num_labels": 3}
    assert measured_sizes(bert, "BertForTokenClassification", {**sizes, "id2label": {}}, shapes) == {}
    assert measured_sizes(bert, "BertForTokenClassification", {**sizes, "id2label": None}, shapes) == {"num_labels": 3}


def test_a_name_alone_makes_no_layers() -> None:
    """A number in a name is no size: a billion layers would be a billion rules."""
    shapes = {f"encoder.layers.{number}.norm1.weight": (24,) for number in (0, 1, 999_999_999)}
    assert measured_sizes(FAMILIES["bert"], "BertModel", {}, shapes)["num_hidden_layers"] == 3


def test_only_heads_have_fields_of_their_own() -> None:
    fields = {name: head_fields(family, name, {}) for family, name in MODELS}
    assert fields["BertForSequenceClassification"] == fields["AlbertForPretraining"] == {"num_labels"}
    assert fields["BertForMaskedLM"] == fields["AlbertModel"] == set()


def test_what_must_be_stated() -> None:
    for family in FAMILIES.values():
        unsaid = unsaid_fields(family, family.sizes())
        # What PaddleNLP's model takes no notice of need not be stated.
        fixed = {entry.name for entry in family.fields if entry.is_fixed}
        heeded = {entry.name for entry in family.fields} - fixed
        for name in ("hidden_act", "layer_norm_eps"):
            assert {name} & heeded == {name} & set(unsaid)
        assert not fixed & set(unsaid)
        assert not any("dropout" in name or name == "initializer_range" for name in unsaid)
