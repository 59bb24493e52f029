"""Checks of a configuration that several families share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError


def check_heads(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless num_attention_heads divides hidden_size."""
    hidden, heads = configuration["hidden_size"], configuration["num_attention_heads"]
    if hidden % heads:
        raise ConfigurationError(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}")
