"""Questions about a checkpoint's values that a plan depends on, answered in bounded memory."""

from __future__ import annotations

import numpy as np

from ...errors import UnmatchedTensorsError
from ...mappings.language.matching.plan import Plan
from ...mappings.language.transforms import IDENTITY, Transform
from ..formats.dtypes import Array
from ..formats.piecewise import Entry, bits_equal
from ..formats.tensors import Scratch, Tensor
from .checkpoint import Checkpoint


def settle_values(checkpoint: Checkpoint, plan: Plan) -> Plan:
    """The plan after looking at the tensors that it leaves out: twins that differ are untied.

    Raises UnmatchedTensorsError when twins differ and Hugging Face holds them as one, or when an ignored buffer holds
    anything but what it is known to hold.
    """
    for rule in plan.tied:
        if rule.twin not in checkpoint.tensors:
            raise UnmatchedTensorsError(f"{rule.source} has no twin: {rule.twin} is missing")
        if not bit_equal(checkpoint.tensors[rule.source], checkpoint.tensors[rule.twin], rule.one_to_one):
            if rule.source in plan.old:
                raise UnmatchedTensorsError(
                    f"{plan.old[rule.source]}, an old name of {rule.source}, differs from {rule.twin}: PaddleNLP "
                    "computes with the latter and leaves the old name aside; the two must be equal"
                )
            plan = plan.untie(rule)
    for rule in plan.ignored:
        if not is_computed(checkpoint.tensors[rule.source].read(), rule.first):
            raise UnmatchedTensorsError(
                f"{rule.source} does not hold {counted(rule.first)}: Hugging Face computes this buffer and has no "
                "place for other values"
            )
    return plan


def is_computed(values: Array, first: int | None) -> bool:
    """Whether a buffer counts from `first` on, or without that holds a triangle of ones, as `Ignored` says."""
    if first is None:
        return np.array_equal(values, np.broadcast_to(np.tri(*values.shape[-2:]), values.shape))
    return np.array_equal(values.reshape(-1), np.arange(first, first + values.size))


def counted(first: int | None) -> str:
    """What such a buffer holds, in words."""
    if first is None:
        return "ones up to the diagonal and zeros behind it"
    return f"{first}, {first + 1}, {first + 2}, ..."


def bit_equal(one: Tensor, other: Tensor, transform: Transform = IDENTITY) -> bool:
    """Whether a tensor after `transform` has the same element type, shape and bits as another."""
    turned = Entry(one.name, (one,), transform)
    if one.dtype != other.dtype or turned.shape != other.shape:
        return False
    scratch = Scratch()
    return all(
        bits_equal(turned.strips(region, piece, scratch), other, scratch.beside) for region, piece in turned.pieces()
    )
