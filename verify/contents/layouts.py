"""The layout of a file of weights, compared: names, element types, shapes, places, metadata and size.

The elements themselves are the business of the check of the weights.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from ...converters.formats.piecewise import Layout
from .documents import first_difference, shown

MOST_HEADER = 100 << 20
"""Bytes of a header that is looked into."""


def layout_differences(path: Path, expected: Layout) -> list[str]:
    """How the layout of the file `path` differs from what is expected, one line each; empty when every byte outside of
    the elements is equal. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        problems = []
        for place, run in expected.fixed:
            file.seek(place)
            found = file.read(len(run))
            if found != run:
                problems.append(place + first_difference(found, run))
        if not problems:
            return [] if size == expected.size else [f"{path.name}: holds {size} bytes, expected {expected.size}"]
        if path.suffix == ".safetensors":
            file.seek(0)
            named = _header_differences(file.read(8 + MOST_HEADER), expected.fixed[0][1])
            return [f"{path.name}: {problem}" for problem in named]
    return [f"{path.name}: is laid out otherwise than the conversion writes it, from byte {problems[0]} on"]


def _header_differences(found: bytes, expected: bytes) -> list[str]:
    """What differs in a header, by tensor and field."""
    ours, theirs = _header(expected), _header(found)
    if theirs is None or ours is None:
        return ["has a header that cannot be read"]
    problems = []
    metadata, wanted = theirs.pop("__metadata__", {}), ours.pop("__metadata__", {})
    for key in sorted(metadata.keys() | wanted.keys()):
        if metadata.get(key) != wanted.get(key):
            problems.append(f"the metadata's {key} is {shown(metadata.get(key))}, expected {shown(wanted.get(key))}")
    problems += [f"holds no {name}, which is expected" for name in ours if name not in theirs]
    problems += [f"holds {name}, which is not expected" for name in theirs if name not in ours]
    for name in ours:
        for field, value in ours[name].items():
            if name in theirs and theirs[name].get(field) != value:
                problems.append(f"{name} has the {field} {shown(theirs[name].get(field))}, expected {shown(value)}")
    return problems or [f"has an equal header in other bytes, from byte {first_difference(found, expected)} on"]


def _header(data: bytes) -> dict[str, Any] | None:
    try:
        (length,) = struct.unpack("<Q", data[:8])
        document = json.loads(data[8 : 8 + length])
    except (struct.error, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
