"""This package's own record in a folder: what tells a folder that a conversion wrote from one of anybody else's.

On the way to torch it stands in the metadata of every safetensors file, where loaders pass over it and where every
other program that saves the weights anew leaves it out. A pickle has no such place, and a key of its own would be one
that PaddleNLP does not expect; there the form itself is the record: Python's pickler begins a file of protocol 4 with a
frame and never names a function by the older opcode, and `pdparams_writer` does both the other way.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from ..formats.pdparams_writer import begins_as_written
from .alterations import Alterations

RECORD = "paddle2torch"

LAYOUT = "1"
"""Counts up whenever the same source would be written in other bytes, on purpose."""

_MOST_HEADER_BYTES = 100_000_000
"""What the `safetensors` library takes at most."""


def metadata_of(alterations: Alterations) -> dict[str, str]:
    """The metadata of a safetensors file: what transformers asks for, the record, and what was altered."""
    return {"format": "pt", RECORD: LAYOUT, **alterations.metadata()}


def own_record(place: Path) -> bool:
    """Whether a file of weights, or one in a folder, carries the record. One is enough: what is put beside it does not
    make the folder somebody else's."""
    return any(carries_record(path) for path in weight_files(place))


def weight_files(place: Path) -> list[Path]:
    """The files in a folder whose names are those of weights in the forms that conversions write, sorted; a file that
    is given itself is one of them."""
    try:
        paths = [place] if place.is_file() else sorted(place.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.suffix in (".safetensors", ".pdparams")]


def carries_record(path: Path) -> bool:
    """Whether a file of weights carries the record. Its tensors need not be whole: a conversion's own damaged file
    stays its own."""
    try:
        with path.open("rb") as file:
            if path.suffix == ".pdparams":
                return begins_as_written(file)
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MOST_HEADER_BYTES:
                return False
            header = json.loads(file.read(length))
        return isinstance(header["__metadata__"][RECORD], str)
    except (OSError, ValueError, LookupError, TypeError, RecursionError, struct.error):
        return False
