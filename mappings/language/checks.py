"""Checks of a configuration that several families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ConfigurationError


def backbone_alone(family: str) -> str:
    """What to do with a class that does not convert, where its backbone does; `family` is what PaddleNLP's class calls
    that."""
    return (
        f"the backbone alone converts: save it with PaddleNLP's model.{family}.save_pretrained and convert that folder"
    )


def gelu_always(whose: str, other: str, way_out: str) -> Callable[[Mapping[str, Any]], str | None]:
    """Why a configuration cannot be expressed where the head of one library, `whose`, applies gelu whatever hidden_act
    says, and that of the `other` hidden_act; for `Model.refuses`. `way_out` says what converts."""

    def refusal(configuration: Mapping[str, Any]) -> str | None:
        if (activation := configuration["hidden_act"]) == "gelu":
            return None
        return (
            f"{whose}'s head applies gelu whatever its configuration says, {other}'s hidden_act, which is "
            f"{activation}; {way_out}"
        )

    return refusal


def check_heads(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless num_attention_heads divides hidden_size."""
    hidden, heads = configuration["hidden_size"], configuration["num_attention_heads"]
    if hidden % heads:
        raise ConfigurationError(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}")


def check_positions(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless `position_embedding_type` is absolute or absent: with another one PaddleNLP's
    model adds no positions."""
    if (kind := configuration.get("position_embedding_type", "absolute")) != "absolute":
        raise ConfigurationError(
            f"position_embedding_type is {kind!r}, with which PaddleNLP's model adds no positions; only 'absolute' "
            "converts"
        )


def check_pooler(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless `pool_act`, PaddleNLP's activation of the pooler, is tanh or absent."""
    if (pool_act := configuration.get("pool_act", "tanh")) != "tanh":
        raise ConfigurationError(f"pool_act is {pool_act!r}, but Hugging Face's pooler always applies tanh")
