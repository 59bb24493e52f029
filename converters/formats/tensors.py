"""A tensor that stays on disk until its values are asked for, and then comes in bounded pieces."""

from __future__ import annotations

import math
import mmap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from ...mappings.language.transforms import matrix_shape
from .byte_source import ByteSource, MemorySource, at_start
from .dtypes import Array, DType

BLOCK_BYTES = 132 << 20
"""Memory for a piece of a matrix that is to be transposed: 128 MiB of elements, and what keeps their rows apart. All
threads share it."""

LOW_BLOCK_BYTES = 34 << 20
"""The same where memory is scarce."""

OWN_BYTES = 20 << 20
"""Memory for a whole matrix, up to which each thread has one of its own."""

STRIP_BYTES = 4 << 20
"""Upper bound of what is handed on at once: small enough to stay in the processor's cache until it is written."""

PLAIN_BYTES = 16 << 20
"""Upper bound of a piece that is only copied, strip by strip: so small that threads end at about the same time."""

BLOCK_ROWS = 4096
"""Rows of the source in such a piece. Each is a read, unless the piece has whole ones, and each row of its transpose is
a write, unless the piece has whole ones of these: so many rows of 16 or 32 kB make few of both."""

UNPADDED_BYTES = 1 << 10
"""Length of whole rows up to which they are read as they lie."""

TILE_ROWS, TILE_COLUMNS = 512, 64
"""Rows and columns of the source that are transposed at a time: long runs of the result, and no more than fits the
processor's nearer caches."""

CACHE_LINE = 64

FEW_BYTES = 1 << 20
"""Memory that is taken at first, and for a small checkpoint is enough."""


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


class Share(NamedTuple):
    """One of `of` shares, counted from 0, of what threads do together."""

    number: int
    of: int

    def span(self, total: int) -> tuple[int, int]:
        """From where to where of `total` the share goes."""
        return total * self.number // self.of, total * (self.number + 1) // self.of


WHOLE = Share(0, 1)


@dataclass
class Scratch:
    """Memory that is used again for every piece: fresh memory would cost as much time as the copying into it."""

    _buffers: dict[str, Array] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def beside(self) -> Scratch:
        """Another one, for what is compared with what is here."""
        return Scratch()

    def take(self, purpose: str, rows: int, columns: int, dtype: np.dtype[np.generic]) -> Array:
        """An array for `purpose`, with any content, that is valid until the same purpose is asked for again."""
        nbytes = rows * columns * dtype.itemsize
        with self._lock:
            if purpose not in self._buffers or self._buffers[purpose].size < nbytes:
                # What is not touched takes no memory. Of a large page every byte is touched, by the system.
                size = FEW_BYTES if nbytes <= FEW_BYTES else max(nbytes, BLOCK_BYTES)
                self._buffers[purpose] = np.frombuffer(_memory(size, nbytes > FEW_BYTES), np.uint8)
        return self._buffers[purpose][:nbytes].view(dtype).reshape(rows, columns)


def _memory(nbytes: int, large_pages: bool) -> mmap.mmap:
    """Anonymous memory that goes back to the system when it is dropped.

    The allocator would keep it, and would from then on also keep every smaller array that is dropped.
    """
    # Only private memory comes in large pages, which save time. Not every system knows the word, or has such pages.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, nbytes, **private)
    if large_pages:
        with suppress(AttributeError, OSError):
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

    def read(self, memory: Array | None = None) -> Array:
        """The whole tensor in C order, shape `shape`, dtype `dtype.storage`; costs `nbytes` of memory or twice that. It
        lies in `memory`, where bytes are given that suffice."""
        source, offset = self.open_source()
        flat = np.empty(self.size, self.dtype.storage) if memory is None else self._laid_in(memory)
        source.read_into(_bytes_of(flat), offset)
        if self.fortran:
            return np.asarray(flat.reshape(self.shape, order="F"), order="C")
        return flat.reshape(self.shape)

    def _laid_in(self, memory: Array) -> Array:
        return memory[: self.nbytes].view(self.dtype.storage)

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
            for _, block in self.strips(piece, scratch, transposed):
                yield block.reshape(-1)

    def pieces(
        self,
        transposed: bool = False,
        whole_rows: bool = False,
        within: Piece | None = None,
        block_bytes: int | None = None,
    ) -> Iterator[Piece]:
        """Pieces that cover the tensor, or its transpose (2-D only), once, in the order of their first elements.

        With `whole_rows` every piece has all columns; with `within` they cover that rectangle. A piece that is turned
        takes `block_bytes` of memory at most.
        """
        if transposed and len(self.shape) != 2:
            raise ValueError(f"{self.name}: only a matrix can be transposed, not shape {list(self.shape)}")
        if self.size == 0:
            return
        rows, columns = matrix_shape(self.shape[::-1] if transposed else self.shape)
        box = within or Piece(0, rows, 0, columns)
        if self._is_shuffled:
            height, width = box.height, box.width
        elif self._is_flipped(transposed):
            height, width = self._turned_shape(box, box.height == rows, whole_rows, block_bytes or BLOCK_BYTES)
        else:
            height, width = self._plain_shape(box)
            width = box.width if whole_rows else width
        for top in range(box.top, box.bottom, height):
            for left in range(box.left, box.right, width):
                yield Piece(top, min(top + height, box.bottom), left, min(left + width, box.right))

    def _plain_shape(self, box: Piece) -> tuple[int, int]:
        """Height and width of pieces that are copied as they lie."""
        itemsize = self.dtype.itemsize
        width = _evenly(box.width, STRIP_BYTES // itemsize)
        return min(box.height, max(1, PLAIN_BYTES // (width * itemsize))) if width == box.width else 1, width

    def _turned_shape(self, box: Piece, whole: bool, whole_rows: bool, block_bytes: int) -> tuple[int, int]:
        """Height and width of pieces that are turned; `whole`: the box has whole rows of the source."""
        itemsize = self.dtype.itemsize
        if whole_rows:
            return _evenly(box.height, block_bytes // box.width // CACHE_LINE * CACHE_LINE // itemsize), box.width
        height = box.height
        lines = max(1, block_bytes // BLOCK_ROWS // CACHE_LINE)
        most = (lines - (lines + 1) % 2) * CACHE_LINE
        if _stride(height * itemsize, whole) > most:
            height, whole = _evenly(height, most // itemsize), False
        width = min(block_bytes // _stride(height * itemsize, whole), STRIP_BYTES // itemsize)
        return height, _evenly(box.width, width)

    def is_shared(self, piece: Piece, transposed: bool) -> bool:
        """Whether a piece takes so much memory that threads make it together, and no other beside it."""
        if self._is_shuffled or not self._is_flipped(transposed):
            return False
        return piece.width * self._apart(piece, transposed) > OWN_BYTES

    def load(self, piece: Piece, scratch: Scratch, transposed: bool, share: Share = WHOLE) -> None:
        """Read a share of what of the source a piece that is turned is made of, for `strips` with the same `scratch`.

        Raises SourceChangedError when the file ends early.
        """
        source, offset = self.open_source()
        itemsize = self.dtype.itemsize
        stored, apart = self._stored_columns(transposed), self._apart(piece, transposed)
        first, end = share.span(piece.width)
        rows = _bytes_of(self._block(piece, scratch, transposed).reshape(-1))[first * apart : end * apart]
        start = offset + ((piece.left + first) * stored + piece.top) * itemsize
        source.read_rows(rows, piece.height * itemsize, apart, start, stored * itemsize)

    def strips(
        self,
        piece: Piece,
        scratch: Scratch,
        transposed: bool = False,
        loaded: Scratch | None = None,
        share: Share = WHOLE,
    ) -> Iterator[tuple[Piece, Array]]:
        """A share of the piece of the tensor, or of its transpose, some of its rows at a time: each strip's place, and
        the strip as a C-ordered matrix in the memory of `scratch`, valid until the next one is asked for.

        `loaded` is where `load` has put what the piece is made of; without it that is done here. Raises
        SourceChangedError when the file ends early.
        """
        step = max(1, STRIP_BYTES // (piece.width * self.dtype.itemsize))
        parts = [
            replace(piece, top=top, bottom=min(top + step, piece.bottom))
            for top in range(piece.top, piece.bottom, step)
        ][share.number :: share.of]
        if self._is_shuffled:
            whole = self.read().reshape(matrix_shape(self.shape))
            for part in parts:
                yield part, np.ascontiguousarray(whole[part.top : part.bottom, part.left : part.right])
        elif self._is_flipped(transposed):
            if loaded is None:
                self.load(piece, scratch, transposed)
            block = self._block(piece, loaded or scratch, transposed)
            for part in parts:
                strip = scratch.take("strip", part.height, part.width, self.dtype.storage)
                _turn(block[:, part.top - piece.top : part.bottom - piece.top], strip)
                yield part, strip
        else:
            source, offset = self.open_source()
            itemsize = self.dtype.itemsize
            columns = matrix_shape(self.shape[::-1] if transposed else self.shape)[1]
            for part in parts:
                strip = scratch.take("strip", part.height, part.width, self.dtype.storage)
                start = offset + (part.top * columns + part.left) * itemsize
                length = part.width * itemsize
                source.read_rows(_bytes_of(strip.reshape(-1)), length, length, start, columns * itemsize)
                yield part, strip

    def _block(self, piece: Piece, scratch: Scratch, transposed: bool) -> Array:
        """Memory for the transpose of a piece, as it lies in the source: a matrix whose rows may have a rest that is
        of no concern."""
        return scratch.take(
            "block", piece.width, self._apart(piece, transposed) // self.dtype.itemsize, self.dtype.storage
        )

    def _apart(self, piece: Piece, transposed: bool) -> int:
        """Bytes from one row of that memory to the next."""
        return _stride(piece.height * self.dtype.itemsize, piece.height == self._stored_columns(transposed))

    def _stored_columns(self, transposed: bool) -> int:
        """Columns of the C-ordered matrix in the file, whose transpose is asked for."""
        return matrix_shape(self.shape if transposed else self.shape[::-1])[1]

    @property
    def _is_shuffled(self) -> bool:
        """Whether no piece can be read without the rest."""
        return self.fortran and len(self.shape) > 2

    def _is_flipped(self, transposed: bool) -> bool:
        """Whether the matrix that is asked for is the transpose of the C-ordered matrix in the file."""
        return transposed != (self.fortran and len(self.shape) == 2)


def _evenly(total: int, most: int) -> int:
    """The size of parts of `total`, all but the last equal, of at most `most` each but at least one: a narrow rest
    would be read in short segments."""
    return -(-total // -(-total // max(1, min(most, total))))


def _stride(length: int, whole: bool) -> int:
    """Bytes from one row in memory to the next, for rows of `length` bytes; `whole`: they are those of the source.

    With an odd number of cache lines per row, the elements of a column do not compete for the same few places of the
    processor's cache; without it the transposing takes three times as long. Of whole rows that are short, many columns
    share a line.
    """
    if whole and length <= UNPADDED_BYTES:
        return length
    return (-(-length // CACHE_LINE) | 1) * CACHE_LINE


def _turn(rows: Array, out: Array) -> None:
    """Fill `out` with the transpose of `rows`, a tile at a time."""
    height, width = rows.shape
    for top in range(0, height, TILE_ROWS):
        tiles, places = rows[top : top + TILE_ROWS], out[:, top : top + TILE_ROWS]
        for left in range(0, width, TILE_COLUMNS):
            places[left : left + TILE_COLUMNS] = tiles[:, left : left + TILE_COLUMNS].T


def _bytes_of(array: Array) -> memoryview:
    return array.view(np.uint8).data
