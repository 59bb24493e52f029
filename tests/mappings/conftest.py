"""What both frameworks themselves say of the registered architectures, asked once each in a child process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paddle2torch.mappings.registry import FAMILIES, PRETRAINED

from ..conftest import TINY, TORCH_PYTHON, run_child

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    family.name: {
        name: {"num_labels": 2, **family.small, **changed} for name, changed in {**family.variants, "small": {}}.items()
    }
    for family in FAMILIES.values()
}
"""Family -> name -> configuration: the small one and each of the family's variants of it."""

CASES = [
    pytest.param(family.name, model.source, variant, id=f"{model.source}-{variant}")
    for family in FAMILIES.values()
    for model in family.models
    for variant in VARIANTS[family.name]
]
"""Every registered architecture in every variant of its family's configuration."""


Facts = dict[str, Any]


def _small() -> list[tuple[str, str, str]]:
    return [
        (family.name, model.source, variant)
        for family in FAMILIES.values()
        for model in family.models
        for variant in VARIANTS[family.name]
    ]


@pytest.fixture(scope="session")
def paddle_facts() -> Facts:
    """`models`: (architecture, variant) -> its facts, and the tiny model at its true size."""
    small = _small()
    tiny = PRETRAINED[TINY]
    asked = [[architecture, VARIANTS[family][variant]] for family, architecture, variant in small]
    asked += [[architecture, dict(tiny.configuration)] for architecture in tiny.parameters]
    answer = run_child(Path(__file__).with_name("paddle_facts.py"), {"models": asked, "tables": []})
    keys = [(architecture, variant) for _, architecture, variant in small]
    keys += [(architecture, TINY) for architecture in tiny.parameters]
    return {**answer, "models": dict(zip(keys, answer["models"], strict=True))}


@pytest.fixture(scope="session")
def torch_facts() -> Facts:
    """`models`: (PaddleNLP's architecture, variant) -> facts of the Hugging Face model; `auto_classes` likewise."""
    small = _small()
    asked = [
        [
            FAMILIES[family].model(architecture).target_architecture,
            {
                **VARIANTS[family][variant],
                "num_labels": FAMILIES[family].model(architecture).labels or VARIANTS[family][variant]["num_labels"],
            },
        ]
        for family, architecture, variant in small
    ]
    models = [model for family in FAMILIES.values() for model in family.models]
    request = {
        "models": asked,
        "auto_classes": [[model.auto_class, model.target_architecture] for model in models],
    }
    answer = run_child(Path(__file__).with_name("torch_facts.py"), request, python=TORCH_PYTHON)
    keys = [(architecture, variant) for _, architecture, variant in small]
    return {
        "models": dict(zip(keys, answer["models"], strict=True)),
        "auto_classes": {model.source: found for model, found in zip(models, answer["auto_classes"], strict=True)},
    }
