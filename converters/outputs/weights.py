"""The weights of a conversion: written file by file, read back and compared; or compared with those that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...mappings.language.rules import Move
from ..formats.dtypes import DType, widest
from ..formats.piecewise import Entry
from ..formats.safetensors_file import check_safetensors, compare_safetensors, write_safetensors
from ..formats.shards import Shard
from ..formats.tensors import Tensor
from .conversion import Progress, counter
from .existing import check_metadata, check_weight_files, comparing


def moved_entries(
    moves: Sequence[Move], tensors: Mapping[str, Tensor], dtype: DType | None, zeroed: Mapping[str, int] | None = None
) -> list[Entry]:
    """What moves make of the tensors, cast to `dtype` if it is one; `zeroed` has the row that is written as zeros, by
    the name of the target."""
    made = widest({tensors[name].dtype for move in moves for name in move.sources})
    return [
        Entry(
            move.target,
            tuple(tensors[name] for name in move.sources),
            move.transform,
            dtype,
            (zeroed or {}).get(move.target),
            made,
        )
        for move in moves
    ]


def write_weights(
    folder: Path,
    shards: Sequence[Shard],
    metadata: Mapping[str, str],
    progress: Progress,
    existing: Path | None,
    block_bytes: int | None,
) -> None:
    """Write the files into `folder`, then read all of them back; weights that lie in `existing` are only compared.
    Raises OutputError where what is read is not what was written, and DifferentOutputError for another `existing`."""
    total = sum(entry.nbytes for shard in shards for entry in shard.entries)
    done, compared = counter("write", total, progress), counter("compare", total, progress)
    if existing is not None:
        check_weight_files(existing, [shard.name for shard in shards])
        for shard in shards:
            with comparing(existing / shard.name):
                check_metadata(existing / shard.name, metadata)
                compare_safetensors(existing / shard.name, shard.entries, compared)
        return
    receipts = [write_safetensors(folder / shard.name, shard.entries, metadata, done, block_bytes) for shard in shards]
    for shard, receipt in zip(shards, receipts, strict=True):
        check_safetensors(folder / shard.name, shard.entries, receipt, compared)
