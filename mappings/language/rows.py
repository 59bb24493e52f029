"""Rows: what a mapping is written in. A row names a module or tensor as PaddleNLP calls it, its sizes as configuration
fields, and a second name only where Hugging Face calls it differently."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ...errors import MappingError
from .rules import Kind, Place, Rule, Size
from .transforms import IDENTITY, TRANSPOSE, Constant, Split, Transform

Configured = Callable[[Mapping[str, Any]], Transform | Split]
"""A transform that follows from PaddleNLP's configuration, such as a split by the number of heads."""


class Row(ABC):
    """One line of a mapping; a name in braces repeats it."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The row in error messages."""

    @abstractmethod
    def rules(self, place: Place) -> list[Rule]:
        """The rules for one choice of the wildcards."""

    @abstractmethod
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names in the source and those in the target, with wildcards."""

    def sizes(self) -> set[str]:
        """The configuration fields that say how large its tensors are."""
        return set()

    def source_shapes(self) -> Mapping[str, tuple[Size, ...]]:
        """The source's tensors and their sizes, with wildcards."""
        return {}

    def wildcards(self) -> list[str]:
        """The names in braces that repeat this row, sorted. Raises MappingError where the sides disagree."""
        sides = [{name for text in names for name in _braces(text)} for names in self.names()]
        sources = sides[0] if self.names()[0] else sides[1]
        if unknown := sorted(sides[1] - sources):
            raise MappingError(f"row {self.label} has the unknown wildcard {{{unknown[0]}}}")
        return sorted(sources)

    def under(self, configuration: Mapping[str, Any]) -> Iterator[Row]:
        """The rows that stand for this one with a configuration: itself, unless it is conditional."""
        yield self


def _braces(text: str) -> set[str]:
    """The names in braces, a nameless one as an empty name; `{backbone}` is no wildcard."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None} - {"backbone"}


@dataclass(frozen=True)
class Part:
    """Tensors of a row that belong together: names and shapes still with wildcards; `shapes` are the sources'."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    shapes: tuple[tuple[Size, ...], ...]
    transform: Transform | Split | Configured = IDENTITY


class MappedRow(Row):
    """A row whose tensors are written."""

    @abstractmethod
    def parts(self) -> tuple[Part, ...]:
        """The tensors that the row stands for."""

    @property
    def label(self) -> str:
        return next((name for part in self.parts() for name in part.sources), str(getattr(self, "source", self)))

    def sizes(self) -> set[str]:
        return {size for part in self.parts() for shape in part.shapes for size in shape if isinstance(size, str)}

    def source_shapes(self) -> Mapping[str, tuple[Size, ...]]:
        return self._source_shapes

    @cached_property
    def _source_shapes(self) -> Mapping[str, tuple[Size, ...]]:
        return {name: shape for part in self.parts() for name, shape in zip(part.sources, part.shapes, strict=True)}

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        parts = self.parts()
        return (
            tuple(name for part in parts for name in part.sources),
            tuple(name for part in parts for name in part.targets),
        )

    def rules(self, place: Place) -> list[Rule]:
        rules = []
        for part in self.parts():
            transform = part.transform
            if not isinstance(transform, Transform | Split):
                transform = transform(place.configuration)
            rule = Rule(
                Kind.MAPPED,
                tuple(place.source(name) for name in part.sources),
                tuple(place.target(name) for name in part.targets),
                tuple(place.shape(shape) for shape in part.shapes),
                transform,
            )
            rules.append(rule if place.drop_reason is None else _dropped(rule, place.drop_reason))
        return rules


def _dropped(rule: Rule, reason: str) -> Rule:
    return replace(rule, kind=Kind.DROPPED, targets=(), reason=reason, optional=True, spare=rule.target)


@dataclass(frozen=True)
class Linear(MappedRow):
    """A linear layer: PaddleNLP holds its weight as [inputs, outputs], PyTorch as [outputs, inputs]."""

    source: str
    inputs: Size
    outputs: Size
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """Weight (transposed) and bias."""
        target = self.target or self.source
        return (
            _part(f"{self.source}.weight", f"{target}.weight", (self.inputs, self.outputs), TRANSPOSE),
            _part(f"{self.source}.bias", f"{target}.bias", (self.outputs,)),
        )


@dataclass(frozen=True)
class Conv1D(MappedRow):
    """A linear layer whose weight Hugging Face's class holds as PaddleNLP does, [inputs, outputs]: it calls that a
    convolution of one dimension."""

    source: str
    inputs: Size
    outputs: Size
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """Weight and bias, unchanged."""
        target = self.target or self.source
        return (
            _part(f"{self.source}.weight", f"{target}.weight", (self.inputs, self.outputs)),
            _part(f"{self.source}.bias", f"{target}.bias", (self.outputs,)),
        )


@dataclass(frozen=True)
class Norm(MappedRow):
    """A layer normalisation: gain and bias of one size, unchanged."""

    source: str
    size: Size
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """Weight (the gain) and bias."""
        target = self.target or self.source
        return tuple(_part(f"{self.source}.{leaf}", f"{target}.{leaf}", (self.size,)) for leaf in ("weight", "bias"))


@dataclass(frozen=True)
class Embedding(MappedRow):
    """A lookup table: [rows, columns] in both frameworks, unchanged although it is two-dimensional.

    `transform` is for a table that Hugging Face's class reads otherwise, such as one with rows put before it.
    """

    source: str
    rows: Size
    columns: Size
    target: str | None = None
    transform: Transform | Configured = IDENTITY

    def parts(self) -> tuple[Part, ...]:
        """The table."""
        target = self.target or self.source
        return (_part(f"{self.source}.weight", f"{target}.weight", (self.rows, self.columns), self.transform),)


@dataclass(frozen=True)
class Parameter(MappedRow):
    """A single tensor by its full name, unchanged but for `transform`."""

    source: str
    shape: tuple[Size, ...]
    target: str | None = None
    transform: Transform | Configured = IDENTITY

    def parts(self) -> tuple[Part, ...]:
        """The tensor itself."""
        return (_part(self.source, self.target or self.source, self.shape, self.transform),)


@dataclass(frozen=True)
class Joined(MappedRow):
    """Several tensors that Hugging Face holds as one; `shapes` are theirs, in the order of `sources`."""

    sources: tuple[str, ...]
    target: str
    shapes: tuple[tuple[Size, ...], ...]
    transform: Transform | Configured

    def parts(self) -> tuple[Part, ...]:
        """All of them together."""
        return (Part(self.sources, (self.target,), self.shapes, self.transform),)


@dataclass(frozen=True)
class Divided(MappedRow):
    """A tensor that Hugging Face holds as several."""

    source: str
    targets: tuple[str, ...]
    shape: tuple[Size, ...]
    split: Split | Configured

    def parts(self) -> tuple[Part, ...]:
        """The tensor, with all its targets."""
        return (Part((self.source,), self.targets, (self.shape,), self.split),)


@dataclass(frozen=True)
class Made(MappedRow):
    """A tensor that only Hugging Face's class has: `fill` everywhere. On the way back it must hold just that."""

    target: str
    shape: tuple[Size, ...]
    fill: float = 0.0

    @property
    def label(self) -> str:
        return self.target

    def parts(self) -> tuple[Part, ...]:
        """The tensor, made of none."""
        return (Part((), (self.target,), ()),)

    def rules(self, place: Place) -> list[Rule]:
        constant = Constant(place.shape(self.shape), self.fill)
        return [Rule(Kind.MAPPED, (), (place.target(self.target),), (), constant)]


def _part(source: str, target: str, shape: tuple[Size, ...], transform: Transform | Configured = IDENTITY) -> Part:
    return Part((source,), (target,), (shape,), transform)


@dataclass(frozen=True)
class Tied(Row):
    """A tensor that must be bit-equal to its `twin` (a source tensor) and is then left out.

    `transform` comes first where there is one: a decoder stored as [hidden, vocabulary] is turned, and then compared
    with the embeddings. `untied` names its target when the twins differ; None means that Hugging Face cannot express a
    difference and the conversion fails. `copies` are targets that a source is written to once more when this one is
    untied: where decoders are untied, transformers 5 has no bias for one unless the file does. `optional`: PaddleNLP
    ties the two itself, so a file may lack this one. `repeated` is the name under which a Hugging Face file may hold it
    all the same; default is `untied`. `foreign`: only Hugging Face's files hold it, PaddleNLP's model has no such one.
    `one`: PaddleNLP's model has one parameter for both, so that twins which differ fail all the same, and `untied` is
    for what an alteration makes differ.
    """

    source: str
    twin: str
    shape: tuple[Size, ...]
    untied: str | None = None
    optional: bool = False
    repeated: str | None = None
    transform: Transform = IDENTITY
    copies: tuple[tuple[str, str], ...] = ()
    foreign: bool = False
    one: bool = False

    @property
    def label(self) -> str:
        return self.source

    def source_shapes(self) -> Mapping[str, tuple[Size, ...]]:
        return {self.source: self.shape}

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (self.source,), ()

    def rules(self, place: Place) -> list[Rule]:
        return [
            Rule(
                Kind.TIED,
                (place.source(self.source),),
                () if self.untied is None else (place.target(self.untied),),
                (place.shape(self.shape),),
                self.transform,
                twin=place.twin(self.twin),
                optional=self.optional,
                spare=None if (spare := self.repeated or self.untied) is None else place.target(spare),
                copies=tuple((place.source(source), target) for source, target in self.copies),
                foreign=self.foreign,
                one=self.one,
            )
        ]


@dataclass(frozen=True)
class Ignored(Row):
    """A buffer that Hugging Face computes itself; its values must be `first` and the numbers after it, or without a
    first one a triangle of ones, in row i up to column i and zeros behind, or the conversion fails.

    `stored` says that PaddleNLP's own files hold it, as int64.
    """

    source: str
    shape: tuple[Size, ...]
    stored: bool = False
    first: int | None = 0

    @property
    def label(self) -> str:
        return self.source

    def source_shapes(self) -> Mapping[str, tuple[Size, ...]]:
        return {self.source: self.shape}

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (self.source,), ()

    def rules(self, place: Place) -> list[Rule]:
        rule = Rule(Kind.IGNORED, (place.source(self.source),), (), (place.shape(self.shape),), optional=True)
        return [replace(rule, spare=place.target(self.source), stored=self.stored, first=self.first)]


@dataclass(frozen=True)
class Dropped(Row):
    """Tensors of a row that Hugging Face's class has no place for, with the reason that is printed. `former`: files of
    earlier versions hold them, and PaddleNLP's class of today has no such ones either; `spare`: Hugging Face's files do
    so too."""

    row: MappedRow
    reason: str
    former: bool = False
    spare: bool = False

    @property
    def label(self) -> str:
        return self.row.label

    def source_shapes(self) -> Mapping[str, tuple[Size, ...]]:
        return self.row.source_shapes()

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.row.names()

    def rules(self, place: Place) -> list[Rule]:
        dropped = self.row.rules(replace(place, drop_reason=self.reason))
        # Otherwise Hugging Face has no name for it.
        return [replace(rule, spare=rule.spare if self.spare else None, foreign=self.former) for rule in dropped]


@dataclass(frozen=True)
class When(Row):
    """Rows that exist only under a condition of PaddleNLP's configuration, such as `use_task_id`."""

    condition: Callable[[Mapping[str, Any]], bool]
    then: tuple[Row, ...]
    otherwise: tuple[Row, ...] = ()

    @property
    def label(self) -> str:
        return ", ".join(row.label for row in (*self.then, *self.otherwise))

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        raise MappingError(f"row {self.label} is conditional: its rows have the names")

    def rules(self, place: Place) -> list[Rule]:
        raise MappingError(f"row {self.label} is conditional: its rows have the rules")

    def under(self, configuration: Mapping[str, Any]) -> Iterator[Row]:
        for row in self.then if self.condition(configuration) else self.otherwise:
            yield from row.under(configuration)


@dataclass(frozen=True)
class Following(Row):
    """Rows with sizes, or as often, as follow from PaddleNLP's configuration without being a field of it: `rows_with`
    makes them, `name` stands for them in messages."""

    name: str
    rows_with: Callable[[Mapping[str, Any]], tuple[Row, ...]]

    @property
    def label(self) -> str:
        return self.name

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        raise MappingError(f"row {self.label} follows from the configuration: its rows have the names")

    def rules(self, place: Place) -> list[Rule]:
        raise MappingError(f"row {self.label} follows from the configuration: its rows have the rules")

    def under(self, configuration: Mapping[str, Any]) -> Iterator[Row]:
        for row in self.rows_with(configuration):
            yield from row.under(configuration)


def is_set(field: str) -> Callable[[Mapping[str, Any]], bool]:
    """The condition that a configuration field is true, or a number other than 0."""
    return lambda configuration: bool(configuration.get(field))
