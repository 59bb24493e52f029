"""Classes of characters as PaddleNLP's Python code sees them, written out as regular expressions.

A fast tokenizer has Unicode tables of its own, older than Python's, and no class for what PaddleNLP calls a symbol. So
tokenizer.json spells the classes out, by the tables of the Python that converts.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby

_SYMBOLS = frozenset("\u00ad\u00b2\u00ba\u3007\u00b5\u00d8\u014b\u01b1")
"""Letters, digits and a format character that PaddleNLP's `_is_symbol` adds to the category S."""

_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

_SURROGATES = (0xD800, 0xDFFF)


def is_removed(character: str) -> bool:
    """Whether BERT's text cleaning drops a character: controls, unassigned ones, U+FFFD."""
    return character == "\ufffd" or (character not in "\t\n\r" and unicodedata.category(character).startswith("C"))


def is_space(character: str) -> bool:
    """Whether `str.split` splits at a character."""
    return character.isspace()


def is_nonspacing(character: str) -> bool:
    """Whether BERT's accent stripping drops a character: a nonspacing mark."""
    return unicodedata.category(character) == "Mn"


def is_combining(character: str) -> bool:
    """Whether ALBERT's accent stripping drops a character: a canonical combining class other than 0."""
    return unicodedata.combining(character) != 0


def is_punctuation(character: str) -> bool:
    """Whether both libraries make a character a token of its own as punctuation."""
    ascii_mark = character < "\x7f" and not character.isalnum() and character > " "
    return ascii_mark or unicodedata.category(character).startswith("P")


def is_symbol(character: str) -> bool:
    """Whether PaddleNLP alone makes a character a token of its own."""
    return character in _SYMBOLS or (unicodedata.category(character).startswith("S") and not is_punctuation(character))


def is_chinese(character: str) -> bool:
    """Whether both libraries put spaces around a character."""
    code = ord(character)
    return any(first <= code <= last for first, last in _CHINESE)


def is_alone(character: str) -> bool:
    """Whether PaddleNLP makes a character a token of its own, Chinese ones aside."""
    return is_punctuation(character) or is_symbol(character)


def is_alone_or_chinese(character: str) -> bool:
    """Whether PaddleNLP makes a character a token of its own."""
    return is_alone(character) or is_chinese(character)


@cache
def class_of(predicate: Callable[[str], bool]) -> str:
    """The regular expression, a class of code point ranges, that matches the characters a predicate holds for."""
    ranges: list[tuple[int, int]] = []
    for first, last in _blocks():
        if not predicate(chr(first)):
            continue
        if ranges and ranges[-1][1] == first - 1:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return "[" + "".join(_range(first, last) for first, last in ranges) + "]"


@cache
def _blocks() -> tuple[tuple[int, int], ...]:
    """All code points but surrogates, in blocks that no predicate here splits: runs of one category, cut where
    the Chinese ranges begin and end; single characters where a predicate looks at more than the category."""
    alone = {0xFFFD, *map(ord, _SYMBOLS)}
    cuts = {*alone, *(code + 1 for code in alone), _SURROGATES[1] + 1}
    for first, last in _CHINESE:
        cuts |= {first, last + 1}
    blocks: list[tuple[int, int]] = []
    start = 0
    for category, run in groupby(map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))):
        end = start + sum(1 for _ in run)
        if category[0] in "MZ" or category == "Cc" or start < 0x80:
            starts: Sequence[int] = range(start, end)
        else:
            starts = sorted({start, *(cut for cut in cuts if start < cut < end)})
        if category != "Cs":
            blocks += zip(starts, (*(code - 1 for code in starts[1:]), end - 1), strict=True)
        start = end
    return tuple(blocks)


def _range(first: int, last: int) -> str:
    return f"\\x{{{first:X}}}" if first == last else f"\\x{{{first:X}}}-\\x{{{last:X}}}"
