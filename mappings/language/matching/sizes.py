"""Sizes that follow from the tensors, where a configuration does not state them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..family import Family
from ..fields import running
from ..rules import pattern_of
from ..transforms import Shape

LABELS = ("num_labels", "id2label")
"""The fields of which each states how many labels there are."""


def measured_sizes(
    family: Family, architecture: str, configuration: Mapping[str, Any], tensors: Mapping[str, Shape]
) -> dict[str, int]:
    """The configuration fields that `configuration` does not state and that tensors show by their shapes and by how
    often they repeat, as the rows of an architecture name them; `tensors` are shapes by name.

    Anything may stand before the names of the tensors. Where they contradict each other, the first one counts: the plan
    names the others.
    """
    rows = (*family.backbone_of(architecture), *family.pooler, *family.model(architecture).head)
    stated = {name for name, value in configuration.items() if value is not None}
    # Of what there is none by default, there may be some: the tensors tell.
    sizes = {*family.sizes()} - stated
    none = {entry.name for entry in family.fields if type(entry.default) is int and entry.default == 0}
    conditions = with_defaults(family, {**configuration, **dict.fromkeys(none & sizes, 1)})
    if not stated.isdisjoint(LABELS):
        stated.update(LABELS)
    shapes = {
        name: shape for given in rows for row in given.under(conditions) for name, shape in row.source_shapes().items()
    }
    wanted = {size for shape in shapes.values() for size in shape} | {*family.repeat.values()}
    if stated.issuperset(size for size in wanted if isinstance(size, str)):
        return {}
    found: dict[str, int] = {}
    numbers: dict[str, set[int]] = {}
    for name, shape in shapes.items():
        for values, lengths in _named(name, tensors):
            if len(lengths) == len(shape):
                for size, length in zip(shape, lengths, strict=True):
                    if isinstance(size, str):
                        found.setdefault(size, length)
            for wildcard, number in values.items():
                numbers.setdefault(family.repeat[wildcard], set()).add(number)
    # How many there are, and not the highest: a name alone must not make as many rules as it says.
    found |= {count: len(seen) for count, seen in numbers.items()}
    return {name: value for name, value in found.items() if name not in stated}


def unsaid_fields(family: Family, said: Collection[str]) -> list[str]:
    """The fields that outputs depend on and that are not among those that are `said`, in the family's order; not those
    for which PaddleNLP's model has a value of its own."""
    return [entry.name for entry in family.fields if entry.counts and not entry.is_fixed and entry.name not in said]


def with_defaults(family: Family, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with PaddleNLP's defaults for absent fields, under which rows exist or do not."""
    defaults = {entry.name: entry.default for entry in family.fields if entry.has_default}
    # What follows from sizes has to wait for them.
    return running((one for one in family.fields if not callable(one.runs)), {**defaults, **configuration})


def head_fields(family: Family, architecture: str, configuration: Mapping[str, Any]) -> set[str]:
    """The fields that say how large an architecture's head is and nothing else, such as the number of labels."""
    conditions = with_defaults(family, configuration)
    head, backbone = (
        {
            size
            for given in rows
            for row in given.under(conditions)
            for shape in row.source_shapes().values()
            for size in shape
            if isinstance(size, str)
        }
        for rows in (family.model(architecture).head, (*family.backbone_of(architecture), *family.pooler))
    )
    return head - backbone


def _named(name: str, tensors: Mapping[str, Shape]) -> Iterator[tuple[dict[str, int], Shape]]:
    """The shapes of the tensors of a row's name, whatever stands before it, with the values of its wildcards."""
    pattern = pattern_of(name)
    for stored, shape in tensors.items():
        if match := pattern.fullmatch(stored):
            yield (
                {wildcard: int(number) for wildcard, number in match.groupdict().items() if wildcard != "front"},
                shape,
            )
