"""Compares what two tokenizers made of the same cases, and recognises the differences that lie in the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...converters.tokenizers.huggingface import SourceTokenizer
from .differences import FAST, LineDifference

FIELDS = ("input_ids", "token_type_ids", "attention_mask")

SPECIAL_OF_PAIR = 3

PAIR_TRUNCATION = "pair truncation"

TIES = "equal scores"

RESULT_DIFFERENCES = {
    PAIR_TRUNCATION: "both texts of a pair are cut to half of an odd room: PaddleNLP and the slow tokenizer leave the "
    "odd token to the first text, the fast one to the second",
    TIES: "two ways to cut a word into pieces have the same score but for rounding: SentencePiece adds scores up in "
    "float32, the fast tokenizer in float64, and either may come out first",
}
"""Declared differences that are recognised by both results: no other row could differ like this."""


@dataclass(frozen=True)
class Encoded:
    """What one tokenizer made of the cases: rows by case and field, its tokens by id, its settings."""

    rows: Mapping[str, Mapping[str, list[Array]]]
    tokens: list[str]
    settings: Mapping[str, Any]

    def equal(self, other: Encoded, case: str, index: int) -> bool:
        """Whether a row is the same in all fields."""
        return all(np.array_equal(self.rows[case][one][index], other.rows[case][one][index]) for one in FIELDS)


@dataclass
class Comparison:
    """Differences found so far. `seen` counts rows that came out differently by declared difference, `concerned` rows
    that it concerns."""

    tokenizer: SourceTokenizer
    problems: list[str] = field(default_factory=list)
    compared: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    concerned: Counter[str] = field(default_factory=Counter)

    def declare(self, name: str) -> None:
        """Count a row that differs, and is recognised, by a declared difference."""
        self.seen[name] += 1
        self.concerned[name] += 1

    def compare_settings(self, side: str, wanted: Encoded, found: Encoded) -> None:
        """Compare settings and, id by id, tokens."""
        for name in sorted(wanted.settings.keys() | found.settings.keys()):
            one, other = wanted.settings.get(name), found.settings.get(name)
            if one != other:
                self.problems.append(f"{side}: {name} is {other!r}, PaddleNLP has {one!r}")
        for index, (token, own) in enumerate(zip(wanted.tokens, found.tokens, strict=False)):
            if token != own:
                self.problems.append(f"{side}: id {index} is {own!r}, for PaddleNLP it is {token!r}")

    def compare_rows(
        self,
        side: str,
        case: Mapping[str, Any],
        wanted: Encoded,
        found: Encoded,
        differences: Sequence[LineDifference] = (),
    ) -> None:
        """Compare the rows of one case; `differences` excuse the lines that they concern."""
        for index, text in enumerate(case["texts"]):
            self.compared += 1
            concerning = [one.name for one in differences if one.concerns(text)]
            self.concerned.update(concerning)
            if wanted.equal(found, case["name"], index):
                continue
            if concerning:
                self.seen.update(concerning)
            elif side == FAST and (name := self._recognised(case, index, wanted, found)) is not None:
                self.declare(name)
            else:
                second = f" and {case['pairs'][index][:60]!r}" if "pairs" in case else ""
                difference = _first_difference(index, case["name"], wanted, found)
                self.problems.append(f"{side}, {case['name']}, {text[:60]!r}{second}: {difference}")

    def _recognised(self, case: Mapping[str, Any], index: int, wanted: Encoded, found: Encoded) -> str | None:
        if "pairs" in case:
            odd = "whole" in case and odd_token_moved(case, index, wanted, found)
            return PAIR_TRUNCATION if odd else None
        one, other = (side.rows[case["name"]]["input_ids"][index].tolist() for side in (wanted, found))
        return TIES if not case["options"] and have_equal_scores(self.tokenizer, one, other) else None


def have_equal_scores(tokenizer: SourceTokenizer, one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two rows of ids are the same text cut into different pieces with the same score but for rounding.

    Both must have the same unknown and special tokens, and between these the same text. The scores are added in
    float32, where each addition may be wrong by half of the last bit of the sum.
    """
    if tokenizer.model is None:
        return False
    pieces, special = tokenizer.model.pieces, {tokenizer.ids.get(token) for token in tokenizer.settings.all_special}

    def parts(row: Sequence[int]) -> list[tuple[bool, list[int]]]:
        return [(kept, list(group)) for kept, group in groupby(row, key=lambda index: index in special)]

    firsts, seconds = parts(one), parts(other)
    if len(firsts) != len(seconds) or max(*one, *other) >= len(pieces):
        return False
    total = sum(abs(pieces[index].score) for index in one)
    for (kept, first), (also_kept, second) in zip(firsts, seconds, strict=True):
        if kept != also_kept or (kept and first != second):
            return False
        texts = ["".join(pieces[index].text for index in row) for row in (first, second)]
        scores = [sum(pieces[index].score for index in row) for row in (first, second)]
        if texts[0] != texts[1] or abs(scores[0] - scores[1]) > len(one) * total * 2.0**-24:
            return False
    return True


def odd_token_moved(case: Mapping[str, Any], index: int, wanted: Encoded, found: Encoded) -> bool:
    """Whether the fast tokenizer's truncated pair is PaddleNLP's with the odd token left to the second text.

    Both texts must be longer than half of the room, and the row exactly what the whole pair, of the case named by
    `whole`, gives when cut so.
    """
    room = int(case["options"]["max_length"]) - SPECIAL_OF_PAIR
    ids, types = (wanted.rows[case["whole"]][name][index] for name in ("input_ids", "token_type_ids"))
    first, second = int((types == 0).sum()) - 2, int((types == 1).sum()) - 1
    if room % 2 == 0 or first > second or first <= room // 2:
        return False
    left = wanted.settings["truncation_side"] == "left"

    def cut(row: Array, length: int) -> Array:
        return row[len(row) - length :] if left else row[:length]

    one, other = cut(ids[1 : 1 + first], room // 2), cut(ids[first + 2 : -1], room // 2 + 1)
    expected = {
        "input_ids": np.concatenate([ids[:1], one, ids[first + 1 : first + 2], other, ids[-1:]]),
        "token_type_ids": np.repeat(np.asarray([0, 1]), [len(one) + 2, len(other) + 1]),
        "attention_mask": np.ones(room + SPECIAL_OF_PAIR, dtype=np.int64),
    }
    return all(np.array_equal(found.rows[case["name"]][name][index], expected[name]) for name in FIELDS)


def _first_difference(index: int, case: str, wanted: Encoded, found: Encoded) -> str:
    for name in FIELDS:
        one, other = wanted.rows[case][name][index], found.rows[case][name][index]
        if not np.array_equal(one, other):
            shared = min(len(one), len(other))
            unequal = np.flatnonzero(one[:shared] != other[:shared])
            start = int(unequal[0]) if len(unequal) else shared
            return (
                f"{name} from position {start} on are {other[start : start + 8].tolist()}, PaddleNLP gives "
                f"{one[start : start + 8].tolist()}"
            )
    return "nothing"
