"""The conversion the other way: from a Hugging Face folder to one that PaddleNLP's `from_pretrained` loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from .checkpoints.torch_checkpoint import RecognisedTorch, TorchCheckpoint, open_torch_checkpoint, recognise_torch
from .checkpoints.torch_configuration import left_out_fields, paddle_configuration
from .formats.byte_source import MemorySource, at_start
from .formats.dtypes import DTYPES, widest
from .formats.pdparams_writer import check_pdparams, compare_pdparams, write_pdparams
from .formats.piecewise import Entry
from .formats.tensors import Tensor
from .outputs.conversion import Conversion, Progress, counter
from .outputs.existing import check_weight_files, compared_folder, comparing
from .outputs.folder import check_output, new_folder
from .tokenizers.huggingface import TokenizerWritten, write_json
from .tokenizers.paddle import write_paddle_tokenizer

WEIGHTS = "model_state.pdparams"


def convert_to_paddle(
    source: str | Path,
    output: Path,
    *,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    overwrite: bool = False,
    keep: bool = False,
    block_bytes: int | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Convert a Hugging Face folder into a PaddleNLP one: `config.json`, `model_state.pdparams` and the tokenizer.

    Every weight keeps its element type and its bits. Tensors that PaddleNLP stores twice are written twice, and the
    buffers that it stores are made. The output appears only after it has been read back and found equal. With `keep`,
    it exists and is only compared; DifferentOutputError says that it differs. `block_bytes` bounds the memory for
    a piece of a matrix. Raises a Paddle2TorchError otherwise, and leaves nothing.
    """
    report = progress or (lambda stage, done, total: None)
    with open_torch_checkpoint(source) as checkpoint:
        check_output(output, checkpoint.source.path, overwrite, keep)
        recognised = recognise_torch(checkpoint, family, architecture, target)
        entries = entries_of(checkpoint, recognised)
        total = sum(entry.nbytes for entry in entries)
        with compared_folder(output) if keep else new_folder(output, overwrite) as folder:
            if keep:
                check_weight_files(output, (WEIGHTS,))
                with comparing(output / WEIGHTS):
                    compare_pdparams(output / WEIGHTS, entries, counter("compare", total, report))
            else:
                receipt = write_pdparams(folder / WEIGHTS, entries, counter("write", total, report), block_bytes)
                check_pdparams(folder / WEIGHTS, entries, receipt, counter("compare", total, report))
            tokenizer = write_small_files(checkpoint, recognised, folder)
            checkpoint.check_unchanged()
        return replace(_summary(checkpoint, output, recognised, entries), tokenizer=tokenizer, kept=keep)


def write_small_files(
    checkpoint: TorchCheckpoint, recognised: RecognisedTorch, folder: Path
) -> TokenizerWritten | None:
    """Write all but the weights into `folder`: config.json and the tokenizer. Raises what `write_paddle_tokenizer`
    does."""
    dtype = widest({checkpoint.tensors[name].dtype for move in recognised.plan.moves for name in move.sources})
    write_json(folder / "config.json", paddle_configuration(recognised.plan, recognised.fields, dtype.name))
    vocab_size = recognised.fields["vocab_size"]
    return write_paddle_tokenizer(checkpoint.folder, folder, recognised.family.name, vocab_size)


def entries_of(checkpoint: TorchCheckpoint, recognised: RecognisedTorch) -> list[Entry]:
    """The tensors that the plan writes, and the buffers that it makes."""
    entries = [
        Entry(move.target, tuple(checkpoint.tensors[name] for name in move.sources), move.transform)
        for move in recognised.plan.moves
    ]
    for name, shape, first in recognised.plan.made:
        values = np.arange(first, first + np.prod(shape), dtype=np.int64).astype(DTYPES["int64"].storage)
        source = MemorySource(checkpoint.source.path, values.tobytes())
        entries.append(Entry(name, (Tensor(name, DTYPES["int64"], shape, partial(at_start, source)),)))
    return entries


def _summary(
    checkpoint: TorchCheckpoint, output: Path, recognised: RecognisedTorch, entries: Sequence[Entry]
) -> Conversion:
    plan = recognised.plan
    taken = {name: checkpoint.tensors[name] for move in plan.moves for name in move.sources}
    return Conversion(
        source=checkpoint.source.path,
        output=output,
        family=recognised.family.name,
        architecture=plan.target_architecture,
        target_architecture=plan.architecture,
        tensors=len(entries),
        parameters=sum(tensor.size for tensor in taken.values()),
        nbytes=sum(entry.nbytes for entry in entries),
        tied=tuple(plan.repeated),
        dropped=tuple(name for names in plan.drop_reasons.values() for name in names),
        drop_reason="; ".join(plan.drop_reasons) or None,
        drop_reasons=plan.drop_reasons,
        ignored=tuple(name for name, _ in plan.ignored),
        guesses=recognised.guesses,
        tie_word_embeddings=plan.tie_word_embeddings,
        dtype=", ".join(sorted({tensor.dtype.name for tensor in taken.values()})),
        files=(WEIGHTS,),
        set_aside=checkpoint.source.set_aside,
        to="paddle",
        made=tuple(name for name, _, _ in plan.made),
        random=plan.random,
        left_out_fields=left_out_fields(recognised.family, checkpoint.configuration),
        notes=(*recognised.notes, *recognised.family.target_notes(plan.target_architecture)),
        target=recognised.family.target,
    )
