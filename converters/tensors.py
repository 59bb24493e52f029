"""A tensor that stays on disk until its values are asked for, and then comes in bounded pieces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .byte_source import ByteSource
from .dtypes import Array, DType

CHUNK_BYTES = 16 << 20
"""Upper bound of one piece, apart from tensors of which a single row is longer."""

TILE_ROWS = 64
"""Source rows transposed at a time: measured best by far for a 4096 x 16384 float32 matrix."""


@dataclass(frozen=True)
class Tensor:
    """A named tensor of `dtype` and `shape`, its elements contiguous in `source` from byte `offset`.

    `fortran` says that the elements lie in Fortran order. `open_source` defers the opening for bytes that must first
    be decoded. Values come as arrays of `dtype.storage`: bfloat16 as its uint16 bit patterns.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    open_source: Callable[[], tuple[ByteSource, int]]
    fortran: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements as an array."""
        return self.size * self.dtype.itemsize

    def read(self) -> Array:
        """The whole tensor in C order, shape `shape`, dtype `dtype.storage`; costs `nbytes` of memory or twice that."""
        source, offset = self.open_source()
        flat = np.empty(self.size, self.dtype.storage)
        source.read_into(_bytes_of(flat), offset)
        if self.fortran:
            return np.asarray(flat.reshape(self.shape, order="F"), order="C")
        return flat.reshape(self.shape)

    def chunks(self, transposed: bool = False) -> Iterator[Array]:
        """The elements of the tensor, or of its transpose (2-D only), in C order, as consecutive 1-D arrays.

        Each array is valid until the next one is asked for. Raises SourceChangedError when the file ends early.
        """
        if transposed and len(self.shape) != 2:
            raise ValueError(f"{self.name}: only a matrix can be transposed, not shape {list(self.shape)}")
        if self.size == 0:
            return
        if self.fortran and len(self.shape) > 2:
            yield self.read().reshape(-1)
            return
        # In Fortran order the stored matrix is the transpose already.
        flip = transposed != (self.fortran and len(self.shape) == 2)
        if flip:
            rows, columns = self.shape[::-1] if self.fortran else self.shape
            yield from self._transposed_blocks(rows, columns)
        else:
            yield from self._plain_blocks()

    def _plain_blocks(self) -> Iterator[Array]:
        source, offset = self.open_source()
        step = max(1, CHUNK_BYTES // self.dtype.itemsize)
        buffer = np.empty(min(step, self.size), self.dtype.storage)
        for start in range(0, self.size, step):
            piece = buffer[: min(step, self.size - start)]
            source.read_into(_bytes_of(piece), offset + start * self.dtype.itemsize)
            yield piece

    def _transposed_blocks(self, rows: int, columns: int) -> Iterator[Array]:
        """Blocks of whole rows of the transpose of the stored `rows` x `columns` matrix."""
        source, offset = self.open_source()
        itemsize = self.dtype.itemsize
        width = min(columns, max(1, CHUNK_BYTES // (rows * itemsize)))
        tile = np.empty((TILE_ROWS, width), self.dtype.storage)
        block = np.empty((width, rows), self.dtype.storage)
        for left in range(0, columns, width):
            count = min(width, columns - left)
            for top in range(0, rows, TILE_ROWS):
                height = min(TILE_ROWS, rows - top)
                for row in range(height):
                    start = offset + ((top + row) * columns + left) * itemsize
                    source.read_into(_bytes_of(tile[row, :count]), start)
                block[:count, top : top + height] = tile[:height, :count].T
            yield block[:count].reshape(-1)


def _bytes_of(array: Array) -> memoryview:
    return array.view(np.uint8).data
