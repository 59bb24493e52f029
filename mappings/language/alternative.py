"""What a family's weights become: the usual model of Hugging Face's, or another one for those who ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import UnknownNameError
from .family import DeclaredDifference, Family, Model
from .fields import Field


@dataclass(frozen=True)
class Alternative:
    """Another model of Hugging Face's that a family's weights become.

    `name` is what `--target` takes; `becomes` says in a line of every report what was proven with it, and `difference`
    is declared. `target_type`, `target_prefix`, `models` and `constants` are what a family has under these names,
    `fields` those that differ. `stated_positions`: PaddleNLP's model, which counts positions otherwise by
    itself, is given them from 0, as Hugging Face's counts.
    """

    name: str
    target_type: str
    target_prefix: str
    models: tuple[Model, ...]
    becomes: str
    difference: DeclaredDifference
    constants: Mapping[str, Any]
    fields: tuple[Field, ...] = ()
    stated_positions: bool = False

    def of(self, family: Family) -> Family:
        """The family whose target is this one."""
        return replace(
            family,
            target=self.name,
            becomes=self.becomes,
            target_type=self.target_type,
            target_prefix=self.target_prefix,
            models=self.models,
            constants=self.constants,
            fields=tuple({entry.name: entry for entry in (*family.fields, *self.fields)}.values()),
            declared_differences=(*family.declared_differences, self.difference),
            stated_positions=self.stated_positions,
            alternatives=(),
        )


def becoming(family: Family, target: str | None) -> Family:
    """A family with one of its alternatives as its target; as it is for None. Raises UnknownNameError."""
    if target is None or target == family.target:
        return family
    for one in family.alternatives:
        if one.name == target:
            return one.of(family)
    known = ", ".join(one.name for one in family.alternatives)
    which = f"its targets are {known}, and without --target the usual one" if known else "it has the usual one alone"
    raise UnknownNameError(f"family {family.name} has no target {target!r}; {which}")


def of_type(family: Family, model_type: str | None) -> Family:
    """A family with the alternative as its target that a Hugging Face folder of this `model_type` must be; as it is
    where none is."""
    if model_type == family.model_type:
        return family
    return next((one.of(family) for one in family.alternatives if one.target_type == model_type), family)
