"""PaddleNLP's settings of a tokenizer: what its class, its pretrained name and its files say, the last one first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import ConfigurationError
from ...mappings.language.tokenizers import (
    BOTH_SIDES,
    BYTE_PAIRS,
    LANGUAGE,
    MAX_LENGTH,
    NEEDED_TOKENS,
    SENTENCEPIECE,
    SENTENCEPIECE_TOKENS,
    SPECIAL_TOKENS,
    UNLIMITED,
    VOCABULARY_FILES,
    WORDPIECE,
    Layout,
    Pieces,
    Strips,
    TokenizerClass,
)
from ...mappings.registry import COMMUNITY, PRETRAINED, published_tokenizers, tokenizer_classes, tokenizer_facts
from ..checkpoints.snapshot import name_of_place
from .files import ADDED_TOKENS, CONFIG, SPECIAL_TOKENS_MAP, TokenizerFiles, read_json_object

_SIDES = ("right", "left")


MOST_EXTRA_IDS = 10_000
"""How many numbered tokens there may be: known models have some hundreds, and a file may claim any number."""


@dataclass(frozen=True)
class TokenizerSettings:
    """What PaddleNLP does with a vocabulary. `special` holds the special tokens by role, `additional` those without
    one, `added` the ids of tokens beyond the vocabulary; `name` is the pretrained name that settings came from.
    `strips`, of byte pairs only, says which white space beside them the special tokens take. `stated_length` is what
    PaddleNLP says in place of `model_max_length`, where its model takes less. `extra_ids`, `language` and
    `target_language` are those of SentencePiece vocabularies, of whose classes some alone have them."""

    kind: str
    paddle_class: TokenizerClass
    special: Mapping[str, str]
    additional: tuple[str, ...]
    added: Mapping[str, int]
    do_lower_case: bool
    remove_space: bool
    keep_accents: bool
    strip_accents: bool | None
    tokenize_chinese_chars: bool
    model_max_length: int
    padding_side: str
    truncation_side: str
    name: str | None
    guess: str | None
    strips: Mapping[str, Strips] = field(default_factory=dict)
    stated_length: int | None = None
    extra_ids: int = 0
    language: str | None = None
    target_language: str | None = None

    @property
    def vocabulary_file(self) -> str:
        """What the file of the vocabulary is called that is written for Hugging Face."""
        own = self.paddle_class.sentencepiece_file if self.kind == SENTENCEPIECE else None
        return own or VOCABULARY_FILES[self.kind]

    @property
    def pieces(self) -> Pieces:
        """How a SentencePiece vocabulary is used."""
        return self.paddle_class.pieces

    @property
    def own(self) -> dict[str, Any]:
        """The settings that only some classes with a SentencePiece vocabulary have, as both libraries call them."""
        extra_ids = {"extra_ids": self.extra_ids} if self.pieces.extra_ids is not None else {}
        languages = {LANGUAGE: self.language, "tgt_lang": self.target_language} if self.pieces.languages else {}
        return {**extra_ids, **languages}

    @property
    def behind(self) -> tuple[str, ...]:
        """The tokens that the class itself puts behind its vocabulary, by rising id."""
        return self.pieces.behind(self.extra_ids) if self.kind == SENTENCEPIECE else ()

    @property
    def layout(self) -> Layout:
        """What stands around texts."""
        return self.paddle_class.layout_with(self.kind)

    @property
    def needed(self) -> tuple[str, ...]:
        """The roles of the special tokens that the vocabulary must hold."""
        pairs = self.paddle_class.byte_pairs
        if pairs is not None and self.kind == BYTE_PAIRS:
            return tuple(pairs.tokens)
        return tuple(role for role in dict.fromkeys((*NEEDED_TOKENS, *self.layout.pair)) if role in self.special)

    def token_at(self, entry: str) -> str:
        """The token that stands for an entry of the layout."""
        if entry == LANGUAGE:
            assert self.language is not None
            return self.language
        return self.special[entry]

    @property
    def strips_accents(self) -> bool:
        """Whether accents go, which follows from `do_lower_case` where `strip_accents` does not say it."""
        if self.kind == SENTENCEPIECE:
            return not self.keep_accents
        return self.do_lower_case if self.strip_accents is None else self.strip_accents

    def within(self, longest: int | None) -> TokenizerSettings:
        """The settings for a model that takes `longest` tokens; None stands for as many as PaddleNLP says."""
        if longest is None or self.model_max_length <= longest:
            return self
        return replace(self, model_max_length=longest, stated_length=self.model_max_length)

    @property
    def all_special(self) -> tuple[str, ...]:
        """The special tokens, each once."""
        return tuple(dict.fromkeys([*self.special.values(), *self.additional]))


def read_settings(files: TokenizerFiles, family: str) -> TokenizerSettings:
    """The settings of a source's tokenizer.

    Raises UnreadableFileError for a file that is no JSON object and ConfigurationError for settings that are
    impossible, contradict each other or cannot be expressed in transformers' fast tokenizer.
    """
    config = dict(read_json_object(files.config))
    known_settings = published_tokenizers() if files.config is None else {}
    published = known_settings.get(files.name or "", {})
    tokenizer_class, kind = _class_and_kind(files, {**published, **config}, family)
    guess, folder = None, name_of_place(files.folder)
    if files.config is None and files.name not in known_settings:
        assumed = tokenizer_facts(family).without_settings.get(kind)
        if assumed is not None:
            published, whose = assumed
            guess = f"{folder} holds no {CONFIG}: the tokenizer is taken to be {whose}"
        elif kind == WORDPIECE:
            guess = f"{folder} holds no {CONFIG}: the tokenizer lower-cases, which is PaddleNLP's default"
    given = {name: value for name, value in {**published, **config}.items() if name not in tokenizer_class.ignores}
    origin = str(files.config or files.folder)
    _check_own(origin, tokenizer_class, kind, given)
    mapped = read_json_object(files.special_tokens_map)
    special = _special_tokens(files, tokenizer_class, kind, given, mapped)
    own = own_settings(origin, tokenizer_class, kind, given)
    additional = _additional(files, given, mapped)
    if not mapped.get("additional_special_tokens") and kind == SENTENCEPIECE:
        additional = tuple(dict.fromkeys((*tokenizer_class.pieces.additional(own["extra_ids"]), *additional)))
    refuse(origin, given)
    length = given.get("model_max_length", given.get("max_len"))
    if files.config is None and files.name is not None:
        known = PRETRAINED.get(files.name)
        length = known.max_length if known is not None else MAX_LENGTH
    return TokenizerSettings(
        kind=kind,
        paddle_class=tokenizer_class,
        special=special,
        additional=additional,
        added=checked_added(files.folder / ADDED_TOKENS, read_json_object(files.added_tokens)),
        # Byte pairs are those of the text as it is, whatever the setting says.
        **text_flags(origin, tokenizer_class, kind, given),
        strip_accents=optional_flag(origin, given, "strip_accents"),
        tokenize_chinese_chars=flag(origin, given, "tokenize_chinese_chars", True),
        model_max_length=length_of(origin, length),
        padding_side=side_of(origin, given, "padding_side"),
        truncation_side=side_of(origin, given, "truncation_side"),
        name=files.name if files.config is None else None,
        guess=guess,
        strips=_strips(tokenizer_class, special, given, mapped) if kind == BYTE_PAIRS else {},
        **own,
    )


def text_flags(origin: str, tokenizer_class: TokenizerClass, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What happens to a text before it is cut. Raises ConfigurationError."""
    defaults = {"do_lower_case": kind != BYTE_PAIRS, "remove_space": True, "keep_accents": False}
    if kind == SENTENCEPIECE:
        defaults |= tokenizer_class.pieces.defaults
    flags = {name: flag(origin, given, name, default) for name, default in defaults.items()}
    # Byte pairs are those of the text as it is, whatever the setting says.
    return {**flags, "do_lower_case": kind != BYTE_PAIRS and flags["do_lower_case"]}


def own_settings(origin: str, tokenizer_class: TokenizerClass, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that only some classes with a SentencePiece vocabulary have. Raises ConfigurationError."""
    pieces = tokenizer_class.pieces if kind == SENTENCEPIECE else Pieces()
    extra_ids = given.get("extra_ids", pieces.extra_ids) if pieces.extra_ids is not None else 0
    if isinstance(extra_ids, bool) or not isinstance(extra_ids, int) or not 0 <= extra_ids <= MOST_EXTRA_IDS:
        raise ConfigurationError(
            f"{origin}: extra_ids is {extra_ids!r}; a number from 0 to {MOST_EXTRA_IDS:,} is expected"
        )
    found: dict[str, Any] = {"extra_ids": extra_ids}
    if pieces.languages:
        languages = {"language": given.get(LANGUAGE) or pieces.language, "target_language": given.get("tgt_lang")}
        for name, value in zip((LANGUAGE, "tgt_lang"), languages.values(), strict=True):
            if value is not None and value not in pieces.languages:
                raise ConfigurationError(
                    f"{origin}: {name} is {value!r}; {tokenizer_class.name} knows {', '.join(pieces.languages)}"
                )
        found |= languages
    return found


def _check_own(origin: str, tokenizer_class: TokenizerClass, kind: str, given: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for a setting of a class's own that has no counterpart."""
    for name, only in tokenizer_class.only_with(kind).items():
        value = given.get(name, only.default)
        if value != only.value:
            stated = "is" if name in given else "is not given, which makes it"
            raise ConfigurationError(
                f"{origin}: {name} {stated} {value!r}: {tokenizer_class.name} then {only.otherwise}, which has no fast "
                f"tokenizer; only {only.value!r} has one"
            )


def _class_and_kind(files: TokenizerFiles, config: Mapping[str, Any], family: str) -> tuple[TokenizerClass, str]:
    known = COMMUNITY.get(files.name or "")
    assumed = known.tokenizer if known is not None else None
    named = config.get("tokenizer_class") or config.get("init_class") or assumed or tokenizer_facts(family).default
    plain = str(named).replace("Fast", "")
    classes = tokenizer_classes()
    if plain not in classes:
        raise ConfigurationError(
            f"{files.config or files.folder}: the tokenizer class {named} is not known for family {family}; known are "
            f"{', '.join(classes)}"
        )
    found = classes[plain]
    if found.refused is not None:
        raise ConfigurationError(f"{files.config or files.folder}: {plain} {found.refused}")
    kinds = _kinds(files, found, config)
    kind = next((kind for kind in kinds if kind in files.vocabularies), None)
    pairs = found.byte_pairs
    if kind == BYTE_PAIRS and pairs is not None and not files.vocabularies[kind].name.endswith(pairs.vocabulary):
        kind = None
    if kind is None:
        expected, have = " or ".join(kinds), ", ".join(path.name for path in files.vocabularies.values())
        of_pairs = f", {pairs.vocabulary} and {pairs.merges}" if pairs is not None and BYTE_PAIRS in kinds else ""
        raise ConfigurationError(f"{files.folder}: holds {have}, but {named} reads a {expected} vocabulary{of_pairs}")
    return found, kind


def _kinds(files: TokenizerFiles, found: TokenizerClass, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of vocabulary that a class reads with its settings."""
    pairs = found.byte_pairs
    if pairs is None or pairs.switch is None:
        return found.kinds
    chosen = flag(str(files.config or files.folder), config, pairs.switch, False)
    return tuple(kind for kind in found.kinds if (kind == BYTE_PAIRS) is chosen)


def _special_tokens(
    files: TokenizerFiles,
    tokenizer_class: TokenizerClass,
    kind: str,
    given: Mapping[str, Any],
    mapped: Mapping[str, Any],
) -> dict[str, str]:
    """The special tokens by role. An inner tokenizer never sees special_tokens_map.json, so the two must agree; nor
    does what joins byte pairs, which knows what stands for the unknown."""
    defaults = tokenizer_class.default_tokens(kind)
    if tokenizer_class.wraps:
        defaults = {**SENTENCEPIECE_TOKENS, **defaults}
    tokens: dict[str, str] = {}
    for role in SPECIAL_TOKENS:
        inner = tokenizer_class.wraps or (kind == BYTE_PAIRS and role == "unk_token")
        own = token_text(files.config, role, given[role]) if given.get(role) is not None else None
        other = token_text(files.special_tokens_map, role, mapped[role]) if mapped.get(role) is not None else None
        first = own or (defaults.get(role) if inner else None)
        if first is not None and other is not None and first != other:
            raise ConfigurationError(
                f"{files.folder}: {role} is {first!r} by {CONFIG} or PaddleNLP's default and {other!r} by "
                f"{SPECIAL_TOKENS_MAP}; make them agree"
            )
        chosen = other or own or defaults.get(role)
        if chosen is not None:
            tokens[role] = chosen
    return tokens


def token_text(origin: object, role: str, value: Any) -> str:
    """The text of a token, given as such or with flags. Raises ConfigurationError."""
    content = value.get("content") if isinstance(value, dict) else value
    if not isinstance(content, str) or not content:
        raise ConfigurationError(f"{origin}: {role} is {value!r}; a text is expected")
    return content


def _strips(
    tokenizer_class: TokenizerClass, special: Mapping[str, str], given: Mapping[str, Any], mapped: Mapping[str, Any]
) -> dict[str, Strips]:
    """Which white space the special tokens take. One that is an object says so itself, also for those of its text; one
    that is a text takes that on both sides, unless the class makes an object of it."""
    pairs = tokenizer_class.byte_pairs
    made: Mapping[str, Strips] = pairs.strips if pairs is not None else {}
    key = "additional_special_tokens"
    others = mapped.get(key) or given.get(key) or []
    texts = {*special.values(), *(token_text(key, key, one) for one in others)}
    found: dict[str, Strips] = {}
    for role, token in special.items():
        value = mapped.get(role) or given.get(role)
        if isinstance(value, dict):
            found[token] = strips_of(value)
        elif not mapped.get(role) and role in made:
            found[token] = made[role]
    found |= {str(one["content"]): strips_of(one) for one in others if isinstance(one, dict)}
    return {token: found.get(token, BOTH_SIDES) for token in sorted(texts)}


def strips_of(entry: Mapping[str, Any]) -> Strips:
    """Which white space a token takes that is an object."""
    return bool(entry.get("lstrip")), bool(entry.get("rstrip"))


def _additional(files: TokenizerFiles, given: Mapping[str, Any], mapped: Mapping[str, Any]) -> tuple[str, ...]:
    key = "additional_special_tokens"
    values = mapped.get(key) or given.get(key) or []
    if not isinstance(values, list):
        raise ConfigurationError(f"{files.folder}: {key} is {values!r}; a list of texts is expected")
    return tuple(token_text(files.folder, key, value) for value in values)


def checked_added(origin: object, added: Mapping[str, Any]) -> dict[str, int]:
    """Tokens beyond the vocabulary by rising id. Raises ConfigurationError for what is no id."""
    for token, index in added.items():
        if isinstance(index, bool) or not isinstance(index, int):
            raise ConfigurationError(f"{origin}: leads from {token!r} to {index!r}, not to an id")
    return dict(sorted(added.items(), key=lambda item: item[1]))


def refuse(origin: str, given: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for settings that transformers' fast tokenizers do not have."""
    if given.get("do_basic_tokenize") is False:
        raise ConfigurationError(f"{origin}: do_basic_tokenize is false, which has no fast tokenizer; remove it")
    for name in ("never_split", "sp_model_kwargs", "init_args", "init_inputs"):
        if given.get(name):
            raise ConfigurationError(f"{origin}: {name} is {given[name]!r}, which has no fast tokenizer; remove it")


def optional_flag(origin: str, given: Mapping[str, Any], name: str) -> bool | None:
    """A setting that is true, false or absent. Raises ConfigurationError."""
    return None if given.get(name) is None else flag(origin, given, name, False)


def flag(origin: str, given: Mapping[str, Any], name: str, default: bool) -> bool:
    """A setting that is true or false. Raises ConfigurationError."""
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{origin}: {name} is {value!r}; true or false is expected")
    return value


def side_of(origin: str, given: Mapping[str, Any], name: str) -> str:
    """A side, right where absent. Raises ConfigurationError."""
    value = given.get(name, "right")
    if value not in _SIDES:
        raise ConfigurationError(f"{origin}: {name} is {value!r}; right or left is expected")
    return str(value)


def length_of(origin: str, value: Any) -> int:
    """A length in tokens, without limit where absent. Raises ConfigurationError."""
    if value is None:
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, int | float) or not 4 <= value < float("inf"):
        raise ConfigurationError(f"{origin}: model_max_length is {value!r}; a number from 4 on is expected")
    return int(value)
