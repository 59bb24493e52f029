"""A tensor that stays on disk until its values are asked for, and then comes in bounded pieces."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ...mappings.language.transforms import matrix_shape
from .byte_source import ByteSource, MemorySource, at_start
from .dtypes import Array, DType

CHUNK_BYTES = 20 << 20
"""Upper bound of one piece, apart from tensors other than matrices of which a single row is longer."""

PART_BYTES = 2 << 20
"""Bytes of a piece that are compared at a time: small enough to stay in the processor's cache, and so few that the
allocator does not keep what is made of them."""

SEGMENT_BYTES = 32 << 10
"""Upper bound of a row of a transposed piece, on either side of the transpose.

Each row is a read, and a write unless the piece has all columns. Rows of the one side grow at the cost of the other:
whole rows of a long matrix would leave so short ones in the source that the reads cost more than the copying.
"""

TILE_ROWS = 128
"""Source rows transposed at a time."""

CACHE_LINE = 64


@dataclass(frozen=True)
class Piece:
    """Rows [top, bottom) and columns [left, right) of a tensor seen as the matrix `matrix_shape` gives."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def parts(self, itemsize: int) -> Iterator[Piece]:
        """The piece from top to bottom, PART_BYTES or one row at a time."""
        step = max(1, PART_BYTES // (self.width * itemsize))
        return (
            replace(self, top=top, bottom=min(top + step, self.bottom)) for top in range(self.top, self.bottom, step)
        )


@dataclass
class Scratch:
    """Memory that is used again for every piece: fresh memory would cost as much time as the copying into it."""

    _buffers: dict[str, Array] = field(default_factory=dict)

    def take(self, purpose: str, rows: int, columns: int, dtype: np.dtype[np.generic]) -> Array:
        """An array for `purpose`, with any content, that is valid until the same purpose is asked for again."""
        nbytes = rows * columns * dtype.itemsize
        if purpose not in self._buffers or self._buffers[purpose].size < nbytes:
            self._buffers[purpose] = np.frombuffer(_memory(max(nbytes, CHUNK_BYTES)), np.uint8)
        return self._buffers[purpose][:nbytes].view(dtype).reshape(rows, columns)


def _memory(nbytes: int) -> mmap.mmap:
    """Anonymous memory that goes back to the system when it is dropped.

    The allocator would keep it, and would from then on also keep every smaller array that is dropped.
    """
    memory = mmap.mmap(-1, nbytes)
    with suppress(AttributeError, OSError):  # Not every system has large pages; they only save time.
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


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

    def part(self, start: int, shape: tuple[int, ...]) -> Tensor:
        """The elements from `start` on, counted in C order, under `shape`; where they lie in Fortran order, a copy in
        memory."""
        if self.fortran and len(self.shape) > 1:
            source, _ = self.open_source()
            flat = self.read().reshape(-1)[start : start + math.prod(shape)]
            return Tensor(self.name, self.dtype, shape, partial(at_start, MemorySource(source.path, flat.tobytes())))

        def further() -> tuple[ByteSource, int]:
            source, offset = self.open_source()
            return source, offset + start * self.dtype.itemsize

        return Tensor(self.name, self.dtype, shape, further)

    def chunks(self, transposed: bool = False) -> Iterator[Array]:
        """The elements of the tensor, or of its transpose (2-D only), in C order, as consecutive 1-D arrays.

        Each array is valid until the next one is asked for. Raises SourceChangedError when the file ends early.
        """
        scratch = Scratch()
        for piece in self.pieces(transposed, whole_rows=True):
            yield self.read_piece(piece, scratch, transposed).reshape(-1)

    def pieces(
        self, transposed: bool = False, whole_rows: bool = False, within: Piece | None = None
    ) -> Iterator[Piece]:
        """Pieces that cover the tensor, or its transpose (2-D only), once, in the order of their first elements.

        With `whole_rows` every piece has all columns; with `within` they cover that rectangle.
        """
        if transposed and len(self.shape) != 2:
            raise ValueError(f"{self.name}: only a matrix can be transposed, not shape {list(self.shape)}")
        if self.size == 0:
            return
        rows, columns = matrix_shape(self.shape[::-1] if transposed else self.shape)
        box = within or Piece(0, rows, 0, columns)
        height, width = self._piece_shape(box.height, box.width, transposed, whole_rows)
        for top in range(box.top, box.bottom, height):
            for left in range(box.left, box.right, width):
                yield Piece(top, min(top + height, box.bottom), left, min(left + width, box.right))

    def _piece_shape(self, rows: int, columns: int, transposed: bool, whole_rows: bool) -> tuple[int, int]:
        itemsize = self.dtype.itemsize
        if self._is_shuffled:
            return rows, columns
        flipped = self._is_flipped(transposed)
        segment = max(1, (SEGMENT_BYTES if flipped else CHUNK_BYTES) // itemsize)
        # Parts of equal width: a narrow rest would be read in short segments.
        parts = 1 if whole_rows or len(self.shape) != 2 else -(-columns // segment)
        width = -(-columns // parts)
        height = max(1, CHUNK_BYTES // (width * itemsize))
        return min(rows, height, segment) if flipped else min(rows, height), width

    def read_piece(self, piece: Piece, scratch: Scratch, transposed: bool = False) -> Array:
        """The piece of the tensor, or of its transpose, as a C-ordered matrix in the memory of `scratch`.

        Raises SourceChangedError when the file ends early.
        """
        if self._is_shuffled:
            whole = self.read().reshape(matrix_shape(self.shape))
            return whole[piece.top : piece.bottom, piece.left : piece.right]
        source, offset = self.open_source()
        rows, columns = matrix_shape(self.shape[::-1] if transposed else self.shape)
        itemsize = self.dtype.itemsize
        block = scratch.take("block", piece.height, piece.width, self.dtype.storage)
        if self._is_flipped(transposed):
            start = offset + (piece.left * rows + piece.top) * itemsize
            self._read_flipped(block, source, start, rows * itemsize, scratch)
        elif piece.width == columns:
            source.read_into(_bytes_of(block.reshape(-1)), offset + piece.top * columns * itemsize)
        else:
            start = offset + (piece.top * columns + piece.left) * itemsize
            for index, row in enumerate(block):
                source.read_into(_bytes_of(row), start + index * columns * itemsize)
        return block

    @property
    def _is_shuffled(self) -> bool:
        """Whether no piece can be read without the rest."""
        return self.fortran and len(self.shape) > 2

    def _is_flipped(self, transposed: bool) -> bool:
        """Whether the matrix that is asked for is the transpose of the C-ordered matrix in the file."""
        return transposed != (self.fortran and len(self.shape) == 2)

    def _read_flipped(self, block: Array, source: ByteSource, start: int, stride: int, scratch: Scratch) -> None:
        """Fill `block` with the transpose of a part of the stored matrix, which begins at byte `start` of the file.

        `stride` is the length of the stored matrix's rows in bytes.
        """
        width, height = block.shape
        # With an odd number of cache lines per row, the elements of a column do not compete for the same few places
        # of the processor's cache; without it the transposing takes more than twice as long.
        lines = (width * self.dtype.itemsize // CACHE_LINE + 1) | 1
        tile = scratch.take("tile", min(TILE_ROWS, height), lines * CACHE_LINE // self.dtype.itemsize, block.dtype)
        segments = [_bytes_of(row[:width]) for row in tile]
        for top in range(0, height, TILE_ROWS):
            count = min(TILE_ROWS, height - top)
            for segment in segments[:count]:
                source.read_into(segment, start)
                start += stride
            block[:, top : top + count] = tile[:count, :width].T


def _bytes_of(array: Array) -> memoryview:
    return array.view(np.uint8).data
