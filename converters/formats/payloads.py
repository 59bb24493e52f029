"""Array bytes that do not lie in the file as they are: spelt as text, split into parts, or apart from each other."""

from __future__ import annotations

import codecs
import math
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ...errors import UnreadableFileError
from .byte_source import ByteSource, write_all
from .dtypes import Array
from .pickle_objects import ArrayRef, Span

PIECE_BYTES = 1 << 20
"""Text decoded at a time."""

GATHER_BYTES = 8 << 20
"""Read at a time, and written at a time."""

Opener = Callable[[], tuple[ByteSource, int]]
"""Gives the source that holds an array's bytes, and where they begin in it."""


class _ScratchSource(ByteSource):
    """A nameless temporary file that only this process can reach, so it cannot change behind its back."""

    def check_unchanged(self) -> None:
        """Never raises: the file grows with every payload that is decoded into it."""


class JoinedSource(ByteSource):
    """The bytes of several parts, one after the other, read as if they were one file."""

    def __init__(self, path: Path, parts: list[tuple[Opener, int]]) -> None:
        """`parts` are openers with the number of bytes each gives. Nothing is opened yet, so nothing is to close."""
        self.path = path
        self.size = sum(length for _, length in parts)
        self._parts = parts

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`; raises as the parts' own sources do."""
        start = 0
        for opener, length in self._parts:
            low, high = max(offset, start), min(offset + len(buffer), start + length)
            if low < high:
                source, base = opener()
                source.read_into(buffer[low - offset : high - offset], base + low - start)
            start += length

    def check_unchanged(self) -> None:
        """Check every part."""
        for opener, _ in self._parts:
            opener()[0].check_unchanged()

    def close(self) -> None:
        """Does nothing: the parts' sources belong to the opened file."""


class Payloads:
    """The array bytes of one file.

    What does not lie in it as it is needed is made once, on first use, in one nameless temporary file that is deleted
    when the source is closed.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._scratch: _ScratchSource | None = None
        self._scratch_end = 0
        self._made: dict[object, int] = {}

    def opener(self, array: ArrayRef, nbytes: int) -> Opener:
        """The opener for `array`, whose elements take `nbytes`.

        Calling it raises UnreadableFileError when text does not decode to exactly `nbytes`.
        """
        if nbytes and array.steps is not None:
            return lambda: self._open_made(array, nbytes, partial(_gather, self._source, array))
        span = array.payload
        if nbytes and span.encoding == "latin1":
            return lambda: self._open_made((span.offset, nbytes), nbytes, partial(self._decode, span, nbytes))
        return lambda: (self._source, span.offset)

    def _open_made(self, key: object, nbytes: int, make: Callable[[int, int], None]) -> tuple[ByteSource, int]:
        """The bytes in the temporary file that are known as `key` once `make(descriptor, place)` has written them."""
        with self._lock:
            try:
                if self._source.descriptor < 0:
                    raise UnreadableFileError(f"{self._source.path}: was closed already")
                if self._scratch is None:
                    file = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - closed with the source
                    self._scratch = _ScratchSource(self._source.path, file)
                    self._source.attach(self._scratch)
                place = self._made.get(key)
                if place is None:
                    place = self._scratch_end
                    make(self._scratch.descriptor, place)
                    self._scratch_end += nbytes
                    self._made[key] = place
                return self._scratch, place
            except OSError as error:
                raise UnreadableFileError(
                    f"{self._source.path}: cannot be decoded into a temporary file: {error.strerror or error}; "
                    "make room, or name a larger folder in the environment variable TMPDIR"
                ) from error

    def _decode(self, span: Span, nbytes: int, descriptor: int, place: int) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        done = 0
        for start in range(0, span.length, PIECE_BYTES):
            count = min(PIECE_BYTES, span.length - start)
            piece = self._source.read(count, span.offset + start)
            try:
                data = decoder.decode(piece, final=start + count == span.length).encode("latin-1")
            except UnicodeError as error:
                raise UnreadableFileError(
                    f"{self._source.path}: the array at byte {span.offset} is not text of bytes; the file is damaged"
                ) from error
            if done + len(data) <= nbytes:
                write_all(descriptor, memoryview(data), place + done)
            done += len(data)
        if done != nbytes:
            raise UnreadableFileError(
                f"{self._source.path}: the array at byte {span.offset} needs {nbytes} bytes by its shape but decodes "
                f"to {done}; the file is damaged"
            )


def _gather(source: ByteSource, array: ArrayRef, descriptor: int, place: int) -> None:
    """Write the elements of `array`, which `source` holds `array.steps` apart, from byte `place` of an open file on.

    The array is cut into boxes until each is small on both sides, along the dimension that reaches farthest in the
    source: what lies together is read together and once. Raises as `ByteSource.read_into`, and OSError.
    """
    if array.steps is None:
        raise ValueError("the elements lie in one piece")
    size = array.dtype.itemsize
    steps = tuple(step * size for step in array.steps)
    placed = tuple(size * math.prod(array.shape[axis + 1 :]) for axis in range(len(array.shape)))
    boxes = [(array.payload.offset, place, array.shape)]
    while boxes:
        start, target, sizes = boxes.pop()
        reaches = [(count - 1) * step for count, step in zip(sizes, steps, strict=True)]
        span = sum(reaches) + size
        if max(span, math.prod(sizes) * size) <= GATHER_BYTES:
            block = np.ndarray(sizes, np.dtype(f"V{size}"), source.read(span, start), strides=steps)
            _write_box(descriptor, block, array.shape, placed, target)
            continue
        axis = int(np.argmax(reaches if span > GATHER_BYTES else sizes))
        half = sizes[axis] // 2
        for first, count in ((half, sizes[axis] - half), (0, half)):
            part = (*sizes[:axis], count, *sizes[axis + 1 :])
            boxes.append((start + first * steps[axis], target + first * placed[axis], part))


def _write_box(descriptor: int, block: Array, shape: tuple[int, ...], placed: tuple[int, ...], target: int) -> None:
    """Write a box of an array of `shape` whose elements are `placed` bytes apart, in runs as long as they can be."""
    axis = len(shape)
    while axis and block.shape[axis:] == shape[axis:]:
        axis -= 1
    runs = np.ascontiguousarray(block).reshape(*block.shape[:axis], -1)
    for index in np.ndindex(*block.shape[:axis]):
        offset = sum(number * step for number, step in zip(index, placed, strict=False))
        write_all(descriptor, runs[index].view(np.uint8).data, target + offset)
