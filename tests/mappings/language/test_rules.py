"""Rules are checked when a family is built: a faulty mapping is refused with the row that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from paddle2torch.errors import MappingError
from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.language.fields import Field
from paddle2torch.mappings.language.rows import Embedding, Ignored, Linear, Norm, Parameter, Row, Tied


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
def test_a_faulty_mapping_is_refused(rows: tuple[Row, ...], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        toy(*rows).check()


def test_a_faulty_head_is_refused() -> None:
    with pytest.raises(MappingError, match=r"share the source head\.weight"):
        toy(Norm("norm", "width"), head=(Norm("head", "width"), Norm("head", "width", "other"))).check()


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(MappingError, match="two models"):
        toy(Norm("norm", "width"), models=(Model("ToyModel"), Model("ToyModel", "Other")))


def test_a_missing_base_is_refused() -> None:
    with pytest.raises(MappingError, match="ToyModel"):
        toy(Norm("norm", "width"), models=(Model("ToyForTask"),))
