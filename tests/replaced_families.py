"""Families that are other ones for the time of a test."""

from __future__ import annotations

import pytest

from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.registry import FAMILIES, tokenizer_classes


def replace_family(monkeypatch: pytest.MonkeyPatch, family: Family) -> None:
    """Let `family` be the one of its name. What is known of tokenizers is remembered: whoever changes them clears
    `tokenizer_classes` of it at the end."""
    monkeypatch.setattr(FAMILIES, "_loaded", {**dict(FAMILIES), family.name: family})
    tokenizer_classes.cache_clear()
