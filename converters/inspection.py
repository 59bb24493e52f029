"""What `inspect` says of a file or folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Paddle2TorchError
from ..workers.console import Table, printable
from .checkpoints.checkpoint import Checkpoint, Recognised, open_checkpoint, recognise
from .checkpoints.lookalikes import lookalike
from .checkpoints.targets import recorded_family
from .formats.tensors import Tensor
from .images.recognition import OpenedNetwork, RecognisedNetwork, recognise_network
from .images.source import ImageSource, find_image_source
from .tokenizers.huggingface import NO_TOKENIZER, SourceTokenizer, read_tokenizer


@dataclass(frozen=True)
class Inspection:
    """The tensors of a checkpoint, as `inspect_checkpoint` describes them, and the notes on how they were read.
    `refusal` says why a checkpoint of PaddleNLP's does not convert as it is; `tokenizer` is the one that would be
    converted with what was recognised, if there is one. `network` is what a network that reads pictures was recognised
    as."""

    tensors: list[dict[str, Any]]
    with_hash: bool
    notes: tuple[str, ...] = ()
    recognised: Recognised | None = None
    refusal: str | None = None
    tokenizer: SourceTokenizer | None = None
    network: RecognisedNetwork | None = None

    def to_json(self) -> dict[str, Any]:
        """The tensors, the notes, and what the tensors were recognised as, as plain JSON values."""
        document: dict[str, Any] = {"tensors": self.tensors, "notes": list(self.notes)}
        if (found := self.recognised) is not None:
            document["recognised"] = {
                "family": found.family.name,
                "architecture": found.plan.architecture,
                "configuration": found.configuration,
                "renamed": dict(found.plan.renamed),
                "guesses": list(found.guesses),
                "notes": list(found.notes),
                "becomes": found.plan.target_architecture,
                "labels": _labels(found),
            }
        if (network := self.network) is not None:
            document["recognised"] = {
                "family": network.network.name,
                "architecture": network.name,
                "becomes": network.network.target,
                "guesses": list(network.guesses),
                "notes": list(network.notes),
                "dropped": {reason: list(names) for reason, names in network.dropped.items()},
            }
        if (tokenizer := self.tokenizer) is not None:
            document["tokenizer"] = {
                "class": tokenizer.settings.paddle_class.name,
                "tokens": len(tokenizer.ids),
                "file": tokenizer.vocabulary.name,
                "guess": tokenizer.settings.guess,
                "notes": list(tokenizer.notes),
            }
        if self.refusal is not None:
            document["refusal"] = self.refusal
        return document

    def table(self) -> Table:
        """A row per tensor."""
        headings = ["name", "dtype", "shape", "bytes", *(["sha256"] if self.with_hash else [])]
        rows = [
            [
                tensor["name"],
                tensor["dtype"],
                "x".join(map(str, tensor["shape"])) or "scalar",
                f"{tensor['nbytes']:,}",
                *([tensor["sha256"]] if self.with_hash else []),
            ]
            for tensor in self.tensors
        ]
        return Table(headings, rows, right=(3,))

    def lines(self) -> list[str]:
        """What to say under the table."""
        lines = [f"{len(self.tensors)} tensors, {sum(tensor['nbytes'] for tensor in self.tensors):,} bytes"]
        if self.network is not None:
            return [*lines, *self.notes, *_network_lines(self.network), *self._refusal_lines()]
        if (found := self.recognised) is None:
            return [*lines, *self.notes, *self._refusal_lines()]
        labels = _labels(found)
        return [
            *lines,
            *self.notes,
            f"{found.plan.architecture} of {found.family.name}, converts to Hugging Face's "
            f"{found.plan.target_architecture}",
            *([f"labels: {', '.join(labels)}"] if labels else []),
            *self._tokenizer_lines(),
            *(f"guessed: {one}" for one in found.guesses),
            *found.notes,
            *self._refusal_lines(),
        ]

    def _refusal_lines(self) -> list[str]:
        why = printable(" ".join((self.refusal or "").split()))
        return [f"does not convert as it is: {why}"] if why else []

    def _tokenizer_lines(self) -> list[str]:
        if (tokenizer := self.tokenizer) is None:
            return [] if self.refusal is not None else [NO_TOKENIZER]
        settings = tokenizer.settings
        return [
            f"tokenizer: {settings.paddle_class.name}, {len(tokenizer.ids):,} tokens in {tokenizer.vocabulary.name}",
            *([f"guessed: {settings.guess}"] if settings.guess is not None else []),
            *(f"warning: {note}" for note in tokenizer.notes),
        ]


def tensor_facts(tensors: Mapping[str, Tensor], with_hash: bool = False) -> list[dict[str, Any]]:
    """Name, dtype, shape and bytes of each tensor; `with_hash` also the sha256 of its elements in C order."""
    found = []
    for name, tensor in tensors.items():
        facts = {"name": name, "dtype": tensor.dtype.name, "shape": list(tensor.shape), "nbytes": tensor.nbytes}
        if with_hash:
            digest = hashlib.sha256()
            for chunk in tensor.chunks():
                digest.update(chunk.view(np.uint8).data)
            facts["sha256"] = digest.hexdigest()
        found.append(facts)
    return found


def _tokenizer_of(checkpoint: Checkpoint, found: Recognised) -> SourceTokenizer | None:
    """The tokenizer beside a checkpoint, None when there is none. Raises what `read_tokenizer` does."""
    configuration = found.configuration
    longest = found.family.longest(configuration)
    return read_tokenizer(checkpoint.source, found.family.name, configuration["vocab_size"], longest)


def _network_lines(found: RecognisedNetwork) -> list[str]:
    """What a network is and becomes, in one line each."""
    return [
        f"{found.name}: {found.network.title}, converts to transformers' {found.network.target}",
        *(f"guessed: {one}" for one in found.guesses),
        *found.notes,
        *(f"dropped, {reason}: {len(names)} tensors" for reason, names in found.dropped.items()),
        *(f"caution: {one}" for one in found.cautions),
    ]


def _inspect_network(
    source: ImageSource, with_hash: bool, family: str | None, library: Path | None, named: bool
) -> Inspection:
    """What a network holds and is. What recognising it fails with is part of the result, unless it was `named` what it
    should be."""
    with OpenedNetwork(source) as opened:
        tensors = tensor_facts(opened.stored, with_hash)
        opened.check_unchanged()
        try:
            return Inspection(tensors, with_hash, network=recognise_network(opened, family, library=library))
        except Paddle2TorchError as error:
            if named:
                raise
            return Inspection(tensors, with_hash, refusal=str(error))


def _labels(found: Recognised) -> list[str]:
    """The names of labels, in the order of their numbers, where the class has any and they are not the made-up ones."""
    names = found.configuration.get("id2label") or {}
    labels = [str(names[number]) for number in sorted(names, key=int)]
    return [] if labels == [f"LABEL_{number}" for number in range(len(labels))] else labels


def _recognised(
    source: str | Path, family: str | None, architecture: str | None, target: str | None, config: Path | None
) -> tuple[Recognised, SourceTokenizer | None, str | None]:
    """What the tensors are, and the tokenizer beside them or why it is refused."""
    # Opened once more: from then on the tensors have other names.
    with open_checkpoint(source, config) as checkpoint:
        found = recognise(checkpoint, family, architecture, target)
        try:
            return found, _tokenizer_of(checkpoint, found), None
        except Paddle2TorchError as error:
            return found, None, str(error)


def inspect_checkpoint(
    path: str | Path,
    with_hash: bool = False,
    *,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    config: Path | None = None,
    dictionary: Path | None = None,
    paddleocr: Path | None = None,
    converting: bool = False,
) -> Inspection:
    """Name, dtype, shape and bytes of every tensor in the order of the file; with `with_hash` also the sha256 of its
    elements in C order, and with one of the others also what the tensors are recognised as. With `converting`, that is
    tried of any checkpoint of PaddleNLP's, and what it fails with is part of the result. `dictionary` and `paddleocr`
    go with a network of PaddleOCR's, as in a conversion. Raises as `open_checkpoint` and `recognise`."""
    if (network := find_image_source(path, family, config, dictionary)) is not None:
        return _inspect_network(network, with_hash, family, paddleocr, family is not None)
    with open_checkpoint(path) as checkpoint:
        tensors = tensor_facts(checkpoint.tensors, with_hash)
        checkpoint.check_unchanged()
        # Of what is no model, it is said what it is.
        odd = lookalike(list(checkpoint.tensors))
        notes = (*checkpoint.notes, *([odd] if odd is not None else []))
        ours = any(".pdparams" in file.name for file in checkpoint.source.files) and odd is None
        if (recorded := recorded_family(checkpoint.source.files)) is not None:
            notes += (f"converted from {recorded.name} with --target {recorded.target}: {recorded.becomes}",)
    asked = (family, architecture, target, config)
    found, tokenizer, refusal = None, None, None
    if any(asked):
        found, tokenizer, refusal = _recognised(path, *asked)
    elif converting and ours:
        try:
            found, tokenizer, refusal = _recognised(path, *asked)
        except Paddle2TorchError as error:
            refusal = str(error)
    return Inspection(tensors, with_hash, notes, found, refusal, tokenizer)
