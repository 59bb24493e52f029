"""Rules: what becomes of each tensor that a checkpoint can hold, with names and shapes spelled out."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from ...errors import ConfigurationError, MappingError
from .transforms import IDENTITY, Shape, Split, Transform

Item = TypeVar("Item")

Size = str | int
"""A dimension: the name of a configuration field, or a number."""


class Kind(Enum):
    """What becomes of a source tensor."""

    MAPPED = "mapped"
    TIED = "tied"
    DROPPED = "dropped"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Move:
    """One target tensor and what it is made of: `shapes` are those of the sources. `beside`: the target lies in the
    file of a head that Hugging Face's class has no place for."""

    sources: tuple[str, ...]
    target: str
    transform: Transform
    shapes: tuple[Shape, ...]
    beside: bool = False

    @property
    def source(self) -> str:
        """The only source. Raises MappingError where there is none or there are several."""
        return _only(self.sources, self.target)

    @property
    def shape(self) -> Shape:
        """The only source's shape. Raises MappingError as `source` does."""
        return _only(self.shapes, self.target)

    @property
    def target_shape(self) -> Shape:
        """Shape after the transform."""
        return self.transform.shape(self.shapes)

    @property
    def size(self) -> int:
        """Number of elements of the target."""
        return math.prod(self.target_shape)

    def inverse(self) -> tuple[Move, ...]:
        """The moves that lead back, one for each source."""
        back = self.transform.inverse(self.shapes)
        shape = self.target_shape
        return tuple(
            Move((self.target,), source, transform, (shape,))
            for source, transform in zip(self.sources, back, strict=True)
        )


@dataclass(frozen=True)
class Rule:
    """What becomes of one source tensor, or of several that are one tensor in the target, or the other way round.

    `shapes` are the sources'. `targets` are empty for dropped and ignored tensors and for tied ones that cannot be
    untied. `reason` explains a drop. `spare` is the name under which a Hugging Face file may hold a tensor that is not
    mapped, and `stored` says of an ignored one that PaddleNLP's own files hold it: both are for the way back. A tied
    tensor is bit-equal to its `twin` after the transform; untied, it takes `copies` along, pairs of a mapped source and
    a further target. `foreign` says that PaddleNLP's model has no such tensor: only Hugging Face's files hold it, or
    those of earlier versions; `one` says of a tied one that PaddleNLP's model has one parameter for both; `beside` that
    the targets lie in a file of their own, as a move says. `first` is what an ignored buffer counts from, None for one
    that holds a triangle of ones.
    """

    kind: Kind
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    shapes: tuple[Shape, ...]
    transform: Transform | Split = IDENTITY
    twin: str | None = None
    reason: str | None = None
    optional: bool = False
    spare: str | None = None
    stored: bool = False
    copies: tuple[tuple[str, str], ...] = ()
    foreign: bool = False
    beside: bool = False
    first: int | None = 0
    one: bool = False

    @property
    def source(self) -> str:
        """The only source. Raises MappingError where there is none or there are several."""
        return _only(self.sources, ", ".join(self.targets))

    @property
    def target(self) -> str | None:
        """The only target, or None. Raises MappingError where there are several."""
        return _only(self.targets, ", ".join(self.sources)) if self.targets else None

    @property
    def shape(self) -> Shape:
        """The only source's shape. Raises MappingError as `source` does."""
        return _only(self.shapes, ", ".join(self.targets))

    @property
    def size(self) -> int:
        """Number of elements of all sources."""
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def is_single(self) -> bool:
        """Whether one source has one target at most."""
        return len(self.sources) == 1 and len(self.targets) <= 1

    @property
    def one_to_one(self) -> Transform:
        """The transform to a single target. Raises MappingError for a split."""
        if isinstance(self.transform, Split):
            raise MappingError(f"{', '.join(self.sources)} has several targets")
        return self.transform

    def moves(self) -> tuple[Move, ...]:
        """The moves that fill the targets."""
        if isinstance(self.transform, Split):
            parts = zip(self.targets, self.transform.parts(), strict=True)
            return tuple(Move(self.sources, target, part, self.shapes, self.beside) for target, part in parts)
        return tuple(Move(self.sources, target, self.transform, self.shapes, self.beside) for target in self.targets)

    def moves_back(self) -> tuple[Move, ...]:
        """The moves from the targets to the sources."""
        if isinstance(self.transform, Split):
            shapes = tuple(move.target_shape for move in self.moves())
            return (Move(self.targets, self.source, self.transform.inverse(), shapes),)
        return tuple(back for move in self.moves() for back in move.inverse())


@dataclass(frozen=True)
class Place:
    """Where rows are expanded: the configuration, the prefixes in front of names on either side, the prefix of the
    source's backbone, the values of the wildcards, and why everything here is dropped, where it is."""

    configuration: Mapping[str, Any]
    source_prefix: str = ""
    target_prefix: str = ""
    backbone: str = ""
    values: Mapping[str, int] | None = None
    drop_reason: str | None = None

    def source(self, name: str) -> str:
        """The source's full name; one that begins with BACKBONE says itself where it stands."""
        prefix = "" if name.startswith(BACKBONE) else self.source_prefix
        return prefix + self._filled(name)

    def target(self, name: str) -> str:
        """The target's full name."""
        return self.target_prefix + self._filled(name)

    def twin(self, name: str) -> str:
        """The full name of a source that is named with its prefix, as `{backbone}embeddings.weight`."""
        return self._filled(name)

    def shape(self, sizes: tuple[Size, ...]) -> Shape:
        """Sizes as numbers. Raises ConfigurationError."""
        return tuple(size_of(size, self.configuration) for size in sizes)

    def _filled(self, name: str) -> str:
        return name.format(backbone=self.backbone, **(self.values or {}))


BACKBONE = "{backbone}"
"""Stands in a tensor name for the prefix of the backbone, which a base model lacks."""


def size_of(size: Size, configuration: Mapping[str, Any]) -> int:
    """A dimension as a number. Raises ConfigurationError for a field that is no whole number from 1 on."""
    if isinstance(size, int):
        return size
    value = configuration.get(size)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"configuration field {size} is {value!r}; a whole number from 1 on is needed")
    return value


def pattern_of(name: str) -> re.Pattern[str]:
    """The pattern of a row's name: a number for each wildcard, whole parts of a name, or nothing, as `front` before it.

    `{backbone}`, which may only stand at the beginning, is part of the front.
    """
    text, seen = "", set()
    for literal, field, _, _ in string.Formatter().parse(name.removeprefix(BACKBONE)):
        text += re.escape(literal)
        if field is not None:
            text += f"(?P={field})" if field in seen else f"(?P<{field}>0|[1-9][0-9]{{0,8}})"
            seen.add(field)
    return re.compile(rf"(?P<front>(?:.*\.)?){text}", re.DOTALL)


def refuse_duplicates(rules: list[Rule]) -> None:
    """Raise MappingError when two rules share a source or a target."""
    for side in ("source", "target"):
        seen: set[str] = set()
        for rule in rules:
            for name in rule.sources if side == "source" else rule.targets:
                if name in seen:
                    raise MappingError(f"two rules share the {side} {name}")
                seen.add(name)


def _only(items: tuple[Item, ...], what: str) -> Item:
    if len(items) != 1:
        raise MappingError(f"{what}: one tensor is expected here, there are {len(items)}")
    return items[0]
