"""Reads `pytorch_model.bin` and other files of `torch.save`: finds their tensors without PyTorch and without running
anything.

Since PyTorch 1.6 such a file is a zip archive: a pickle, which names the tensors and the storages that they look into,
and every storage as a member of its own. Members are stored as they are, so the elements are read in place.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ...errors import Paddle2TorchError, RefusedFileError, UnreadableFileError
from .byte_source import ByteSource
from .dtypes import DTYPES, DType
from .pdparams import PdparamsFile, TensorCollector
from .pickle_index import PickleIndex
from .pickle_objects import ArrayRef, ArraySlot, Calls, Node, Span, Symbol, shown

ZIP_HEAD = b"PK\x03\x04"

LEGACY_HEAD = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""The magic number that `torch.save` wrote first, as a pickle, before it wrote zip archives."""

SAVE_AGAIN = "load it with PyTorch and save the model again as safetensors"

_LOCAL_HEADER_BYTES = 30
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800
MAX_MEMBERS = 200_000
"""A member takes a few hundred bytes of memory; a checkpoint has one for each tensor."""

_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}

_ROLES = {
    **{("torch", name): f"storage {dtype}" for name, dtype in _STORAGES.items()},
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_parameter"): "parameter",
    ("collections", "OrderedDict"): "ordered dict",
}


@dataclass(frozen=True)
class _Member:
    """Where a member's bytes lie in the archive."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Storage:
    """A storage left in the archive: `count` elements from byte `offset`."""

    dtype: DType
    count: int
    offset: int


class _MemberSource(ByteSource):
    """One member of an archive, read as if it were a file."""

    def __init__(self, archive: ByteSource, member: _Member) -> None:
        self.path = archive.path
        self.size = member.size
        self._archive = archive
        self._offset = member.offset

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` from `offset`; raises as the archive does."""
        self._archive.read_into(buffer, self._offset + offset)

    def check_unchanged(self) -> None:
        """Check the archive."""
        self._archive.check_unchanged()

    def close(self) -> None:
        """Does nothing: the archive is closed by whoever opened it."""


def is_torch_file(path: Path) -> bool:
    """Whether a file begins like those of `torch.save`, old or new. Raises UnreadableFileError."""
    source = ByteSource(path)
    try:
        head = source.read(min(source.size, len(LEGACY_HEAD)), 0)
    finally:
        source.close()
    return head.startswith((ZIP_HEAD, LEGACY_HEAD))


def open_torch_file(path: Path) -> PdparamsFile:
    """Find the tensors of a file of `torch.save`; their values stay in the file.

    Names of nested dicts and lists are joined with dots. Raises UnreadableFileError when the file is of another kind,
    damaged or in a form that cannot be read in place, and RefusedFileError when it asks for something to be executed.
    Either message begins with the path.
    """
    source = ByteSource(path)
    try:
        if source.size >= len(LEGACY_HEAD) and source.read(len(LEGACY_HEAD), 0) == LEGACY_HEAD:
            raise UnreadableFileError(f"{path}: is in the format of PyTorch before 1.6; {SAVE_AGAIN}")
        entries, directory = _entries(source)
        archive = _archive_name(path, {entry.filename for entry in entries})
        members = _members(source, entries, directory)
        _check_byte_order(source, members.get(f"{archive}/byteorder"))
        pickled = _MemberSource(source, members[f"{archive}/data.pkl"])
        index = PickleIndex(pickled, _TorchCalls(pickled, archive, members))
        collector = TensorCollector(source, index)
        collector.collect_root(index.read())
        source.check_unchanged()
    except BaseException:
        source.close()
        raise
    return PdparamsFile(source, collector.tensors, tuple(collector.ignored))


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


def _members(source: ByteSource, entries: list[zipfile.ZipInfo], directory: int) -> dict[str, _Member]:
    """The members by name. Raises UnreadableFileError unless each lies in the file as it is, apart from all others."""
    path = source.path
    members: dict[str, _Member] = {}
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
        members[entry.filename] = _Member(offset, entry.file_size)
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


def _check_byte_order(source: ByteSource, member: _Member | None) -> None:
    """Raise UnreadableFileError unless the archive says that it is little-endian, or says nothing, as older ones."""
    written = source.read(min(member.size, 16), member.offset) if member is not None else b"little"
    if written != b"little":
        raise UnreadableFileError(f"{source.path}: was saved in the byte order {shown(repr(written))}; {SAVE_AGAIN}")


class _TorchCalls(Calls):
    """The calls in files of `torch.save`: tensors made of storages, parameters made of tensors, ordered dicts."""

    persistent_ids = True

    def __init__(self, source: ByteSource, archive: str, members: dict[str, _Member]) -> None:
        super().__init__(source)
        self._roles = _ROLES
        self._shapes = {"tensor": self._tensor, "parameter": self._parameter, "ordered dict": self._ordered_dict}
        self._archive = archive
        self._members = members
        self._storages: dict[str, _Storage] = {}

    def refused(self, message: str) -> RefusedFileError:
        """The error for a file that asks for something to be executed, or for more than plain tensors."""
        return RefusedFileError(
            f"{self._source.path}: {message}; nothing was executed. If you trust where it is from, {SAVE_AGAIN}"
        )

    def persistent(self, identifier: Node, at: int) -> Node:
        """The storage that ('storage', class, key, device, number of elements) stands for."""
        self._at = at
        if not isinstance(identifier, tuple) or len(identifier) != 5:
            raise self._odd_storage()
        word, kind, key, device, count = identifier
        if not (isinstance(kind, Symbol) and kind.role.startswith("storage ") and self.short_text(word) == "storage"):
            raise self._odd_storage()
        if not (isinstance(key, Span) and key.is_text and isinstance(device, Span) and device.is_text):
            raise self._odd_storage()
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 63:
            raise self._odd_storage()
        dtype = DTYPES[kind.role.removeprefix("storage ")]
        name = f"{self._archive}/data/{self.text(key)}"
        member = self._members.get(name)
        if member is None:
            raise self.unreadable(f"the storage {shown(name)} is not in the archive; the file is damaged")
        if member.size != count * dtype.itemsize:
            raise self.unreadable(
                f"the storage {shown(name)} has {member.size} bytes, but {count} elements of {dtype.name} are "
                "announced; the file is damaged"
            )
        storage = _Storage(dtype, count, member.offset)
        if self._storages.setdefault(name, storage) != storage:
            raise self.unreadable(f"the storage {shown(name)} is used with two element types; {SAVE_AGAIN}")
        return storage

    def _odd_storage(self) -> Paddle2TorchError:
        return self.refused(f"names an object outside the pickle at byte {self._at} that is no storage of numbers")

    def _tensor(self, arguments: tuple[Node, ...]) -> Node:
        """_rebuild_tensor_v2(storage, first element, shape, strides, requires_grad, hooks)."""
        if len(arguments) != 6:
            raise self.mismatch()
        storage, first, shape, strides, gradient, hooks = arguments
        if not isinstance(storage, _Storage) or not isinstance(gradient, bool) or hooks != {}:
            raise self.mismatch()
        sizes = self.checked_shape(shape, storage.dtype)
        steps = _whole_numbers(strides)
        if steps is None or len(steps) != len(sizes) or _whole_numbers((first,)) is None or not isinstance(first, int):
            raise self.mismatch()
        empty = 0 in sizes
        last = first + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        if not empty and last >= storage.count:
            raise self.unreadable(
                f"the tensor before byte {self._at} ends at element {last} of a storage of {storage.count}; "
                "the file is damaged"
            )
        fortran = not empty and not _contiguous(sizes, steps)
        if fortran and not _contiguous(sizes[::-1], steps[::-1]):
            raise self.unreadable(
                f"the tensor before byte {self._at} has shape {list(sizes)} and strides {list(steps)}: its elements do "
                f"not lie in one piece; call .contiguous() on it, or {SAVE_AGAIN}"
            )
        offset = storage.offset + (0 if empty else first * storage.dtype.itemsize)
        payload = Span(offset, math.prod(sizes) * storage.dtype.itemsize, "raw")
        return ArraySlot(ArrayRef(storage.dtype, sizes, fortran, payload))

    def _parameter(self, arguments: tuple[Node, ...]) -> Node:
        """_rebuild_parameter(tensor, requires_grad, hooks)."""
        if len(arguments) != 3 or arguments[2] != {} or not isinstance(arguments[1], bool):
            raise self.mismatch()
        if not isinstance(arguments[0], ArraySlot):
            raise self.mismatch()
        return arguments[0]

    def build(self, target: Node, state: Node, at: int) -> None:
        """Accepts the versions of modules that a state dict carries along, which no tensor depends on."""
        if not isinstance(target, dict) or not isinstance(state, dict) or set(state) != {"_metadata"}:
            raise self.refused(f"asks at byte {at} to set the state of something that is not a state dict")


def _whole_numbers(values: Node) -> tuple[int, ...] | None:
    """A tuple of numbers from 0 on, or None when `values` is anything else."""
    if not isinstance(values, tuple):
        return None
    numbers = tuple(value for value in values if isinstance(value, int) and not isinstance(value, bool) and value >= 0)
    return numbers if len(numbers) == len(values) else None


def _contiguous(sizes: tuple[int, ...], steps: tuple[int, ...]) -> bool:
    """Whether elements lie in C order without gaps; the stride of a dimension of one element says nothing."""
    expected = 1
    for size, step in zip(reversed(sizes), reversed(steps), strict=True):
        if size != 1:
            if step != expected:
                return False
            expected *= size
    return True
