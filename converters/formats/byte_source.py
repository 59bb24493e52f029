"""Positioned reads from a file that must not change while it is read.

Reads go through `os.preadv`, where the system has it, rather than a memory map: a file that shrinks under a map kills
the process with a bus error, a short read is an error that can be reported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from ...errors import SourceChangedError, UnreadableFileError

IOV_MAX = 1024
"""Buffers that the system fills in one call, on Linux and on macOS."""


class ByteSource:
    """An open file with positioned reads; `size` is in bytes. Safe to read from several threads."""

    _descriptor = -1

    def __init__(self, path: Path, file: BinaryIO | None = None) -> None:
        """Open `path`, or take over `file`, an already open (perhaps nameless) file that `path` describes.

        Raises UnreadableFileError when the file cannot be opened or is not a regular file.
        """
        self.path = path
        # Opening a named pipe would wait for a writer. A folder says what it is when it is opened.
        if file is None and os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            raise UnreadableFileError(f"{path}: is not a regular file; copy it to one first")
        try:
            self._file: BinaryIO = open(path, "rb", buffering=0) if file is None else file  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
        self._descriptor = self._file.fileno()
        self._stamp = self._current_stamp()
        self.size = self._stamp[0]
        self._attached: list[ByteSource] = []
        self._reading = Lock()

    @property
    def descriptor(self) -> int:
        """The operating system's number of the open file, -1 once it is closed."""
        return self._descriptor

    def _current_stamp(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` (bytes) from `offset`; raises SourceChangedError when the file ends before that."""
        try:
            count = self._read_at((buffer,), offset)
            # Nearly every read ends here.
            if count == len(buffer):
                return
            while count < len(buffer):
                more = self._read_at((buffer[count:],), offset + count)
                if more == 0:
                    raise SourceChangedError(
                        f"{self.path}: ends at byte {offset + count} although it had {self.size} bytes when it was "
                        "opened; let whatever writes it finish, then try again"
                    )
                count += more
        except OSError as error:
            raise UnreadableFileError(f"{self.path}: reading failed: {error.strerror or error}") from error

    def _read_at(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Fill buffers with what follows byte `offset` of the file; the number of bytes that there were. Raises
        OSError."""
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, buffers, offset)
        # Windows can only read from where the file stands: one thread at a time.
        with self._reading:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            count = 0
            for buffer in buffers:
                found = self._file.readinto(buffer) or 0  # type: ignore[attr-defined]
                count += found
                if found < len(buffer):
                    break
            return count

    def read_rows(self, buffer: memoryview, length: int, apart: int, offset: int, step: int) -> None:
        """Fill rows of `length` bytes, which begin `apart` bytes from each other in `buffer`, from byte `offset`,
        `offset + step` and so on; raises as `read_into`."""
        if length == apart == step or len(buffer) <= apart:
            self.read_into(buffer[: len(buffer) if length == apart else length], offset)
            return
        rows = [buffer[place : place + length] for place in range(0, len(buffer), apart)]
        # A whole row of the file after the other: one call for many.
        many = IOV_MAX if length == step and self._descriptor >= 0 else 1
        if many == 1:
            for row in rows:
                self.read_into(row, offset)
                offset += step
            return
        try:
            for first in range(0, len(rows), many):
                group = rows[first : first + many]
                if self._read_at(group, offset) < length * len(group):
                    for number, row in enumerate(group):
                        self.read_into(row, offset + number * step)
                offset += step * len(group)
        except OSError as error:
            raise UnreadableFileError(f"{self.path}: reading failed: {error.strerror or error}") from error

    def read(self, count: int, offset: int) -> bytes:
        """`count` bytes from `offset`; raises as `read_into`."""
        buffer = bytearray(count)
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def check_unchanged(self) -> None:
        """Raise SourceChangedError when size or modification time differ from those at opening."""
        if self._current_stamp() != self._stamp:
            raise SourceChangedError(f"{self.path}: changed while it was being read; try again when it is complete")

    def attach(self, other: ByteSource) -> None:
        """Close `other`, which holds something made from this file, together with this file."""
        self._attached.append(other)

    def close(self) -> None:
        """Close the file and what is attached to it; reading afterwards fails."""
        for other in self._attached:
            other.close()
        # The number may soon belong to another file, which must not be read by mistake.
        self._descriptor = -1
        self._file.close()


class MemorySource(ByteSource):
    """Bytes that were made and lie in no file."""

    def __init__(self, path: Path, data: bytes) -> None:
        """`path` is for messages."""
        self.path = path
        self.size = len(data)
        self._data = data

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`."""
        buffer[:] = self._data[offset : offset + len(buffer)]

    def check_unchanged(self) -> None:
        """Nothing can change."""

    def close(self) -> None:
        """Nothing is open."""


def at_start(source: ByteSource) -> tuple[ByteSource, int]:
    """`source`, and the place 0 in it."""
    return source, 0


WRITE_BYTES = 512 << 10
"""Written by one call. Fewer bytes make more calls; for more, Linux takes larger pages, and often has to clear a place
for them."""


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """Write `data` at byte `offset` of the file; one thread at a time. Raises OSError."""
    while data:
        count = _write_at(descriptor, data[:WRITE_BYTES], offset)
        data = data[count:]
        offset += count


def _write_at(descriptor: int, data: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, data, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.write(descriptor, data)
