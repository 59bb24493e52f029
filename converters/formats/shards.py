"""Weights spread over several files, with Hugging Face's index."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UnknownNameError
from .piecewise import Entry

INDEX = "model.safetensors.index.json"

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


@dataclass(frozen=True)
class Shard:
    """A file and what it holds."""

    name: str
    entries: tuple[Entry, ...]


def parse_size(text: str) -> int:
    """Bytes of a size such as 500MB (decimal, as Hugging Face counts), 2GiB (binary) or 1000000.

    Raises UnknownNameError for anything else and for less than one byte.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([a-z]*)", text.strip(), re.IGNORECASE | re.ASCII)
    if match is None or match[2].upper() not in _UNITS:
        raise UnknownNameError(f"{text!r} is no size; a number with B, KB, MB, GB, KiB, MiB or GiB is expected")
    size = int(float(match[1]) * _UNITS[match[2].upper()])
    if size < 1:
        raise UnknownNameError(f"{text!r} is less than one byte")
    return size


def split_into_shards(entries: Sequence[Entry], limit: int | None) -> list[Shard]:
    """The files for `entries`, in their order, each with at most `limit` bytes of tensors; a tensor that is larger
    has a file to itself. What fits into one file has the plain name."""
    groups: list[list[Entry]] = [[]]
    filled = 0
    for entry in entries:
        if limit is not None and groups[-1] and filled + entry.nbytes > limit:
            groups.append([])
            filled = 0
        groups[-1].append(entry)
        filled += entry.nbytes
    if len(groups) == 1:
        return [Shard("model.safetensors", tuple(groups[0]))]
    return [
        Shard(f"model-{number:05d}-of-{len(groups):05d}.safetensors", tuple(group))
        for number, group in enumerate(groups, 1)
    ]


def limit_of(entries: Sequence[Entry], files: Mapping[str, str]) -> int | None:
    """A limit with which `split_into_shards` spreads `entries` over files as they are, each in the one that `files`
    says; None where they are all in one file. Where no limit does that, neither does the one that is given."""
    held: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        if entry.name in files:
            held[files[entry.name]].append(entry.nbytes)
    if len(held) < 2:
        return None
    # A file was closed because the next tensor would have gone beyond the limit, so it also goes beyond this one.
    return max((sum(sizes) for sizes in held.values() if len(sizes) > 1), default=1)


def index_of(shards: Sequence[Shard]) -> dict[str, Any]:
    """Hugging Face's index: bytes of all tensors, and the file of each."""
    return {
        "metadata": {"total_size": sum(entry.nbytes for shard in shards for entry in shard.entries)},
        "weight_map": {
            name: shard.name
            for name, shard in sorted((entry.name, shard) for shard in shards for entry in shard.entries)
        },
    }
