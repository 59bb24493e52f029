"""Tables that only Hugging Face's class holds and that follow from the configuration, such as sines of positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ...errors import MappingError
from .rows import MappedRow, Part
from .rules import Kind, Place, Rule
from .transforms import Number, Region, Shape, Transform, View, matrix_shape

Formula = Callable[[Mapping[str, Any], Any], Any]
"""Makes a table of PaddleNLP's configuration and `numpy`, which is handed in: float32, as PaddleNLP computes it."""


@dataclass(frozen=True)
class Computed(Transform):
    """A tensor that no source holds: a table that `values` makes with `numpy`. Where Hugging Face's own class made it,
    it may be `tolerance` away, in absolute numbers."""

    of: Shape
    values: Callable[[Any], Any]
    tolerance: float = 0.0

    name = "computed"

    def view(self, sources: Sequence[View]) -> View:
        if sources:
            raise MappingError(f"{self.name}: is made of no source")
        rows, columns = matrix_shape(self.of)
        return View(self.of, (replace(Region(0, rows, 0, columns), table=self.values),))

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        table = self.values(numpy)
        return numpy.array([number(value) for value in table.reshape(-1).tolist()]).reshape(self.of)

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return ()


@dataclass(frozen=True)
class Table(MappedRow):
    """A tensor that only Hugging Face's class has, and that `formula` computes. On the way back PaddleNLP computes it
    itself: a file may lack it, and must hold it within `tolerance`, which is absolute. `shape` follows from PaddleNLP's
    configuration."""

    target: str
    shape: Callable[[Mapping[str, Any]], Shape]
    formula: Formula
    tolerance: float

    @property
    def label(self) -> str:
        return self.target

    def parts(self) -> tuple[Part, ...]:
        """The tensor, made of none."""
        return (Part((), (self.target,), ()),)

    def rules(self, place: Place) -> list[Rule]:
        made = Computed(self.shape(place.configuration), partial(self.formula, place.configuration), self.tolerance)
        target = place.target(self.target)
        return [Rule(Kind.MAPPED, (), (target,), (), made, optional=True)]
