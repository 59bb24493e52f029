"""The zip archives that `torch.save` writes since PyTorch 1.6: their members, which lie in the file as they are."""

from __future__ import annotations

import os
import struct
import threading
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ....errors import UnreadableFileError
from ..byte_source import ByteSource
from ..file_kinds import ZIP_HEAD
from ..pickle_objects import shown

SAVE_AGAIN = "load it with PyTorch and save the model again as safetensors"

_LOCAL_HEADER_BYTES = 30
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800
MAX_MEMBERS = 200_000
"""A member takes a few hundred bytes of memory; a checkpoint has one for each tensor."""

CHECK_BYTES = 1 << 20
"""Read at a time for a checksum."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member's bytes lie in the archive, and their CRC-32; 0 where none was written."""

    name: str
    offset: int
    size: int
    crc: int


class Archive(ByteSource):
    """An archive of `torch.save`. Before the first byte of a member is read, its checksum is compared."""

    def __init__(self, path: Path) -> None:
        """Open the archive and find its members; raises UnreadableFileError for archives of another kind."""
        super().__init__(path)
        self._lock = threading.Lock()
        self._ordered: list[Member] = []
        self._unchecked: set[int] = set()
        try:
            entries, directory = _entries(self)
            self.name = _archive_name(path, {entry.filename for entry in entries})
            """The folder that all members lie in."""
            self.members: Mapping[str, Member] = _members(self, entries, directory)
            """The members by name."""
            # An empty member has no byte that could be read.
            self._ordered = sorted((m for m in self.members.values() if m.size), key=lambda member: member.offset)
            self._starts = [member.offset for member in self._ordered]
            self._unchecked = {index for index, member in enumerate(self._ordered) if member.crc}
            _check_byte_order(self, self.members.get(f"{self.name}/byteorder"))
        except BaseException:
            self.close()
            raise

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`; raises as `ByteSource.read_into`, and UnreadableFileError when the member there
        is not what its checksum says."""
        if self._unchecked:
            self._check(bisect_right(self._starts, offset) - 1)
        super().read_into(buffer, offset)

    def _check(self, index: int) -> None:
        with self._lock:
            if index not in self._unchecked:
                return
            member = self._ordered[index]
            found = 0
            buffer = memoryview(bytearray(min(member.size, CHECK_BYTES)))
            for start in range(0, member.size, CHECK_BYTES):
                piece = buffer[: member.size - start]
                super().read_into(piece, member.offset + start)
                found = zlib.crc32(piece, found)
            if found != member.crc:
                raise UnreadableFileError(
                    f"{self.path}: its member {shown(member.name)} is damaged: the CRC-32 of its bytes is "
                    f"{found:08x}, {member.crc:08x} was written; fetch it again"
                )
            self._unchecked.discard(index)


class MemberSource(ByteSource):
    """One member of an archive, read as if it were a file."""

    def __init__(self, archive: ByteSource, member: Member) -> None:
        self.path = archive.path
        self.size = member.size
        self._archive = archive
        self._offset = member.offset

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`; raises as the archive does."""
        self._archive.read_into(buffer, self._offset + offset)

    def read_rows(self, buffer: memoryview, length: int, apart: int, offset: int, step: int) -> None:
        """Fill rows as the archive does."""
        self._archive.read_rows(buffer, length, apart, self._offset + offset, step)

    def check_unchanged(self) -> None:
        """Check the archive."""
        self._archive.check_unchanged()

    def close(self) -> None:
        """Does nothing: the archive is closed by whoever opened it."""


def _entries(source: ByteSource) -> tuple[list[zipfile.ZipInfo], int]:
    """The archive's directory, and where in the file it begins. Raises UnreadableFileError."""
    path = source.path
    try:
        with open(os.dup(source.descriptor), "rb") as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            directory = archive.start_dir
    except (zipfile.BadZipFile, struct.error, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise UnreadableFileError(
            f"{path}: is not a whole zip archive, which is how PyTorch saves: {error}; fetch it again"
        ) from error
    if len(entries) > MAX_MEMBERS:
        raise UnreadableFileError(f"{path}: holds {len(entries)} members, far more than any checkpoint")
    return entries, directory


def _members(source: ByteSource, entries: list[zipfile.ZipInfo], directory: int) -> dict[str, Member]:
    """The members by name. Raises UnreadableFileError unless each lies in the file as it is, apart from all others."""
    path = source.path
    members: dict[str, Member] = {}
    spans: list[tuple[int, int, str]] = []
    for entry in entries:
        name = shown(entry.filename)
        if entry.filename in members:
            raise UnreadableFileError(f"{path}: holds the member {name} twice; the file is damaged")
        if entry.flag_bits & _ENCRYPTED:
            raise UnreadableFileError(f"{path}: its member {name} is encrypted; {SAVE_AGAIN}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise UnreadableFileError(
                f"{path}: its member {name} is compressed, which PyTorch never does; {SAVE_AGAIN}"
            )
        offset = _begin_of(source, entry, directory)
        members[entry.filename] = Member(entry.filename, offset, entry.file_size, entry.CRC)
        spans.append((entry.header_offset, offset + entry.file_size, name))
    spans.sort()
    for (_, end, name), (start, _, other) in pairwise(spans):
        if start < end:
            raise UnreadableFileError(f"{path}: its members {name} and {other} overlap; the file is damaged")
    return members


def _begin_of(source: ByteSource, entry: zipfile.ZipInfo, directory: int) -> int:
    """Where the bytes of a member begin, by the header before them."""
    damaged = UnreadableFileError(
        f"{source.path}: its member {shown(entry.filename)} is not where its directory says; fetch it again"
    )
    if not 0 <= entry.header_offset <= directory - _LOCAL_HEADER_BYTES:
        raise damaged
    header = source.read(_LOCAL_HEADER_BYTES, entry.header_offset)
    name_bytes, extra_bytes = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    offset = entry.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    if not header.startswith(ZIP_HEAD) or offset + entry.file_size > directory:
        raise damaged
    name = source.read(name_bytes, entry.header_offset + _LOCAL_HEADER_BYTES)
    if name != entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8_NAME else "cp437"):
        raise damaged
    return offset


def _archive_name(path: Path, names: set[str]) -> str:
    """The folder that all members lie in. Raises UnreadableFileError for archives of another kind."""
    tops = {name.partition("/")[0] for name in names}
    archive = next(iter(tops), "")
    if len(tops) != 1 or f"{archive}/data.pkl" not in names:
        raise UnreadableFileError(f"{path}: is a zip archive, but not one of torch.save; unpack it first")
    if f"{archive}/constants.pkl" in names or any(name.startswith(f"{archive}/code/") for name in names):
        raise UnreadableFileError(f"{path}: is a TorchScript program, not a checkpoint; {SAVE_AGAIN}")
    return archive


def _check_byte_order(source: ByteSource, member: Member | None) -> None:
    """Raise UnreadableFileError unless the archive says that it is little-endian, or says nothing, as older ones."""
    written = source.read(min(member.size, 16), member.offset) if member is not None else b"little"
    if written != b"little":
        raise UnreadableFileError(f"{source.path}: was saved in the byte order {shown(repr(written))}; {SAVE_AGAIN}")
