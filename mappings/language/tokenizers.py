"""What a family says of its tokenizers, and what all of PaddleNLP's tokenizers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SENTENCEPIECE = "sentencepiece"
WORDPIECE = "wordpiece"

VOCABULARY_FILES = {SENTENCEPIECE: "spiece.model", WORDPIECE: "vocab.txt"}
"""The vocabulary's file by kind of tokenizer: the same name in PaddleNLP and Hugging Face."""

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens that hold one token, in the order of both libraries."""

NEEDED_TOKENS = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

MAX_LENGTH = 512
"""`max_model_input_sizes` of a pretrained name of which its family says nothing else."""

UNLIMITED = int(1e30)
"""What both libraries call the length of a tokenizer without `model_max_length`."""

SENTENCEPIECE_TOKENS: Mapping[str, Any] = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "sep_token": "[SEP]",
    "pad_token": "<pad>",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
"""Default tokens of tokenizers with a SentencePiece vocabulary."""

WORDPIECE_TOKENS: Mapping[str, Any] = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
"""Default tokens of tokenizers with a WordPiece vocabulary."""


@dataclass(frozen=True)
class OnlyValue:
    """A setting of which one value alone has a counterpart: PaddleNLP's default, that value, and what any other one
    does."""

    default: Any
    value: Any
    otherwise: str


@dataclass(frozen=True)
class TokenizerClass:
    """A tokenizer class of PaddleNLP. `kinds` are the vocabularies it reads, the preferred one first; `wraps`: it hands
    text to an inner tokenizer that knows no special and no added tokens, so those are not found in a text; `exact`:
    they are found as they are written only, whatever becomes of the case of the text; `ignores`: settings of other
    classes of the kind, which a folder may name and which change nothing here; `only`: settings of its own, by name;
    `refused`: why no fast tokenizer gives what it gives; such a class has no kinds. `tokens` are its special tokens by
    role where they are not those of the kind, `separators` how many stand between the texts of a pair, `second_type`
    the token type of the second text, and `gives_types` says whether a call gives token types unasked."""

    name: str
    kinds: tuple[str, ...]
    wraps: bool = False
    exact: bool = False
    ignores: frozenset[str] = frozenset()
    only: Mapping[str, OnlyValue] = field(default_factory=dict)
    refused: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    separators: int = 1
    second_type: int = 1
    gives_types: bool = True

    def default_tokens(self, kind: str) -> dict[str, Any]:
        """The special tokens by role where a folder names none."""
        return {**(SENTENCEPIECE_TOKENS if kind == SENTENCEPIECE else WORDPIECE_TOKENS), **self.tokens}


BASIC_SETTINGS = frozenset({"strip_accents", "tokenize_chinese_chars", "do_basic_tokenize", "never_split"})
"""What the oldest of the classes with vocab.txt takes, and those that are made as it is do not."""


def wordpiece_class(name: str, exact: bool = False, only: Mapping[str, OnlyValue] | None = None) -> TokenizerClass:
    """A class that cuts a text with vocab.txt as the oldest does without its basic settings."""
    return TokenizerClass(name, (WORDPIECE,), exact=exact, ignores=BASIC_SETTINGS, only=dict(only or {}))


@dataclass(frozen=True)
class TokenizerFacts:
    """PaddleNLP's tokenizers of one family, one class or several.

    `default` is the class that PaddleNLP's `AutoTokenizer` takes when a folder names none, and the one that a folder
    written for PaddleNLP names. `published` are the settings by pretrained name, PaddleNLP's
    `pretrained_init_configuration`, and `settings` those of all names of the family that it leaves out. `target_kinds`
    are kinds of vocabulary by Hugging Face's class, for folders that
    others made. `without_settings`, by kind of vocabulary, are settings for a folder that states none, where
    PaddleNLP's own defaults would not load, and whose settings they are.
    """

    classes: tuple[TokenizerClass, ...]
    default: str
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    target_kinds: Mapping[str, str] = field(default_factory=dict)
    without_settings: Mapping[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)

    @property
    def default_class(self) -> TokenizerClass:
        """The class of the name `default`."""
        return next(entry for entry in self.classes if entry.name == self.default)
