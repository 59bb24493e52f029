"""`.pdparams` files: written as a stream, and compared after writing.

The file is a pickle of protocol 4 that holds a dict from names to numpy arrays, which `paddle.load` and Python's own
unpickler read. Every array is written down as numpy's own pickles do it, its elements as one run of bytes at a known
place, so that nothing is held in memory.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import OutputError, Paddle2TorchError
from .dtypes import DType
from .pdparams import MAX_NAME_CHARACTERS, PdparamsFile, open_pdparams
from .piecewise import COMPARING, Entry, Layout, on_every_piece, write_tensors
from .tensors import Piece, Scratch

# Opcodes of the pickle format.
_PROTOCOL_4 = b"\x80\x04"
_EMPTY_DICT, _MARK, _SET_ITEMS, _STOP = b"}", b"(", b"u", b"."
_TUPLE, _TUPLE_1, _TUPLE_3, _REDUCE, _BUILD = b"t", b"\x85", b"\x87", b"R", b"b"
_NONE, _FALSE = b"N", b"\x89"

_HEAD = _PROTOCOL_4 + _EMPTY_DICT + _MARK

_MINUS_ONE = b"J\xff\xff\xff\xff"

_CODES = {"bfloat16": "u2"}
"""Element types whose numpy code is not that of their storage: Paddle holds bfloat16 as uint16."""


def pdparams_layout(entries: Sequence[Entry]) -> Layout:
    """The layout of a file of `entries`, which keep their order."""
    fixed: list[tuple[int, bytes]] = []
    places: dict[str, int] = {}
    end = 0
    text = _HEAD
    for entry in entries:
        text += _before(entry)
        fixed.append((end, text))
        places[entry.name] = end + len(text)
        end = places[entry.name] + entry.nbytes
        text = _AFTER
    fixed.append((end, text + _SET_ITEMS + _STOP))
    return Layout(tuple(fixed), places, end + len(fixed[-1][1]))


def write_pdparams(path: Path, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    """Write `entries` to the new file `path` as `write_tensors` does. Raises OutputError."""
    write_tensors(path, pdparams_layout(entries), entries, progress)


def begins_as_written(file: BinaryIO) -> bool:
    """Whether a file, open at its beginning, has the form of those written here, which no pickler gives it: protocol 4
    without a frame, and a first name that is not remembered, before a function that is named by the older opcode."""
    head = file.read(len(_HEAD) + 5)
    if len(head) < len(_HEAD) + 5 or not head.startswith(_HEAD + b"X"):
        return False
    (length,) = struct.unpack("<I", head[-4:])
    if length > MAX_NAME_CHARACTERS * 4:
        return False
    file.seek(length, os.SEEK_CUR)
    return file.read(len(_ARRAY)) == _ARRAY


def _before(entry: Entry) -> bytes:
    """What stands before the elements: the name, an empty array, and its version, shape, dtype and order."""
    shape = _MARK + b"".join(map(_integer, entry.shape)) + _TUPLE
    return b"".join(
        (
            _text(entry.name),
            _ARRAY,
            _global("numpy", "ndarray"),
            _integer(0) + _TUPLE_1,
            b"C\x01b" + _TUPLE_3 + _REDUCE,
            _MARK + _integer(1) + shape + _dtype(entry.dtype) + _FALSE,
            b"\x8e" + struct.pack("<Q", entry.nbytes),
        )
    )


_AFTER = _TUPLE + _BUILD
"""What stands behind the elements: it fills the array."""


def _dtype(dtype: DType) -> bytes:
    """A numpy dtype with its byte order."""
    storage = dtype.storage
    code = _CODES.get(dtype.name, f"{storage.kind}{storage.itemsize}")
    order = "|" if storage.itemsize == 1 else "<"
    made = _global("numpy", "dtype") + _text(code) + _FALSE + b"\x88" + _TUPLE_3 + _REDUCE
    state = _MARK + _integer(3) + _text(order) + _NONE * 3 + _MINUS_ONE * 2 + _integer(0) + _TUPLE
    return made + state + _BUILD


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


_ARRAY = _global("numpy.core.multiarray", "_reconstruct")
"""What makes an empty array."""


def _integer(value: int) -> bytes:
    if value < 1 << 8:
        return b"K" + struct.pack("<B", value)
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def compare_pdparams(path: Path, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    """Read `path` back with the project's own reader and compare every bit with `entries`, which are read again.

    Raises OutputError naming the first tensor that is missing, unexpected or different.
    """
    try:
        opened = open_pdparams(path)
    except Paddle2TorchError as error:
        raise OutputError(f"{path}: does not read back: {error}") from error
    with opened:
        expected = {entry.name: entry for entry in entries}
        if different := sorted(expected.keys() ^ opened.tensors.keys()):
            raise OutputError(f"{path}: reads back with other tensors: {different}")
        for name, entry in expected.items():
            found = opened.tensors[name]
            if (found.dtype, found.shape) != (entry.dtype, entry.shape):
                raise OutputError(
                    f"{path}: tensor {name} reads back as {found.dtype.name} {list(found.shape)}, expected "
                    f"{entry.dtype.name} {list(entry.shape)}"
                )
        on_every_piece(entries, partial(_compare_piece, opened), progress, COMPARING)


def _compare_piece(opened: PdparamsFile, entry: Entry, piece: Piece, scratch: Scratch) -> None:
    expected = entry.read(piece, scratch)
    bits = np.dtype(f"u{min(entry.dtype.itemsize, 8)}")
    for part in piece.parts(entry.dtype.itemsize):
        found = opened.tensors[entry.name].read_piece(part, Scratch())
        if not np.array_equal(found.view(bits), expected[part.top - piece.top : part.bottom - piece.top].view(bits)):
            raise OutputError(
                f"{opened.source.path}: tensor {entry.name} did not read back as it was written; is the disk sound?"
            )
