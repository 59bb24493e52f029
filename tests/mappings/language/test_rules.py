"""The rules of every registered architecture against the real state dicts of both frameworks."""

from __future__ import annotations

from typing import Any

import pytest

from paddle2torch.errors import MappingError
from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.language.fields import Field
from paddle2torch.mappings.language.plan import Plan, TensorFacts, make_plan
from paddle2torch.mappings.language.rows import Embedding, Ignored, Linear, Norm, Parameter, Row, Tied
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.language.transforms import IDENTITY
from paddle2torch.mappings.registry import FAMILIES

from ..conftest import CASES, VARIANTS, Facts

cases = pytest.mark.parametrize(("family", "architecture", "variant"), CASES)


def real_plan(family: str, architecture: str, variant: str, facts: Facts) -> Plan:
    state = facts["models"][architecture, variant]["state"]
    tensors = {
        name: TensorFacts("int64" if name.endswith("position_ids") else "float32", tuple(shape))
        for name, shape in state.items()
    }
    return make_plan(FAMILIES[family], architecture, VARIANTS[family][variant], tensors)


@cases
def test_sources_are_paddlenlps_state_dict(family: str, architecture: str, variant: str, paddle_facts: Facts) -> None:
    mapping = FAMILIES[family]
    prefixed = architecture != mapping.base
    rules = {rule.source: rule for rule in mapping.rules(architecture, VARIANTS[family][variant], prefixed)}
    state = paddle_facts["models"][architecture, variant]["state"]
    assert state.keys() <= rules.keys()
    assert {name: list(rules[name].shape) for name in state} == state
    absent = {rule.source for rule in rules.values()} - state.keys()
    assert all(rules[name].optional for name in absent)
    # What a real model may lack is what it ties itself or computes, never a weight.
    assert {rules[name].kind for name in absent} <= {Kind.TIED, Kind.IGNORED}


@cases
def test_targets_are_transformers_state_dict(
    family: str, architecture: str, variant: str, paddle_facts: Facts, torch_facts: Facts
) -> None:
    plan = real_plan(family, architecture, variant, paddle_facts)
    facts = torch_facts["models"][architecture, variant]
    tied = {name for name in facts["state"] if any(name.endswith(key) for key in facts["tied"])}
    written = {move.target: list(move.target_shape) for move in plan.moves}
    assert written == {name: shape for name, shape in facts["state"].items() if name not in tied}
    assert len(plan.moves) == len(written)
    # Untied tensors go where transformers expects them, and with their shape.
    for rule in plan.tied:
        if rule.target is not None:
            assert rule.target in tied
            assert facts["state"][rule.target] == list(rule.shape)


@cases
def test_every_tensor_is_accounted_for_once(family: str, architecture: str, variant: str, paddle_facts: Facts) -> None:
    plan = real_plan(family, architecture, variant, paddle_facts)
    handled = [move.source for move in plan.moves]
    handled += [rule.source for rule in (*plan.tied, *plan.dropped, *plan.ignored)]
    assert sorted(handled) == sorted(paddle_facts["models"][architecture, variant]["state"])


@cases
def test_drops_are_the_poolers_that_hugging_face_lacks(
    family: str, architecture: str, variant: str, paddle_facts: Facts, torch_facts: Facts
) -> None:
    plan = real_plan(family, architecture, variant, paddle_facts)
    has_pooler = any("pooler" in name for name in torch_facts["models"][architecture, variant]["state"])
    assert FAMILIES[family].model(architecture).pooler == has_pooler
    assert [".pooler." in rule.source for rule in plan.dropped] == ([] if has_pooler else [True, True])
    assert all(rule.reason and "has no pooler" in rule.reason for rule in plan.dropped)


@cases
def test_the_inverse_leads_back(family: str, architecture: str, variant: str, paddle_facts: Facts) -> None:
    for move in real_plan(family, architecture, variant, paddle_facts).moves:
        (back,) = move.inverse()
        assert (back.source, back.target, back.shape) == (move.target, move.source, move.target_shape)
        assert back.target_shape == move.shape
        assert back.inverse() == (move,)


@cases
def test_matrices_of_linear_layers_flip_and_tables_do_not(
    family: str, architecture: str, variant: str, paddle_facts: Facts
) -> None:
    for move in real_plan(family, architecture, variant, paddle_facts).moves:
        table = "_embeddings." in move.source or len(move.shape) == 1
        assert (move.transform is IDENTITY) == table, move.source


@pytest.mark.parametrize("architecture", [model.source for f in FAMILIES.values() for model in f.models])
def test_the_auto_class_loads_the_target_architecture(architecture: str, torch_facts: Facts) -> None:
    target = next(f.model(architecture) for f in FAMILIES.values() if architecture in {m.source for m in f.models})
    assert torch_facts["auto_classes"][architecture] == target.target_architecture


def toy(
    *backbone: Row, head: tuple[Row, ...] = (), models: tuple[Model, ...] | None = None, pooler: tuple[Row, ...] = ()
) -> Family:
    """A family of one architecture, `ToyModel`, or of the given ones."""
    return Family(
        name="toy",
        base="ToyModel",
        source_prefix="toy.",
        target_prefix="toy.",
        repeat={"layer": "layers"},
        backbone=backbone,
        pooler=pooler,
        models=models or (Model("ToyModel", head=head),),
        fields=(Field("layers"), Field("width")),
        constants={},
        activations=(),
        check_configuration=lambda configuration: None,
    )


def test_a_sound_mapping_is_built() -> None:
    family = toy(
        Embedding("table", 5, "width"), Linear("layers.{layer}.dense", "width", "width"), Norm("norm", "width")
    )
    rules = family.rules("ToyModel", {"layers": 2, "width": 3}, prefixed=True)
    assert [rule.source for rule in rules] == [
        "toy.table.weight",
        "toy.layers.0.dense.weight",
        "toy.layers.0.dense.bias",
        "toy.layers.1.dense.weight",
        "toy.layers.1.dense.bias",
        "toy.norm.weight",
        "toy.norm.bias",
    ]
    assert [rule.target for rule in rules] == [rule.source.removeprefix("toy.") for rule in rules]


class Nothing(Parameter):
    """A row that stands for no tensor."""

    def parts(self) -> tuple[Any, ...]:
        return ()


TIED = Tied("decoder", "{backbone}table.weight", (5, "width"), untied="table.weight")

FAULTY: dict[str, tuple[tuple[Row, ...], str]] = {
    "dead row": ((Nothing("nothing", ()),), "row nothing expands to no tensor"),
    "unknown wildcard": ((Norm("blocks.{block}.norm", "width"),), r"unknown wildcard \{block\}"),
    "unknown wildcard of the target": (
        (Norm("blocks.norm", "width", "blocks.{block}.norm"),),
        r"unknown wildcard \{block\}",
    ),
    "wildcard missing in the target": ((Norm("blocks.{layer}.norm", "width", "blocks.norm"),), "share the target"),
    "duplicate source": ((Norm("a", "width"), Norm("a", "width", "b")), "share the source a.weight"),
    "duplicate target": ((Norm("a", "width"), Norm("b", "width", "a")), "share the target a.weight"),
    "duplicate row": ((Norm("a", "width"), Norm("a", "width")), "share the source a.weight"),
    "nameless wildcard": ((Norm("blocks.{}.norm", "width"),), "wildcard"),
    "ignored twice": ((Ignored("ids", (1,)), Ignored("ids", (1,))), "share the source ids"),
    "untied onto another": ((Embedding("table", 5, "width"), TIED), "share the target table.weight"),
    "twin without a row": (
        (Tied("decoder", "{backbone}nowhere.weight", (5, "width")),),
        "twin nowhere.weight",
    ),
}


@pytest.mark.parametrize(("rows", "message"), FAULTY.values(), ids=list(FAULTY))
def test_a_faulty_mapping_is_refused_when_it_is_built(rows: tuple[Row, ...], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        toy(*rows)


def test_a_faulty_head_is_refused_when_the_mapping_is_built() -> None:
    with pytest.raises(MappingError, match=r"share the source head\.weight"):
        toy(Norm("norm", "width"), head=(Norm("head", "width"), Norm("head", "width", "other")))


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(MappingError, match="two models"):
        toy(Norm("norm", "width"), models=(Model("ToyModel"), Model("ToyModel", "Other")))


def test_a_missing_base_is_refused() -> None:
    with pytest.raises(MappingError, match="ToyModel"):
        toy(Norm("norm", "width"), models=(Model("ToyForTask"),))
