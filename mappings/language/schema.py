"""What a mapping is made of: rows that are data, their expansion into one rule per tensor, and the inverse.

A family lists rows. A row names a module or tensor as PaddleNLP calls it, its sizes as configuration fields, and a
second name only where Hugging Face calls it differently. `Family.rules` expands the rows for one architecture and
one configuration into rules, one per tensor; every other part of the project works on rules.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import product
from typing import Any

from ...errors import ConfigurationError, MappingError, UnknownNameError

Size = str | int
"""A dimension: the name of a configuration field, or a number."""

BACKBONE = "{backbone}"
"""Stands in a tensor name for the prefix of the backbone, which a base model lacks."""


class Transform(Enum):
    """What happens to the values on the way; every member undoes itself or names its inverse."""

    IDENTITY = "identity"
    TRANSPOSE = "transpose"

    @property
    def inverse(self) -> Transform:
        """The transform that leads back."""
        return self


class Kind(Enum):
    """What becomes of a source tensor."""

    MAPPED = "mapped"
    TIED = "tied"
    DROPPED = "dropped"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Part:
    """One tensor of a row: names and shape still with wildcards; `shape` is the source's."""

    source: str
    target: str
    shape: tuple[Size, ...]
    transform: Transform = Transform.IDENTITY


@dataclass(frozen=True)
class Linear:
    """A linear layer: PaddleNLP holds its weight as [inputs, outputs], PyTorch as [outputs, inputs]."""

    source: str
    inputs: Size
    outputs: Size
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """Weight (transposed) and bias."""
        target = self.target or self.source
        weight = Part(f"{self.source}.weight", f"{target}.weight", (self.inputs, self.outputs), Transform.TRANSPOSE)
        return weight, Part(f"{self.source}.bias", f"{target}.bias", (self.outputs,))


@dataclass(frozen=True)
class Norm:
    """A layer normalisation: gain and bias of one size, unchanged."""

    source: str
    size: Size
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """Weight (the gain) and bias."""
        target = self.target or self.source
        return tuple(Part(f"{self.source}.{leaf}", f"{target}.{leaf}", (self.size,)) for leaf in ("weight", "bias"))


@dataclass(frozen=True)
class Embedding:
    """A lookup table: [rows, columns] in both frameworks, unchanged although it is two-dimensional."""

    source: str
    rows: Size
    columns: Size
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """The table."""
        target = self.target or self.source
        return (Part(f"{self.source}.weight", f"{target}.weight", (self.rows, self.columns)),)


@dataclass(frozen=True)
class Parameter:
    """A single tensor by its full name, unchanged."""

    source: str
    shape: tuple[Size, ...]
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """The tensor itself."""
        return (Part(self.source, self.target or self.source, self.shape),)


@dataclass(frozen=True)
class Tied:
    """A tensor that must be bit-equal to its `twin` (a source tensor) and is then left out.

    `untied` names its target when the twins differ; None means that Hugging Face cannot express a difference and the
    conversion fails. `optional`: PaddleNLP ties the two itself, so a file may lack this one. `repeated` is the name
    under which a Hugging Face file may hold it all the same; default is `untied`.
    """

    source: str
    twin: str
    shape: tuple[Size, ...]
    untied: str | None = None
    optional: bool = False
    repeated: str | None = None


@dataclass(frozen=True)
class Ignored:
    """A buffer that Hugging Face computes itself; its values must be 0, 1, 2, ... or the conversion fails.

    `stored` says that PaddleNLP's own files hold it, as int64.
    """

    source: str
    shape: tuple[Size, ...]
    stored: bool = False


Row = Linear | Norm | Embedding | Parameter | Tied | Ignored


@dataclass(frozen=True)
class Rule:
    """What becomes of one source tensor; `shape` is the source's, numbers only.

    `target` is None for dropped and ignored tensors and for tied ones that cannot be untied. `reason` explains a drop.
    `spare` is the name under which a Hugging Face file may hold a tensor that is not mapped, and `stored` says of an
    ignored one that PaddleNLP's own files hold it: both are for the way back.
    """

    kind: Kind
    source: str
    target: str | None
    shape: tuple[int, ...]
    transform: Transform = Transform.IDENTITY
    twin: str | None = None
    reason: str | None = None
    optional: bool = False
    spare: str | None = None
    stored: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Model:
    """One architecture: PaddleNLP's class, Hugging Face's class when its name differs, and the task head's rows.

    `pooler` says whether the Hugging Face class has one; where it has none the source's pooler is dropped by name.
    `auto_class` is the class of transformers that loads the converted folder. `labels` is the number of labels that
    the Hugging Face class must be given where PaddleNLP's head has a fixed size whatever its configuration says.
    """

    source: str
    target: str | None = None
    pooler: bool = True
    head: tuple[Row, ...] = ()
    auto_class: str = "AutoModel"
    labels: int | None = None

    @property
    def target_architecture(self) -> str:
        """The Hugging Face class."""
        return self.target or self.source


REQUIRED = object()
"""Default of a configuration field that has none."""

SAME = object()
"""Hugging Face's default of a configuration field where it is PaddleNLP's."""


@dataclass(frozen=True)
class Field:
    """A configuration field under the same name in both frameworks, with PaddleNLP's default for an absent one and
    Hugging Face's where that differs."""

    name: str
    default: Any = REQUIRED
    target_default: Any = SAME


@dataclass(frozen=True)
class DeclaredDifference:
    """A known difference between the frameworks that no weight can express.

    `architectures` are the PaddleNLP classes it applies to; empty means all of the family. `epsilon` names a
    LayerNorm of the source and the epsilon that PaddleNLP hard-codes there: equality is proven with torch's epsilon
    set to it, and the difference without is measured. `outputs` are compared by other means and only measured.
    `padding` says that it shows at positions that are not attended.
    """

    name: str
    text: str
    architectures: tuple[str, ...] = ()
    epsilon: tuple[str, float] | None = None
    outputs: tuple[str, ...] = ()
    padding: bool = False


@dataclass(frozen=True)
class Family:
    """All that is known of one model family. Building one checks its rows; a faulty mapping raises MappingError.

    `roles` names the source modules by what they do ("query", "feed_forward_in", ...), wildcards included, so that a
    fault can be described once for all families. `source_constants` are fields that only PaddleNLP has, with the one
    value that Hugging Face's model stands for; `pooler_field` is the one that leaves PaddleNLP's pooler away, if any.
    """

    name: str
    base: str
    source_prefix: str
    target_prefix: str
    repeat: Mapping[str, str]
    backbone: tuple[Row, ...]
    pooler: tuple[Row, ...]
    models: tuple[Model, ...]
    fields: tuple[Field, ...]
    constants: Mapping[str, Any]
    activations: tuple[str, ...]
    check_configuration: Callable[[Mapping[str, Any]], None]
    declared_differences: tuple[DeclaredDifference, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = field(default=())
    source_constants: Mapping[str, Any] = field(default_factory=dict)
    pooler_field: str | None = None

    def __post_init__(self) -> None:
        architectures = [model.source for model in self.models]
        if twice := [name for name in architectures if architectures.count(name) > 1]:
            raise MappingError(f"{self.name}: two models are called {twice[0]}")
        if self.base not in architectures:
            raise MappingError(f"{self.name}: the base {self.base} is none of its models")
        sample: dict[str, Any] = {size: 7 for row in self._all_rows() for size in _sizes(row) if isinstance(size, str)}
        sample.update(dict.fromkeys(self.repeat.values(), 2))
        for model in self.models:
            for prefixed in (False, True):
                self.rules(model.source, sample, prefixed)

    def _all_rows(self) -> tuple[Row, ...]:
        return self.backbone + self.pooler + tuple(row for model in self.models for row in model.head)

    def declared(self, architecture: str) -> tuple[DeclaredDifference, ...]:
        """The declared differences that apply to a PaddleNLP class."""
        return tuple(
            difference
            for difference in self.declared_differences
            if not difference.architectures or architecture in difference.architectures
        )

    def model(self, architecture: str) -> Model:
        """The model with this PaddleNLP or Hugging Face class name; raises UnknownNameError."""
        for model in self.models:
            if architecture in (model.source, model.target_architecture):
                return model
        known = ", ".join(model.source for model in self.models)
        raise UnknownNameError(f"unknown architecture {architecture!r} of family {self.name}; known are {known}")

    def rules(self, architecture: str, configuration: Mapping[str, Any], prefixed: bool) -> tuple[Rule, ...]:
        """One rule per tensor that a checkpoint of `architecture` can hold.

        `configuration` is PaddleNLP's; `prefixed` says whether the source's backbone carries the family's prefix.
        Raises MappingError for a row that expands to nothing, for a source or target that two rules share and for a
        twin that no rule has, ConfigurationError for a missing or impossible size.
        """
        model = self.model(architecture)
        source_prefix = self.source_prefix if prefixed else ""
        target_prefix = "" if model.target_architecture == self.base else self.target_prefix
        rules: list[Rule] = []
        for row in self.backbone:
            rules += self._expand(row, configuration, source_prefix, target_prefix, source_prefix, None)
        no_pooler = None if model.pooler else f"{model.target_architecture} of Hugging Face has no pooler"
        for row in self.pooler:
            rules += self._expand(row, configuration, source_prefix, target_prefix, source_prefix, no_pooler)
        for row in model.head:
            rules += self._expand(row, configuration, "", "", source_prefix, None)
        _refuse_duplicates(rules)
        sources = {rule.source for rule in rules}
        for rule in rules:
            if rule.twin is not None and rule.twin not in sources:
                raise MappingError(f"{self.name}: no rule has the twin {rule.twin} of {rule.source}")
        return tuple(rules)

    def _expand(
        self,
        row: Row,
        configuration: Mapping[str, Any],
        source_prefix: str,
        target_prefix: str,
        backbone: str,
        drop_reason: str | None,
    ) -> list[Rule]:
        wildcards = _wildcards(row.source)
        named = wildcards if isinstance(row, Tied | Ignored) else _wildcards(row.target or "")
        if unknown := [name for name in (*wildcards, *named) if name not in self.repeat or name not in wildcards]:
            raise MappingError(f"{self.name}: row {row.source} has the unknown wildcard {{{unknown[0]}}}")
        counts = [_size_of(self.repeat[name], configuration) for name in wildcards]
        rules: list[Rule] = []
        for indices in product(*(range(count) for count in counts)):
            values = dict(zip(wildcards, indices, strict=True))
            rules += _rules_of(row, values, configuration, source_prefix, target_prefix, backbone, drop_reason)
        if not rules:
            raise MappingError(f"{self.name}: row {row.source} expands to no tensor")
        return rules


def _rules_of(
    row: Row,
    values: Mapping[str, int],
    configuration: Mapping[str, Any],
    source_prefix: str,
    target_prefix: str,
    backbone: str,
    drop_reason: str | None,
) -> list[Rule]:
    """The rules of one row for one choice of its wildcards."""

    def shape_of(sizes: tuple[Size, ...]) -> tuple[int, ...]:
        return tuple(_size_of(size, configuration) for size in sizes)

    if isinstance(row, Ignored):
        source = source_prefix + row.source.format(**values)
        spare = target_prefix + row.source.format(**values)
        return [Rule(Kind.IGNORED, source, None, shape_of(row.shape), optional=True, spare=spare, stored=row.stored)]
    if isinstance(row, Tied):
        twin = row.twin.format(backbone=backbone)
        source = source_prefix + row.source.format(**values)
        rule = Rule(Kind.TIED, source, row.untied, shape_of(row.shape), twin=twin, optional=row.optional)
        return [replace(rule, spare=row.repeated or row.untied)]
    rules = []
    for part in row.parts():
        source = source_prefix + part.source.format(**values)
        shape = shape_of(part.shape)
        target = target_prefix + part.target.format(**values)
        if drop_reason is not None:
            rule = Rule(Kind.DROPPED, source, None, shape, part.transform, reason=drop_reason, optional=True)
            rules.append(replace(rule, spare=target))
        else:
            rules.append(Rule(Kind.MAPPED, source, target, shape, part.transform))
    return rules


def _wildcards(text: str) -> list[str]:
    """The names in braces, sorted; a nameless one is an empty name."""
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})


def _sizes(row: Row) -> tuple[Size, ...]:
    if isinstance(row, Tied | Ignored):
        return row.shape
    return tuple(size for part in row.parts() for size in part.shape)


def _size_of(size: Size, configuration: Mapping[str, Any]) -> int:
    if isinstance(size, int):
        return size
    value = configuration.get(size)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"configuration field {size} is {value!r}; a whole number from 1 on is needed")
    return value


def _refuse_duplicates(rules: list[Rule]) -> None:
    for side in ("source", "target"):
        seen: set[str] = set()
        for rule in rules:
            name = getattr(rule, side)
            if name is not None and name in seen:
                raise MappingError(f"two rules share the {side} {name}")
            seen.add(name)
