"""Element types of tensors on disk: their names, their safetensors codes and how numpy holds their bytes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class DType:
    """One element type.

    `name` is the word used in messages and JSON, `code` the safetensors code (None where that format has none),
    `storage` the little-endian numpy dtype that holds the bytes: bfloat16 has no numpy dtype and is held as uint16.
    """

    name: str
    code: str | None
    storage: np.dtype[Any]

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.storage.itemsize


def _dtype(name: str, code: str | None, storage: str) -> DType:
    return DType(name, code, np.dtype(storage))


DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
        _dtype("bool", "BOOL", "|b1"),
        _dtype("uint8", "U8", "|u1"),
        _dtype("int8", "I8", "|i1"),
        _dtype("int16", "I16", "<i2"),
        _dtype("int32", "I32", "<i4"),
        _dtype("int64", "I64", "<i8"),
        _dtype("uint32", "U32", "<u4"),
        _dtype("uint64", "U64", "<u8"),
        _dtype("float16", "F16", "<f2"),
        _dtype("bfloat16", "BF16", "<u2"),
        _dtype("float32", "F32", "<f4"),
        _dtype("float64", "F64", "<f8"),
        _dtype("complex64", "C64", "<c8"),
        _dtype("complex128", None, "<c16"),
    )
}

DTYPES_BY_CODE: dict[str, DType] = {dtype.code: dtype for dtype in DTYPES.values() if dtype.code is not None}


def widest(dtypes: Collection[DType]) -> DType:
    """The element type with the largest elements."""
    return max(dtypes, key=lambda dtype: (dtype.itemsize, dtype.name))
