"""What every family must answer, asked of all of them alike."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.mappings.language.family import ROLES, Family
from paddle2torch.mappings.language.pretrained import Pretrained
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, published_tokenizers

from .conftest import Facts

families = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


@families
def test_no_question_is_left_open(family: Family) -> None:
    assert family.unanswered() == []


@pytest.mark.parametrize(
    ("left_out", "question"),
    [
        ({"defaults": None}, "what PaddleNLP's models take by default (defaults)"),
        ({"tokenizer": None}, "which tokenizers it has (tokenizer)"),
        ({"citation": ()}, "the paper that introduced it (citation)"),
        ({"activations": ()}, "activations whose equality is established (activations)"),
    ],
)
@families
def test_an_open_question_is_named(family: Family, left_out: dict[str, Any], question: str) -> None:
    assert replace(family, **left_out).unanswered() == [question]


@families
def test_a_missing_role_and_a_part_that_is_there_only_once_are_named(family: Family) -> None:
    for role in set(ROLES) & set(family.roles):
        roles = {name: module for name, module in family.roles.items() if name != role}
        # A table of positions that no argument chooses from need not be told, unless that is what is not covered.
        heeded = "position_ids" in family.arguments or family.limits.positions is not None
        wanted = role != "positions" or heeded
        expected = [f"the module with the role {role} (roles)"] if wanted else []
        assert replace(family, roles=roles).unanswered() == expected
    assert "a small configuration for tests (small)" in replace(family, small={}).unanswered()
    field = next(iter(family.repeat.values()))
    once = replace(family, small={**family.small, "inner_group_num": 1, field: 1}, variants={})
    assert f"a small configuration with 2 or more {field} (small)" in once.unanswered()


@families
def test_roles_are_modules_of_the_rows(family: Family) -> None:
    """Or parameters, where that is all there is."""
    names = {
        name
        for model in family.models
        for rule in family.rules(model.source, family.samples()[0], prefixed=False)
        for name in rule.sources
    }
    for role, module in family.roles.items():
        filled = module.format(**dict.fromkeys(family.repeat, 0))
        assert {filled, f"{filled}.weight"} & names, role


@families
def test_the_small_configuration_and_its_variants_are_possible(family: Family) -> None:
    for changed in ({}, *family.variants.values()):
        complete_fields(family, {**family.small, **changed})
    family.check()


@families
def test_what_models_take_by_default_is_what_they_really_take(family: Family, paddle_facts: Facts) -> None:
    """PaddleNLP's own models, called with ids alone, against calls that state mask and positions."""
    assert family.defaults is not None
    assert paddle_facts["defaults"][family.name] == asdict(family.defaults)


@pytest.mark.parametrize("entry", PRETRAINED.values(), ids=list(PRETRAINED))
def test_a_pretrained_name_says_everything(entry: Pretrained) -> None:
    family = FAMILIES[entry.family]
    complete = complete_fields(family, entry.configuration)
    assert entry.weights_url.startswith(("https://", "http://"))
    assert entry.language
    assert entry.parameters
    for architecture in entry.parameters:
        assert family.rules(architecture, complete, prefixed=True)
    assert entry.name in published_tokenizers()
