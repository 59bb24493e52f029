"""What happens to values on their way: small operations with shape arithmetic, an inverse and a bounded form.

A transform makes one tensor of one source or of several; a constant is made of none. What it does is stated twice, by
roads that do not meet: `view` says for every rectangle of the result where its values lie in the sources, which is how
a result is written piece by piece; `apply` does the same with whole arrays, which is how it is verified.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import MappingError

Shape = tuple[int, ...]


def matrix_shape(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a tensor seen as a matrix: its first dimension by all the others."""
    return (shape[0], math.prod(shape[1:])) if shape else (1, 1)


@dataclass(frozen=True)
class Region:
    """Rows [top, bottom) and columns [left, right) of a result seen as a matrix, and where their values come from.

    `source` counts the sources from 0; None means that `fill` stands everywhere, or what `table` makes with numpy of
    the whole result, float32, where there is one. The source's elements from `start` on
    are seen as a matrix of shape `seen`, and with `transposed` as that matrix's transpose; the values begin at its
    `row` and `column`.
    """

    top: int
    bottom: int
    left: int
    right: int
    source: int | None = None
    seen: tuple[int, int] = (0, 0)
    start: int = 0
    row: int = 0
    column: int = 0
    transposed: bool = False
    fill: float = 0.0
    table: Callable[[Any], Any] | None = None

    def moved(self, down: int, right: int) -> Region:
        """The same values further down and to the right in the result."""
        return replace(
            self,
            top=self.top + down,
            bottom=self.bottom + down,
            left=self.left + right,
            right=self.right + right,
        )

    def cut(self, top: int, bottom: int, left: int, right: int) -> Region | None:
        """What lies in a rectangle of the result, counted from the rectangle's corner; None where nothing does."""
        inner = Region(max(self.top, top), min(self.bottom, bottom), max(self.left, left), min(self.right, right))
        if inner.top >= inner.bottom or inner.left >= inner.right:
            return None
        return replace(
            self,
            top=inner.top - top,
            bottom=inner.bottom - top,
            left=inner.left - left,
            right=inner.right - left,
            row=self.row + inner.top - self.top,
            column=self.column + inner.left - self.left,
        )

    def turned(self) -> Region:
        """The same values in the transpose of the result."""
        return Region(
            self.left,
            self.right,
            self.top,
            self.bottom,
            self.source,
            self.seen,
            self.start,
            self.column,
            self.row,
            not self.transposed,
            self.fill,
        )


@dataclass(frozen=True)
class View:
    """A result of `shape`; the regions cover it once."""

    shape: Shape
    regions: tuple[Region, ...]

    def run(self) -> tuple[int, int] | None:
        """A source and the place of its element from which on the result holds its elements in their order; None where
        the result is put together otherwise."""
        region = self.regions[0]
        if len(self.regions) > 1 or region.source is None or region.transposed or region.column:
            return None
        full_rows = region.right == region.seen[1] or region.bottom == 1
        return (region.source, region.start + region.row * region.seen[1]) if full_rows else None


def view_of_source(number: int, shape: Shape) -> View:
    """The source `number` as it is."""
    rows, columns = matrix_shape(shape)
    return View(shape, (Region(0, rows, 0, columns, number, (rows, columns)),))


Number = Callable[[float], Any]
"""Turns a number into an element as the arrays hold it; bfloat16 is held as its bits."""


class Transform(ABC):
    """An operation from sources to one result."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The operation in certificates and error messages."""

    @abstractmethod
    def view(self, sources: Sequence[View]) -> View:
        """The result for these sources. Raises MappingError for shapes that the operation cannot take."""

    @abstractmethod
    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        """The result for whole arrays. `numpy` is handed in: mappings load without it."""

    @abstractmethod
    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        """One transform for each source, of these shapes: it makes that source again from the result."""

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """The result's shape for sources of these shapes. Raises MappingError as `view` does."""
        return self.view([view_of_source(number, shape) for number, shape in enumerate(shapes)]).shape

    def _only(self, sources: Sequence[Any]) -> Any:
        if len(sources) != 1:
            raise MappingError(f"{self.name} takes one tensor, not {len(sources)}")
        return sources[0]


@dataclass(frozen=True)
class Identity(Transform):
    """The source as it is."""

    name = "identity"

    def view(self, sources: Sequence[View]) -> View:
        view: View = self._only(sources)
        return view

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        return self._only(arrays)

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return (self,)


@dataclass(frozen=True)
class Transpose(Transform):
    """Rows become columns."""

    name = "transpose"

    def view(self, sources: Sequence[View]) -> View:
        view = self._only(sources)
        if len(view.shape) != 2:
            raise MappingError(f"only a matrix can be transposed, not shape {list(view.shape)}")
        return View(view.shape[::-1], tuple(region.turned() for region in view.regions))

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        return self._only(arrays).T

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return (self,)


@dataclass(frozen=True)
class Reshape(Transform):
    """The same elements in the same order under another shape. What was turned or joined before keeps its first
    dimension."""

    to: Shape

    @property
    def name(self) -> str:
        return f"reshape to {list(self.to)}"

    def view(self, sources: Sequence[View]) -> View:
        view = self._only(sources)
        if math.prod(view.shape) != math.prod(self.to):
            raise MappingError(f"shape {list(view.shape)} cannot become {list(self.to)}")
        if matrix_shape(view.shape) == matrix_shape(self.to):
            return View(self.to, view.regions)
        if (run := view.run()) is None:
            raise MappingError(f"{self.name} comes before anything that moves elements")
        source, start = run
        rows, columns = matrix_shape(self.to)
        return View(self.to, (Region(0, rows, 0, columns, source, (rows, columns), start),))

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        return self._only(arrays).reshape(self.to)

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return (Reshape(shapes[0]),)


@dataclass(frozen=True)
class Concatenate(Transform):
    """The sources one after the other along `axis`: 0, or 1 for matrices."""

    axis: int = 0

    @property
    def name(self) -> str:
        return f"concatenate along {self.axis}"

    def view(self, sources: Sequence[View]) -> View:
        shapes = [list(view.shape) for view in sources]
        rest = [shape[: self.axis] + shape[self.axis + 1 :] for shape in shapes]
        ranks = {len(shape) for shape in shapes}
        if not shapes or any(other != rest[0] for other in rest) or not _has_axis(self.axis, ranks):
            raise MappingError(f"shapes {', '.join(map(str, shapes))} cannot be joined along axis {self.axis}")
        regions: list[Region] = []
        done = 0
        for view in sources:
            down, right = (done, 0) if self.axis == 0 else (0, done)
            regions += [region.moved(down, right) for region in view.regions]
            done += view.shape[self.axis]
        shape = list(sources[0].shape)
        shape[self.axis] = done
        return View(tuple(shape), tuple(regions))

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        return numpy.concatenate(list(arrays), axis=self.axis)

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return Split(self.axis, tuple(shape[self.axis] for shape in shapes)).parts()


@dataclass(frozen=True)
class Stack(Transform):
    """Sources of one shape, each an element of a new first dimension."""

    name = "stack"

    def view(self, sources: Sequence[View]) -> View:
        if len({view.shape for view in sources}) != 1:
            raise MappingError(f"shapes {', '.join(str(list(view.shape)) for view in sources)} cannot be stacked")
        one = Reshape((1, *sources[0].shape))
        return Concatenate(0).view([one.view([view]) for view in sources])

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        return numpy.stack(list(arrays))

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return tuple(Chain((Slice(0, at, at + 1), Reshape(shape))) for at, shape in enumerate(shapes))


@dataclass(frozen=True)
class Slice(Transform):
    """The elements [start, stop) along `axis`: 0, or 1 for matrices. Only all slices of a tensor together lead back."""

    axis: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"slice {self.start}:{self.stop} along {self.axis}"

    def view(self, sources: Sequence[View]) -> View:
        view = self._only(sources)
        shape = list(view.shape)
        if not _has_axis(self.axis, {len(shape)}) or not 0 <= self.start < self.stop <= shape[self.axis]:
            raise MappingError(f"shape {shape} has no {self.name}")
        shape[self.axis] = self.stop - self.start
        rows, columns = matrix_shape(view.shape)
        box = (self.start, self.stop, 0, columns) if self.axis == 0 else (0, rows, self.start, self.stop)
        return View(tuple(shape), tuple(part for region in view.regions if (part := region.cut(*box)) is not None))

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        array = self._only(arrays)
        return array[self.start : self.stop] if self.axis == 0 else array[:, self.start : self.stop]

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        raise MappingError(f"{self.name} leaves out what no inverse can make again")


@dataclass(frozen=True)
class Split:
    """One source, several results: consecutive slices of these sizes along `axis`. The inverse of Concatenate."""

    axis: int
    sizes: tuple[int, ...]

    def parts(self) -> tuple[Transform, ...]:
        """One transform for each result."""
        starts = [sum(self.sizes[:index]) for index in range(len(self.sizes))]
        return tuple(Slice(self.axis, start, start + size) for start, size in zip(starts, self.sizes, strict=True))

    def inverse(self) -> Transform:
        """What makes the source again from the results."""
        return Concatenate(self.axis)


@dataclass(frozen=True)
class Rows(Transform):
    """`before` rows of `fill` put before a table and `after` rows behind it."""

    before: int = 0
    after: int = 0
    fill: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.before} rows before, {self.after} after"

    def view(self, sources: Sequence[View]) -> View:
        view = self._only(sources)
        if not view.shape:
            raise MappingError("a scalar has no rows")
        rows, columns = matrix_shape(view.shape)
        last = self.before + rows + self.after
        added = [(0, self.before), (self.before + rows, last)]
        filled = [Region(top, bottom, 0, columns, fill=self.fill) for top, bottom in added if top < bottom]
        moved = tuple(region.moved(self.before, 0) for region in view.regions)
        return View((last, *view.shape[1:]), (*moved, *filled))

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        array = self._only(arrays)

        def filled(count: int) -> Any:
            return numpy.full((count, *array.shape[1:]), number(self.fill), array.dtype)

        return numpy.concatenate([filled(self.before), array, filled(self.after)])

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return (Slice(0, self.before, self.before + shapes[0][0]),)


@dataclass(frozen=True)
class Reorder(Transform):
    """The equal parts that a tensor consists of along `axis`, 0 or 1 for matrices, in another order: at each place
    stands the part that `order` names there."""

    axis: int
    order: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{len(self.order)} parts along {self.axis} in another order"

    def view(self, sources: Sequence[View]) -> View:
        view = self._only(sources)
        length = view.shape[self.axis] if len(view.shape) > self.axis else 0
        if not length or length % len(self.order) or sorted(self.order) != list(range(len(self.order))):
            raise MappingError(f"shape {list(view.shape)} cannot be {self.name}")
        size = length // len(self.order)
        cut = [Slice(self.axis, part * size, (part + 1) * size) for part in self.order]
        return Concatenate(self.axis).view([one.view([view]) for one in cut])

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        parts = numpy.split(self._only(arrays), len(self.order), self.axis)
        return numpy.concatenate([parts[part] for part in self.order], self.axis)

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return (Reorder(self.axis, tuple(self.order.index(place) for place in range(len(self.order)))),)


@dataclass(frozen=True)
class Constant(Transform):
    """A tensor that no source holds: `fill` everywhere."""

    of: Shape
    fill: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.fill:g} everywhere"

    def view(self, sources: Sequence[View]) -> View:
        if sources:
            raise MappingError(f"{self.name} is made of no source")
        rows, columns = matrix_shape(self.of)
        return View(self.of, (Region(0, rows, 0, columns, fill=self.fill),))

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        return numpy.full(self.of, number(self.fill))

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        return ()


@dataclass(frozen=True)
class Chain(Transform):
    """One operation after the other; the first may take several sources."""

    steps: tuple[Transform, ...]

    @property
    def name(self) -> str:
        return ", then ".join(step.name for step in self.steps)

    def view(self, sources: Sequence[View]) -> View:
        view = self.steps[0].view(sources)
        for step in self.steps[1:]:
            view = step.view([view])
        return view

    def apply(self, arrays: Sequence[Any], numpy: Any, number: Number = float) -> Any:
        array = self.steps[0].apply(arrays, numpy, number)
        for step in self.steps[1:]:
            array = step.apply([array], numpy, number)
        return array

    def inverse(self, shapes: Sequence[Shape]) -> tuple[Transform, ...]:
        shape = self.steps[0].shape(shapes)
        back: list[Transform] = []
        for step in self.steps[1:]:
            back.insert(0, step.inverse([shape])[0])
            shape = step.shape([shape])
        return tuple(Chain((*back, last)) if back else last for last in self.steps[0].inverse(shapes))


IDENTITY = Identity()
TRANSPOSE = Transpose()


def chained(first: Transform, then: Transform) -> Transform:
    """One operation after the other; the identity adds nothing, and two transposes undo each other."""
    if first == IDENTITY or then == IDENTITY:
        return then if first == IDENTITY else first
    return IDENTITY if first == then == TRANSPOSE else Chain((first, then))


def _has_axis(axis: int, ranks: set[int]) -> bool:
    """Whether tensors of these numbers of dimensions, seen as matrices, can be cut or joined along `axis`."""
    return len(ranks) == 1 and ((axis == 0 and min(ranks) >= 1) or (axis == 1 and ranks == {2}))
