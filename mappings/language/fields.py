"""Configuration fields: names and defaults on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

REQUIRED = object()
"""Default of a configuration field that has none."""

UNFIXED = object()
"""What a configuration field runs with where that is what the configuration says."""

SAME = object()
"""Hugging Face's default of a configuration field where it is PaddleNLP's."""


@dataclass(frozen=True)
class Field:
    """A configuration field: PaddleNLP's name, and Hugging Face's where that differs (`target`), with PaddleNLP's
    default for an absent one and Hugging Face's where that differs (`target_default`).

    A field whose default is True or False holds true or false. `when` is the condition of PaddleNLP's configuration
    under which Hugging Face's has the field. `counts` is False where no output of a trained model depends on it: only
    such a field, one with `runs`, or one that the tensors tell, may be left unsaid where a checkpoint has no
    configuration. `runs` is the value that PaddleNLP's model computes with whatever its configuration says of it, or
    what makes that value of the other fields. `least` is the smallest value that Hugging Face's class takes,
    `target_like` the field whose value Hugging Face's has where it is not stated. `only` is the one value with which
    the two compute the same, with what becomes of any other.
    """

    name: str
    default: Any = REQUIRED
    target_default: Any = SAME
    target: str | None = None
    when: Callable[[Mapping[str, Any]], bool] | None = None
    counts: bool = True
    runs: Any = UNFIXED
    least: int | None = None
    target_like: str | None = None
    only: tuple[Any, str] | None = None

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
            return configuration[self.name]
        return self.runs(configuration) if callable(self.runs) else self.runs

    def of_target(self, value: Any) -> Any:
        """What Hugging Face's configuration says where PaddleNLP's runs with `value`."""
        return value if self.least is None else max(value, self.least)


def never(configuration: Mapping[str, Any]) -> bool:
    """The condition of a field that Hugging Face's configuration does not have; PaddleNLP's `configuration` is
    ignored."""
    return False
