"""Safetensors files: opened for lazy reading, written as a stream, and compared after writing."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ...errors import OutputError, UnreadableFileError
from ...mappings.language.transforms import matrix_shape
from .byte_source import ByteSource
from .dtypes import DTYPES, DTYPES_BY_CODE, Array
from .file_kinds import refuse_other_than_safetensors
from .piecewise import COMPARING, Entry, Layout, on_every_piece, write_tensors
from .tensors import Piece, Scratch, Tensor

REOPEN_BYTES = 16 << 20
"""Bytes that a thread reads back before it opens the file anew."""

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
    path: Path, entries: Sequence[Entry], metadata: Mapping[str, str], progress: Callable[[int], None]
) -> None:
    """Write `entries` to the new file `path` as `write_tensors` does. Raises OutputError."""
    layout = safetensors_layout(entries, metadata)
    ordered = sorted(entries, key=lambda entry: layout.places[entry.name])
    write_tensors(path, layout, ordered, progress)


def compare_safetensors(path: Path, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    """Read `path` back with the `safetensors` library and compare every bit with `entries`, which are read again.

    Raises OutputError naming the first tensor that is missing, unexpected or different.
    """
    expected = {entry.name: entry for entry in entries}
    try:
        with safe_open(str(path), framework="np") as written:
            names = set(written.keys())
            if names != set(expected):
                raise OutputError(f"{path}: reads back with other tensors: {sorted(names ^ set(expected))}")
            for entry in entries:
                facts = written.get_slice(entry.name)
                if facts.get_dtype() != entry.dtype.code or tuple(facts.get_shape()) != entry.shape:
                    raise OutputError(
                        f"{path}: tensor {entry.name} reads back as {facts.get_dtype()} {facts.get_shape()}, "
                        f"expected {entry.dtype.code} {list(entry.shape)}"
                    )
        # The library has no numpy dtype for bfloat16: its bytes are read from the places its header check accepted.
        places = open_safetensors(path)
        try:
            on_every_piece(entries, partial(_compare_piece, _Reader(path, places.tensors)), progress, COMPARING)
        finally:
            places.source.close()
    except (SafetensorError, OSError) as error:
        raise OutputError(f"{path}: does not read back: {error}") from error


def _compare_piece(reader: _Reader, entry: Entry, piece: Piece, scratch: Scratch) -> None:
    """Compare a piece of `entry` with the file, some rows at a time."""
    block = entry.read(piece, scratch)
    bits = np.dtype(f"u{min(entry.dtype.itemsize, 8)}")
    for part in piece.parts(entry.dtype.itemsize):
        expected = block[part.top - piece.top : part.bottom - piece.top]
        if not np.array_equal(reader.read(entry, part).view(bits), expected.view(bits)):
            raise OutputError(
                f"{reader.path}: tensor {entry.name} did not read back as it was written; is the disk sound?"
            )


class _Reader(threading.local):
    """A written file in the `safetensors` library, opened by each thread for itself.

    The library maps the file, and the pages that are read add up until it is closed: it is opened anew after
    REOPEN_BYTES, not for every piece, because opening costs as much as the file has tensors.
    """

    def __init__(self, path: Path, places: Mapping[str, Tensor]) -> None:
        """`places` are the file's tensors by name, read from their places in it. Each thread runs this for itself."""
        self.path = path
        self._places = places
        self._written: Any = None
        self._left = 0

    def read(self, entry: Entry, piece: Piece) -> Array:
        """A piece of a tensor as a C-ordered matrix."""
        if entry.dtype.name == "bfloat16":
            return self._places[entry.name].read_piece(piece, Scratch())
        if self._left <= 0:
            self._written, self._left = safe_open(str(self.path), framework="np"), REOPEN_BYTES
        self._left -= piece.height * piece.width * entry.dtype.itemsize
        if not entry.shape:
            found = self._written.get_tensor(entry.name)
        elif piece.width == matrix_shape(entry.shape)[1]:
            found = self._written.get_slice(entry.name)[piece.top : piece.bottom]
        else:
            found = self._written.get_slice(entry.name)[piece.top : piece.bottom, piece.left : piece.right]
        return np.ascontiguousarray(found).reshape(piece.height, piece.width)
