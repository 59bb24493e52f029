"""What independent sources say the published ALBERT weights compute: acceptance data for a machine that has them.

The hidden state of albert-base-v2 is in the tests of PaddleNLP and of transformers alike (`test_inference_no_head...`);
the words, ids and rankings are those of the models' and tokenizers' own documentation and tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .registry import PRETRAINED


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


_TEST = TextIds("This is a test", (48, 25, 21, 1289), special=False)

_PUPPETEER = TextIds("He was a puppeteer", (2, 24, 23, 21, 10956, 7911, 3), special=True)

_BASE_V2 = HiddenSlice(
    input_ids=(0, 345, 232, 328, 740, 140, 1695, 69, 6078, 1588, 2),
    attention_mask=(0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    first=(1, 1),
    values=((-0.6513, 1.5035, -0.2766), (-0.6515, 1.5046, -0.2780), (-0.6512, 1.5049, -0.2784)),
    tolerance=1e-4,
)

_PARIS = TopWords("Paris is the [MASK] of France.", ("capital", "capitol", "comune", "arrondissement", "bastille"))

_CHINESE_IDS = {"cls": 101, "sep": 102, "mask": 103}

_MOOD = "今天[MASK]情很好"

_FIRST_FOR_MOOD = {
    "albert-chinese-tiny": "感",
    "albert-chinese-small": "感",
    "albert-chinese-base": "感",
    "albert-chinese-large": "心",
}


def _reference(name: str) -> Reference:
    if PRETRAINED[name].language == "English":
        return Reference(
            hidden=_BASE_V2 if name == "albert-base-v2" else None,
            words=(_PARIS,) if name == "albert-base-v2" else (),
            ids=(_TEST, _PUPPETEER) if name == "albert-base-v1" else (_TEST,),
            pieces=30000,
        )
    first = _FIRST_FOR_MOOD.get(name)
    return Reference(words=(TopWords(_MOOD, (first,)),) if first else (), special_ids=_CHINESE_IDS)


ALBERT_REFERENCE: Mapping[str, Reference] = {
    name: _reference(name) for name, entry in PRETRAINED.items() if entry.family == "albert"
}
"""By pretrained name."""
