"""Rounding of floating-point elements to another type, in bounded memory."""

from __future__ import annotations

from functools import cache

import numpy as np

from ...errors import CastError
from .dtypes import DTYPES, Array, DType

CASTS = ("float32", "float16", "bfloat16")
"""Element types that weights can be cast to."""

BEYOND = {"float32": 0x7F800000, "float16": 0x477FF000, "bfloat16": 0x7F7F8000}
"""Bit patterns of the smallest float32 that each type rounds to infinity."""

INFINITY = 0x7F800000

BLOCK = 1 << 17
"""Elements that are cast at a time, which stay in the processor's cache."""

DIGITS_KEPT = np.uint32((13 << 23) + (-(113 << 10) & 0xFFFF))
"""Added to the bit pattern of a power of two, it makes it 2**13 times as large and, in the lower bits, takes away what
float16's exponent counts from later than float32's."""


def cast_into(values: Array, dtype: DType, out: Array, target: DType, name: str) -> None:
    """Fill the 1-D array `out` with the 1-D array `values`, rounded to the nearest value, ties to even.

    `values` are of `dtype`, `out` of `target`, both in their storage type: bfloat16 as bit patterns. float64 goes
    through float32. What is not finite stays so. Raises CastError, naming the tensor `name`, for a finite value that
    is beyond the range of `target`.
    """
    # Blocks that are used again: fresh memory would cost as much as the rounding.
    sizes, work, more = np.empty((3, min(values.size, BLOCK)), np.uint32)
    for start in range(0, values.size, BLOCK):
        given = values[start : start + BLOCK]
        place = out[start : start + BLOCK]
        part = np.ascontiguousarray(widened(given, dtype))
        bits, size = part.view(np.uint32), sizes[: part.size]
        np.bitwise_and(bits, 0x7FFFFFFF, out=size)
        largest = int(size.max())
        if largest >= BEYOND[target.name]:
            _check_range(given, part, dtype, target, name)
        if target.name == "bfloat16":
            _round_to_bfloat16(bits, size, largest, place, work[: part.size])
        elif target.name == "float16":
            _round_to_float16(part, size, largest, place, work[: part.size], more[: part.size])
        else:
            place[:] = part


def _check_range(given: Array, part: Array, dtype: DType, target: DType, name: str) -> None:
    """Raise CastError if any of the values `given`, which are `part` in float32, is finite and not in range."""
    # float64 may already have left float32's range.
    before = given if dtype.name == "float64" else part
    lost = np.isfinite(before) & (part.view(np.uint32) & 0x7FFFFFFF >= BEYOND[target.name])
    if lost.any():
        raise CastError(
            f"{name} holds {before[lost][0]!s}, which is beyond the range of {target.name}; "
            + ("choose bfloat16 or float32" if target.name == "float16" else "keep the element type")
        )


def cast(values: Array, dtype: DType, target: DType, name: str) -> Array:
    """A C-ordered copy of `values` of `dtype`, rounded to `target` as `cast_into` does, in the same shape."""
    flat = np.ascontiguousarray(values).reshape(-1)
    out = np.empty(flat.size, target.storage)
    cast_into(flat, dtype, out, target, name)
    return out.reshape(values.shape)


def number_of(value: float, dtype: DType) -> np.generic:
    """A number as an element of the floating-point type `dtype`, in its storage type."""
    single: np.generic
    if dtype == DTYPES["bfloat16"]:
        single = cast(np.array([value], np.float32), DTYPES["float32"], dtype, "a constant")[0]
    else:
        single = dtype.storage.type(value)
    return single


def widened(values: Array, dtype: DType) -> Array:
    """`values` of the floating-point type `dtype` as float32, to which float16 and bfloat16 widen exactly."""
    if dtype == DTYPES["bfloat16"]:
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def _round_to_bfloat16(bits: Array, size: Array, largest: int, out: Array, work: Array) -> None:
    """The upper halves of float32 bit patterns, rounded by what the lower halves hold; `size` is without signs."""
    np.right_shift(bits, 16, out=work)
    work &= 1
    work += bits
    work += 0x7FFF
    work >>= 16
    if largest > INFINITY:
        # Rounding would carry a NaN's bits into those of an infinity or beyond.
        nan = size > INFINITY
        work[nan] = (bits[nan] >> 16) | 0x0040
    out[:] = work


def _round_to_float16(values: Array, size: Array, largest: int, out: Array, work: Array, more: Array) -> None:
    """float32 `values` as float16, every NaN as the same one; `size`, their bit patterns without signs, is used up.

    A sum with 2**13 times a number's own power of two, or that of the smallest normal number, keeps the digits that
    float16 has, and rounds them: they are the lower bits of the sum. numpy's own conversion gives the same for all but
    NaNs and takes twice the time.
    """
    if largest >= BEYOND["float16"]:
        with np.errstate(over="ignore"):
            np.copyto(out, values, casting="same_kind")
        out[np.isnan(values)] = np.uint16(0x7E00).view(np.float16)
        return
    powers = work
    np.bitwise_and(size, 0x7F800000, out=powers)
    # An array: beside a single number it takes more than twice as long.
    np.maximum(powers, _smallest_powers()[: powers.size], out=powers)
    np.add(powers, DIGITS_KEPT, out=more)
    total = size.view(np.float32)
    total += more.view(np.float32)
    # Of all this the lower 16 bits are written, so that nothing above them needs to be taken away.
    powers >>= 13
    size += powers
    np.right_shift(values.view(np.uint32), 16, out=more)
    more &= 0x8000
    size += more
    out.view(np.uint16)[:] = size


@cache
def _smallest_powers() -> Array:
    """The bit pattern of 2**-14, below which float16 numbers are equally far apart, as many times as may be needed."""
    return np.full(BLOCK, 113 << 23, np.uint32)
