"""The conversion: source, checkpoint, plan, streamed write, reload, rename."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError, DifferentOutputError, UnknownNameError
from ..mappings.language.beside import HEAD_FILE
from ..mappings.language.matching.plan import Plan
from .checkpoints.checkpoint import Checkpoint, Recognised, open_checkpoint, recognise
from .checkpoints.comparison import settle_values
from .checkpoints.configuration import GENERATION_CONFIG, generation_configuration, translate_configuration
from .checkpoints.targets import target_metadata
from .formats.dtypes import widest
from .formats.piecewise import Entry
from .formats.safetensors_file import check_safetensors, write_safetensors
from .formats.shards import INDEX, Shard, index_of, parse_size, split_into_shards
from .formats.tensors import LOW_BLOCK_BYTES
from .images.source import find_image_source
from .outputs.alterations import (
    Alterations,
    altered_plan,
    make_alterations,
    must_zero_padding_row,
    word_embeddings,
)
from .outputs.card import MODEL_CARD, head_card
from .outputs.conversion import Conversion, Progress
from .outputs.existing import compared_folder
from .outputs.folder import check_output, new_folder
from .outputs.record import metadata_of
from .outputs.sentences import DENSE_WEIGHTS, dense_entries, sentence_documents, settle_pooling
from .outputs.weights import moved_entries, write_weights
from .tokenizers.huggingface import (
    SourceTokenizer,
    TokenizerWritten,
    read_tokenizer,
    write_huggingface_tokenizer,
    write_json,
)

DIRECTIONS = ("torch", "paddle")
"""The frameworks whose libraries the output can be for."""

TORCH_ONLY = (
    "dtype, max_shard_size, zero_padding_row, no_tokenizer and sentence_transformers go with the way to torch only"
)
"""Why options are refused on the way back: a folder for PaddleNLP has no record of them."""


def convert_checkpoint(
    source: str | Path,
    output: str | Path,
    *,
    to: str = "torch",
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    config: str | Path | None = None,
    dtype: str | None = None,
    max_shard_size: int | str | None = None,
    zero_padding_row: bool = False,
    no_tokenizer: bool = False,
    sentence_transformers: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    low_memory: bool = False,
    dry_run: bool = False,
    dictionary: str | Path | None = None,
    paddleocr: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Convert a PaddleNLP checkpoint into a Hugging Face folder: `config.json` and `model.safetensors`.

    With `to="paddle"`, convert a Hugging Face folder into a PaddleNLP one instead, as `convert_to_paddle` does; the
    options that change values or spread the weights are refused then.

    `target` is one of the family's alternatives, where the weights may become several models of Hugging Face's; on the
    way to Paddle, the one that the source holds, where its weights do not record it.

    `source` is a pretrained name, a folder or a file, and `config` a file that is its configuration whatever lies
    beside it. Every weight keeps its element type and its bits, unless `dtype` ("float32", "float16" or "bfloat16")
    casts all of them or `zero_padding_row` writes the padding id's row of the word embeddings as the zeros that
    PaddleNLP reads. Above `max_shard_size`, bytes or a text such as "500MB", the weights are spread over several files
    with Hugging Face's index. With `low_memory`, at most 120 MiB of memory are used, not 200, and more time. With
    `no_tokenizer`, the weights alone are written, and no tokenizer is read. With
    `sentence_transformers` ("cls", "mean", or "auto", the family's usual one), that library's files too. With
    `dry_run`, all is settled that is settled before the weights are written, and nothing is left. The output
    appears only after it has been read back and found equal. With `resume`, an output that is there already is compared
    bit by bit with what would be written, and kept when it is equal; otherwise it is replaced with `overwrite`, and a
    DifferentOutputError without. Raises a Paddle2TorchError otherwise, and leaves nothing.

    A network of PaddleOCR's or PaddleClas's is a folder that a training left, a file of weights in one, or an export;
    `config` is then the training configuration, `dictionary` the file of its characters where that is not to be found,
    and `paddleocr` a copy of PaddleOCR, for the dictionaries in it. Nothing of that copy is run.
    """
    output = Path(output)
    block_bytes = LOW_BLOCK_BYTES if low_memory else None
    if to not in DIRECTIONS:
        raise UnknownNameError(f"unknown direction {to!r}; known are {', '.join(DIRECTIONS)}")
    if to == "paddle":
        if dtype is not None or max_shard_size is not None or zero_padding_row or no_tokenizer or sentence_transformers:
            raise ConfigurationError(TORCH_ONLY)
        if dry_run:
            raise ConfigurationError("dry_run goes with the way to torch only")
        if config is not None or dictionary is not None:
            raise ConfigurationError(
                "config and dictionary go with the way to torch only: a Hugging Face folder has its own"
            )
        # Imported here because the way to torch does not need it: that is a hundredth of a second of each conversion.
        from .to_paddle import convert_to_paddle

        to_paddle = partial(
            convert_to_paddle,
            source,
            output,
            family=family,
            architecture=architecture,
            target=target,
            block_bytes=block_bytes,
            progress=progress,
        )
        return _convert(to_paddle, output, overwrite, resume)
    limit = parse_size(max_shard_size) if isinstance(max_shard_size, str) else max_shard_size
    given = Path(dictionary) if dictionary is not None else None
    if (network := find_image_source(source, family, Path(config) if config is not None else None, given)) is not None:
        # Imported here because PaddleNLP's models do not need it.
        from .image_job import convert_network, refuse_options

        refuse_options(
            architecture=architecture,
            target=target,
            zero_padding_row=zero_padding_row,
            sentence_transformers=sentence_transformers,
        )
        of_network = partial(
            convert_network,
            network,
            output,
            family=family,
            library=Path(paddleocr) if paddleocr is not None else None,
            dtype=dtype,
            limit=limit,
            weights_alone=no_tokenizer,
            low_memory=low_memory,
            dry_run=dry_run,
            progress=progress or (lambda stage, done, total: None),
        )
        return _convert(of_network, output, overwrite, resume)
    if dictionary is not None:
        raise ConfigurationError(f"{source}: a dictionary goes with a network of PaddleOCR's, and this is none")
    to_torch = partial(
        _convert_to_torch,
        source,
        output,
        family=family,
        architecture=architecture,
        target=target,
        config=Path(config) if config is not None else None,
        dtype=dtype,
        limit=limit,
        zero_padding_row=zero_padding_row,
        no_tokenizer=no_tokenizer,
        sentence_transformers=sentence_transformers,
        block_bytes=block_bytes,
        dry_run=dry_run,
        progress=progress or (lambda stage, done, total: None),
    )
    return _convert(to_torch, output, overwrite, resume)


def _convert(work: Callable[..., Conversion], output: Path, overwrite: bool, resume: bool) -> Conversion:
    """Convert, or compare with what is there."""
    if resume and os.path.lexists(output):
        try:
            return work(overwrite=overwrite, keep=True)
        except DifferentOutputError:
            if not overwrite:
                raise
    return work(overwrite=overwrite, keep=False)


def _convert_to_torch(
    source: str | Path,
    output: Path,
    *,
    family: str | None,
    architecture: str | None,
    target: str | None,
    config: Path | None,
    dtype: str | None,
    limit: int | None,
    zero_padding_row: bool,
    no_tokenizer: bool,
    sentence_transformers: str | None,
    overwrite: bool,
    keep: bool,
    block_bytes: int | None,
    dry_run: bool,
    progress: Progress,
) -> Conversion:
    with open_checkpoint(source, config) as checkpoint:
        check_output(output, checkpoint.source.path, overwrite, keep)
        recognised = recognise(checkpoint, family, architecture, target)
        plan = settle_values(checkpoint, recognised.plan)
        stored = {checkpoint.tensors[name].dtype for move in plan.moves for name in move.sources}
        # Of a family whose row has to hold zeros, asking for them changes nothing.
        asked = zero_padding_row and not plan.family.zero_padding_row
        zero_row = asked or must_zero_padding_row(plan, recognised.configuration, checkpoint.tensors)
        alterations = make_alterations(plan, recognised.configuration, stored, dtype, zero_row, no_tokenizer)
        if sentence_transformers is not None:
            pooling = settle_pooling(sentence_transformers, plan.family, plan.architecture)
            alterations = replace(alterations, pooling=pooling)
        plan = altered_plan(plan, recognised.configuration, alterations)
        entries = entries_of(checkpoint, plan, alterations)
        written = settle(checkpoint, recognised, plan, alterations, spread(plan, entries, limit))
        summary = partial(_summary, checkpoint, output, recognised, plan, written.shards, alterations)
        if dry_run:
            # Imported here because nothing else of a conversion needs it.
            import tempfile

            with tempfile.TemporaryDirectory(prefix="paddle2torch-") as folder:
                return replace(summary(written.write_small_files(Path(folder))), planned=True)
        with compared_folder(output) if keep else new_folder(output, overwrite) as folder:
            existing = output if keep else None
            write_weights(folder, written.shards, written.metadata, progress, existing, block_bytes)
            tokens = written.write_small_files(folder)
            if written.card is not None and not keep:
                (folder / MODEL_CARD).write_text(written.card, "utf-8")
            checkpoint.check_unchanged()
        return replace(summary(tokens), kept=keep)


@dataclass(frozen=True)
class Written:
    """All that a conversion writes, settled before it begins: it follows from the source, the alterations and the split
    alone, byte for byte. `metadata` is that of each file of weights, one for a head beside the model among them. `card`
    shows how that is computed; whoever publishes writes another one that shows it too. `generation` is for a class that
    writes texts, `sentences` and `dense`, a copy of the pooler, are for sentence-transformers."""

    shards: Sequence[Shard]
    metadata: Mapping[str, str]
    configuration: Mapping[str, object]
    tokenizer: SourceTokenizer | None
    card: str | None = None
    generation: Mapping[str, object] | None = None
    sentences: Mapping[str, Any] | None = None
    dense: Sequence[Entry] = ()

    def write_small_files(self, folder: Path) -> TokenizerWritten | None:
        """Write all but the weights and the card into `folder`: the index of shards, config.json, what `generate`
        takes, the files for sentence-transformers and the tokenizer."""
        shards = [shard for shard in self.shards if shard.name != HEAD_FILE]
        if len(shards) > 1:
            (folder / INDEX).write_text(json.dumps(index_of(shards), indent=2) + "\n", "utf-8")
        write_json(folder / "config.json", self.configuration)
        if self.generation is not None:
            write_json(folder / GENERATION_CONFIG, self.generation)
        for name, document in (self.sentences or {}).items():
            (folder / name).parent.mkdir(exist_ok=True)
            write_json(folder / name, document)
        if self.dense:
            path = folder / DENSE_WEIGHTS
            receipt = write_safetensors(path, self.dense, {"format": "pt"}, _no_progress)
            check_safetensors(path, self.dense, receipt, _no_progress)
        return write_huggingface_tokenizer(self.tokenizer, folder) if self.tokenizer is not None else None


def settle(
    checkpoint: Checkpoint, recognised: Recognised, plan: Plan, alterations: Alterations, shards: Sequence[Shard]
) -> Written:
    """What a conversion of `checkpoint` writes; `plan` is the altered one, and `shards` hold its entries.

    Raises what `read_tokenizer` does.
    """
    configuration = translate_configuration(
        recognised.family,
        plan.target_architecture,
        recognised.configuration,
        # Of several element types the widest one.
        widest({entry.dtype for shard in shards for entry in shard.entries}).name,
        plan.tie_word_embeddings,
    )
    tokenizer = None
    longest = recognised.family.longest(recognised.configuration)
    if not alterations.no_tokenizer:
        vocab_size = recognised.configuration["vocab_size"]
        tokenizer = read_tokenizer(checkpoint.source, recognised.family.name, vocab_size, longest)
    sentences, dense = None, list[Entry]()
    if alterations.pooling is not None:
        pooling = settle_pooling(alterations.pooling, plan.family, plan.architecture)
        if tokenizer is None:
            raise ConfigurationError(
                f"{checkpoint.source.path}: sentence-transformers needs a tokenizer, and none would be written beside "
                "the weights; put its vocabulary beside the source's, and leave --no-tokenizer out"
            )
        size, most = (int(recognised.configuration[name]) for name in ("hidden_size", "max_position_embeddings"))
        sentences = sentence_documents(pooling, size, longest or most)
        dense = dense_entries(pooling, [entry for shard in shards for entry in shard.entries])
    metadata = metadata_of(alterations, plan.architecture if plan.beside is not None else None)
    metadata |= target_metadata(recognised.family)
    generation = generation_configuration(recognised.family, plan.target_architecture, recognised.configuration)
    return Written(shards, metadata, configuration, tokenizer, head_card(plan.model), generation, sentences, dense)


def _no_progress(count: int) -> None:
    """For what takes a moment."""


def spread(plan: Plan, entries: Sequence[Entry], limit: int | None) -> list[Shard]:
    """The files for a plan's entries, as `split_into_shards` makes them, and last that of a head beside the model."""
    beside = {move.target for move in plan.moves if move.beside}
    head = tuple(entry for entry in entries if entry.name in beside)
    shards = split_into_shards([entry for entry in entries if entry.name not in beside], limit)
    return [*shards, *([Shard(HEAD_FILE, head)] if head else [])]


def entries_of(checkpoint: Checkpoint, plan: Plan, alterations: Alterations) -> list[Entry]:
    """The tensors that a plan writes: the source's, as the moves transform them, and altered."""
    row = alterations.zero_padding_row
    zeroed = {word_embeddings(plan).target: row} if row is not None else None
    return moved_entries(plan.moves, checkpoint.tensors, alterations.dtype, zeroed)


def _summary(
    checkpoint: Checkpoint,
    output: Path,
    recognised: Recognised,
    plan: Plan,
    shards: Sequence[Shard],
    alterations: Alterations,
    tokenizer: TokenizerWritten | None,
) -> Conversion:
    entries = [entry for shard in shards for entry in shard.entries]
    return Conversion(
        source=checkpoint.source.path,
        output=output,
        family=recognised.family.name,
        architecture=plan.architecture,
        target_architecture=plan.target_architecture,
        tensors=len(plan.moves),
        parameters=plan.parameters,
        nbytes=sum(entry.nbytes for entry in entries),
        tied=tuple(rule.source for rule in plan.tied),
        dropped=tuple(rule.source for rule in plan.dropped),
        drop_reason="; ".join(plan.drop_reasons) or None,
        drop_reasons=plan.drop_reasons,
        ignored=tuple(rule.source for rule in plan.ignored),
        guesses=(*recognised.guesses, *([tokenizer.guess] if tokenizer is not None and tokenizer.guess else [])),
        tie_word_embeddings=plan.tie_word_embeddings,
        dtype=", ".join(sorted({entry.dtype.name for entry in entries})),
        files=tuple(shard.name for shard in shards),
        alterations=tuple(alterations.lines()),
        set_aside=checkpoint.source.set_aside,
        tokenizer=tokenizer,
        no_tokenizer=alterations.no_tokenizer,
        notes=(*recognised.notes, *recognised.family.target_notes(plan.target_architecture)),
        beside=tuple(move.target for move in plan.moves if move.beside),
        cautions=(withdrawn.text(),) if (withdrawn := recognised.family.withdrawn) is not None else (),
        target=recognised.family.target,
        auto_class=plan.model.auto_class,
        for_sentences=alterations.pooling is not None,
    )
