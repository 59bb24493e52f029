"""Configuration fields: names and defaults on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigurationError

REQUIRED = object()
"""Default of a configuration field that has none."""

UNFIXED = object()
"""What a configuration field runs with where that is what the configuration says."""

SAME = object()
"""Hugging Face's default of a configuration field where it is PaddleNLP's."""


@dataclass(frozen=True)
class Field:
    """A configuration field: its name, and Hugging Face's where that differs (`target`), with PaddleNLP's
    default for an absent one and Hugging Face's where that differs (`target_default`).

    The name is PaddleNLP's, or the one that most families have where PaddleNLP calls it otherwise (`stored`; empty
    where its configuration does not have it at all). `also` is a second name under which PaddleNLP reads it.

    A field whose default is True or False holds true or false. `when` is the condition of PaddleNLP's configuration
    under which Hugging Face's has the field. `counts` is False where no output of a trained model depends on it: only
    such a field, one with `runs`, or one that the tensors tell, may be left unsaid where a checkpoint has no
    configuration. `runs` is the value that PaddleNLP's model computes with whatever its configuration says of it, or
    what makes that value of the other fields. `least` is the smallest value that Hugging Face's class takes,
    `target_like` the field whose value Hugging Face's has where it is not stated, or what makes that value of the other
    fields. `said` leads from values of PaddleNLP's, if only these convert, to what Hugging Face calls the same. `only`
    is the one value with which the two compute the same, with what becomes of any other. `nullable`: it may be null
    although its default is not. `form` makes one form of the several in which both libraries take a value that is no
    number, and raises ConfigurationError for what has none. `compared`: the live models are compared in it, though no
    row says how large they are by it.
    """

    name: str
    default: Any = REQUIRED
    target_default: Any = SAME
    target: str | None = None
    when: Callable[[Mapping[str, Any]], bool] | None = None
    counts: bool = True
    runs: Any = UNFIXED
    least: int | None = None
    target_like: str | Callable[[Mapping[str, Any]], Any] | None = None
    only: tuple[Any, str] | None = None
    stored: str | None = None
    nullable: bool = False
    form: Callable[[Any], Any] | None = None
    compared: bool = False
    also: str | None = None
    said: Mapping[Any, Any] | None = None

    @property
    def has_default(self) -> bool:
        """Whether PaddleNLP has a default for it."""
        return self.default is not REQUIRED

    @property
    def default_of_target(self) -> Any:
        """Hugging Face's default."""
        return self.default if self.target_default is SAME else self.target_default

    @property
    def target_name(self) -> str:
        """Hugging Face's name."""
        return self.target or self.name

    @property
    def stored_name(self) -> str:
        """PaddleNLP's name; empty where there is none."""
        return self.name if self.stored is None else self.stored

    def applies(self, configuration: Mapping[str, Any]) -> bool:
        """Whether Hugging Face's configuration has the field; `configuration` is PaddleNLP's."""
        return self.when is None or self.when(configuration)

    @property
    def is_fixed(self) -> bool:
        """Whether PaddleNLP's model computes with a value of its own."""
        return self.runs is not UNFIXED

    def running(self, configuration: Mapping[str, Any]) -> Any:
        """The value that PaddleNLP's model computes with; `configuration` is PaddleNLP's."""
        if self.runs is UNFIXED:
            return self.formed(configuration[self.name])
        return self.runs(configuration) if callable(self.runs) else self.runs

    def formed(self, value: Any) -> Any:
        """A value in the one form of it. Raises ConfigurationError."""
        return value if self.form is None else self.form(value)

    def of_target(self, value: Any) -> Any:
        """What Hugging Face's configuration says where PaddleNLP's runs with `value`."""
        if self.said is not None:
            return self.said.get(value, value)
        return value if self.least is None else max(value, self.least)

    def of_source(self, value: Any) -> Any:
        """What PaddleNLP's configuration says where Hugging Face's says `value`. Raises ConfigurationError."""
        if self.said is None or value is None:
            return value
        for own, other in self.said.items():
            if value == other:
                return own
        known = " or ".join(repr(other) for other in self.said.values())
        raise ConfigurationError(f"{self.target_name} is {value!r}; PaddleNLP has a counterpart for {known} alone")

    def unstated(self, fields: Mapping[str, Any]) -> Any:
        """The value where Hugging Face's configuration does not state one and has the others, by their names here."""
        return self.target_like(fields) if callable(self.target_like) else fields[str(self.target_like)]


@dataclass(frozen=True)
class Generation:
    """That a class writes texts, by both libraries' `generate`. `fields` are those of PaddleNLP's configuration that
    it needs to: generation_config.json states them, by Hugging Face's names, as far as they are not null."""

    fields: tuple[str, ...] = ("bos_token_id", "eos_token_id", "pad_token_id")


def running(fields: Iterable[Field], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of PaddleNLP's with what its model computes with, of the fields that it has."""
    values = {entry.name: entry.running(configuration) for entry in fields if entry.name in configuration}
    return {**configuration, **values}


def never(configuration: Mapping[str, Any]) -> bool:
    """The condition of a field that Hugging Face's configuration does not have; PaddleNLP's `configuration` is
    ignored."""
    return False


def in_words(fields: Iterable[Field], configuration: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """PaddleNLP's configuration under the names that `fields` have here. It may have those names too, which PaddleNLP
    reads where it knows them. Raises ConfigurationError, with the `origin`, where the two contradict each other."""
    pairs = ((stored, entry.name) for entry in fields for stored in (entry.also, entry.stored) if stored)
    renamed = {stored: name for stored, name in pairs if stored != name}
    said: dict[str, str] = {}
    for key, value in configuration.items():
        first = said.setdefault(renamed.get(key, key), key)
        if configuration[first] != value:
            one, other = sorted((first, key), key=lambda word: word not in renamed)
            raise ConfigurationError(
                f"{origin}: {one} is {configuration[one]!r} and {other}, which means the same, is "
                f"{configuration[other]!r}; keep one"
            )
    return {renamed.get(name, name): value for name, value in configuration.items()}


def as_stored(fields: Iterable[Field], configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration under the names that PaddleNLP's has."""
    stored = {entry.name: entry.stored_name for entry in fields}
    return {stored.get(name, name): value for name, value in configuration.items() if stored.get(name, name)}
