"""Rounding of floating-point elements to another type, in bounded memory."""

from __future__ import annotations

import numpy as np

from ..mappings.errors import CastError
from .dtypes import DTYPES, Array, DType

CASTS = ("float32", "float16", "bfloat16")
"""Element types that weights can be cast to."""

EXPONENTS = {"float32": np.uint32(0x7F800000), "float16": np.uint16(0x7C00), "bfloat16": np.uint16(0x7F80)}
"""The bits of the exponent, all set in what is not finite."""

BLOCK = 1 << 17
"""Elements that are cast at a time, which stay in the processor's cache."""


def cast_into(values: Array, dtype: DType, out: Array, target: DType, name: str) -> None:
    """Fill the 1-D array `out` with the 1-D array `values`, rounded to the nearest value, ties to even.

    `values` are of `dtype`, `out` of `target`, both in their storage type: bfloat16 as bit patterns. float64 goes
    through float32. What is not finite stays so. Raises CastError, naming the tensor `name`, for a finite value that
    is beyond the range of `target`.
    """
    for start in range(0, values.size, BLOCK):
        given = values[start : start + BLOCK]
        part = widened(given, dtype)
        place = out[start : start + BLOCK]
        if target.name == "bfloat16":
            _round_to_bfloat16(part, place)
        elif target.name == "float16":
            _round_to_float16(part, place.view(np.uint16))
        else:
            place[:] = part
        exponent = EXPONENTS[target.name]
        finite = (place.view(f"u{target.itemsize}") & exponent) != exponent
        if not finite.all():
            # float64 may already have left float32's range.
            before = given if dtype.name == "float64" else part
            lost = np.isfinite(before) & ~finite
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


def widened(values: Array, dtype: DType) -> Array:
    """`values` of the floating-point type `dtype` as float32, to which float16 and bfloat16 widen exactly."""
    if dtype == DTYPES["bfloat16"]:
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def _round_to_bfloat16(values: Array, out: Array) -> None:
    """The upper halves of float32 bit patterns, rounded by what the lower halves hold."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits >> 16) & 1
    rounded += bits
    rounded += 0x7FFF
    rounded >>= 16
    # Rounding would carry a NaN's bits into those of an infinity or beyond.
    nan = np.isnan(values)
    if nan.any():
        rounded[nan] = (bits[nan] >> 16) | 0x0040
    out[:] = rounded


def _round_to_float16(values: Array, out: Array) -> None:
    """Bit patterns of float16; what numpy's own conversion gives for all but NaNs, in a third of its time."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    size = bits & 0x7FFFFFFF
    # The exponent counts from 112 less, and the lower 13 bits go; the sum wraps around on purpose.
    rounded = (size >> 13) & 1
    rounded += size
    rounded += np.uint32(0x1000 - 1 - (112 << 23) & 0xFFFFFFFF)
    rounded >>= 13
    subnormal = size < 0x38800000
    if subnormal.any():
        # Next to 0.5, float32 numbers are as far apart as the smallest float16 numbers: the addition rounds.
        rounded[subnormal] = (size[subnormal].view(np.float32) + np.float32(0.5)).view(np.uint32) - 0x3F000000
    beyond = size >= 0x477FF000
    if beyond.any():
        rounded[beyond] = 0x7C00
        rounded[size > 0x7F800000] = 0x7E00
    rounded |= (bits >> 16) & 0x8000
    out[:] = rounded
