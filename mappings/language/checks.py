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


def check_pooler(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless `pool_act`, PaddleNLP's activation of the pooler, is tanh or absent."""
    if (pool_act := configuration.get("pool_act", "tanh")) != "tanh":
        raise ConfigurationError(f"pool_act is {pool_act!r}, but Hugging Face's pooler always applies tanh")
