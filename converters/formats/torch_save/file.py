"""Reads `pytorch_model.bin` and other files of `torch.save`: finds their tensors without PyTorch and without running
anything.

Since PyTorch 1.6 such a file is a zip archive: a pickle, which names the tensors and the storages that they look into,
and every storage as a member of its own. Before, it was several pickles one after the other, the last of which lists
the keys of the storages, and then the storages in that order, each behind its number of elements. Either way the
storages lie in the file as they are, so the elements are read in place.
"""

from __future__ import annotations

from pathlib import Path

from ....errors import UnreadableFileError
from ..byte_source import ByteSource
from ..dtypes import DType
from ..file_kinds import LEGACY_HEAD, ZIP_HEAD
from ..pdparams import PdparamsFile, TensorCollector
from ..pickle_index import PickleIndex
from ..pickle_objects import Calls, Node, Span, shown
from .archive import SAVE_AGAIN, Archive, MemberSource
from .calls import Storage, TorchCalls

_LEGACY_VERSION = 1001
_LEGACY_ID_PARTS = 6
_COUNT_BYTES = 8


def is_torch_file(path: Path) -> bool:
    """Whether a file begins like those of `torch.save`, old or new. Raises UnreadableFileError."""
    return _head_of(path).startswith((ZIP_HEAD, LEGACY_HEAD))


def _head_of(path: Path) -> bytes:
    source = ByteSource(path)
    try:
        return source.read(min(source.size, len(LEGACY_HEAD)), 0)
    finally:
        source.close()


def open_torch_file(path: Path) -> PdparamsFile:
    """Find the tensors of a file of `torch.save`; their values stay in the file.

    Names of nested dicts and lists are joined with dots. Raises UnreadableFileError when the file is of another kind,
    damaged or in a form that cannot be read in place, and RefusedFileError when it asks for something to be executed.
    Either message begins with the path. So does that of the UnreadableFileError that reading a tensor raises when the
    archive's checksum of it does not hold.
    """
    source = ByteSource(path) if _head_of(path) == LEGACY_HEAD else Archive(path)
    try:
        index = _archive_index(source) if isinstance(source, Archive) else _legacy_index(source)
        collector = TensorCollector(source, index)
        collector.collect_root(index.read())
        source.check_unchanged()
    except BaseException:
        source.close()
        raise
    return PdparamsFile(source, collector.tensors, tuple(collector.ignored))


def _archive_index(archive: Archive) -> PickleIndex:
    """The pickle of an archive, not yet read."""
    pickled = MemberSource(archive, archive.members[f"{archive.name}/data.pkl"])

    def find(key: str, dtype: DType, count: int) -> int:
        name = f"{archive.name}/data/{key}"
        member = archive.members.get(name)
        if member is None:
            raise calls.unreadable(f"the storage {shown(name)} is not in the archive; the file is damaged")
        if member.size != count * dtype.itemsize:
            raise calls.unreadable(
                f"the storage {shown(name)} has {member.size} bytes, but {count} elements of {dtype.name} are "
                "announced; the file is damaged"
            )
        return member.offset

    calls = TorchCalls(pickled, archive.size, find)
    return PickleIndex(pickled, calls)


def _legacy_index(source: ByteSource) -> PickleIndex:
    """The pickle with the tensors of a file in the format before PyTorch 1.6, not yet read.

    It is read once before, for the storages that it names: where they begin, only what follows it tells.
    """
    _, at = _next(source, 0)
    version, at = _next(source, at)
    if version != _LEGACY_VERSION:
        raise UnreadableFileError(
            f"{source.path}: is an old PyTorch checkpoint of another version than {_LEGACY_VERSION}; {SAVE_AGAIN}"
        )
    system, start = _next(source, at)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise UnreadableFileError(f"{source.path}: was not saved in the byte order little; {SAVE_AGAIN}")
    named = TorchCalls(source, source.size, lambda key, dtype, count: 0, _LEGACY_ID_PARTS)
    first = PickleIndex(source, named, start, is_followed=True)
    first.read()
    places = _places(source, first.end, named.storages)
    calls = TorchCalls(source, source.size, lambda key, dtype, count: places[key], _LEGACY_ID_PARTS)
    return PickleIndex(source, calls, start, is_followed=True)


def _next(source: ByteSource, start: int) -> tuple[Node, int]:
    """What the pickle at byte `start` holds, which names no tensor, and the byte behind it."""
    index = PickleIndex(source, None, start, is_followed=True)
    return index.read(), index.end


def _places(source: ByteSource, start: int, storages: dict[str, Storage]) -> dict[str, int]:
    """Where each storage begins, by its key: behind the list of keys, one after the other."""
    calls = Calls(source)
    keys, at = _next(source, start)
    if not isinstance(keys, list):
        raise calls.unreadable(f"no list of storages begins at byte {start}; the file is damaged")
    places: dict[str, int] = {}
    for key in keys:
        name = calls.text(key) if isinstance(key, Span) and key.is_text else None
        if name is None or name in places or name not in storages:
            raise calls.unreadable(f"its list of storages at byte {start} is not that of its tensors; it is damaged")
        storage = storages[name]
        end = at + _COUNT_BYTES + storage.count * storage.dtype.itemsize
        if end > source.size:
            raise calls.unreadable(
                f"ends at byte {source.size}, its storages at {end}; it is truncated, fetch it again"
            )
        if int.from_bytes(source.read(_COUNT_BYTES, at), "little") != storage.count:
            raise calls.unreadable(f"the storage at byte {at} has another size than announced; the file is damaged")
        places[name] = at + _COUNT_BYTES
        at = end
    if missing := storages.keys() - places.keys():
        raise calls.unreadable(f"the storage {shown(min(missing))} is not in the file; the file is damaged")
    if at != source.size:
        raise calls.unreadable(f"{source.size - at} bytes follow the last storage at byte {at}; the file is damaged")
    return places
