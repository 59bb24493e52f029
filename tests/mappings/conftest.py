"""What both frameworks themselves say of the registered architectures, asked once each in a child process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paddle2torch.mappings.registry import FAMILIES, PRETRAINED

from ..conftest import ALBERT_SMALL, BERT_SMALL, TINY, run_child

ALBERT_VARIANTS: dict[str, dict[str, Any]] = {
    f"{groups}x{inner}": {
        **ALBERT_SMALL,
        "num_hidden_layers": 6,
        "num_hidden_groups": groups,
        "inner_group_num": inner,
        "num_labels": labels,
    }
    for groups, inner, labels in ((1, 1, 2), (1, 2, 1), (2, 1, 5), (2, 2, 2), (3, 1, 1), (3, 2, 5))
}
BERT_VARIANTS: dict[str, dict[str, Any]] = {
    f"{layers} layers": {**BERT_SMALL, "num_hidden_layers": layers, "num_labels": labels}
    for layers, labels in ((1, 1), (3, 2), (11, 5))
}
VARIANTS = {"albert": ALBERT_VARIANTS, "bert": BERT_VARIANTS}

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
    """PaddleNLP's tables, and `models`: (architecture, variant) -> its facts; the tiny model at its true size too."""
    small = _small()
    tiny = PRETRAINED[TINY]
    asked = [[architecture, VARIANTS[family][variant]] for family, architecture, variant in small]
    asked += [[architecture, dict(tiny.configuration)] for architecture in tiny.parameters]
    answer = run_child(Path(__file__).with_name("paddle_facts.py"), {"models": asked})
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
    answer = run_child(Path(__file__).with_name("torch_facts.py"), request)
    keys = [(architecture, variant) for _, architecture, variant in small]
    return {
        "models": dict(zip(keys, answer["models"], strict=True)),
        "auto_classes": {model.source: found for model, found in zip(models, answer["auto_classes"], strict=True)},
    }
