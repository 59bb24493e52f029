"""Tensors written to a file piece by piece, and the threads that do it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np

from .casting import cast_into
from .dtypes import Array, DType
from .tensors import Piece, Scratch, Tensor, matrix_shape

WORKERS = 2
"""Threads that write or compare. More gain nothing, as one file is written by one thread at a time, and cost memory."""


@dataclass(frozen=True)
class Entry:
    """A tensor to be written under `name`: `tensor`, or its transpose, cast to `cast` where that is given, and with
    zeros in place of the row `zero_row` where that is given."""

    name: str
    tensor: Tensor
    transposed: bool = False
    cast: DType | None = None
    zero_row: int | None = None

    @property
    def dtype(self) -> DType:
        """Element type as written."""
        return self.cast or self.tensor.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as written."""
        return self.tensor.shape[::-1] if self.transposed else self.tensor.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the elements as written."""
        return self.tensor.size * self.dtype.itemsize

    def pieces(self) -> Iterator[Piece]:
        """Pieces that cover what is written, once."""
        return self.tensor.pieces(self.transposed)

    def read(self, piece: Piece, scratch: Scratch) -> Array:
        """A piece of what is written, as a C-ordered matrix in the memory of `scratch`."""
        block = self.tensor.read_piece(piece, scratch, self.transposed)
        if self.dtype != self.tensor.dtype:
            given, block = block, scratch.take("cast", piece.height, piece.width, self.dtype.storage)
            cast_into(given.reshape(-1), self.tensor.dtype, block.reshape(-1), self.dtype, self.tensor.name)
        if self.zero_row is not None and piece.top <= self.zero_row < piece.bottom:
            block[self.zero_row - piece.top] = 0
        return block


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


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """Write `data` at byte `offset` of the file. Raises OSError."""
    while data:
        count = os.pwrite(descriptor, data, offset)
        data = data[count:]
        offset += count


def bytes_of(array: Array) -> memoryview:
    """The bytes of a C-ordered array."""
    return array.reshape(-1).view(np.uint8).data


def on_every_piece(
    entries: Sequence[Entry], work: Callable[[Entry, Piece, Scratch], None], progress: Callable[[int], None]
) -> None:
    """Do `work` on every piece of `entries`, `WORKERS` at a time; `progress` gets the bytes of each, in order.

    Raises the first exception, in the order of the pieces, when the work under way has ended; no other is begun then.
    """
    scratches: SimpleQueue[Scratch] = SimpleQueue()
    for _ in range(WORKERS):
        scratches.put(Scratch())

    def task(entry: Entry, piece: Piece) -> int:
        scratch = scratches.get()
        try:
            work(entry, piece, scratch)
        finally:
            scratches.put(scratch)
        return piece.height * piece.width * entry.dtype.itemsize

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for future in [pool.submit(task, entry, piece) for entry in entries for piece in entry.pieces()]:
                progress(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
