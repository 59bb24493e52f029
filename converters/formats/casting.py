"""Rounding of floating-point elements to another type, in bounded memory."""

from __future__ import annotations

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


def cast_into(values: Array, dtype: DType, out: Array, target: DType, name: str) -> None:
    """Fill the 1-D array `out` with the 1-D array `values`, rounded to the nearest value, ties to even.

    `values` are of `dtype`, `out` of `target`, both in their storage type: bfloat16 as bit patterns. float64 goes
    through float32. What is not finite stays so. Raises CastError, naming the tensor `name`, for a finite value that
    is beyond the range of `target`.
    """
    # Two blocks that are used again: fresh memory would cost as much as the rounding.
    sizes, work = np.empty((2, min(values.size, BLOCK)), np.uint32)
    for start in range(0, values.size, BLOCK):
        given = values[start : start + BLOCK]
        place = out[start : start + BLOCK]
        part = np.ascontiguousarray(widened(given, dtype))
        bits, size = part.view(np.uint32), sizes[: part.size]
        np.bitwise_and(bits, 0x7FFFFFFF, out=size)
        largest = int(size.max())
        if largest >= BEYOND[target.name]:
            # float64 may already have left float32's range.
            before = given if dtype.name == "float64" else part
            lost = np.isfinite(before) & (size >= BEYOND[target.name])
            if lost.any():
                raise CastError(
                    f"{name} holds {before[lost][0]!s}, which is beyond the range of {target.name}; "
                    + ("choose bfloat16 or float32" if target.name == "float16" else "keep the element type")
                )
        if target.name == "bfloat16":
            _round_to_bfloat16(bits, size, largest, place, work[: part.size])
        elif target.name == "float16":
            _round_to_float16(bits, size, largest, place.view(np.uint16), work[: part.size])
        else:
            place[:] = part


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


def _round_to_float16(bits: Array, size: Array, largest: int, out: Array, work: Array) -> None:
    """The bit patterns of float16 for those of float32; `size`, these without signs, is used up.

    numpy's own conversion gives the same for all but NaNs and takes about twice the time.
    """
    # The exponent counts from 112 less, and the lower 13 bits go; the sum wraps around on purpose.
    np.right_shift(size, 13, out=work)
    work &= 1
    work += size
    work += np.uint32(0x1000 - 1 - (112 << 23) & 0xFFFFFFFF)
    work >>= 13
    small = np.flatnonzero(size < 0x38800000)
    if small.size:
        # Next to 0.5, float32 numbers are as far apart as the smallest float16 numbers: the addition rounds.
        work[small] = (size[small].view(np.float32) + np.float32(0.5)).view(np.uint32) - 0x3F000000
    if largest >= INFINITY:
        work[size >= INFINITY] = 0x7C00
        work[size > INFINITY] = 0x7E00
    np.right_shift(bits, 16, out=size)
    size &= 0x8000
    work |= size
    out[:] = work
