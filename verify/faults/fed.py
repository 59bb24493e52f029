"""Other inputs for one side: what a runner gives that treats them differently. None is no place for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ..inputs import Inputs

Change = Callable[[Inputs, Mapping[str, Any]], Inputs | None]
"""What becomes of inputs; it also gets the fields of config.json, by PaddleNLP's names."""


def mask_ignored(inputs: Inputs, configuration: Mapping[str, Any]) -> Inputs | None:
    """Everything is attended."""
    return replace(inputs, attention_mask=np.ones_like(inputs.attention_mask))


def positions_after_padding(inputs: Inputs, configuration: Mapping[str, Any]) -> Inputs | None:
    """Every position is the next one, as far as there is one."""
    if "max_position_embeddings" not in configuration:
        return None
    last = configuration["max_position_embeddings"] - 1
    return replace(inputs, position_ids=np.minimum(inputs.position_ids + 1, last))


def token_types_ignored(inputs: Inputs, configuration: Mapping[str, Any]) -> Inputs | None:
    """Every token is of type 0."""
    if not inputs.token_type_ids.any():
        return None
    return replace(inputs, token_type_ids=np.zeros_like(inputs.token_type_ids))


def decoder_ids(change: Callable[[Array], Array]) -> Change:
    """Other ids for the decoder, where there is one."""

    def changed(inputs: Inputs, configuration: Mapping[str, Any]) -> Inputs | None:
        ids = inputs.decoder_input_ids
        return None if ids is None else replace(inputs, decoder_input_ids=change(ids))

    return changed


def begun_otherwise(ids: Array) -> Array:
    """Ids with one before the others that no row begins with."""
    other = next(one for one in range(len(ids) + 1) if one not in ids[:, 0])
    return np.concatenate([np.full_like(ids[:, :1], other), ids[:, 1:]], axis=1)


def moved_by_one(ids: Array) -> Array:
    """Ids of which the last one stands before the others."""
    return np.roll(ids, 1, axis=1)
