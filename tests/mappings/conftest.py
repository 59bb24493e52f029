"""What both frameworks themselves say of the registered architectures, asked once each in a child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.configuration import complete_fields, translate_configuration
from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.language.fields import as_stored
from paddle2torch.mappings.language.rows import Tied, When
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED

from ..conftest import TARGETS, TINY, TORCH_PYTHONS, label, run_child, torch_python_of

Facts = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A registered architecture with one configuration of its family."""

    family: Family
    model: Model
    variant: str

    @property
    def key(self) -> tuple[str, str]:
        """What the facts are kept under."""
        return label(self.family, self.model), self.variant

    @property
    def given(self) -> dict[str, Any]:
        """PaddleNLP's configuration, as far as it is stated."""
        changed = self.family.variants.get(self.variant, {})
        return {"num_labels": 2, **self.family.small, **changed}

    @property
    def configuration(self) -> dict[str, Any]:
        """All of PaddleNLP's configuration."""
        return complete_fields(self.family, self.given)

    @property
    def target(self) -> dict[str, Any]:
        """Hugging Face's configuration."""
        return translate_configuration(
            self.family, self.model.target_architecture, self.configuration, "float32", tie_word_embeddings=True
        )


def cases_of(family: Family, model: Model) -> list[Case]:
    """The small configuration; where rows depend on it, for the backbone or in the head, every variant of it too that
    the class does not refuse."""
    varies = model.source == family.base or any(isinstance(row, Tied | When) for row in model.head)
    cases = [Case(family, model, name) for name in (family.variants if varies else ())]
    return [Case(family, model, "small"), *(one for one in cases if model.refusal(one.configuration) is None)]


MODELS = [(family, model) for family in TARGETS.values() for model in family.models]

CASES = [case for family, model in MODELS for case in cases_of(family, model)]

models = pytest.mark.parametrize(("family", "model"), MODELS, ids=[label(*pair) for pair in MODELS])
"""Asks every registered architecture."""


@pytest.fixture(scope="session")
def paddle_facts() -> Facts:
    """`defaults`: family -> what its base takes where ids alone are given; `models`: (architecture, variant) -> its
    facts, and the tiny model at its true size."""
    tiny = PRETRAINED[TINY]
    asked = [[case.model.source, as_stored(case.family.fields, case.given)] for case in CASES]
    asked += [[architecture, dict(tiny.configuration)] for architecture in tiny.parameters]
    bases = [Case(family, family.model(family.base), "small") for family in FAMILIES.values()]
    defaults = [
        [
            case.model.source,
            as_stored(case.family.fields, case.configuration),
            case.family.limits.mask is None,
            "position_ids" in case.family.arguments,
        ]
        for case in bases
    ]
    request = {"models": asked, "tables": [], "defaults": defaults}
    answer = run_child(Path(__file__).with_name("paddle_facts.py"), request)
    answer["defaults"] = dict(zip(FAMILIES, answer["defaults"], strict=True))
    keys = [case.key for case in CASES] + [(architecture, TINY) for architecture in tiny.parameters]
    return {**answer, "models": dict(zip(keys, answer["models"], strict=True))}


@pytest.fixture(scope="session")
def torch_facts() -> Facts:
    """`models`: (PaddleNLP's architecture, variant) -> facts of the Hugging Face model; `auto_classes` likewise."""
    facts: Facts = {"models": {}, "auto_classes": {}}
    for python in TORCH_PYTHONS:
        cases = [case for case in CASES if torch_python_of(case.family) == python]
        asked = [(family, model) for family, model in MODELS if torch_python_of(family) == python]
        request = {
            "models": [[case.model.target_architecture, case.target] for case in cases],
            "auto_classes": [[model.auto_class, model.target_architecture] for _, model in asked],
        }
        answer = run_child(Path(__file__).with_name("torch_facts.py"), request, python=python)
        facts["models"] |= dict(zip([case.key for case in cases], answer["models"], strict=True))
        facts["auto_classes"] |= dict(zip([label(*pair) for pair in asked], answer["auto_classes"], strict=True))
    return facts
