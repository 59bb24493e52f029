"""Tensors written to a file piece by piece, and the threads that do it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from ...errors import OutputError, UnmatchedTensorsError
from ...mappings.language.transforms import IDENTITY, Region, Transform, View, matrix_shape, view_of_source
from .byte_source import write_all
from .casting import cast_into, number_of
from .dtypes import DTYPES, Array, DType
from .tensors import CHUNK_BYTES, Piece, Scratch, Tensor

WORKERS = 2
"""Threads that write. More gain nothing, as one file is written by one thread at a time, and cost memory."""

COMPARING = 1
"""Threads that compare: a second one hands the interpreter's lock back and forth, gains nothing, and costs memory."""

GROUP_BYTES, GROUP_PIECES = 1 << 20, 256
"""Bytes and number of pieces that are given to a thread together."""


@dataclass(frozen=True)
class Entry:
    """A tensor to be written under `name`: what `transform` makes of `tensors`, cast to `cast` where that is given, and
    with zeros in place of the row `zero_row` where that is given. `made` is the element type of what is made of no
    tensor."""

    name: str
    tensors: tuple[Tensor, ...]
    transform: Transform = IDENTITY
    cast: DType | None = None
    zero_row: int | None = None
    made: DType | None = None

    def __post_init__(self) -> None:
        if len(types := {tensor.dtype.name for tensor in self.tensors}) > 1:
            names = ", ".join(tensor.name for tensor in self.tensors)
            raise UnmatchedTensorsError(
                f"{names} become the one tensor {self.name}, but hold {' and '.join(sorted(types))}; one element type "
                "is expected"
            )

    @cached_property
    def view(self) -> View:
        """Where each rectangle of what is written lies in the tensors."""
        return self.transform.view([view_of_source(*pair) for pair in enumerate(t.shape for t in self.tensors)])

    @property
    def stored(self) -> DType:
        """Element type before the cast."""
        if self.tensors:
            return self.tensors[0].dtype
        if self.made is None:
            raise ValueError(f"{self.name}: made of no tensor and of no type")
        return self.made

    @property
    def dtype(self) -> DType:
        """Element type as written."""
        return self.cast or self.stored

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as written."""
        return self.view.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the elements as written."""
        return math.prod(self.shape) * self.dtype.itemsize

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Pieces that cover what is written, once."""
        found = []
        for region in self.view.regions:
            down, right = region.top - region.row, region.left - region.column
            found += [_shifted(piece, down, right) if down or right else piece for piece in self._pieces_of(region)]
        return tuple(found)

    def _pieces_of(self, region: Region) -> Iterator[Piece]:
        """Pieces of a region, where its values begin at the region's row and column."""
        height, width = region.bottom - region.top, region.right - region.left
        box = Piece(region.row, region.row + height, region.column, region.column + width)
        if region.source is not None:
            yield from self._seen(region).pieces(region.transposed, within=box)
        elif width:
            most = max(1, CHUNK_BYTES // (width * self.dtype.itemsize))
            for top in range(0, height, most):
                yield Piece(top, min(top + most, height), 0, width)

    def read(self, piece: Piece, scratch: Scratch) -> Array:
        """A piece of what is written, as a C-ordered matrix in the memory of `scratch`."""
        region = self._region(piece)
        if region.source is None:
            block = scratch.take("block", piece.height, piece.width, self.stored.storage)
            self._make(block, region, piece)
        else:
            place = _shifted(piece, region.row - region.top, region.column - region.left)
            block = self._seen(region).read_piece(place, scratch, region.transposed)
        if self.dtype != self.stored:
            given, block = block, scratch.take("cast", piece.height, piece.width, self.dtype.storage)
            name = self.name if region.source is None else self.tensors[region.source].name
            cast_into(given.reshape(-1), self.stored, block.reshape(-1), self.dtype, name)
        if self.zero_row is not None and piece.top <= self.zero_row < piece.bottom:
            block[self.zero_row - piece.top] = 0
        return block

    def _make(self, block: Array, region: Region, piece: Piece) -> None:
        """Fill a piece with what is made of no tensor."""
        if region.table is None:
            block[:] = number_of(region.fill, self.stored)
            return
        table = region.table(np).reshape(region.bottom - region.top, -1)
        part = np.ascontiguousarray(table[piece.top : piece.bottom, piece.left : piece.right], np.float32)
        cast_into(part.reshape(-1), DTYPES["float32"], block.reshape(-1), self.stored, self.name)

    def _region(self, piece: Piece) -> Region:
        for region in self.view.regions:
            if region.top <= piece.top < region.bottom and region.left <= piece.left < region.right:
                return region
        raise ValueError(f"{self.name}: {piece} lies outside of shape {list(self.shape)}")

    def _seen(self, region: Region) -> Tensor:
        """The region's tensor, with the rows and columns that the region counts in."""
        tensor = self.tensors[region.source or 0]
        as_it_is = region.start == 0 and matrix_shape(tensor.shape) == region.seen
        if as_it_is and (len(tensor.shape) == 2 or not region.transposed):
            return tensor
        return tensor.part(region.start, region.seen)


def _shifted(piece: Piece, down: int, right: int) -> Piece:
    return Piece(piece.top + down, piece.bottom + down, piece.left + right, piece.right + right)


@dataclass(frozen=True)
class Layout:
    """What of a file of tensors does not depend on their elements: runs of bytes with the places where they begin, the
    place of each tensor's elements by its name, and the size of the whole file."""

    fixed: tuple[tuple[int, bytes], ...]
    places: Mapping[str, int]
    size: int


def write_tensors(path: Path, layout: Layout, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    """Write `entries` to the new file `path`, a few pieces in memory at a time; `progress` gets the bytes of each.

    Raises OutputError when the file cannot be written.
    """
    turn = threading.Lock()
    try:
        with path.open("xb", buffering=0) as file:
            descriptor = file.fileno()
            for place, run in layout.fixed:
                write_all(descriptor, memoryview(run), place)

            def write(entry: Entry, piece: Piece, scratch: Scratch) -> None:
                block = entry.read(piece, scratch)
                # The system lets one thread at a time write a file; the other would spin, not sleep, while it waits.
                with turn:
                    write_piece(descriptor, entry, piece, block, layout.places[entry.name])

            on_every_piece(entries, write, progress)
            size = os.fstat(descriptor).st_size
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    if size != layout.size:
        raise OutputError(f"{path}: {size} bytes were written, {layout.size} were announced")


def write_piece(descriptor: int, entry: Entry, piece: Piece, block: Array, place: int) -> None:
    """Write a piece of the tensor that begins at byte `place` of the file."""
    columns = matrix_shape(entry.shape)[1]
    if piece.width == columns:
        write_all(descriptor, bytes_of(block), place + piece.top * columns * block.itemsize)
        return
    place += (piece.top * columns + piece.left) * block.itemsize
    for row in block:
        write_all(descriptor, bytes_of(row), place)
        place += columns * block.itemsize


def bytes_of(array: Array) -> memoryview:
    """The bytes of a C-ordered array."""
    return array.reshape(-1).view(np.uint8).data


def on_every_piece(
    entries: Sequence[Entry],
    work: Callable[[Entry, Piece, Scratch], None],
    progress: Callable[[int], None],
    workers: int = WORKERS,
) -> None:
    """Do `work` on every piece of `entries`, `workers` at a time; `progress` gets the bytes of each, in order.

    Raises the first exception, in the order of the pieces, when the work under way has ended; no other is begun then.
    """
    scratches: SimpleQueue[Scratch] = SimpleQueue()
    for _ in range(workers):
        scratches.put(Scratch())

    def task(group: Sequence[tuple[Entry, Piece]]) -> int:
        scratch = scratches.get()
        try:
            for entry, piece in group:
                work(entry, piece, scratch)
        finally:
            scratches.put(scratch)
        return sum(map(_bytes_in, group))

    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in [pool.submit(task, group) for group in _groups(entries)]:
                progress(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _groups(entries: Sequence[Entry]) -> Iterator[list[tuple[Entry, Piece]]]:
    """The pieces of `entries` in their order, small ones together: handing one to a thread costs as much as a copy of
    some ten kilobytes."""
    group: list[tuple[Entry, Piece]] = []
    filled = 0
    for pair in ((entry, piece) for entry in entries for piece in entry.pieces):
        group.append(pair)
        filled += _bytes_in(pair)
        if filled >= GROUP_BYTES or len(group) >= GROUP_PIECES:
            yield group
            group, filled = [], 0
    if group:
        yield group


def _bytes_in(pair: tuple[Entry, Piece]) -> int:
    entry, piece = pair
    return piece.height * piece.width * entry.dtype.itemsize
