"""Names in files that are not those of the rules: prefixes too many or replaced, and old names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from paddle2torch.errors import MappingError, UnmatchedTensorsError
from paddle2torch.mappings.language.matching.naming import Naming, settle_names, with_old_names
from paddle2torch.mappings.registry import FAMILIES

BACKBONE = {"embeddings.weight", "encoder.0.weight", "encoder.0.bias", "pooler.weight"}
TASK = {*(f"bert.{name}" for name in BACKBONE), "head.weight", "head.bias"}
BASE = {f"bert.{name}" for name in BACKBONE}


def fits(names: Mapping[str, str]) -> list[str]:
    """The toy's classes: a task model, and a base model with or without the prefix."""
    found = set(names.values())
    return [name for name, wanted in (("Task", TASK), ("Base", BASE), ("Base", BACKBONE)) if found == wanted]


def settle(names: set[str]) -> Naming:
    return settle_names(sorted(names), BACKBONE, "bert.", fits)


READINGS: dict[str, tuple[Callable[[str], str], str | None]] = {
    "as they are": (lambda name: name, None),
    "one more": (lambda name: f"state_dict.{name}", "all 6 tensors lie under 'state_dict.'"),
    "any more": (lambda name: f"Öl.{name}", "all 6 tensors lie under 'Öl.'"),
    "two more": (lambda name: f"model.module.{name}", "all 6 tensors lie under 'model.module.'"),
    "the prefix twice": (lambda name: f"bert.{name}", "all 6 tensors lie under 'bert.'"),
    "another": (lambda name: name.replace("bert.", "ptm."), "'ptm.' stands for 'bert.'"),
    "another of two parts": (lambda name: name.replace("bert.", "a.b."), "'a.b.' stands for 'bert.'"),
    "one more and another": (
        lambda name: "net." + name.replace("bert.", "ptm."),
        "all 6 tensors lie under 'net.', and 'ptm.' stands for 'bert.'",
    ),
    "none": (lambda name: name.removeprefix("bert."), "the backbone's tensors lack the prefix 'bert.'"),
    "none under one more": (lambda name: "x." + name.removeprefix("bert."), "all 6 tensors lie under 'x.'"),
}


@pytest.mark.parametrize(("change", "reading"), READINGS.values(), ids=list(READINGS))
def test_the_only_reading_that_fits_is_taken(change: Callable[[str], str], reading: str | None) -> None:
    found = settle({change(name) for name in TASK})
    assert found.names == {change(name): name for name in TASK}
    assert found.reading == reading


@pytest.mark.parametrize("front", ["Student.", "a.b.c.", "bert.bert.", "x.bert."])
def test_a_base_model_under_any_prefix(front: str) -> None:
    found = settle({front + name for name in BACKBONE})
    assert found.names == {front + name: f"bert.{name}" for name in BACKBONE}
    # What is left of it may be the family's own prefix.
    assert found.reading == f"all 4 tensors lie under '{front.removesuffix('bert.')}'"


@pytest.mark.parametrize("names", [BASE, BACKBONE])
def test_what_fits_stays(names: set[str]) -> None:
    assert settle(names) == Naming({name: name for name in sorted(names)})


def test_several_models_are_not_chosen_among() -> None:
    with pytest.raises(UnmatchedTensorsError, match=r"of 12 tensors 6 under 'ema.' and 6 under 'model.' each fit Task"):
        settle({f"{front}.{name}" for name in TASK for front in ("model", "ema")})


def test_what_lies_beside_a_model_is_not_dropped() -> None:
    with pytest.raises(UnmatchedTensorsError, match=r"6 under 'model.' fit Task .* optimizer.beta, optimizer.moment b"):
        settle({*(f"model.{name}" for name in TASK), "optimizer.moment", "optimizer.beta"})


@pytest.mark.parametrize("front", ["state_dict.", "a.b."])
def test_a_misfit_below_a_prefix_is_read_below_it(front: str) -> None:
    """So that the plan names what is wrong, and not every tensor."""
    found = settle({front + name for name in TASK - {"head.bias"} | {"encoder.1.weight"}})
    assert found.reading is not None
    assert found.names[front + "head.weight"] == "head.weight"


def test_without_a_backbone_nothing_is_read_otherwise() -> None:
    names = {"a.b.weight", "a.c.weight"}
    assert settle(names).names == {name: name for name in names}
    assert settle(set()).names == {}


OLD, NOW = "cls.predictions.decoder_weight", "cls.predictions.decoder.weight"


def named(*names: str) -> Naming:
    return with_old_names(FAMILIES["bert"], Naming({f"x.{name}": name for name in names}))


def test_an_old_name_is_read_as_todays() -> None:
    found = named(OLD, "cls.predictions.decoder_bias")
    assert list(found.names.values()) == [NOW, "cls.predictions.decoder_bias"]
    assert found.old == {NOW: OLD}
    assert found.notes == (f"x.{OLD} is an old name of {NOW}, and is read as that",)


def test_an_old_name_beside_todays_is_refused() -> None:
    with pytest.raises(UnmatchedTensorsError, match=f"x.{OLD} is an old name of {NOW}, and both are there"):
        named(NOW, OLD)


def test_old_names_have_wildcards_and_a_backbone() -> None:
    row = "encoder.layers.{layer}.linear1.weight"
    family = replace(FAMILIES["bert"], old_names={"encoder.blocks.{layer}.ffn": row})
    for prefix in ("", "bert."):
        names = {f"{prefix}encoder.blocks.{layer}.ffn": f"{prefix}{row.format(layer=layer)}" for layer in (0, 11)}
        assert with_old_names(family, Naming({name: name for name in names})).names == names
    other = {"x.encoder.blocks.0.ffn": "x.encoder.blocks.0.ffn"}
    assert with_old_names(family, Naming(other)).names == other


@pytest.mark.parametrize("names", [{"a": "nowhere"}, {NOW: NOW}, {NOW: "cls.predictions.decoder.bias"}])
def test_old_names_must_lead_to_rows(names: Mapping[str, str]) -> None:
    with pytest.raises(MappingError, match="old_names has"):
        replace(FAMILIES["bert"], old_names=names).check()
