"""Safetensors files: opened for lazy reading, written as a stream, and compared after writing."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ...errors import OutputError, UnreadableFileError
from .byte_source import ByteSource
from .dtypes import DTYPES, DTYPES_BY_CODE
from .file_kinds import refuse_other_than_safetensors
from .piecewise import Entry, Layout, Receipt, check_names, check_written, compare_tensors, write_tensors
from .tensors import Tensor

ORDER = ("U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8", "U8", "BOOL")
"""Codes of element types in the order in which the library writes them."""

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class SafetensorsFile:
    """An open file: its tensors in the order of the file, its metadata, and the number of tensors whose element type
    is U16 there and bfloat16 here."""

    source: ByteSource
    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    read_as_bfloat16: int = 0


def open_safetensors(path: Path, of_paddle: bool = False) -> SafetensorsFile:
    """Open a file whose header the `safetensors` library has accepted; no tensor is read yet.

    `of_paddle`: PaddleNLP reads this file, for which U16 is bfloat16, as it has no uint16 and writes the bits of
    bfloat16 under its name; not so where the metadata say that PyTorch wrote it. Raises UnreadableFileError when the
    library refuses the file, with what it is instead, or when an element type is unknown here.
    """
    source = ByteSource(path)
    try:
        return _opened(source, of_paddle)
    except BaseException:
        source.close()
        raise


def _opened(source: ByteSource, of_paddle: bool) -> SafetensorsFile:
    path = source.path
    try:
        with safe_open(str(path), framework="np") as checked:
            # The library hands it out in an order of chance.
            metadata = dict(sorted((checked.metadata() or {}).items()))
            names = list(checked.offset_keys())
    except (SafetensorError, OSError) as error:
        refuse_other_than_safetensors(source)
        raise UnreadableFileError(f"{path}: is not a valid safetensors file: {error}") from error
    (length,) = _LENGTH.unpack(source.read(_LENGTH.size, 0))
    header = json.loads(source.read(length, _LENGTH.size))
    start = _LENGTH.size + length
    tensors: dict[str, Tensor] = {}
    codes = DTYPES_BY_CODE
    if of_paddle and metadata.get("format") != "pt":
        codes = {**DTYPES_BY_CODE, "U16": DTYPES["bfloat16"]}
    for name in names:
        facts = header[name]
        if facts["dtype"] not in codes:
            raise UnreadableFileError(
                f"{path}: tensor {name} has the element type {facts['dtype']}, which is not known"
            )
        offset = start + facts["data_offsets"][0]
        place = partial(_place, source, offset)
        tensors[name] = Tensor(name, codes[facts["dtype"]], tuple(facts["shape"]), place)
    return SafetensorsFile(source, tensors, metadata, sum(header[name]["dtype"] == "U16" for name in names))


def _place(source: ByteSource, offset: int) -> tuple[ByteSource, int]:
    return source, offset


def safetensors_layout(entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
    """The layout of a file of `entries`, which are ordered as the `safetensors` library orders them, so that the file
    equals one of its own."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    places: dict[str, int] = {}
    end = 0
    for entry in sorted(entries, key=lambda entry: (ORDER.index(str(entry.dtype.code)), entry.name)):
        places[entry.name] = end
        end += entry.nbytes
        header[entry.name] = {
            "dtype": entry.dtype.code,
            "shape": list(entry.shape),
            "data_offsets": [places[entry.name], end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = _LENGTH.pack(len(text)) + text
    return Layout(((0, head),), {name: len(head) + place for name, place in places.items()}, len(head) + end)


def write_safetensors(
    path: Path,
    entries: Sequence[Entry],
    metadata: Mapping[str, str],
    progress: Callable[[int], None],
    block_bytes: int | None = None,
) -> Receipt:
    """Write `entries` to the new file `path` as `write_tensors` does. Raises OutputError."""
    layout = safetensors_layout(entries, metadata)
    ordered = sorted(entries, key=lambda entry: layout.places[entry.name])
    return write_tensors(path, layout, ordered, progress, block_bytes)


def check_safetensors(path: Path, entries: Sequence[Entry], receipt: Receipt, progress: Callable[[int], None]) -> None:
    """Read `path` back, which `write_safetensors` has written: its header with the `safetensors` library, and every
    byte.

    Raises OutputError naming the first tensor that is missing, unexpected or different.
    """
    written = _reopened(path, entries)
    with closing(written.source):
        check_written(written.source, receipt, written.tensors, progress)


def compare_safetensors(path: Path, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    """Read a file that is there already, its header with the `safetensors` library, and compare every bit with
    `entries`.

    Raises OutputError naming the first tensor that is missing, unexpected or different.
    """
    written = _reopened(path, entries)
    with closing(written.source):
        compare_tensors(path, entries, written.tensors, progress)


def _reopened(path: Path, entries: Sequence[Entry]) -> SafetensorsFile:
    """A file that the library accepts and that holds tensors of the names, types and shapes of `entries`."""
    try:
        written = open_safetensors(path)
    except UnreadableFileError as error:
        raise OutputError(f"{path}: does not read back: {error}") from error
    try:
        check_names(path, entries, written.tensors)
    except BaseException:
        written.source.close()
        raise
    return written
