"""Tensors written to a file piece by piece, and compared with one."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ...errors import OutputError, UnmatchedTensorsError
from ...mappings.language.transforms import IDENTITY, Region, Transform, View, matrix_shape, view_of_source
from .byte_source import ByteSource, write_all
from .casting import cast_into, number_of
from .dtypes import DTYPES, Array, DType
from .stretches import (
    Stretch,
    by_shares,
    check_stretches,
    did_not_read_back,
    in_threads,
    reserve,
    stretch_of,
    write_strip,
)
from .tensors import STRIP_BYTES, WHOLE, Piece, Scratch, Share, Tensor

SMALL = 4096
"""Elements that are one piece, however they lie: in no shape do they take a megabyte when their rows are apart."""


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

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the elements as written."""
        return math.prod(self.shape) * self.dtype.itemsize

    def pieces(self, block_bytes: int | None = None) -> Iterator[tuple[Region, Piece]]:
        """Pieces that cover what is written, once, each with the region that it lies in. `block_bytes` of memory are
        enough for any."""
        for region in self.view.regions:
            height, width = region.bottom - region.top, region.right - region.left
            # What is small needs no thought, and may come in tens of thousands.
            if region.source is None or height * width <= SMALL:
                if height and width:
                    yield region, Piece(region.top, region.bottom, region.left, region.right)
                continue
            box = Piece(region.row, region.row + height, region.column, region.column + width)
            for piece in self._seen(region).pieces(region.transposed, within=box, block_bytes=block_bytes):
                yield region, _shifted(piece, region.top - region.row, region.left - region.column)

    def is_shared(self, region: Region, piece: Piece) -> bool:
        """Whether threads make a piece of what is written together."""
        if region.source is None or piece.height * piece.width <= SMALL:
            return False
        return self._seen(region).is_shared(_in_source(piece, region), region.transposed)

    def load(self, region: Region, piece: Piece, scratch: Scratch, share: Share) -> None:
        """Read a share of what such a piece is made of, for `strips`."""
        self._seen(region).load(_in_source(piece, region), scratch, region.transposed, share)

    def strips(
        self, region: Region, piece: Piece, scratch: Scratch, loaded: Scratch | None = None, share: Share = WHOLE
    ) -> Iterator[tuple[Piece, Array]]:
        """A share of a piece of what is written, some rows at a time: each strip's place, and the strip as a C-ordered
        matrix in the memory of `scratch`, valid until the next one is asked for. `loaded` is where `load` has put what
        it is made of; without it that is read here."""
        down, right = region.top - region.row, region.left - region.column
        if region.source is None:
            name, found = self.name, self._made_strips(region, piece, scratch)
        else:
            name = self.tensors[region.source].name
            there = _in_source(piece, region)
            found = self._seen(region).strips(there, scratch, region.transposed, loaded, share)
        for place, block in found:
            part = _shifted(place, down, right) if region.source is not None and (down or right) else place
            if self.dtype != self.stored:
                given, block = block, scratch.take("cast", part.height, part.width, self.dtype.storage)
                cast_into(given.reshape(-1), self.stored, block.reshape(-1), self.dtype, name)
            if self.zero_row is not None and part.top <= self.zero_row < part.bottom:
                block[self.zero_row - part.top] = 0
            yield part, block

    def _made_strips(self, region: Region, piece: Piece, scratch: Scratch) -> Iterator[tuple[Piece, Array]]:
        """What is made of no tensor."""
        step = max(1, STRIP_BYTES // (piece.width * self.stored.itemsize))
        for top in range(piece.top, piece.bottom, step):
            part = replace(piece, top=top, bottom=min(top + step, piece.bottom))
            block = scratch.take("strip", part.height, part.width, self.stored.storage)
            self._make(block, region, part)
            yield part, block

    def _make(self, block: Array, region: Region, piece: Piece) -> None:
        """Fill a piece with what is made of no tensor."""
        if region.table is None:
            block[:] = number_of(region.fill, self.stored)
            return
        table = region.table(np).reshape(region.bottom - region.top, -1)
        part = np.ascontiguousarray(table[piece.top : piece.bottom, piece.left : piece.right], np.float32)
        cast_into(part.reshape(-1), DTYPES["float32"], block.reshape(-1), self.stored, self.name)

    def _seen(self, region: Region) -> Tensor:
        """The region's tensor, with the rows and columns that the region counts in."""
        tensor = self.tensors[region.source or 0]
        as_it_is = region.start == 0 and matrix_shape(tensor.shape) == region.seen
        if as_it_is and (len(tensor.shape) == 2 or not region.transposed):
            return tensor
        return tensor.part(region.start, region.seen)


def _in_source(piece: Piece, region: Region) -> Piece:
    """A piece of what is written, as the region's tensor counts."""
    return _shifted(piece, region.row - region.top, region.column - region.left)


def _shifted(piece: Piece, down: int, right: int) -> Piece:
    return Piece(piece.top + down, piece.bottom + down, piece.left + right, piece.right + right)


@dataclass(frozen=True)
class Layout:
    """What of a file of tensors does not depend on their elements: runs of bytes with the places where they begin, the
    place of each tensor's elements by its name, and the size of the whole file."""

    fixed: tuple[tuple[int, bytes], ...]
    places: Mapping[str, int]
    size: int


@dataclass(frozen=True)
class Receipt:
    """What was written: the layout, and stretches that are the whole file, with hashes of them."""

    layout: Layout
    stretches: tuple[Stretch, ...]


def write_tensors(
    path: Path,
    layout: Layout,
    entries: Sequence[Entry],
    progress: Callable[[int], None],
    block_bytes: int | None = None,
) -> Receipt:
    """Write `entries` to the new file `path`, two pieces in memory at a time; `progress` gets the bytes of each.
    Returns what was written where, with hashes of it.

    `block_bytes` bounds the memory for a piece. Raises OutputError when the file cannot be written.
    """
    turn = threading.Lock()
    stretches: list[Stretch] = []
    try:
        with path.open("xb", buffering=0) as file:
            descriptor = file.fileno()
            reserve(descriptor, layout.size)
            for place, run in layout.fixed:
                write_all(descriptor, memoryview(run), place)
                stretches.append(stretch_of(None, np.frombuffer(run, np.uint8).reshape(1, -1), place, len(run)))

            def write(entry: Entry, strips: Iterator[tuple[Piece, Array]], _: Scratch) -> None:
                for part, block in strips:
                    place, step = place_of(entry, part, layout.places[entry.name])
                    stretches.append(stretch_of(entry.name, block, place, step))
                    # The system lets one thread at a time write a file; the other would spin while it waits.
                    with turn:
                        write_strip(descriptor, block, place, step)

            on_every_piece(entries, write, progress, block_bytes)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    if (size := sum(stretch.nbytes for stretch in stretches)) != layout.size:
        raise OutputError(f"{path}: {size} bytes were written, {layout.size} were announced")
    return Receipt(layout, tuple(stretches))


def place_of(entry: Entry, part: Piece, start: int) -> tuple[int, int]:
    """Where in a file that holds `entry` from byte `start` on the first row of a part of it lies, and how many bytes
    from each other its rows begin."""
    step = matrix_shape(entry.shape)[1] * entry.dtype.itemsize
    return start + part.top * step + part.left * entry.dtype.itemsize, step


def on_every_piece(
    entries: Sequence[Entry],
    work: Callable[[Entry, Iterator[tuple[Piece, Array]], Scratch], None],
    progress: Callable[[int], None],
    block_bytes: int | None = None,
) -> None:
    """Do `work` on the strips of every piece of `entries`, as `in_threads` does; where threads make a piece
    together, on the shares of it, as `by_shares` does. `progress` gets the bytes of each."""
    large: list[tuple[tuple[Entry, Region, Piece], int]] = []

    def small() -> Iterator[tuple[tuple[Entry, Region, Piece], int]]:
        for entry in entries:
            for region, piece in entry.pieces(block_bytes):
                item = (entry, region, piece), piece.height * piece.width * entry.dtype.itemsize
                if entry.is_shared(region, piece):
                    large.append(item)
                else:
                    yield item

    def alone(entry: Entry, region: Region, piece: Piece, scratch: Scratch) -> None:
        work(entry, entry.strips(region, piece, scratch), scratch)

    def load(entry: Entry, region: Region, piece: Piece, common: Scratch, share: Share) -> None:
        entry.load(region, piece, common, share)

    def together(entry: Entry, region: Region, piece: Piece, scratch: Scratch, common: Scratch, share: Share) -> None:
        work(entry, entry.strips(region, piece, scratch, common, share), scratch)

    in_threads(small(), alone, progress)
    by_shares(large, load, together, progress)


def check_names(path: Path, entries: Sequence[Entry], tensors: Mapping[str, Tensor]) -> None:
    """Raise OutputError unless the `tensors` that were found in the output `path` are `entries` by name, type and
    shape."""
    expected = {entry.name: entry for entry in entries}
    if different := sorted(expected.keys() ^ tensors.keys()):
        raise OutputError(f"{path}: reads back with other tensors: {different}")
    for name, entry in expected.items():
        found = tensors[name]
        if (found.dtype, found.shape) != (entry.dtype, entry.shape):
            raise OutputError(
                f"{path}: tensor {name} reads back as {found.dtype.name} {list(found.shape)}, expected "
                f"{entry.dtype.name} {list(entry.shape)}"
            )


def check_written(
    source: ByteSource, receipt: Receipt, tensors: Mapping[str, Tensor], progress: Callable[[int], None]
) -> None:
    """Check an output, in whose file `source` the `tensors` were found, against what was written: their places, and
    every byte. Raises OutputError naming the first tensor that is different."""
    for name, place in receipt.layout.places.items():
        _, found = tensors[name].open_source()
        if found != place:
            raise OutputError(f"{source.path}: tensor {name} reads back from byte {found}, it was written at {place}")
    check_stretches(source, receipt.stretches, progress)


def compare_tensors(
    path: Path, entries: Sequence[Entry], tensors: Mapping[str, Tensor], progress: Callable[[int], None]
) -> None:
    """Compare every bit of `entries` with the `tensors` that were found under their names in the output `path`.

    Raises OutputError naming the first tensor that is different.
    """

    def compare(entry: Entry, strips: Iterator[tuple[Piece, Array]], scratch: Scratch) -> None:
        if not bits_equal(strips, tensors[entry.name], scratch.beside):
            raise did_not_read_back(path, entry.name)

    on_every_piece(entries, compare, progress)


def bits_equal(strips: Iterable[tuple[Piece, Array]], tensor: Tensor, scratch: Scratch) -> bool:
    """Whether strips of what is written have the bits of a tensor of the same type and shape there, which is read into
    `scratch`."""
    bits = np.dtype(f"u{min(tensor.dtype.itemsize, 8)}")
    return all(
        np.array_equal(found.view(bits), block[place.top - part.top : place.bottom - part.top].view(bits))
        for part, block in strips
        for place, found in tensor.strips(part, scratch)
    )
