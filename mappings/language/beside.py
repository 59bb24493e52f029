"""Task heads that no class of Hugging Face's has as they are. The tensors of one lie in a file of their own beside the
backbone, and a function says how its output is computed; others answer with probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A tensor of torch's, which is not imported here."""

HEAD_FILE = "head.safetensors"
"""Beside the backbone's files; no version of transformers looks for a file of this name."""


@dataclass(frozen=True)
class SeparateHead:
    """How the head of a PaddleNLP class is computed from the tensors of its `head` rows.

    `logits` takes those tensors by their target names, the backbone's last hidden state, and by name what the model
    `needs`. It uses nothing but tensors' own operators and methods, and no name of its module but `Tensor`: its text
    is shown beside the converted weights, and run when they are verified. `reason` says why it is needed. `masked`
    names the argument in which 0 stands for nothing: the logits there are so large that they are compared apart.
    """

    logits: Callable[..., Tensor]
    reason: str
    masked: str | None = None


@dataclass(frozen=True)
class Probabilities:
    """What a PaddleNLP class returns that answers with probabilities, as a plain tuple.

    `outputs` leads from names for them, in PaddleNLP's order, to the outputs of the Hugging Face class of which they
    are the sigmoids. `modules` are PaddleNLP's modules whose outputs, side by side, are those of Hugging Face's head.
    """

    outputs: Mapping[str, str]
    modules: tuple[str, ...]
