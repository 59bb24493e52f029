"""The check of a network's files: the conversion is deterministic, so the folder is rebuilt and compared."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ....converters.formats.safetensors_file import safetensors_layout
from ....converters.formats.shards import limit_of
from ....converters.image_job import entries_of, settle_network
from ....converters.outputs.sentences import entries_below
from ...check import Outcome
from ...checks.files import FOREIGN, Rebuilt, check_files, files_of_tensors
from ..check import NetworkCheck, NetworkContext
from ..pair import NetworkPair


def rebuild(pair: NetworkPair, scratch: Path) -> Rebuilt:
    """What the conversion of a pair's source writes, with the recorded alterations and the split that the folder shows.
    `scratch` is an empty folder for the small files."""
    entries = entries_of(pair.opened, pair.found, pair.alterations)
    limit = limit_of(entries, files_of_tensors(pair.converted))
    written = settle_network(pair.opened, pair.found, pair.alterations, limit)
    written.write_small_files(scratch)
    layouts = {shard.name: safetensors_layout(shard.entries, written.metadata) for shard in written.shards}
    return Rebuilt({name: path.read_bytes() for name, path in entries_below(scratch).items()}, layouts)


def _run(context: NetworkContext) -> Outcome:
    if context.pair.is_foreign:
        return Outcome(reason=FOREIGN)
    with TemporaryDirectory(dir=context.scratch) as scratch:
        return Outcome(check_files(context.pair.converted, rebuild(context.pair, Path(scratch))))


CHECK = NetworkCheck(
    name="files",
    order=10,
    establishes="the folder holds what this conversion writes from this source and nothing else: configuration, image "
    "processor, characters and the layout of the weights are rebuilt and compared, and every other file is named",
    limit="no byte differs",
    run=_run,
    frameworks=False,
)
