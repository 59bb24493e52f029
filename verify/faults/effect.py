"""Whether a fault changed anything: in an untrained model two norms are equal, and to swap them is no fault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ..inputs import Inputs
from .parts import target_module
from .state import Faulted

NO_EFFECT = "it changes no bit of what is compared"
"""Why a fault is not injected where `has_effect` is false."""

_READ_BY = {"input_ids": "words", "position_ids": "positions", "token_type_ids": "token_types"}
"""The roles of the tables whose rows the inputs name."""


def has_effect(before: Faulted, after: Faulted) -> bool:
    """Whether a fault changed a bit of what torch loads, is given or stands beside it; what the checks make of the
    change plays no part. The plan is no part of it either: a wrong rule that writes the right bits is no fault."""
    return (
        _other_tensors(before.tensors, after.tensors)
        or _other_inputs(before, after.inputs)
        or _text(before.configuration) != _text(after.configuration)
        or dict(before.metadata) != dict(after.metadata)
        or dict(before.files) != dict(after.files)
    )


def same_bits(one: Array, other: Array) -> bool:
    """Whether two arrays have the same type, shape and bits: a NaN is itself, and 0 is not -0."""
    if one is other:
        return True
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    bits = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (one, other)]
    return np.array_equal(bits[0], bits[1])


def _other_tensors(before: Mapping[str, Array], after: Mapping[str, Array]) -> bool:
    return before.keys() != after.keys() or any(not same_bits(before[name], after[name]) for name in before)


def _other_inputs(before: Faulted, after: Inputs) -> bool:
    """Ids that name other rows of a table are other inputs, unless all its rows are equal; what torch's model does not
    get is none."""
    arrays, plan = after.arrays(), before.plan
    taken = plan.family.arguments_of("torch", plan.family.limits_of(plan.architecture))
    return any(
        name in taken and not same_bits(array, arrays[name]) and not _equal_rows(before, _READ_BY.get(name))
        for name, array in before.inputs.arrays().items()
    )


def _equal_rows(state: Faulted, role: str | None) -> bool:
    module = None if role is None else target_module(state.plan, role)
    if module is None:
        return False
    table = state.tensors[f"{module}.weight"]
    return same_bits(table, np.broadcast_to(table[:1], table.shape))


def _text(configuration: Mapping[str, Any]) -> str:
    """As it is written: 1, 1.0 and true are three values."""
    return json.dumps(dict(configuration))
