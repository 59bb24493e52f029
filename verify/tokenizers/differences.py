"""Declared differences between the tokenizers: which lines they concern, and what a line is without their cause.

A line that one of them concerns may come out differently. The same line without the cause may not, so a declared
difference hides nothing else. All text is treated by the Python that runs the check, as PaddleNLP treats it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from ...converters.tokenizers.characters import is_nonspacing, is_removed, is_space, is_symbol
from ...converters.tokenizers.fast import UNDERLINE, ends_in_number_comma
from ...converters.tokenizers.huggingface import SourceTokenizer
from ...mappings.language.tokenizers import SENTENCEPIECE, WORDPIECE

SLOW, FAST = "slow", "fast"

WRITTEN_ALIKE = "; the fast one is written to do as PaddleNLP"


@dataclass(frozen=True)
class LineDifference:
    """One declared difference. `sides` are the tokenizers of transformers that it concerns; `concerns` tells the lines,
    `without` gives the line without the cause."""

    name: str
    text: str
    sides: tuple[str, ...]
    concerns: Callable[[str], bool]
    without: Callable[[str], str]


def line_differences(tokenizer: SourceTokenizer, original: bool = False) -> tuple[LineDifference, ...]:
    """Those that apply to a tokenizer of this kind with these settings, in the order in which to take out causes.

    `original` says that transformers' fast tokenizer is not one that was written to do as PaddleNLP: what concerns the
    slow one concerns it too.
    """
    settings = tokenizer.settings
    found = [_special_tokens(tokenizer)] if settings.paddle_class.wraps else []
    if set(settings.added) - set(settings.all_special):
        found.append(_added_tokens(tokenizer))
    if settings.kind == WORDPIECE:
        if not settings.strips_accents:
            found.append(_COMPOSED)
        found.append(_SYMBOLS)
    if settings.kind == SENTENCEPIECE:
        found.append(_UNASSIGNED)
        if settings.keep_accents:
            found.append(_MARKS)
        elif settings.do_lower_case:
            found.append(_final_sigma(tokenizer))
        found.append(_number_comma(tokenizer))
    if not original:
        return tuple(found)
    return tuple(replace(one, sides=(SLOW, FAST), text=one.text.removesuffix(WRITTEN_ALIKE)) for one in found)


def prepare(tokenizer: SourceTokenizer, line: str) -> str:
    """What SentencePiece gets of a line: lower-cased by character, with single spaces, plain quotes and no accents."""
    settings = tokenizer.settings
    if settings.do_lower_case:
        line = "".join(character.lower() for character in line)
    if settings.remove_space:
        line = " ".join(line.split())
    line = line.replace("``", '"').replace("''", '"')
    if not settings.keep_accents:
        line = unicodedata.normalize("NFKD", line)
        line = "".join(character for character in line if not unicodedata.combining(character))
    return line


def _special_tokens(tokenizer: SourceTokenizer) -> LineDifference:
    settings = tokenizer.settings
    parts = []
    for token in sorted({*settings.all_special, *settings.added}, key=len, reverse=True):
        # The slow tokenizer looks for tokens after it has lower-cased the text, so it finds these in any case.
        loose = settings.do_lower_case and (token == token.lower() or token not in settings.all_special)
        parts.append(f"(?i:{re.escape(token)})" if loose else re.escape(token))
    pattern = re.compile("|".join(parts))
    return LineDifference(
        "tokens in text",
        "a special or added token written in the text: PaddleNLP's AlbertTokenizer hands the text to an inner "
        "tokenizer that knows none of them and cuts it up, transformers takes it as the token",
        (SLOW, FAST),
        lambda line: pattern.search(line) is not None,
        lambda line: pattern.sub(" ", line),
    )


def _added_tokens(tokenizer: SourceTokenizer) -> LineDifference:
    settings = tokenizer.settings
    lower = settings.do_lower_case
    tokens = [token.lower() if lower else token for token in settings.added if token not in settings.all_special]

    def lowered(line: str) -> str:
        return "".join(character.lower() for character in line) if lower else line

    def normal(line: str) -> str:
        if settings.kind == SENTENCEPIECE:
            return prepare(tokenizer, line)
        line = lowered("".join(character for character in line if not is_removed(character)))
        if settings.strips_accents:
            line = "".join(one for one in unicodedata.normalize("NFD", line) if not is_nonspacing(one))
        return line

    def without(line: str) -> str:
        line = normal(line)
        for token in tokens:
            line = line.replace(token, " ")
        return line

    return LineDifference(
        "added tokens",
        "an added token that appears only once accents and controls are taken out: the fast tokenizer looks for added "
        "tokens in the normalized text, the others in the lower-cased one",
        (FAST,),
        lambda line: any(normal(line).count(token) != lowered(line).count(token) for token in tokens),
        without,
    )


def _folded(character: str) -> str:
    return unicodedata.normalize("NFD", character.lower())


def _holds_symbol(character: str) -> bool:
    return any(is_symbol(one) for one in (character, *_folded(character)))


def _joins_symbol(line: str) -> bool:
    """Whether a symbol of the line has a neighbour that is no space, or is not a symbol all by itself."""

    def parts(character: str) -> bool:
        return is_space(character) and not is_removed(character)

    around = zip([" ", *line], line, [*line[1:], " "], strict=False)
    return any(
        _holds_symbol(one) and not (_is_plain_symbol(one) and parts(before) and parts(after))
        for before, one, after in around
    )


def _is_plain_symbol(character: str) -> bool:
    return is_symbol(character) and _folded(character) == character


def _apart(character: str) -> str:
    if not _holds_symbol(character):
        return character
    return f" {character} " if _is_plain_symbol(character) else " "


_SYMBOLS = LineDifference(
    "symbols",
    "a symbol inside a word: PaddleNLP makes it a token of its own, the slow tokenizer of transformers does so with "
    "punctuation only and has no setting for it" + WRITTEN_ALIKE,
    (SLOW,),
    _joins_symbol,
    lambda line: "".join(_apart(character) for character in line),
)

_COMPOSED = LineDifference(
    "composed characters",
    "a text that is not in Unicode's form NFC: the slow tokenizer of transformers brings it there, PaddleNLP and the "
    "fast tokenizer leave it as it is",
    (SLOW,),
    lambda line: not unicodedata.is_normalized("NFC", line),
    lambda line: unicodedata.normalize("NFC", line),
)

_UNASSIGNED = LineDifference(
    "unassigned characters",
    "a character that Python's Unicode tables do not know and the newer ones of the fast tokenizer lower-case or take "
    "apart",
    (FAST,),
    lambda line: any(unicodedata.category(character) == "Cn" for character in line),
    lambda line: "".join(" " if unicodedata.category(character) == "Cn" else character for character in line),
)


def _is_mark(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("M") or "\u1100" <= character <= "\u11ff" or character in "\u200c\u200d"


_MARKS = LineDifference(
    "combining marks",
    "a combining mark where accents are kept: the fast tokenizer maps characters by grapheme and orders marks, which "
    "SentencePiece does not",
    (FAST,),
    lambda line: any(_is_mark(character) for character in unicodedata.normalize("NFKD", line)),
    lambda line: "".join(
        " " if any(_is_mark(part) for part in unicodedata.normalize("NFKD", one)) else one for one in line
    ),
)


def _final_sigma(tokenizer: SourceTokenizer) -> LineDifference:
    return LineDifference(
        "final sigma",
        "a capital sigma that only compatibility decomposition brings out: Python lower-cases it by its place in the "
        "word, the fast tokenizer does not",
        (FAST,),
        lambda line: "\u03a3" in prepare(tokenizer, line),
        lambda line: prepare(tokenizer, line).replace("\u03a3", "\u03c3"),
    )


def _number_comma(tokenizer: SourceTokenizer) -> LineDifference:
    """Only lines that hold such a piece; without a comma in the vocabulary, any digit before a comma is one."""
    pieces = [piece for piece in tokenizer.ids if ends_in_number_comma(piece)]
    comma = "," in tokenizer.ids

    def concerns(line: str) -> bool:
        text = UNDERLINE + prepare(tokenizer, line).replace(" ", UNDERLINE)
        return any(piece in text for piece in pieces) or (not comma and _spaced_commas(text) != text)

    return LineDifference(
        "number before a comma",
        "a piece that ends in a digit and a comma: the slow tokenizers cut it in two after the text was cut into "
        "pieces, the fast one avoids it by a penalty on its score, and the rest of the number may be cut elsewhere",
        (FAST,),
        concerns,
        lambda line: _spaced_commas(prepare(tokenizer, line)),
    )


def _spaced_commas(text: str) -> str:
    """The text with a space before each comma that follows a digit."""
    pairs = zip(["", *text], text, strict=False)
    return "".join(" ," if one == "," and before.isdigit() else one for before, one in pairs)


def without_causes(differences: tuple[LineDifference, ...], line: str) -> str:
    """The line without the causes of all differences that concern it."""
    for difference in differences:
        if difference.concerns(line):
            line = difference.without(line)
    return line
