"""What a conversion did, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...mappings.language.beside import HEAD_FILE
from ..checkpoints.snapshot import name_of_place, origin_of
from ..tokenizers.huggingface import NO_TOKENIZER, TokenizerWritten
from .card import MODEL_CARD, loading_lines

Progress = Callable[[str, int, int], None]
"""Called as work goes on with the stage ("write" or "compare"), bytes done and bytes in all."""


@dataclass(frozen=True)
class Conversion:
    """What a conversion did. `parameters` counts the elements written, `files` are those with weights; names are the
    source's. `alterations` says what was changed in the values, in one line each; without any, all bits are kept.

    `to` is "torch" or "paddle", the framework whose library loads the output. On the way to Paddle, `made` are buffers
    that were computed because PaddleNLP stores them, `random` are tensors that the source's class does not have and
    PaddleNLP initialises anew, and `left_out_fields` are configuration fields that PaddleNLP does not know.
    `no_tokenizer`: the weights alone were asked for. `for_sentences`: with the files of sentence-transformers. `kept`:
    the output was there already, equal to what would have been written, and nothing was. `notes` say what of the source
    was read otherwise than it stands there. `drop_reasons` leads from each reason to the tensors that are dropped for
    it; `drop_reason` is all of them in one text. `beside` are the tensors of a head that Hugging Face's class has no
    place for, in a file of their own. `cautions` say what the output cannot be used with. `target` is the family's
    alternative that was asked for, or recorded, None for the usual one. `auto_class` is the class of transformers that
    loads the output, None on the way to Paddle. `planned`: this is what would have been done, and nothing was.
    `for_pictures` are the lines of Python that load a network which reads pictures, and run it."""

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
    dtype: str
    files: tuple[str, ...]
    alterations: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    to: str = "torch"
    made: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    left_out_fields: tuple[str, ...] = ()
    tokenizer: TokenizerWritten | None = None
    no_tokenizer: bool = False
    for_sentences: bool = False
    kept: bool = False
    notes: tuple[str, ...] = ()
    drop_reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    target: str | None = None
    auto_class: str | None = None
    planned: bool = False
    for_pictures: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What is to be seen even where the result goes to a program, in one line each."""
        return [*(f"guessed: {guess}" for guess in self.guesses), *(f"caution: {text}" for text in self.cautions)]

    def to_json(self) -> dict[str, Any]:
        """The conversion as plain JSON values."""
        return {**asdict(self), "source": name_of_place(self.source), "output": str(self.output)}

    def lines(self) -> list[str]:
        """The conversion for people: what was written, and what was left out and why."""
        lines = [
            f"{self.output}: {self.target_architecture}, {self.tensors} tensors, {self.parameters:,} parameters, "
            f"{self.nbytes:,} bytes{f' in {len(self.files)} files' if len(self.files) > 1 else ''}, "
            f"{self._done()}",
            *([f"converted from {name_of_place(self.source)}"] if origin_of(self.source) is not None else []),
            *self.notes,
            *self.alterations,
            *self._tokenizer_lines(),
        ]
        if self.tied:
            lines.append(f"tied, bit-equal to their twins: {', '.join(self.tied)}")
        if not self.tie_word_embeddings:
            differ = "differ and are both kept" if self.to == "torch" else "are tensors of their own"
            lines.append(f"decoder and word embeddings {differ}: tie_word_embeddings is false")
        lines += [f"dropped, {reason}: {', '.join(_few(names))}" for reason, names in self.drop_reasons.items()]
        if self.beside:
            lines.append(
                f"no whole Hugging Face model: transformers loads the {self.target_architecture} alone; the head of "
                f"{self.architecture} ({', '.join(self.beside)}) lies beside it in {HEAD_FILE}, and {MODEL_CARD} shows "
                "how its output is computed"
            )
        if self.ignored:
            lines.append(f"ignored, computed by Hugging Face: {', '.join(self.ignored)}")
        if self.made:
            lines.append(f"made, as PaddleNLP stores them: {', '.join(self.made)}")
        if self.random:
            lines.append(
                f"not in {self.architecture} of Hugging Face, so PaddleNLP initialises them at random, and no output "
                f"of its task depends on them: {', '.join(self.random)}"
            )
        if self.left_out_fields:
            lines.append(f"configuration fields that PaddleNLP does not know: {', '.join(self.left_out_fields)}")
        if self.set_aside:
            lines.append(f"files of training, not part of the model: {', '.join(self.set_aside)}")
        return lines

    def loading_lines(self) -> list[str]:
        """Python that loads the output; nothing where there is none yet, or none for transformers."""
        if self.planned or self.auto_class is None:
            return []
        if self.for_pictures:
            return ["", *self.for_pictures]
        if self.for_sentences:
            # A text of JSON's is one of Python's.
            place = json.dumps(str(self.output), ensure_ascii=False)
            return [
                "",
                "from sentence_transformers import SentenceTransformer",
                f"model = SentenceTransformer({place})",
                'vectors = model.encode(["..."])',
            ]
        return ["", *loading_lines(self.auto_class, str(self.output), self.tokenizer is not None)]

    def _done(self) -> str:
        if self.planned:
            return "a dry run: nothing is written"
        return f"{'there already' if self.kept else 'read back'} and equal"

    def _tokenizer_lines(self) -> list[str]:
        if self.tokenizer is not None:
            return self.tokenizer.lines()
        return [] if self.no_tokenizer or self.for_pictures else [NO_TOKENIZER]


MOST_NAMES = 20
"""Names that a line lists one by one."""


def _few(names: Sequence[str]) -> Sequence[str]:
    """Names for a line: of many, the modules that they belong to, each with their number."""
    if len(names) <= MOST_NAMES:
        return names
    modules = Counter(".".join(name.split(".")[:2]) for name in names)
    return [f"{module} ({count} tensor{'s' if count > 1 else ''})" for module, count in modules.items()]


def counter(stage: str, total: int, progress: Progress) -> Callable[[int], None]:
    """A function that adds up the bytes it is called with and reports them as progress of `stage`."""
    done = 0

    def count(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress(stage, done, total)

    return count
