"""Array bytes that do not lie in the file as they are: spelt as text, or split into parts."""

from __future__ import annotations

import codecs
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from ...errors import UnreadableFileError
from .byte_source import ByteSource
from .pickle_objects import ArrayRef, Span

PIECE_BYTES = 1 << 20
"""Text decoded at a time."""

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

    Text is decoded once, on first use, into one nameless temporary file that is deleted when the source is closed.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._scratch: _ScratchSource | None = None
        self._scratch_end = 0
        self._decoded: dict[tuple[int, int], int] = {}

    def opener(self, array: ArrayRef, nbytes: int) -> Opener:
        """The opener for `array`, whose elements take `nbytes`.

        Calling it raises UnreadableFileError when text does not decode to exactly `nbytes`.
        """
        span = array.payload
        if span.encoding != "latin1" or nbytes == 0:
            return lambda: (self._source, span.offset)
        return lambda: self._open_decoded(span, nbytes)

    def _open_decoded(self, span: Span, nbytes: int) -> tuple[ByteSource, int]:
        with self._lock:
            try:
                if self._source.descriptor < 0:
                    raise UnreadableFileError(f"{self._source.path}: was closed already")
                if self._scratch is None:
                    file = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - closed with the source
                    self._scratch = _ScratchSource(self._source.path, file)
                    self._source.attach(self._scratch)
                place = self._decoded.get((span.offset, nbytes))
                if place is None:
                    place = self._scratch_end
                    self._decode(span, nbytes, self._scratch.descriptor, place)
                    self._scratch_end += nbytes
                    self._decoded[span.offset, nbytes] = place
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
                _write_all(descriptor, data, place + done)
            done += len(data)
        if done != nbytes:
            raise UnreadableFileError(
                f"{self._source.path}: the array at byte {span.offset} needs {nbytes} bytes by its shape but decodes "
                f"to {done}; the file is damaged"
            )


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view = view[count:]
        offset += count
