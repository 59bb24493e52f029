"""The conversion of a network that reads pictures: source, plan, streamed write, reload, rename."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError, UnknownNameError
from .formats.casting import CASTS
from .formats.dtypes import DTYPES, DType, widest
from .formats.piecewise import Entry
from .formats.shards import INDEX, Shard, index_of, split_into_shards
from .formats.tensors import LOW_BLOCK_BYTES
from .images.documents import PREPROCESSOR, configuration_document, preprocessor_document, using_lines
from .images.recognition import OpenedNetwork, RecognisedNetwork, recognise_network
from .images.source import ImageSource
from .outputs.alterations import Alterations
from .outputs.conversion import Conversion, Progress
from .outputs.existing import compared_folder
from .outputs.folder import check_output, new_folder
from .outputs.record import metadata_of
from .outputs.weights import moved_entries, write_weights
from .tokenizers.huggingface import write_json


@dataclass(frozen=True)
class WrittenNetwork:
    """All that a conversion writes, settled before it begins: it follows from the source and the alterations alone,
    byte for byte. `documents` are the small files by name."""

    shards: Sequence[Shard]
    metadata: dict[str, str]
    documents: dict[str, dict[str, Any]]

    def write_small_files(self, folder: Path) -> None:
        """Write all but the weights into `folder`."""
        if len(self.shards) > 1:
            (folder / INDEX).write_text(json.dumps(index_of(self.shards), indent=2) + "\n", "utf-8")
        for name, document in self.documents.items():
            write_json(folder / name, document)


def alterations_of(opened: OpenedNetwork, dtype: str | None, weights_alone: bool) -> Alterations:
    """What was asked to be changed or left out; a cast to the type that all tensors have is none. Raises
    UnknownNameError for an element type to which nothing is cast."""
    if dtype is not None and dtype not in CASTS:
        raise UnknownNameError(f"unknown element type {dtype!r}; weights are cast to {', '.join(CASTS)}")
    held = {tensor.dtype for tensor in opened.tensors.values()}
    target: DType | None = None if dtype is None or held == {DTYPES[dtype]} else DTYPES[dtype]
    return Alterations(target, no_tokenizer=weights_alone)


def settle_network(
    opened: OpenedNetwork, found: RecognisedNetwork, alterations: Alterations, limit: int | None
) -> WrittenNetwork:
    """What a conversion of a recognised network writes, in files of at most `limit` bytes."""
    entries = entries_of(opened, found, alterations)
    documents = {"config.json": configuration_document(found, widest({entry.dtype for entry in entries}).name)}
    if not alterations.no_tokenizer:
        documents[PREPROCESSOR] = preprocessor_document(found)
    return WrittenNetwork(split_into_shards(entries, limit), metadata_of(alterations), documents)


def entries_of(opened: OpenedNetwork, found: RecognisedNetwork, alterations: Alterations) -> list[Entry]:
    """The tensors that are written: the source's, as the moves transform them, and altered."""
    return moved_entries(found.moves, opened.tensors, alterations.dtype)


def convert_network(
    source: ImageSource,
    output: Path,
    *,
    family: str | None,
    library: Path | None,
    dtype: str | None,
    limit: int | None,
    weights_alone: bool,
    overwrite: bool,
    keep: bool,
    low_memory: bool,
    dry_run: bool,
    progress: Progress,
) -> Conversion:
    """Convert a network into a folder of transformers'; the arguments are those of `convert_checkpoint`, and raise as
    there. `weights_alone`: without what the image processor reads. `library` is a copy of PaddleOCR, for its
    dictionaries."""
    with OpenedNetwork(source) as opened:
        check_output(output, source.path, overwrite, keep)
        found = recognise_network(opened, family, weights_alone, library)
        alterations = alterations_of(opened, dtype, weights_alone)
        written = settle_network(opened, found, alterations, limit)
        done = _summary(source, output, found, written, alterations)
        if dry_run:
            return replace(done, planned=True)
        block_bytes = LOW_BLOCK_BYTES if low_memory else None
        with compared_folder(output) if keep else new_folder(output, overwrite) as folder:
            existing = output if keep else None
            write_weights(folder, written.shards, written.metadata, progress, existing, block_bytes)
            written.write_small_files(folder)
            opened.check_unchanged()
        return replace(done, kept=keep)


def refuse_options(**options: Any) -> None:
    """Raise ConfigurationError for options that go with PaddleNLP's models alone; those that are set are given."""
    if named := [name.replace("_", "-") for name, value in options.items() if value]:
        raise ConfigurationError(f"--{named[0]} goes with PaddleNLP's models; this is a network that reads pictures")


def _summary(
    source: ImageSource,
    output: Path,
    found: RecognisedNetwork,
    written: WrittenNetwork,
    alterations: Alterations,
) -> Conversion:
    entries = [entry for shard in written.shards for entry in shard.entries]
    reasons = found.dropped
    return Conversion(
        source=source.path,
        output=output,
        family=found.network.name,
        architecture=found.name,
        target_architecture=found.network.target,
        tensors=len(entries),
        parameters=sum(move.size for move in found.moves),
        nbytes=sum(entry.nbytes for entry in entries),
        tied=(),
        dropped=tuple(name for names in reasons.values() for name in names),
        drop_reason="; ".join(reasons) or None,
        drop_reasons=reasons,
        ignored=(),
        guesses=found.guesses,
        tie_word_embeddings=True,
        dtype=", ".join(sorted({entry.dtype.name for entry in entries})),
        files=tuple(shard.name for shard in written.shards),
        alterations=tuple(alterations.lines()),
        set_aside=source.set_aside,
        no_tokenizer=alterations.no_tokenizer,
        notes=found.notes,
        cautions=found.cautions,
        auto_class=found.network.auto_class,
        for_pictures=using_lines(found.network, str(output), not alterations.no_tokenizer, found.thresholds),
    )
