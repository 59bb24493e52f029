"""Declared differences between PaddleNLP's tokenizer and the converted one, and the parts that a line has by them.

A declared difference excuses its own effect, nothing else: it says which parts of a line the converted tokenizer sees,
and the line must come out as what PaddleNLP makes of these parts. All text is treated by the Python that runs the
check, as PaddleNLP treats it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from ...converters.tokenizers.characters import is_nonspacing, is_removed, is_symbol
from ...converters.tokenizers.huggingface import SourceTokenizer, added_tokens
from ...mappings.language.family import Model
from ...mappings.language.tokenizers import BYTE_PAIRS
from ..reports.result import DeclaredDifferenceSeen
from .unigram import FastUnigram

TOKENS_IN_TEXT = "tokens in text"
ADDED_TOKENS = "added tokens"
NORMALIZED_TOKENS = "added tokens given back"
UNASSIGNED = "unassigned characters"
MARKS = "combining marks"
FINAL_SIGMA = "final sigma"
SYMBOLS = "symbols"
OTHER_FORM = "tokens in another form"
NUMBER_COMMA = "number before a comma"
TIES = "equal scores"
PAIR_TRUNCATION = "pair truncation"
SEPARATORS = "separators beside tokens"
END = "an end in the text"
UNKNOWN_CLASS = "characters of another class"
JOINED_TOKENS = "added tokens joined"

DECLARED = {
    TOKENS_IN_TEXT: "a special or added token written in the text: PaddleNLP's AlbertTokenizer hands the text to an "
    "inner tokenizer that knows none of them and cuts it up, transformers takes it as the token; the text around it "
    "comes out as PaddleNLP makes it of that text",
    ADDED_TOKENS: "an added token that appears only once accents and controls are taken out: transformers looks for "
    "added tokens in the normalized text, PaddleNLP in the lower-cased one",
    NORMALIZED_TOKENS: "an added token with accents, or otherwise not in normalized form, has PaddleNLP's id, "
    "but is given back for that id in its normalized form (tokenizers 0.23 and later)",
    UNASSIGNED: "a word with a character that Python's Unicode tables do not know and the newer ones of transformers "
    "lower-case or take apart",
    MARKS: "a word with a combining mark where accents are kept: transformers maps characters by grapheme and orders "
    "marks, which SentencePiece does not",
    FINAL_SIGMA: "a capital sigma that only compatibility decomposition brings out: Python lower-cases it by its place "
    "in the word, transformers does not",
    SYMBOLS: "a word with a symbol inside: PaddleNLP makes it a token of its own, BERT's tokenizer of transformers "
    "does so with punctuation only",
    OTHER_FORM: "a special token written in another case or with accents: PaddleNLP looks for tokens once both are "
    "gone, transformers' own tokenizer as they are written",
    NUMBER_COMMA: "a piece that ends in a digit and a comma: PaddleNLP cuts it in two after the text was cut into "
    "pieces, the converted tokenizer avoids it by a penalty on its score, and the rest of the number may be cut "
    "elsewhere",
    TIES: "two ways to cut a word into pieces have the same score but for rounding: SentencePiece adds scores up in "
    "float32, transformers in float64, and either may come out first",
    PAIR_TRUNCATION: "both texts of a pair are cut to half of an odd room: PaddleNLP leaves the odd token to the first "
    "text, transformers to the second",
    END: "the token that ends a text, written in it: where a text ends in it, or is cut off behind it, PaddleNLP "
    "puts no other one there, transformers does; texts with it inside are compared whole, alone and in pairs, but not "
    "cut off",
    SEPARATORS: "an information separator (U+001C to U+001F) beside a special or added token: PaddleNLP's Python takes "
    "it for white space, which goes, transformers does not",
    UNKNOWN_CLASS: "a word with a character that Python's Unicode tables do not know: PaddleNLP and transformers cut a "
    "text by classes of characters, each by tables of its own",
    JOINED_TOKENS: "a token beyond the vocabulary is given back with a blank on both sides by PaddleNLP and without "
    "one by transformers",
}
"""What is reported of each."""

SPACES = "".join(one for one in map(chr, range(0x3001)) if one.isspace() and not "\x1c" <= one <= "\x1f")
"""The white space that transformers takes beside a token."""


@dataclass(frozen=True)
class Part:
    """A part of a line: a text that PaddleNLP is asked about, one that the converted tokenizer itself is asked about
    (`own`), or a token by its id."""

    text: str
    own: bool = False
    token: int | None = None


@dataclass(frozen=True)
class Plan:
    """The parts of a line, and the declared differences that it has them by; none, and the line is its only part."""

    parts: tuple[Part, ...]
    names: frozenset[str] = frozenset()


class Planner:
    """The declared differences of one tokenizer that concern how a text is cut up."""

    def __init__(self, tokenizer: SourceTokenizer, original: bool = False) -> None:
        """`original`: the tokenizer of transformers is not one that was written to do as PaddleNLP."""
        self.settings = tokenizer.settings
        self.original = original
        self.unigram = FastUnigram(tokenizer.model, self.settings) if tokenizer.model is not None else None
        entries = added_tokens(tokenizer)
        self._strips: dict[int | None, tuple[bool, bool]] = {None: (False, False)}
        self._strips |= {entry["id"]: (entry["lstrip"], entry["rstrip"]) for entry in entries}
        loose = {entry["content"] for entry in entries if entry["normalized"]}
        self._of_any_form = {entry["content"] for entry in entries if entry["special"]} & loose if original else set()
        """Tokens that PaddleNLP finds however they are written, and transformers' own tokenizer does not."""
        loose -= self._of_any_form
        self._exact = {entry["content"]: entry["id"] for entry in entries if entry["content"] not in loose}
        self._loose = {entry["content"]: entry["id"] for entry in entries if entry["content"] in loose}
        self._normal = {self.normalized(content): index for content, index in self._loose.items()}
        ends_once = tokenizer.model is not None and self.settings.pieces.ends_once
        self._end = tokenizer.ids[self.settings.special["eos_token"]] if ends_once else None
        self.given_back = {
            index: (content, normal)
            for content, index in self._loose.items()
            if (normal := self.normalized(content)) != content
        }
        """Added tokens by id that the converted tokenizer may give back in another form: PaddleNLP's form, and that."""

    def plan(self, line: str) -> Plan:
        """The parts of a line."""
        if self.settings.kind == BYTE_PAIRS:
            return self._of_byte_pairs(line)
        parts, names = [Part(line)], set()
        cut = self.cut(line)
        if self._end is not None and any(part.token == self._end for part in cut):
            names.add(END)
            parts = cut
        if self._are_tokens_apart(line, cut):
            names.add(TOKENS_IN_TEXT if self.settings.paddle_class.wraps else ADDED_TOKENS)
            parts = cut
        more = []
        for part in parts:
            for one, name in self._words(part) if part.token is None else [(part, None)]:
                more.append(one)
                names.update([name] if name else [])
        return Plan(tuple(more), frozenset(names)) if names else Plan((Part(line),))

    def cut(self, line: str) -> list[Part]:
        """A line cut at the tokens that the converted tokenizer finds in it."""
        return [part for part in _cut(line, self._exact) for part in self._cut_normalized(part)]

    def normalized(self, text: str) -> str:
        """The text in which the converted tokenizer looks for tokens of any case."""
        if self.unigram is not None:
            return self.unigram.normalized(text)
        text = self._lowered("".join(character for character in text if not is_removed(character)))
        if self.settings.strips_accents:
            text = "".join(one for one in unicodedata.normalize("NFD", text) if not is_nonspacing(one))
        return text

    def _lowered(self, text: str) -> str:
        return "".join(character.lower() for character in text) if self.settings.do_lower_case else text

    def _are_tokens_apart(self, line: str, cut: list[Part]) -> bool:
        """Whether the converted tokenizer finds other tokens in a line than PaddleNLP."""
        if self.settings.paddle_class.wraps:
            return any(part.token is not None for part in cut)
        lowered = "".join(part.text if part.token is None else "\n" for part in _cut(line, self._exact))
        return _tokens(_cut(self._lowered(lowered), self._loose)) != _tokens(
            _cut(self.normalized(lowered), self._normal)
        )

    def _of_byte_pairs(self, line: str) -> Plan:
        """A line between its tokens, stripped as transformers does, and words that it may take for others."""
        parts: list[Part] = []
        names: set[str] = set()
        cut = list(_cut(line, self._exact))
        for place, part in enumerate(cut):
            if part.token is not None:
                parts.append(part)
                continue
            left = place > 0 and self._strips[cut[place - 1].token][1]
            right = place + 1 < len(cut) and self._strips[cut[place + 1].token][0]
            text = part.text.lstrip(SPACES) if left else part.text
            text = text.rstrip(SPACES) if right else text
            if (left and text != text.lstrip()) or (right and text != text.rstrip()):
                names.add(SEPARATORS)
            # A blank before what is none begins a word of its own.
            for unknown, words in groupby(re.split(r"(?= \S)", text), key=_holds_unassigned):
                parts.append(Part("".join(words), own=unknown))
                names.update([UNKNOWN_CLASS] if unknown else [])
        return Plan(tuple(parts), frozenset(names)) if names else Plan((Part(line),))

    def _cut_normalized(self, part: Part) -> list[Part]:
        if part.token is not None or not self._normal:
            return [part]
        cut = list(_cut(self.normalized(part.text), self._normal))
        return cut if len(cut) > 1 or cut[0].token is not None else [part]

    def _words(self, part: Part) -> Iterator[tuple[Part, str | None]]:
        """A text without tokens, words that may come out otherwise on their own."""
        unigram = self.unigram
        if unigram is None:
            words = "".join(one for one in part.text if not is_removed(one)).split() if self.original else []
        elif self.settings.remove_space:
            words = part.text.split()
        else:
            words = part.text.split(" ")
        if not any(self._odd(word) for word in words):
            yield self._with_sigma(part)
            return
        if unigram is not None and not unigram.separable:
            words = [part.text]
        for name, group in groupby(words, key=self._odd):
            text = " ".join(group)
            yield (self._with_sigma(Part(text)) if name is None else (Part(text, own=True), name))

    def _odd(self, word: str) -> str | None:
        """The declared difference by which a word may come out otherwise."""
        if self.unigram is None:
            # With spaces around, a symbol is a token of its own on both sides.
            plain = len(word) == 1 and is_symbol(word) and _folded(word) == word
            if not plain and any(map(_holds_symbol, word)):
                return SYMBOLS
            normal = self.normalized(word)
            return OTHER_FORM if any(normal.count(one) > word.count(one) for one in self._of_any_form) else None
        if any(unicodedata.category(character) == "Cn" for character in word):
            return UNASSIGNED
        return MARKS if self.settings.keep_accents and _holds_mark(word) else None

    def _with_sigma(self, part: Part) -> tuple[Part, str | None]:
        settings = self.settings
        if self.unigram is None or not settings.do_lower_case or settings.keep_accents:
            return part, None
        prepared = self.unigram.prepare(part.text)
        return (Part(prepared.replace("\u03a3", "\u03c3")), FINAL_SIGMA) if "\u03a3" in prepared else (part, None)


def _cut(text: str, tokens: Mapping[str, int]) -> Iterator[Part]:
    """The text cut at tokens, the longer one first where two begin at one place."""
    start = 0
    if tokens:
        pattern = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
        for found in re.finditer(pattern, text):
            if found.start() > start:
                yield Part(text[start : found.start()])
            yield Part(found[0], token=tokens[found[0]])
            start = found.end()
    if start < len(text) or not text:
        yield Part(text[start:])


def _tokens(parts: Iterator[Part]) -> list[int]:
    return [part.token for part in parts if part.token is not None]


def _holds_unassigned(text: str) -> bool:
    return any(unicodedata.category(character) == "Cn" for character in text)


def _folded(character: str) -> str:
    return unicodedata.normalize("NFD", character.lower())


def _holds_symbol(character: str) -> bool:
    return any(is_symbol(one) for one in (character, *_folded(character)))


def _holds_mark(word: str) -> bool:
    """Whether a word holds a mark of its own or one that only compatibility decomposition brings out."""
    compatible = (unicodedata.normalize("NFKD", one) for one in word if not _is_canonical(one))
    return any(map(_is_mark, (*word, *"".join(compatible))))


def _is_canonical(character: str) -> bool:
    return unicodedata.normalize("NFKD", character) == unicodedata.normalize("NFD", character)


def _is_mark(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("M") or "\u1100" <= character <= "\u11ff" or character in "\u200c\u200d"


def other_calls(model: Model, tokenizer: SourceTokenizer | None) -> Iterator[DeclaredDifferenceSeen]:
    """Calls of PaddleNLP's that are not the default ones, because those fail."""
    if model.asks:
        asked = ", ".join(f"{name}={value}" for name, value in model.asks.items())
        yield DeclaredDifferenceSeen(
            "default_call", f"PaddleNLP's {model.source} fails when it is called with a text alone: it got {asked} too"
        )
    if tokenizer is None:
        return
    name, failing = tokenizer.settings.paddle_class.name, None
    if tokenizer.settings.paddle_class.untaken_types:
        failing = f"{model.source} takes no token types, which its {name} gives by default: that"
    elif tokenizer.settings.layout.types is None and not tokenizer.settings.paddle_class.asked_types:
        failing = f"{name} fails when it is called with texts of several lengths alone: it"
    if failing is not None:
        text = f"PaddleNLP's {failing} got return_token_type_ids=False too, and gives no types"
        yield DeclaredDifferenceSeen("default_tokenizer_call", text)
