"""The algebra of transforms: what the streamed form writes is what whole arrays give, and the inverse leads back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddle2torch.converters.formats import piecewise, tensors
from paddle2torch.converters.formats.byte_source import MemorySource, at_start
from paddle2torch.converters.formats.casting import number_of
from paddle2torch.converters.formats.dtypes import DTYPES, Array
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.formats.tensors import Scratch, Tensor
from paddle2torch.errors import MappingError, UnmatchedTensorsError
from paddle2torch.mappings.language.transforms import (
    IDENTITY,
    TRANSPOSE,
    Chain,
    Concatenate,
    Constant,
    Reorder,
    Reshape,
    Rows,
    Shape,
    Slice,
    Split,
    Stack,
    Transform,
    chained,
    matrix_shape,
)

SIZES = st.integers(1, 9)
MATRICES = st.tuples(SIZES, SIZES)
SHAPES = st.one_of(st.just(()), st.tuples(SIZES), MATRICES, st.tuples(SIZES, SIZES, SIZES))

Case = tuple[Transform, tuple[Shape, ...]]
"""A transform and the shapes of its sources."""


def one(transform: Transform, shape: Shape) -> Case:
    return transform, (shape,)


def of_shapes(build: Callable[..., Case], *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    return st.builds(build, *parts)


def reshaped(a: int, b: int, c: int) -> Case:
    return one(Reshape((a, b, c)), (a, b * c))


def flattened(a: int, b: int, c: int) -> Case:
    return one(Reshape((a * b, c)), (a, b, c))


def sliced(axis: int, before: int, kept: int, after: int, other: int) -> Case:
    shape = (before + kept + after, other) if axis == 0 else (other, before + kept + after)
    return one(Slice(axis, before, before + kept), shape)


CASES: dict[str, st.SearchStrategy[Case]] = {
    "identity": SHAPES.map(lambda shape: one(IDENTITY, shape)),
    "transpose": MATRICES.map(lambda shape: one(TRANSPOSE, shape)),
    "reshape, first dimension kept": of_shapes(reshaped, SIZES, SIZES, SIZES),
    "reshape, first dimension changed": of_shapes(flattened, SIZES, SIZES, SIZES),
    "concatenate rows": st.tuples(st.lists(SIZES, min_size=1, max_size=4), SIZES, SIZES).map(
        lambda given: (Concatenate(0), tuple((rows, given[1], given[2]) for rows in given[0]))
    ),
    "concatenate vectors": st.lists(SIZES, min_size=1, max_size=4).map(
        lambda sizes: (Concatenate(0), tuple((size,) for size in sizes))
    ),
    "concatenate columns": st.tuples(st.lists(SIZES, min_size=1, max_size=4), SIZES).map(
        lambda given: (Concatenate(1), tuple((given[1], columns) for columns in given[0]))
    ),
    "stack": st.tuples(SHAPES, st.integers(1, 4)).map(lambda given: (Stack(), (given[0],) * given[1])),
    "rows before and after": st.tuples(st.integers(0, 4), st.integers(0, 4), MATRICES).map(
        lambda given: one(Rows(given[0], given[1], 0.5), given[2])
    ),
    "rows in another order": st.tuples(st.permutations(range(4)), SIZES, SIZES).map(
        lambda given: one(Reorder(0, tuple(given[0])), (4 * given[1], given[2]))
    ),
    "columns in another order": st.tuples(st.permutations(range(6)), SIZES, SIZES).map(
        lambda given: one(Reorder(1, tuple(given[0])), (given[2], 6 * given[1]))
    ),
    "a vector in another order": st.tuples(st.permutations(range(6)), SIZES).map(
        lambda given: one(Reorder(0, tuple(given[0])), (6 * given[1],))
    ),
    "constant": SHAPES.map(lambda shape: (Constant(shape, 1.5), ())),
    "columns joined, then turned": st.tuples(SIZES, SIZES, SIZES).map(
        lambda given: (Chain((Concatenate(1), TRANSPOSE)), ((given[0], given[1]), (given[0], given[2])))
    ),
    "turned, then rows before": MATRICES.map(lambda shape: one(Chain((TRANSPOSE, Rows(2))), shape)),
}
"""Every operation that has an inverse, on shapes that it takes."""

FORWARD_ONLY: dict[str, st.SearchStrategy[Case]] = {
    "slice": of_shapes(sliced, st.sampled_from((0, 1)), st.integers(0, 4), SIZES, st.integers(0, 4), SIZES),
    "reshaped, then turned": of_shapes(
        lambda a, b, c: one(Chain((Reshape((a * b, c)), TRANSPOSE)), (a, b, c)), SIZES, SIZES, SIZES
    ),
    "slice of what was turned": of_shapes(sliced, st.just(1), st.integers(0, 4), SIZES, st.integers(0, 4), SIZES).map(
        lambda case: one(Chain((TRANSPOSE, Slice(0, case[0].start, case[0].stop))), case[1][0])  # type: ignore[attr-defined]
    ),
}

FLOATS = ("float16", "bfloat16", "float32", "float64")
dtypes = pytest.mark.parametrize("dtype", FLOATS)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few elements, so that small tensors come in many."""
    monkeypatch.setattr(piecewise, "SMALL", 0)
    for module in (tensors, piecewise):
        monkeypatch.setattr(module, "STRIP_BYTES", 64)
    for name, value in {"BLOCK_BYTES": 256, "PLAIN_BYTES": 128, "BLOCK_ROWS": 3, "UNPADDED_BYTES": 24}.items():
        monkeypatch.setattr(tensors, name, value)
    monkeypatch.setattr(tensors, "TILE_ROWS", 2)
    monkeypatch.setattr(tensors, "TILE_COLUMNS", 3)


def arrays_for(shapes: Sequence[Shape], dtype: str) -> list[Array]:
    """Arrays in which every element is another, as far as the element type goes."""
    start, found = 1, []
    for shape in shapes:
        size = math.prod(shape)
        found.append(np.arange(start, start + size).astype(DTYPES[dtype].storage).reshape(shape))
        start += size
    return found


def stored(array: Array, dtype: str, fortran: bool = False) -> Tensor:
    """A tensor that holds `array` in memory, in C or Fortran order."""
    data = np.asarray(array, order="F" if fortran else "C").tobytes(order="F" if fortran else "C")
    return Tensor("x", DTYPES[dtype], array.shape, partial(at_start, MemorySource(Path("memory"), data)), fortran)


def whole(transform: Transform, arrays: Sequence[Array], dtype: str) -> Array:
    made: Array = transform.apply(arrays, np, partial(number_of, dtype=DTYPES[dtype]))
    return np.ascontiguousarray(made).reshape(made.shape)


def streamed(transform: Transform, sources: Sequence[Tensor], dtype: str) -> Array:
    """What the pieces of an entry put together; each element must be written exactly once."""
    entry = Entry("y", tuple(sources), transform, made=DTYPES[dtype])
    target = np.zeros(matrix_shape(entry.shape), DTYPES[dtype].storage)
    written = np.zeros(matrix_shape(entry.shape), np.int64)
    scratch = Scratch()
    for region, piece in entry.pieces():
        for part, block in entry.strips(region, piece, scratch):
            place = slice(part.top, part.bottom), slice(part.left, part.right)
            target[place] = block
            written[place] += 1
    assert (written == 1).all()
    return target.reshape(entry.shape)


@dtypes
@pytest.mark.parametrize("name", [*CASES, *FORWARD_ONLY])
def test_the_streamed_form_equals_the_whole_one(name: str, dtype: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given({**CASES, **FORWARD_ONLY}[name], st.booleans())
    def check(case: Case, fortran: bool) -> None:
        transform, shapes = case
        arrays = arrays_for(shapes, dtype)
        expected = whole(transform, arrays, dtype)
        found = streamed(transform, [stored(array, dtype, fortran) for array in arrays], dtype)
        assert transform.shape(shapes) == expected.shape == found.shape
        assert found.dtype == expected.dtype == DTYPES[dtype].storage
        assert found.tobytes() == expected.tobytes()

    check()


@dtypes
@pytest.mark.parametrize("name", CASES)
def test_forward_then_inverse_is_the_identity(name: str, dtype: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given(CASES[name])
    def check(case: Case) -> None:
        transform, shapes = case
        arrays = arrays_for(shapes, dtype)
        made = whole(transform, arrays, dtype)
        back = transform.inverse(shapes)
        assert len(back) == len(shapes)
        for array, shape, inverse in zip(arrays, shapes, back, strict=True):
            assert inverse.shape([made.shape]) == shape
            assert whole(inverse, [made], dtype).tobytes() == array.tobytes()
            assert streamed(inverse, [stored(made, dtype)], dtype).tobytes() == array.tobytes()

    check()


@dtypes
@settings(max_examples=25, deadline=None)
@given(st.sampled_from((0, 1)), st.lists(SIZES, min_size=1, max_size=4), SIZES)
def test_a_split_and_its_inverse(dtype: str, axis: int, sizes: list[int], other: int) -> None:
    shape = (sum(sizes), other) if axis == 0 else (other, sum(sizes))
    (array,) = arrays_for([shape], dtype)
    split = Split(axis, tuple(sizes))
    parts = [whole(part, [array], dtype) for part in split.parts()]
    assert [part.shape[axis] for part in parts] == sizes
    assert whole(split.inverse(), parts, dtype).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("transform", "shapes", "message"),
    [
        (TRANSPOSE, [(2,)], "only a matrix"),
        (TRANSPOSE, [(2, 3, 4)], "only a matrix"),
        (IDENTITY, [(2,), (2,)], "takes one tensor, not 2"),
        (Reshape((5,)), [(2, 3)], r"shape \[2, 3\] cannot become \[5\]"),
        (Concatenate(0), [(2, 3), (2, 4)], "cannot be joined along axis 0"),
        (Concatenate(1), [(2, 3), (3, 3)], "cannot be joined along axis 1"),
        (Concatenate(1), [(2,), (2,)], "cannot be joined along axis 1"),
        (Concatenate(0), [], "cannot be joined"),
        (Stack(), [(2,), (3,)], "cannot be stacked"),
        (Slice(0, 1, 3), [(2, 2)], "has no slice 1:3"),
        (Rows(1), [()], "a scalar has no rows"),
        (Reorder(0, (1, 0)), [(3, 2)], "cannot be 2 parts along 0 in another order"),
        (Reorder(1, (1, 0)), [(4,)], "cannot be 2 parts along 1 in another order"),
        (Reorder(0, (1, 1)), [(4,)], "cannot be 2 parts along 0 in another order"),
        (Constant((2,)), [(2,)], "is made of no source"),
        (Chain((TRANSPOSE, Reshape((6,)))), [(2, 3)], "before anything that moves elements"),
    ],
)
def test_shapes_that_an_operation_cannot_take(transform: Transform, shapes: list[Shape], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        transform.shape(shapes)


def test_a_slice_alone_has_no_inverse() -> None:
    with pytest.raises(MappingError, match="leaves out"):
        Slice(0, 0, 1).inverse([(2, 2)])


def test_two_transposes_undo_each_other() -> None:
    assert chained(TRANSPOSE, TRANSPOSE) == IDENTITY
    assert chained(IDENTITY, TRANSPOSE) == chained(TRANSPOSE, IDENTITY) == TRANSPOSE
    assert chained(TRANSPOSE, Rows(1)) == Chain((TRANSPOSE, Rows(1)))


def test_sources_of_different_types_do_not_become_one_tensor() -> None:
    one_type, other = stored(np.zeros((2, 2), np.float32), "float32"), stored(np.zeros((2, 2), np.float16), "float16")
    with pytest.raises(UnmatchedTensorsError, match="hold float16 and float32; one element type is expected"):
        Entry("y", (one_type, other), Concatenate(0))
