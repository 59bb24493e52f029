"""Compares what two tokenizers made of the same cases, and recognises the differences that lie in the result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...converters.tokenizers.huggingface import SourceTokenizer
from ...mappings.language.tokenizers import BYTE_PAIRS, Layout
from .differences import (
    JOINED_TOKENS,
    NORMALIZED_TOKENS,
    NUMBER_COMMA,
    PAIR_TRUNCATION,
    TIES,
    UNKNOWN_CLASS,
    Part,
    Plan,
    Planner,
)

FIELDS = ("input_ids", "token_type_ids", "attention_mask")

Case = dict[str, Any]

Row = dict[str, Array]


@dataclass(frozen=True)
class Encoded:
    """What one tokenizer made of the cases: rows by case and field, the texts that decoding gave back of those cases
    that were to be decoded, its tokens by id, its settings. `fields` are those of its rows that are compared."""

    rows: Mapping[str, Mapping[str, list[Array]]]
    decoded: Mapping[str, list[str]]
    tokens: list[str]
    settings: Mapping[str, Any]
    fields: Sequence[str] = FIELDS

    def row(self, case: str, index: int) -> Row:
        """One row with all fields."""
        return {name: self.rows[case][name][index] for name in self.fields}


@dataclass(frozen=True)
class Lines:
    """Single lines with their plans. `case` is the case that they are the texts of; `parts` leads to the rows of the
    case "parts", which answer for parts of lines; `ends` is how many tokens stand before and after a text."""

    case: Case
    plans: Sequence[Plan]
    parts: Mapping[Part, int]
    ends: tuple[int, int]

    def ids(self, side: Encoded, part: Part) -> list[int]:
        """What a tokenizer made of a part."""
        row = side.rows["parts"]["input_ids"][self.parts[part]]
        ids: list[int] = row[self.ends[0] : len(row) - self.ends[1]].tolist()
        return ids


@dataclass
class Comparison:
    """Differences found so far. `seen` counts rows that came out differently by declared difference, `concerned` rows
    that it concerns."""

    tokenizer: SourceTokenizer
    planner: Planner
    problems: list[str] = field(default_factory=list)
    compared: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    concerned: Counter[str] = field(default_factory=Counter)

    def compare_settings(self, wanted: Encoded, found: Encoded) -> None:
        """Compare settings and, id by id, tokens."""
        # A call of PaddleNLP gives no mask; that of transformers must give all that the model takes, which is no types
        # where byte pairs are read.
        read = self.tokenizer.settings
        fields = fields_with(read.paddle_class.gives_types_with(read.kind))
        settings = {**wanted.settings, "fields of a call": sorted(fields)}
        for name in sorted(settings.keys() | found.settings.keys()):
            one, other = settings.get(name), found.settings.get(name)
            if one != other:
                self.problems.append(f"{name} is {other!r}, expected from PaddleNLP is {one!r}")
        given_back = self.planner.given_back
        holes = self.tokenizer.holes
        for index, (token, own) in enumerate(zip(wanted.tokens, found.tokens, strict=False)):
            if token == own or (index in holes and own is None):
                continue
            if given_back.get(index) == (token, own):
                self.seen[NORMALIZED_TOKENS] += 1
                self.concerned[NORMALIZED_TOKENS] += 1
                continue
            self.problems.append(f"id {index} is {own!r}, for PaddleNLP it is {token!r}")

    def compare_lines(self, lines: Lines, wanted: Encoded, found: Encoded) -> list[int]:
        """Compare the rows of single lines with what their plans say; return the places of those that are PaddleNLP's
        own."""
        case, equal = lines.case["name"], []
        for index, (text, plan) in enumerate(zip(lines.case["texts"], lines.plans, strict=True)):
            self.compared += 1
            direct, row = wanted.row(case, index), found.row(case, index)
            names = set(plan.names)
            expected = direct
            if UNKNOWN_CLASS in names and (other := self._other_text(lines, plan, wanted, found)):
                self.problems.append(f"{case}, {text[:60]!r}: {other}")
                continue
            if names:
                expected = _row(direct, plan, lines.ends, lambda part: lines.ids(found if part.own else wanted, part))
            if not _same(row, expected):
                name = self._choice(lines, plan, expected, row, found)
                if name is None:
                    self.problems.append(f"{case}, {text[:60]!r}: {_first_difference(expected, row)}")
                    continue
                names.add(name)
            self.concerned.update(names)
            if not _same(row, direct):
                self.seen.update(names)
                continue
            equal.append(index)
            one, other = (side.decoded[case][index] for side in (wanted, found))
            if one != other and other == self._given_back(one, row):
                name = JOINED_TOKENS if self.tokenizer.settings.kind == BYTE_PAIRS else NORMALIZED_TOKENS
                self.seen[name] += 1
                self.concerned[name] += 1
            elif one != other and not self.planner.original:
                self.problems.append(f"{case}, {text[:60]!r}: is decoded to {other!r}, by PaddleNLP to {one!r}")
        return equal

    def _other_text(self, lines: Lines, plan: Plan, wanted: Encoded, found: Encoded) -> str | None:
        """What is wrong where words may be cut otherwise: their tokens must still be those of the same text."""
        for part in plan.parts:
            if part.own:
                one, other = (
                    "".join(side.tokens[index] for index in lines.ids(side, part)) for side in (wanted, found)
                )
                if one != other:
                    return f"{part.text!r} is cut into tokens of {other!r}, by PaddleNLP of {one!r}"
        return None

    def compare_rows(self, case: Case, wanted: Encoded, found: Encoded) -> None:
        """Compare the rows of a case of lines that came out equal on their own."""
        for index, text in enumerate(case["texts"]):
            self.compared += 1
            expected, row = wanted.row(case["name"], index), found.row(case["name"], index)
            if _same(row, expected):
                continue
            layout = self.tokenizer.settings.layout
            if "whole" in case and odd_token_moved(case, index, wanted, row, layout):
                self.seen[PAIR_TRUNCATION] += 1
                self.concerned[PAIR_TRUNCATION] += 1
                continue
            second = f" and {case['pairs'][index][:60]!r}" if "pairs" in case else ""
            self.problems.append(f"{case['name']}, {text[:60]!r}{second}: {_first_difference(expected, row)}")

    def _given_back(self, text: str, row: Row) -> str:
        """The decoded text with the tokens of a row as the converted tokenizer gives them back: normalized, and of byte
        pairs those beyond the vocabulary without the blanks around them."""
        if self.tokenizer.settings.kind == BYTE_PAIRS:
            for token, index in self.tokenizer.settings.added.items():
                if index in row["input_ids"]:
                    text = token.join(re.split(f" ?{re.escape(token)} ?", text))
        for index, (token, normalized) in self.planner.given_back.items():
            if index in row["input_ids"]:
                text = text.replace(token, normalized)
        return text

    def _choice(self, lines: Lines, plan: Plan, expected: Row, row: Row, found: Encoded) -> str | None:
        """The declared difference by which a row holds other pieces of the same text than expected: they must be those
        that float64 and the penalty on numbers before a comma lead to."""
        unigram = self.planner.unigram
        if unigram is None:
            return None
        if not plan.names:
            # Nothing that is declared cuts it at its tokens.
            plan = Plan(tuple(one for part in plan.parts for one in self.planner.cut(part.text)))
        chosen = _row(
            row, plan, lines.ends, lambda part: lines.ids(found, part) if part.own else unigram.ids(part.text)
        )
        scores = scores_of_same_text(self.tokenizer, *(one["input_ids"].tolist() for one in (expected, row)))
        if scores is None or not _same(row, chosen):
            return None
        if any(unigram.has_number_comma(part.text) for part in plan.parts if part.token is None):
            return NUMBER_COMMA
        return TIES if are_equal(scores) else None


Scores = list[tuple[list[float], list[float]]]


def scores_of_same_text(tokenizer: SourceTokenizer, one: Sequence[int], other: Sequence[int]) -> Scores | None:
    """The scores of the pieces of two rows between their special, added and unknown tokens; None when these are not the
    same, or the text between them is not."""
    if tokenizer.model is None:
        return None
    pieces, added = tokenizer.model.pieces, set(tokenizer.settings.added.values())
    special = {tokenizer.ids.get(token) for token in tokenizer.settings.all_special} | added
    if any(index >= len(pieces) and index not in added for index in (*one, *other)):
        return None

    def parts(row: Sequence[int]) -> list[tuple[bool, list[int]]]:
        return [(kept, list(group)) for kept, group in groupby(row, key=lambda index: index in special)]

    firsts, seconds = parts(one), parts(other)
    if len(firsts) != len(seconds):
        return None
    scores = []
    for (kept, first), (also_kept, second) in zip(firsts, seconds, strict=True):
        if kept != also_kept or (kept and first != second):
            return None
        if kept:
            continue
        texts = ["".join(pieces[index].text for index in row) for row in (first, second)]
        if texts[0] != texts[1]:
            return None
        scores.append(([pieces[index].score for index in first], [pieces[index].score for index in second]))
    return scores


def are_equal(scores: Scores) -> bool:
    """Whether sums of scores are the same but for rounding: they are added in float32, where each addition may be wrong
    by half of the last bit of the sum."""
    count = sum(len(first) for first, _ in scores)
    total = sum(abs(score) for first, _ in scores for score in first)
    return all(abs(sum(first) - sum(second)) <= count * total * 2.0**-24 for first, second in scores)


def odd_token_moved(case: Case, index: int, wanted: Encoded, row: Row, layout: Layout) -> bool:
    """Whether transformers' truncated pair is PaddleNLP's with the odd token left to the second text.

    Both texts must be longer than half of the room, and the row exactly what the whole pair, of the case named by
    `whole`, gives at one of the `places` when cut so. `lengths` of the case are those of the texts alone, of each pair
    both.
    """
    room = int(case["options"]["max_length"]) - (len(layout.pair) - 2)
    first, second = case["lengths"][index]
    if room % 2 == 0 or first > second or first <= room // 2:
        return False
    left = wanted.settings["truncation_side"] == "left"
    whole = wanted.row(case["whole"], case["places"][index])["input_ids"]
    ids: list[int] = []
    types: list[int] = []
    start = 0
    for name, kind in zip(layout.pair, layout.pair_types, strict=True):
        length, kept = {"A": (first, room // 2), "B": (second, room // 2 + 1)}.get(name, (1, 1))
        part = whole[start : start + length].tolist()
        ids += part[length - kept :] if left else part[:kept]
        types += [kind] * kept
        start += length
    expected = {"input_ids": np.asarray(ids), "token_type_ids": np.asarray(types), "attention_mask": np.ones_like(ids)}
    return start == len(whole) and _same(row, {name: expected[name] for name in row})


def fields_with(types: bool) -> list[str]:
    """The fields of a row, with or without token types."""
    return [name for name in FIELDS if types or name != "token_type_ids"]


def _row(frame: Row, plan: Plan, ends: tuple[int, int], ids: Callable[[Part], list[int]]) -> Row:
    """The row of a single line by its parts, between the special tokens at the `ends` of `frame`, with its fields."""
    inner = [one for part in plan.parts for one in ([part.token] if part.token is not None else ids(part))]
    around = frame["input_ids"].tolist()
    row = np.asarray([*around[: ends[0]], *inner, *around[len(around) - ends[1] :]], dtype=np.int64)
    made = {"input_ids": row, "token_type_ids": np.zeros_like(row), "attention_mask": np.ones_like(row)}
    return {name: made[name] for name in frame}


def _same(one: Row, other: Row) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def _first_difference(expected: Row, row: Row) -> str:
    for name in FIELDS:
        one, other = (side.get(name, np.asarray([], dtype=np.int64)) for side in (expected, row))
        if not np.array_equal(one, other):
            shared = min(len(one), len(other))
            unequal = np.flatnonzero(one[:shared] != other[:shared])
            start = int(unequal[0]) if len(unequal) else shared
            return (
                f"{name} from position {start} on are {other[start : start + 8].tolist()}, expected from PaddleNLP are "
                f"{one[start : start + 8].tolist()}"
            )
    return "nothing"
