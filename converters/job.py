"""The conversion: source, checkpoint, plan, streamed write, reload, rename."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..mappings.plan import Move, Plan
from ..mappings.schema import Transform
from .checkpoint import Checkpoint, Recognised, open_checkpoint, recognise
from .comparison import settle_values
from .configuration import translate_configuration
from .output_folder import check_output, new_folder
from .safetensors_file import Entry, compare_safetensors, write_safetensors

Progress = Callable[[str, int, int], None]
"""Called as work goes on with the stage ("write" or "compare"), bytes done and bytes in all."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion did. `parameters` counts the elements written; names are the source's."""

    source: Path
    output: Path
    family: str
    architecture: str
    target_architecture: str
    tensors: int
    parameters: int
    nbytes: int
    tied: tuple[str, ...]
    dropped: tuple[str, ...]
    drop_reason: str | None
    ignored: tuple[str, ...]
    guesses: tuple[str, ...]
    tie_word_embeddings: bool

    def to_json(self) -> dict[str, Any]:
        """The conversion as plain JSON values."""
        return {**asdict(self), "source": str(self.source), "output": str(self.output)}

    def lines(self) -> list[str]:
        """The conversion for people: what was written, and what was left out and why."""
        lines = [
            f"{self.output}: {self.target_architecture}, {self.tensors} tensors, {self.parameters:,} parameters, "
            f"{self.nbytes:,} bytes, read back and equal"
        ]
        if self.tied:
            lines.append(f"tied, bit-equal to their twins: {', '.join(self.tied)}")
        if not self.tie_word_embeddings:
            lines.append("decoder and word embeddings differ and are both kept: tie_word_embeddings is false")
        if self.dropped:
            lines.append(f"dropped, {self.drop_reason}: {', '.join(self.dropped)}")
        if self.ignored:
            lines.append(f"ignored, computed by Hugging Face: {', '.join(self.ignored)}")
        return lines


def convert_checkpoint(
    source: str | Path,
    output: str | Path,
    *,
    family: str | None = None,
    architecture: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Convert a PaddleNLP checkpoint into a Hugging Face folder: `config.json` and `model.safetensors`.

    `source` is a pretrained name, a folder or a file. Every weight keeps its element type and its bits. The output
    appears only after it has been read back and found equal. Raises a Paddle2TorchError otherwise, and leaves nothing.
    """
    output = Path(output)
    with open_checkpoint(source) as checkpoint:
        check_output(output, checkpoint.source.path, overwrite)
        recognised = recognise(checkpoint, family, architecture)
        plan = settle_values(checkpoint, recognised.plan)
        with new_folder(output, overwrite) as folder:
            _write(folder, checkpoint, recognised, plan, progress or (lambda stage, done, total: None))
            checkpoint.check_unchanged()
        return _summary(checkpoint, output, recognised, plan)


def entry_of(checkpoint: Checkpoint, move: Move) -> Entry:
    """The tensor a move writes: the source's, transposed where the move says so."""
    return Entry(move.target, checkpoint.tensors[move.source], move.transform is Transform.TRANSPOSE)


def target_configuration(checkpoint: Checkpoint, recognised: Recognised, plan: Plan) -> dict[str, object]:
    """Hugging Face's config.json for a plan; `torch_dtype` is the widest element type of the written tensors."""
    written = {checkpoint.tensors[move.source].dtype for move in plan.moves}
    widest = max(written, key=lambda dtype: (dtype.itemsize, dtype.name))
    return translate_configuration(
        recognised.family,
        plan.target_architecture,
        recognised.configuration,
        widest.name,
        plan.tie_word_embeddings,
    )


def _write(folder: Path, checkpoint: Checkpoint, recognised: Recognised, plan: Plan, progress: Progress) -> None:
    entries = [entry_of(checkpoint, move) for move in plan.moves]
    total = sum(entry.nbytes for entry in entries)
    weights = folder / "model.safetensors"
    write_safetensors(weights, entries, {"format": "pt"}, _counter("write", total, progress))
    configuration = target_configuration(checkpoint, recognised, plan)
    (folder / "config.json").write_text(json.dumps(configuration, indent=2, ensure_ascii=False) + "\n", "utf-8")
    compare_safetensors(weights, entries, _counter("compare", total, progress))


def _counter(stage: str, total: int, progress: Progress) -> Callable[[int], None]:
    done = 0

    def count(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress(stage, done, total)

    return count


def _summary(checkpoint: Checkpoint, output: Path, recognised: Recognised, plan: Plan) -> Conversion:
    return Conversion(
        source=checkpoint.source.path,
        output=output,
        family=recognised.family.name,
        architecture=plan.architecture,
        target_architecture=plan.target_architecture,
        tensors=len(plan.moves),
        parameters=plan.parameters,
        nbytes=sum(checkpoint.tensors[move.source].nbytes for move in plan.moves),
        tied=tuple(rule.source for rule in plan.tied),
        dropped=tuple(rule.source for rule in plan.dropped),
        drop_reason=plan.dropped[0].reason if plan.dropped else None,
        ignored=tuple(rule.source for rule in plan.ignored),
        guesses=recognised.guesses,
        tie_word_embeddings=plan.tie_word_embeddings,
    )
