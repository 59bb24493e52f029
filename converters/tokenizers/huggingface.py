"""A source's tokenizer and what Hugging Face's `AutoTokenizer` needs of it, in transformers 4 and 5.

Nothing but the standard library takes part: a base install has no tokenizer library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError, Paddle2TorchError, UnreadableFileError
from ...mappings.language.tokenizers import (
    BOTH_SIDES,
    BYTE_PAIRS,
    MERGES_FILE,
    SENTENCEPIECE,
    UNLIMITED,
    Pieces,
)
from ..checkpoints.source import Source
from .added import hidden, settle_added
from .byte_pairs import Merges, read_byte_pairs
from .fast import added_entry, byte_pairs_json, sentencepiece_json, wordpiece_json
from .files import (
    ADDED_TOKENS,
    CONFIG,
    SPECIAL_TOKENS_MAP,
    TOKENIZER,
    TokenizerFiles,
    find_tokenizer_files,
    named_beside,
)
from .pieces import counted
from .settings import TokenizerSettings, read_settings
from .spiece import SentencePieceModel, read_spiece
from .vocabulary import read_vocabulary

HUGGING_FACE_CLASS = "PreTrainedTokenizerFast"
"""The class that takes tokenizer.json as it is. transformers 5 lets the classes of the families, such as
`BertTokenizer`, build their own steps from the vocabulary and ignore those of the file."""

MOST_BEYOND = 100
"""Tokens beyond the model's word embeddings: what somebody adds, or a few lines too many. More are another model's."""


NO_TOKENIZER = "no tokenizer: there is none beside the weights"


@dataclass(frozen=True)
class SourceTokenizer:
    """A checkpoint's tokenizer, read and checked. `ids` leads from each token of its vocabulary to its id, `merges` are
    the pairs that are joined, of byte pairs only; `notes` say what is odd about the files, and how it is read."""

    files: TokenizerFiles
    settings: TokenizerSettings
    ids: Mapping[str, int]
    model: SentencePieceModel | None
    notes: tuple[str, ...] = ()
    merges: Merges = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that it was read from."""
        return self.files.paths(self.settings.kind)

    @property
    def holes(self) -> frozenset[int]:
        """Ids that no token has, because a later line of the vocabulary holds the same token."""
        return frozenset(range(max(self.ids.values()))) - frozenset(self.ids.values())

    @property
    def vocabulary(self) -> Path:
        """The file of its vocabulary."""
        return self.files.vocabularies[self.settings.kind]


@dataclass(frozen=True)
class TokenizerWritten:
    """What was written for a tokenizer: Hugging Face's (or PaddleNLP's) class, how many tokens, the files' names, what
    is odd about the source's files, and the language that texts are taken to be in, where that is said."""

    tokenizer_class: str
    tokens: int
    files: tuple[str, ...]
    guess: str | None = None
    notes: tuple[str, ...] = ()
    language: str | None = None

    def lines(self) -> list[str]:
        """It for people."""
        written = f"tokenizer: {self.tokenizer_class}, {self.tokens:,} tokens: {', '.join(self.files)}"
        written += f"; texts are in {self.language} (src_lang)" if self.language is not None else ""
        return [written, *(f"warning: {note}" for note in self.notes)]


def read_tokenizer(
    source: Source, family: str, vocab_size: int | None = None, longest: int | None = None
) -> SourceTokenizer | None:
    """The tokenizer in a source's folder or beside its file, None when there is none.

    `vocab_size` is the number of rows of the model's word embeddings, and `longest` the number of tokens that the model
    takes, where that may be less than PaddleNLP says. Raises UnreadableFileError for a vocabulary that
    is damaged, far larger than the model's, or lacks a special token; ConfigurationError for settings that cannot hold.
    """
    with naming("`convert --no-tokenizer` converts the weights alone"):
        files = find_tokenizer_files(source)
        if files is None:
            return None
        tokenizer = _read_vocabulary(files, read_settings(files, family).within(longest))
        added, more = settle_added(files.folder / ADDED_TOKENS, tokenizer.settings, tokenizer.ids)
        settings = replace(tokenizer.settings, added=added)
        tokenizer = replace(tokenizer, settings=settings, notes=(*tokenizer.notes, *more))
        beyond = check_tokenizer(tokenizer, vocab_size)
    return replace(tokenizer, notes=(*tokenizer.notes, *beyond, *_shorter(settings)))


def length_text(settings: TokenizerSettings) -> str | None:
    """Why the length of the settings is not the one that PaddleNLP says, None where it is."""
    stated = settings.stated_length
    if stated is None:
        return None
    said = "no length" if stated >= UNLIMITED else f"model_max_length {stated}"
    return (
        f"PaddleNLP says {said}, but its model counts positions from behind the padding id and takes "
        f"{settings.model_max_length} tokens: model_max_length is written as {settings.model_max_length}"
    )


def _shorter(settings: TokenizerSettings) -> tuple[str, ...]:
    text = length_text(settings)
    return () if text is None else (text,)


def _read_vocabulary(files: TokenizerFiles, settings: TokenizerSettings) -> SourceTokenizer:
    path, pairs = files.vocabularies[settings.kind], settings.paddle_class.byte_pairs
    if settings.kind != BYTE_PAIRS or pairs is None:
        ids, model, notes = read_pieces(path, settings.kind, settings.pieces)
        return SourceTokenizer(files, settings, ids, model, notes)
    counted = named_beside(path, pairs.counted) if pairs.counted is not None else None
    special = [settings.special[role] for role in pairs.tokens]
    ids, merges, notes = read_byte_pairs(path, named_beside(path, pairs.merges), counted, special)
    return SourceTokenizer(files, settings, ids, None, notes, merges)


def read_pieces(
    path: Path, kind: str, pieces: Pieces
) -> tuple[dict[str, int], SentencePieceModel | None, tuple[str, ...]]:
    """The ids of a vocabulary by token, the SentencePiece model that it is, if so, in the order in which `pieces` says
    that it is counted, and notes of what is odd about it. Raises what `read_spiece`, `counted` and `read_vocabulary`
    do."""
    if kind == SENTENCEPIECE:
        model = counted(path, read_spiece(path), pieces)
        return {piece.text: index for index, piece in enumerate(model.pieces)}, model, ()
    ids, notes = read_vocabulary(path)
    return ids, None, notes


@contextmanager
def naming(way_out: str) -> Iterator[None]:
    """Errors of this package end in what can be done instead."""
    try:
        yield
    except Paddle2TorchError as error:
        mark = "" if str(error).endswith("?") else ";"
        raise type(error)(f"{error}{mark} {way_out}") from error


def write_huggingface_tokenizer(tokenizer: SourceTokenizer, folder: Path) -> TokenizerWritten:
    """Write a tokenizer for `AutoTokenizer.from_pretrained`: the vocabulary byte for byte, tokenizer.json and its
    settings."""
    settings = tokenizer.settings
    entries = added_tokens(tokenizer)
    if tokenizer.model is not None:
        document = sentencepiece_json(tokenizer.model, settings, entries)
    elif settings.kind == BYTE_PAIRS:
        document = byte_pairs_json(tokenizer.ids, tokenizer.merges, settings, entries)
    else:
        document = wordpiece_json(tokenizer.ids, settings, entries)
    plain = settings.vocabulary_file
    (folder / plain).write_bytes(tokenizer.vocabulary.read_bytes())
    write_json(folder / TOKENIZER, document)
    write_json(folder / CONFIG, _huggingface_config(settings, entries))
    write_json(folder / SPECIAL_TOKENS_MAP, _special_tokens(settings, entries, {}))
    names = [plain, TOKENIZER, CONFIG, SPECIAL_TOKENS_MAP]
    if (pairs := settings.paddle_class.byte_pairs) is not None and settings.kind == BYTE_PAIRS:
        (folder / MERGES_FILE).write_bytes(named_beside(tokenizer.vocabulary, pairs.merges).read_bytes())
        names.insert(1, MERGES_FILE)
    if settings.added:
        write_json(folder / ADDED_TOKENS, dict(settings.added))
        names.append(ADDED_TOKENS)
    count = len(tokenizer.ids) + len(settings.added)
    notes, language = tokenizer.notes, settings.language
    return TokenizerWritten(HUGGING_FACE_CLASS, count, tuple(names), settings.guess, notes, language)


def added_tokens(tokenizer: SourceTokenizer) -> list[dict[str, Any]]:
    """The entries of tokenizer.json's `added_tokens`, by id: the special tokens and those beyond the vocabulary."""
    settings = tokenizer.settings
    special = set(settings.all_special)
    ids = {**{token: tokenizer.ids[token] for token in special if token in tokenizer.ids}, **settings.added}
    entries = []
    for token, index in sorted(ids.items(), key=lambda item: item[1]):
        loose = is_found_in_any_case(settings, token)
        # Spaces around a token that is found in normalized text would become pieces of their own.
        rstrip = settings.kind == SENTENCEPIECE and loose
        # The space before a mask belongs to it, as the piece that it stands for would begin with one.
        lstrip = rstrip or (settings.kind == SENTENCEPIECE and token == settings.special.get("mask_token"))
        if settings.kind == BYTE_PAIRS:
            lstrip, rstrip = settings.strips.get(token, BOTH_SIDES)
        entries.append(added_entry(index, token, token in special, lstrip, rstrip, loose))
    return entries


def is_found_in_any_case(settings: TokenizerSettings, token: str) -> bool:
    """Whether a text holds a special or added token however it is cased: most of PaddleNLP's classes lower-case the
    text before they look for tokens."""
    if settings.paddle_class.exact:
        return False
    if token not in settings.all_special:
        return settings.do_lower_case
    return settings.do_lower_case and token == token.lower() and not settings.paddle_class.wraps


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document as both libraries do."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def check_tokenizer(tokenizer: SourceTokenizer, vocab_size: int | None) -> tuple[str, ...]:
    """Raise UnreadableFileError or ConfigurationError where vocabulary, settings and model do not fit together; return
    notes of what does not quite."""
    path, settings, ids = tokenizer.vocabulary, tokenizer.settings, tokenizer.ids
    for position, (token, index) in enumerate(settings.added.items()):
        if index != len(ids) + position or token in ids:
            raise ConfigurationError(
                f"{tokenizer.files.folder / ADDED_TOKENS}: gives {token!r} the id {index}; ids go on from the "
                f"vocabulary, which holds {len(ids)} tokens, without gap or repetition"
            )
    known = {**ids, **settings.added}
    # What is added to a tokenizer that wraps another one is unknown to the inner one, which puts the tokens around. Of
    # byte pairs, the tokens are looked for in the file that PaddleNLP counts by, which holds as many as the vocabulary.
    inner = ids if settings.paddle_class.wraps or settings.kind == BYTE_PAIRS else known
    for role in settings.needed:
        if settings.special[role] not in inner:
            raise UnreadableFileError(
                f"{path}: holds no {settings.special[role]!r}, which is the {role}"
                f"{hidden(ids, settings.special[role]) or '; is it the vocabulary of this model?'}"
            )
    for token in settings.all_special:
        if token not in known:
            raise UnreadableFileError(f"{path}: holds no {token!r}, which {tokenizer.files.folder} names as special")
    if tokenizer.model is not None and ids[settings.special["unk_token"]] != tokenizer.model.unk_id:
        raise ConfigurationError(
            f"{path}: marks another piece than unk_token {settings.special['unk_token']!r} as unknown"
        )
    return _beyond(tokenizer, known, vocab_size) if vocab_size is not None else ()


def _beyond(tokenizer: SourceTokenizer, known: Mapping[str, int], vocab_size: int) -> tuple[str, ...]:
    """A note of the tokens that the model has no word embedding for. Raises UnreadableFileError when there are many, or
    a call needs one of them."""
    path, special = tokenizer.vocabulary, tokenizer.settings.special
    beyond = [token for token, index in known.items() if index >= vocab_size]
    needed = [role for role in tokenizer.settings.needed if special[role] in beyond]
    if len(beyond) > MOST_BEYOND:
        raise UnreadableFileError(
            f"{path}: holds {len(known)} tokens, but the model has {vocab_size} word embeddings; it belongs to "
            "another model"
        )
    if needed:
        token = special[needed[0]]
        raise UnreadableFileError(
            f"{path}: gives {token!r}, the {needed[0]}, the id {known[token]}, but the model has {vocab_size} word "
            f"embeddings{hidden(tokenizer.ids, token)}"
        )
    if not beyond:
        return ()
    shown = ", ".join(map(repr, beyond[:3]))
    return (
        f"{path}: {len(beyond)} of {len(known)} tokens are beyond the model's {vocab_size} word embeddings, so that a "
        f"text with one of them fails in both libraries: {shown}{', ...' if len(beyond) > 3 else ''}",
    )


def _huggingface_config(settings: TokenizerSettings, entries: list[dict[str, Any]]) -> dict[str, Any]:
    own: dict[str, Any] = {"do_lower_case": settings.do_lower_case}
    # Of the class below, a call gives no token types in transformers 5 unless they are asked for here.
    types = settings.paddle_class.gives_types_with(settings.kind)
    inputs = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    if settings.kind == SENTENCEPIECE:
        own |= {"remove_space": settings.remove_space, "keep_accents": settings.keep_accents}
        own |= settings.own
    elif settings.kind == BYTE_PAIRS:
        # transformers 5 does not clean up texts of byte pairs, as PaddleNLP does, unless this name says so.
        cleaned = {"clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": True}
        own = {"add_prefix_space": False, **cleaned}
    else:
        own |= {"tokenize_chinese_chars": settings.tokenize_chinese_chars, "strip_accents": settings.strip_accents}
    document = {
        "added_tokens_decoder": {
            str(entry["id"]): {name: value for name, value in entry.items() if name != "id"} for entry in entries
        },
        "clean_up_tokenization_spaces": True,
        "model_input_names": inputs,
        "model_max_length": settings.model_max_length if settings.model_max_length < UNLIMITED else UNLIMITED,
        "padding_side": settings.padding_side,
        "tokenizer_class": HUGGING_FACE_CLASS,
        "truncation_side": settings.truncation_side,
        **own,
        **_special_tokens(settings, entries, {"__type": "AddedToken"}),
    }
    return dict(sorted(document.items()))


def _special_tokens(
    settings: TokenizerSettings, entries: list[dict[str, Any]], marks: Mapping[str, Any]
) -> dict[str, Any]:
    """The special tokens by role. One that takes space beside it is written with its flags and `marks`: from its text
    alone, transformers 5 would make a token without them."""
    flags = {entry["content"]: entry for entry in entries if entry["lstrip"] or entry["rstrip"]}
    names = ("content", "lstrip", "normalized", "rstrip", "single_word")

    def written(token: str) -> Any:
        return {**marks, **{name: flags[token][name] for name in names}} if token in flags else token

    document: dict[str, Any] = {role: written(token) for role, token in settings.special.items()}
    if settings.additional:
        document["additional_special_tokens"] = [written(token) for token in settings.additional]
    return document
