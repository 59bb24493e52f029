"""The modules of a model as faults strike them: each with a weight of its own, [outputs, inputs], whatever Hugging
Face's class makes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ...converters.formats.dtypes import Array
from ...mappings.language.matching.plan import Plan
from ...mappings.language.rules import Move
from ...mappings.language.transforms import IDENTITY

LINEAR = frozenset({"query", "key", "value", "attention_out", "feed_forward_in", "feed_forward_out", "pooler"})
"""The roles of linear layers."""


def move_of(plan: Plan, role: str) -> Move | None:
    """What writes the weight of the first module with this role, or the parameter where that is all there is; None
    where the plan does not."""
    template = plan.family.roles.get(role)
    if template is None:
        return None
    source = template.format(**dict.fromkeys(plan.family.repeat, 0))
    names = {f"{prefix}{source}{leaf}" for prefix in ("", plan.family.source_prefix) for leaf in ("", ".weight")}
    return next((move for move in plan.moves if names & {*move.sources}), None)


def target_module(plan: Plan, role: str) -> str | None:
    """The name, without `.weight`, of the first module with this role, as the converted tensors have it, or `opened`
    ones where it is part of another; None where the plan does not write it."""
    move, template = move_of(plan, role), plan.family.roles.get(role)
    if move is None or template is None:
        return None
    if len(move.sources) == 1:
        return move.target.removesuffix(".weight")
    source = template.format(**dict.fromkeys(plan.family.repeat, 0))
    return next(name for name in move.sources if source in name).removesuffix(".weight")


@dataclass(frozen=True)
class Opened:
    """Converted tensors in which those that are made of several stand as these, by PaddleNLP's names, and the weights
    of linear layers as [outputs, inputs]."""

    plan: Plan
    turned: frozenset[str]

    @classmethod
    def of(cls, plan: Plan, roles: Collection[str]) -> Opened:
        """How to open the tensors of a plan for what strikes these roles."""
        moves = [move for role in roles if role in LINEAR and (move := move_of(plan, role)) is not None]
        kept = (move for move in moves if len(move.sources) == 1 and move.transform == IDENTITY)
        return cls(plan, frozenset(move.target for move in kept if len(move.target_shape) == 2))

    def open(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Copies of the tensors, opened."""
        opened = {name: values.copy() for name, values in tensors.items()}
        for move in self._joined():
            joined = opened.pop(move.target)
            for source, back in zip(move.sources, move.transform.inverse(move.shapes), strict=True):
                opened[source] = _turned(np.asarray(back.apply([joined], np)))
        return {name: _turned(values) if name in self.turned else values for name, values in opened.items()}

    def close(self, opened: Mapping[str, Array]) -> dict[str, Array]:
        """The tensors as they are converted, from opened ones."""
        parts = {name for move in self._joined() for name in move.sources}
        tensors = {
            name: _turned(values) if name in self.turned else values
            for name, values in opened.items()
            if name not in parts
        }
        for move in self._joined():
            made = move.transform.apply([_turned(opened[name]) for name in move.sources], np)
            tensors[move.target] = np.ascontiguousarray(made)
        return tensors

    def _joined(self) -> list[Move]:
        return [move for move in self.plan.moves if len(move.sources) > 1]


def _turned(values: Array) -> Array:
    """The transpose of a matrix, laid out anew; anything else as it is."""
    return np.ascontiguousarray(values.T) if values.ndim == 2 else np.ascontiguousarray(values)
