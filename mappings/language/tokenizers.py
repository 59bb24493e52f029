"""What a family says of its tokenizers, and what all of PaddleNLP's tokenizers share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

SENTENCEPIECE = "sentencepiece"
WORDPIECE = "wordpiece"
BYTE_PAIRS = "byte pairs"

VOCABULARY_FILES = {SENTENCEPIECE: "spiece.model", WORDPIECE: "vocab.txt", BYTE_PAIRS: "vocab.json"}
"""The vocabulary's file by kind of tokenizer: the same name in PaddleNLP and Hugging Face, but for byte pairs, whose
classes may have names of their own in PaddleNLP."""

MERGES_FILE = "merges.txt"
"""What Hugging Face calls the file of the pairs that are joined."""

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

Strips = tuple[bool, bool]
"""Whether a token takes the white space on its left and on its right."""

BOTH_SIDES: Strips = (True, True)
"""What PaddleNLP does with a token that is a plain text."""


@dataclass(frozen=True)
class OnlyValue:
    """A setting of which one value alone has a counterpart: PaddleNLP's default, that value, and what any other one
    does."""

    default: Any
    value: Any
    otherwise: str


@dataclass(frozen=True)
class Layout:
    """What stands around one text and around the two of a pair: roles of special tokens, and `A` and `B` for the texts.
    `types` are the token types of the pair's entries, None where PaddleNLP gives no types; those of one text are 0."""

    single: tuple[str, ...] = ("cls_token", "A", "sep_token")
    pair: tuple[str, ...] = ("cls_token", "A", "sep_token", "B", "sep_token")
    types: tuple[int, ...] | None = (0, 0, 0, 1, 1)

    @property
    def ends(self) -> tuple[int, int]:
        """How many tokens stand before and after a single text."""
        before = self.single.index("A")
        return before, len(self.single) - before - 1

    @property
    def pair_types(self) -> tuple[int, ...]:
        """The types of the pair's entries; zeros where PaddleNLP gives none."""
        return self.types if self.types is not None else (0,) * len(self.pair)


@dataclass(frozen=True)
class BytePairs:
    """How a class reads and uses a byte-level BPE vocabulary.

    `vocabulary` and `merges` are its files, `counted` a third one, a token per line, that it counts its tokens by.
    `tokens` are its default special tokens by role, all of which the vocabulary must hold, and `strips` what those of
    them take that the class makes objects of; the others are plain texts. `switch` is the setting that chooses this
    kind where the class reads another one too. `only` are its own settings with this kind. `gives_types`: a call of
    transformers' is to give token types unasked, which the model needs where they are not all 0.
    """

    vocabulary: str = VOCABULARY_FILES[BYTE_PAIRS]
    merges: str = MERGES_FILE
    counted: str | None = None
    tokens: Mapping[str, str] = field(default_factory=lambda: dict(WORDPIECE_TOKENS))
    strips: Mapping[str, Strips] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    switch: str | None = None
    only: Mapping[str, OnlyValue] = field(default_factory=dict)
    gives_types: bool = False


PREFIX_SPACE = {"add_prefix_space": OnlyValue(False, False, "puts a blank before a text, once and not always")}
"""For `only` of a class with this setting: fast tokenizers put a blank before every part of a text."""

ANGLED: Mapping[str, str] = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
"""Special tokens that several classes have."""

ANGLED_BYTE_PAIRS = BytePairs(
    tokens=ANGLED,
    # The mask takes the blank before it.
    strips={role: (role == "mask_token", False) for role in ANGLED},
    layout=Layout(
        pair=("cls_token", "A", "sep_token", "sep_token", "B", "sep_token"),
        types=(0, 0, 0, 0, 0, 0),
    ),
    only=PREFIX_SPACE,
)
"""What several classes have: texts between <s> and </s>, two of which part a pair."""


LANGUAGE = "src_lang"
"""The entry of a layout for the code of the text's language."""


EXTRA_ID = "<extra_id_"
"""How tokens begin that are numbered, and whose ids fall as the numbers rise."""


@dataclass(frozen=True)
class Pieces:
    """How a class uses a SentencePiece vocabulary.

    `tokens` are its default special tokens by role and `defaults` those of its settings. `prepares`: it writes
    doubled quotes as one, does with case, accents and spaces what its settings say, and cuts a number from the comma
    behind it. `first` are the tokens that it counts before the pieces, among them those that the vocabulary
    begins with. Behind the pieces stand `<extra_id_N>` in falling order, as many as its setting `extra_ids` says and
    otherwise this one, which is None for a class without such a setting, then the codes of `languages`, then `last`. A
    text is in `language` unless the setting `src_lang` names another one. `ends_once`: it puts no end behind a text
    that ends in one; `parts_special`: it gives special tokens back with a blank behind them.
    """

    tokens: Mapping[str, str] = field(default_factory=lambda: dict(SENTENCEPIECE_TOKENS))
    defaults: Mapping[str, bool] = field(default_factory=dict)
    prepares: bool = True
    first: tuple[str, ...] = ()
    extra_ids: int | None = None
    languages: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    language: str | None = None
    ends_once: bool = False
    parts_special: bool = False

    def additional(self, extra_ids: int) -> tuple[str, ...]:
        """The tokens behind the pieces that have no role."""
        return (*(f"{EXTRA_ID}{number}>" for number in range(extra_ids)), *self.languages)

    def behind(self, extra_ids: int) -> tuple[str, ...]:
        """The tokens behind the pieces by rising id."""
        extra = (f"{EXTRA_ID}{number}>" for number in reversed(range(extra_ids)))
        return (*extra, *self.languages, *self.last)


@dataclass(frozen=True)
class TokenizerClass:
    """A tokenizer class of PaddleNLP. `kinds` are the vocabularies it reads, the preferred one first; `wraps`: it hands
    text to an inner tokenizer that knows no special and no added tokens, so those are not found in a text; `exact`:
    they are found as they are written only, whatever becomes of the case of the text; `ignores`: settings of other
    classes of the kind, which a folder may name and which change nothing here; `only`: settings of its own, by name,
    with kinds other than byte pairs; `byte_pairs`: how it uses a vocabulary of that kind, where it reads one;
    `refused`: why no fast tokenizer gives what it gives; such a class has no kinds; `gives_types`: whether a call gives
    token types unasked; `tokens`: its special tokens by role where they are not those of the kind; `layout`: what it
    puts around texts, these three with kinds other than byte pairs; `sentencepiece_file`: its name of a SentencePiece
    vocabulary, where that is another one; `untaken_types`: it gives token types unasked, which its models do not
    take; `asked_types`: it gives token types only where it is asked for them, and then perhaps too few; `cuts_off`: it
    cuts texts off at their greatest length unasked; `pieces`: how it uses a SentencePiece vocabulary."""

    name: str
    kinds: tuple[str, ...]
    wraps: bool = False
    exact: bool = False
    ignores: frozenset[str] = frozenset()
    only: Mapping[str, OnlyValue] = field(default_factory=dict)
    byte_pairs: BytePairs | None = None
    refused: str | None = None
    gives_types: bool = True
    tokens: Mapping[str, str] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    sentencepiece_file: str | None = None
    untaken_types: bool = False
    asked_types: bool = False
    cuts_off: bool = False
    pieces: Pieces = field(default_factory=Pieces)

    def only_with(self, kind: str) -> Mapping[str, OnlyValue]:
        """Its own settings with a kind of vocabulary, the one that chooses the kind among them."""
        pairs = self.byte_pairs
        if pairs is None:
            return self.only
        chosen = kind == BYTE_PAIRS
        switch = {pairs.switch: OnlyValue(False, chosen, "reads the other vocabulary")} if pairs.switch else {}
        return {**switch, **(pairs.only if chosen else self.only)}

    def layout_with(self, kind: str) -> Layout:
        """What it puts around texts with a kind of vocabulary."""
        return self.byte_pairs.layout if self.byte_pairs is not None and kind == BYTE_PAIRS else self.layout

    def gives_types_with(self, kind: str) -> bool:
        """Whether a call of transformers' gives token types unasked with a kind of vocabulary."""
        return self.byte_pairs.gives_types if self.byte_pairs is not None and kind == BYTE_PAIRS else self.gives_types

    def default_tokens(self, kind: str) -> Mapping[str, Any]:
        """The special tokens by role of a folder that names none."""
        if self.byte_pairs is not None and kind == BYTE_PAIRS:
            return self.byte_pairs.tokens
        return {**(self.pieces.tokens if kind == SENTENCEPIECE else WORDPIECE_TOKENS), **self.tokens}


BASIC_SETTINGS = frozenset({"strip_accents", "tokenize_chinese_chars", "do_basic_tokenize", "never_split"})
"""What the oldest of the classes with vocab.txt takes, and those that are made as it is do not."""


def wordpiece_class(name: str, exact: bool = False, only: Mapping[str, OnlyValue] | None = None) -> TokenizerClass:
    """A class that cuts a text with vocab.txt as the oldest does without its basic settings."""
    return TokenizerClass(name, (WORDPIECE,), exact=exact, ignores=BASIC_SETTINGS, only=dict(only or {}))


@dataclass(frozen=True)
class TokenizerFacts:
    """PaddleNLP's tokenizers of one family, one class or several.

    `default` is the class that PaddleNLP's `AutoTokenizer` takes when a folder names none, and the one that a folder
    written for PaddleNLP names, unless only another one reads its vocabulary. `published` are the settings by
    pretrained name, PaddleNLP's `pretrained_init_configuration`, and `settings` those of all names of the family that
    it leaves out. `target_kinds` are kinds of vocabulary by Hugging Face's class, for folders that others made.
    `without_settings`, by kind of vocabulary, are settings for a folder that states none, where PaddleNLP's own
    defaults would not load, and whose settings they are. `obeyed` says whether transformers 5 obeys the class that a
    folder names, as it does but for model types without a tokenizer's class of their own.
    """

    classes: tuple[TokenizerClass, ...]
    default: str
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    target_kinds: Mapping[str, str] = field(default_factory=dict)
    without_settings: Mapping[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)
    obeyed: bool = True

    @property
    def default_class(self) -> TokenizerClass:
        """The class of the name `default`."""
        return next(entry for entry in self.classes if entry.name == self.default)

    def class_of(self, kind: str, tokens: Collection[str] = ()) -> TokenizerClass | None:
        """The class for a folder that holds a kind of vocabulary and names none of PaddleNLP's: of those that read the
        kind, the one with the most languages that are all among its `tokens`, of equal ones the default one, else the
        first; None where none reads it."""
        able = [entry for entry in (self.default_class, *self.classes) if kind in entry.kinds]
        known = [entry for entry in able if set(entry.pieces.languages) <= set(tokens)]
        return max(known or able, key=lambda entry: len(entry.pieces.languages) if known else 0, default=None)
