"""Safetensors files: opened for lazy reading, written as a stream, and compared after writing."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ..mappings.errors import OutputError, UnreadableFileError
from .byte_source import ByteSource
from .dtypes import DTYPES_BY_CODE, Array, DType
from .tensors import Tensor

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Entry:
    """A tensor to be written: `chunks` gives its elements in C order as 1-D arrays of `dtype.storage`."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    chunks: Callable[[], Iterator[Array]]

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        size = self.dtype.itemsize
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class SafetensorsFile:
    """An open file: its tensors in the order of the file, and its metadata."""

    source: ByteSource
    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def open_safetensors(path: Path) -> SafetensorsFile:
    """Open a file whose header the `safetensors` library has accepted; no tensor is read yet.

    Raises UnreadableFileError when the library refuses the file or an element type is unknown here.
    """
    source = ByteSource(path)
    try:
        with safe_open(str(path), framework="np") as checked:
            metadata = dict(checked.metadata() or {})
            names = list(checked.offset_keys())
    except (SafetensorError, OSError) as error:
        source.close()
        raise UnreadableFileError(f"{path}: is not a valid safetensors file: {error}") from error
    (length,) = _LENGTH.unpack(source.read(_LENGTH.size, 0))
    header = json.loads(source.read(length, _LENGTH.size))
    start = _LENGTH.size + length
    tensors: dict[str, Tensor] = {}
    for name in names:
        facts = header[name]
        if facts["dtype"] not in DTYPES_BY_CODE:
            raise UnreadableFileError(
                f"{path}: tensor {name} has the element type {facts['dtype']}, which is not known"
            )
        offset = start + facts["data_offsets"][0]
        place = partial(_place, source, offset)
        tensors[name] = Tensor(name, DTYPES_BY_CODE[facts["dtype"]], tuple(facts["shape"]), place)
    return SafetensorsFile(source, tensors, metadata)


def _place(source: ByteSource, offset: int) -> tuple[ByteSource, int]:
    return source, offset


def write_safetensors(
    path: Path, entries: Sequence[Entry], metadata: Mapping[str, str], progress: Callable[[int], None]
) -> None:
    """Write `entries` to the new file `path`, one chunk in memory at a time; `progress` gets bytes as they are written.

    Tensors are ordered as the `safetensors` library orders them, so that the file equals one of its own. Raises
    OutputError when the file cannot be written.
    """
    ordered = sorted(entries, key=lambda entry: (-entry.dtype.itemsize, entry.name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for entry in ordered:
        header[entry.name] = {
            "dtype": entry.dtype.code,
            "shape": list(entry.shape),
            "data_offsets": [offset, offset + entry.nbytes],
        }
        offset += entry.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    try:
        with path.open("xb", buffering=0) as file:
            file.write(_LENGTH.pack(len(text)) + text)
            for entry in ordered:
                for chunk in entry.chunks():
                    _write_all(file.write, chunk.view(np.uint8).data)
                    progress(chunk.nbytes)
            written = file.tell() - _LENGTH.size - len(text)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    if written != offset:
        raise OutputError(f"{path}: {written} bytes of tensors were written, {offset} were announced")


def _write_all(write: Callable[[memoryview], int | None], data: memoryview) -> None:
    while data:
        data = data[write(data) or 0 :]


def compare_safetensors(path: Path, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    """Read `path` back with the `safetensors` library and compare every bit with `entries`.

    Raises OutputError naming the first tensor that is missing, unexpected or different.
    """
    expected = {entry.name: entry for entry in entries}
    try:
        with safe_open(str(path), framework="np") as written:
            names = set(written.keys())
    except (SafetensorError, OSError) as error:
        raise OutputError(f"{path}: does not read back: {error}") from error
    if names != set(expected):
        raise OutputError(f"{path}: reads back with other tensors: {sorted(names ^ set(expected))}")
    for entry in entries:
        read = _reader(path, entry)
        start = 0
        for chunk in entry.chunks():
            if not np.array_equal(chunk.view(np.uint8), read(start, start + chunk.size).view(np.uint8)):
                raise OutputError(
                    f"{path}: tensor {entry.name} did not read back as it was written; is the disk sound?"
                )
            start += chunk.size
            progress(chunk.nbytes)


def _reader(path: Path, entry: Entry) -> Callable[[int, int], Array]:
    """A function that returns elements [start, stop) of a written tensor, flat, in bounded memory."""
    with safe_open(str(path), framework="np") as written:
        facts = written.get_slice(entry.name)
        if facts.get_dtype() != entry.dtype.code or tuple(facts.get_shape()) != entry.shape:
            raise OutputError(
                f"{path}: tensor {entry.name} reads back as {facts.get_dtype()} {facts.get_shape()}, "
                f"expected {entry.dtype.code} {list(entry.shape)}"
            )
    if entry.dtype.name == "bfloat16":
        # The library has no numpy dtype for it; its bytes are read from the place the library's header check accepted.
        tensor = open_safetensors(path).tensors[entry.name]
        source, offset = tensor.open_source()
        size = entry.dtype.itemsize

        def read_raw(start: int, stop: int) -> Array:
            data = source.read((stop - start) * size, offset + start * size)
            return np.frombuffer(data, entry.dtype.storage)

        return read_raw
    row = entry.nbytes // entry.dtype.itemsize // entry.shape[0] if entry.shape and entry.shape[0] else 1

    def read_rows(start: int, stop: int) -> Array:
        # Opened anew for every piece: the library maps the file, and its pages would add up otherwise.
        with safe_open(str(path), framework="np") as written:
            if not entry.shape:
                return np.ascontiguousarray(written.get_tensor(entry.name)).reshape(-1)
            first, last = start // row, -(-stop // row)
            rows = np.ascontiguousarray(written.get_slice(entry.name)[first:last]).reshape(-1)
            return rows[start - first * row : stop - first * row]

    return read_rows
