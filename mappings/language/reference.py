"""What independent sources say that published weights compute: acceptance data for a machine that has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HiddenSlice:
    """Values of the last hidden state of one row of ids: of positions and of channels from `first` on, float32.

    `tolerance` is absolute.
    """

    input_ids: tuple[int, ...]
    attention_mask: tuple[int, ...]
    first: tuple[int, int]
    values: tuple[tuple[float, ...], ...]
    tolerance: float


@dataclass(frozen=True)
class TopWords:
    """The most probable words for the mask in a text, best first."""

    text: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class TextIds:
    """The ids of a text, with or without the special tokens around it."""

    text: str
    ids: tuple[int, ...]
    special: bool


@dataclass(frozen=True)
class Reference:
    """What is known of one set of published weights; empty where nothing is.

    `pieces` is the number of pieces of the tokenizer, `special_ids` are ids by role, such as "cls".
    """

    hidden: HiddenSlice | None = None
    words: tuple[TopWords, ...] = ()
    ids: tuple[TextIds, ...] = ()
    pieces: int | None = None
    special_ids: Mapping[str, int] = field(default_factory=dict)
