"""This package's own record in a folder: what tells a folder that a conversion wrote from one of anybody else's.

On the way to torch it stands in the metadata of every safetensors file, where loaders pass over it and where every
other program that saves the weights anew leaves it out. A pickle has no such place, and a key of its own would be one
that PaddleNLP does not expect; there the form itself is the record: Python's pickler begins a file of protocol 4 with a
frame and never names a function by the older opcode, and `pdparams_writer` does both the other way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..checkpoints.checkpoint import HEAD_KEY
from ..formats.pdparams_writer import begins_as_written
from .alterations import Alterations
from .hashes import hash_files

RECORD = "paddle2torch"

LAYOUT = "1"
"""Counts up whenever the same source would be written in other bytes, on purpose."""

SEED_FILE = "seeded_weights.json"
"""Marks a folder of seeded weights: name, architecture and seed, and the hashes of the files of weights, by which
these are told from what somebody trained and saved in their place."""

_METADATA = b'{"__metadata__":'
"""How the header of a safetensors file with metadata begins, behind eight bytes for its length."""

_MOST_HEADER_BYTES = 100_000_000
"""What the `safetensors` library takes at most."""


def metadata_of(alterations: Alterations, head: str | None = None) -> dict[str, str]:
    """The metadata of a safetensors file: what transformers asks for, the record, what was altered, and the PaddleNLP
    class whose head lies beside, if any."""
    return {"format": "pt", RECORD: LAYOUT, **alterations.metadata(), **({HEAD_KEY: head} if head is not None else {})}


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
    """Whether a file of weights carries the record, which stands at its beginning: a conversion's own file stays its
    own when it is damaged or cut short."""
    try:
        with path.open("rb") as file:
            if path.suffix == ".pdparams":
                return begins_as_written(file)
            length = min(int.from_bytes(file.read(8), "little"), _MOST_HEADER_BYTES)
            return isinstance(_metadata(file.read(length))[RECORD], str)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _metadata(header: bytes) -> Any:
    """The metadata of a safetensors header, whose beginning they are as this package writes it; a header that was cut
    short still has them. Raises ValueError and LookupError."""
    try:
        return json.loads(header)["__metadata__"]
    except ValueError:
        if not header.startswith(_METADATA):
            raise
    return json.JSONDecoder().raw_decode(header[len(_METADATA) :].decode("utf-8", "replace"))[0]


def holds_seeded_weights(folder: Path) -> bool:
    """Whether the weights in a folder are those that its mark speaks of. Raises UnreadableFileError."""
    try:
        recorded = json.loads((folder / SEED_FILE).read_text("utf-8"))["files"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
    return bool(recorded == hash_files(weight_files(folder)))
