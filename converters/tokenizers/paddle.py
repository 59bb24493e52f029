"""A Hugging Face folder's tokenizer, written as PaddleNLP reads it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError, TokenizerError, UnreadableFileError
from ...mappings.language.tokenizers import (
    BOTH_SIDES,
    BYTE_PAIRS,
    MERGES_FILE,
    SENTENCEPIECE,
    SPECIAL_TOKENS,
    UNLIMITED,
    VOCABULARY_FILES,
    WORDPIECE,
    Strips,
    TokenizerClass,
)
from ...mappings.registry import target_tokenizers, tokenizer_facts
from .byte_pairs import Merges, byte_pairs_of, merges_text, read_byte_pairs
from .files import ADDED_TOKENS, CONFIG, SPECIAL_TOKENS_MAP, TOKENIZER, TokenizerFiles, read_json_object
from .huggingface import SourceTokenizer, TokenizerWritten, check_tokenizer, naming, read_pieces, write_json
from .pieces import without_own
from .settings import (
    TokenizerSettings,
    checked_added,
    flag,
    length_of,
    optional_flag,
    own_settings,
    refuse,
    side_of,
    strips_of,
    text_flags,
    token_text,
)

_PLAIN = {"PreTrainedTokenizer", "TokenizersBackend"}
"""Classes that take tokenizer.json as it is: the one that this package writes, and the one that transformers 5 makes of
it when it saves the tokenizer again."""


def write_paddle_tokenizer(
    source_folder: Path, folder: Path, family: str, vocab_size: int | None = None
) -> TokenizerWritten | None:
    """Write the tokenizer of a Hugging Face folder into `folder` for PaddleNLP; None when the source has none.

    `vocab_size` is the number of rows of the model's word embeddings. Raises TokenizerError for a tokenizer that
    PaddleNLP has no form for, while the weights may have one; UnreadableFileError and ConfigurationError for one that
    is damaged or contradicts itself.
    """
    with naming("the weights alone are converted from a copy of the folder without its tokenizer files"):
        tokenizer = read_huggingface_tokenizer(source_folder, family, vocab_size)
        if tokenizer is None:
            return None
        settings = tokenizer.settings
        _check_expressible(source_folder, settings)
    names = [*_write_vocabulary(tokenizer, folder), CONFIG, SPECIAL_TOKENS_MAP]
    write_json(folder / CONFIG, _paddle_config(settings))
    tokens: dict[str, Any] = {role: _special(settings, token) for role, token in settings.special.items()}
    if settings.additional:
        tokens["additional_special_tokens"] = [_special(settings, token) for token in settings.additional]
    write_json(folder / SPECIAL_TOKENS_MAP, tokens)
    if added := without_own(settings):
        write_json(folder / ADDED_TOKENS, added)
        names.append(ADDED_TOKENS)
    count = len(tokenizer.ids) + len(settings.added)
    name, notes = settings.paddle_class.name, tokenizer.notes
    return TokenizerWritten(name, count, tuple(names), notes=notes, language=settings.language)


def _write_vocabulary(tokenizer: SourceTokenizer, folder: Path) -> list[str]:
    """The files of the vocabulary, byte for byte where the folder holds them; their names."""
    kind, pairs = tokenizer.settings.kind, tokenizer.settings.paddle_class.byte_pairs
    lines = "".join(f"{token}\n" for token in tokenizer.ids)
    plain = tokenizer.settings.vocabulary_file
    contents = {plain: lines}
    names = {plain: plain}
    if kind == BYTE_PAIRS and pairs is not None:
        contents = {plain: json.dumps(dict(tokenizer.ids)), MERGES_FILE: merges_text(tokenizer.merges)}
        names = {plain: pairs.vocabulary, MERGES_FILE: pairs.merges}
        if pairs.counted is not None:
            (folder / pairs.counted).write_text(lines, "utf-8", newline="\n")
    for written, name in names.items():
        if tokenizer.vocabulary.name == plain:
            (folder / name).write_bytes(tokenizer.vocabulary.with_name(written).read_bytes())
        else:
            (folder / name).write_text(contents[written], "utf-8", newline="\n")
    counted = [pairs.counted] if kind == BYTE_PAIRS and pairs is not None and pairs.counted is not None else []
    return [*names.values(), *counted]


def _special(settings: TokenizerSettings, token: str) -> Any:
    """A token as special_tokens_map.json holds it: a text takes the white space on both sides."""
    strips = settings.strips.get(token, BOTH_SIDES)
    if strips == BOTH_SIDES:
        return token
    lstrip, rstrip = strips
    return {"content": token, "lstrip": lstrip, "normalized": False, "rstrip": rstrip, "single_word": False}


def read_huggingface_tokenizer(folder: Path, family: str, vocab_size: int | None = None) -> SourceTokenizer | None:
    """The tokenizer of a Hugging Face folder, None when it has none; raises what `write_paddle_tokenizer` does."""
    config_path = _existing(folder / CONFIG)
    config = read_json_object(config_path)
    fast = read_json_object(_existing(folder / TOKENIZER))
    own = (one.sentencepiece_file for one in tokenizer_facts(family).classes)
    names = [*VOCABULARY_FILES.items(), *((SENTENCEPIECE, name) for name in own if name is not None)]
    present = {kind: folder / name for kind, name in names if (folder / name).is_file()}
    if not present and not fast:
        return None
    entries = _added_entries(folder, config, fast)
    listed = {token for token, _, _ in entries}
    kind, paddle_class = _kind_and_class(folder, family, config, fast, present, listed)
    if kind == SENTENCEPIECE and kind not in present:
        raise TokenizerError(
            f"{folder}: holds {TOKENIZER} but no {VOCABULARY_FILES[kind]}, from which alone PaddleNLP's tokenizer "
            "can be made; put that file into the folder"
        )
    merges: Merges = ()
    if kind == BYTE_PAIRS:
        model = None
        ids, merges, notes = _byte_pairs(folder, fast, present)
    else:
        ids, model, notes = (
            read_pieces(present[kind], kind, paddle_class.pieces)
            if kind in present
            else (_wordpiece_vocabulary(folder, fast), None, ())
        )
    mapped = read_json_object(_existing(folder / SPECIAL_TOKENS_MAP))
    found = tuple(token for token, _, is_special in entries if is_special and token in ids)
    added = _added(folder, entries, ids)
    settings = _settings(str(config_path or folder), paddle_class, kind, config, mapped, fast, found, added)
    files = TokenizerFiles(folder, present or {kind: folder / TOKENIZER}, None, config_path)
    tokenizer = SourceTokenizer(files, settings, ids, model, notes, merges)
    return replace(tokenizer, notes=(*notes, *check_tokenizer(tokenizer, vocab_size)))


def _kind_and_class(
    folder: Path,
    family: str,
    config: Mapping[str, Any],
    fast: Mapping[str, Any],
    present: Mapping[str, Path],
    listed: Collection[str],
) -> tuple[str, TokenizerClass]:
    named = config.get("tokenizer_class")
    plain = str(named or "PreTrainedTokenizer").removesuffix("Fast")
    kinds = target_tokenizers()
    if plain not in _PLAIN.union(kinds):
        raise TokenizerError(
            f"{folder / CONFIG}: names the tokenizer class {named}, which has no counterpart for family {family} in "
            f"PaddleNLP; known are {', '.join(kinds)}"
        )
    model = fast.get("model")
    model_type = model.get("type") if isinstance(model, dict) else None
    if plain in kinds:
        kind = kinds[plain]
    elif model_type is not None:
        kind = {"Unigram": SENTENCEPIECE, "BPE": BYTE_PAIRS}.get(str(model_type), WORDPIECE)
    else:
        kind = next(iter(present))
    if kind not in present and model_type not in ("Unigram", "WordPiece", "BPE"):
        raise TokenizerError(f"{folder}: holds no {VOCABULARY_FILES[kind]} for its tokenizer")
    found = tokenizer_facts(family).class_of(kind, listed)
    if found is None:
        raise TokenizerError(f"{folder}: a {kind} tokenizer has no counterpart for family {family} in PaddleNLP")
    return kind, found


def _byte_pairs(
    folder: Path, fast: Mapping[str, Any], present: Mapping[str, Path]
) -> tuple[dict[str, int], Merges, tuple[str, ...]]:
    """The vocabulary of byte pairs: its files, which must say what tokenizer.json does, or that alone."""
    own = byte_pairs_of(folder / TOKENIZER, fast) if fast else None
    if BYTE_PAIRS not in present:
        if own is None:
            raise TokenizerError(f"{folder}: holds no {VOCABULARY_FILES[BYTE_PAIRS]} for its tokenizer")
        return *own, ()
    ids, merges, notes = read_byte_pairs(present[BYTE_PAIRS], folder / MERGES_FILE)
    if own is not None and own != (ids, merges):
        raise UnreadableFileError(
            f"{folder}: {VOCABULARY_FILES[BYTE_PAIRS]} and {MERGES_FILE} hold another vocabulary than {TOKENIZER}; "
            "remove what is not meant"
        )
    return ids, merges, notes


def _strips(
    config: Mapping[str, Any], fast: Mapping[str, Any], special: Mapping[str, str], tokens: Iterable[str]
) -> dict[str, Strips]:
    """Which white space tokens take: what tokenizer.json says, else the configuration, else Hugging Face's classes."""
    decoder = config.get("added_tokens_decoder")
    entries = [
        *(decoder.values() if isinstance(decoder, dict) else ()),
        *(entry for entry in fast.get("added_tokens") or [] if isinstance(entry, dict)),
    ]
    known = {special.get("mask_token"): (True, False)}
    known |= {entry["content"]: strips_of(entry) for entry in entries if isinstance(entry, dict) and "content" in entry}
    return {token: known.get(token, (False, False)) for token in sorted(tokens)}


def _check_strips(origin: str, strips: Mapping[str, Strips]) -> None:
    """Raise TokenizerError for a token beyond the vocabulary that does not do as all of PaddleNLP's."""
    for token, sides in strips.items():
        if sides != BOTH_SIDES:
            raise TokenizerError(
                f"{origin}: {token!r} does not take the white space on both sides, as it does in PaddleNLP; set its "
                f"lstrip and rstrip in {TOKENIZER} or remove it"
            )


def _wordpiece_vocabulary(folder: Path, fast: Mapping[str, Any]) -> dict[str, int]:
    path, model = folder / TOKENIZER, fast.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict) or not vocabulary or model is None or model.get("type") != "WordPiece":
        raise TokenizerError(f"{path}: holds no WordPiece vocabulary; put vocab.txt into the folder")
    ids = dict(sorted(vocabulary.items(), key=lambda item: str(item[1]).zfill(12)))
    if list(ids.values()) != list(range(len(ids))) or any("\n" in token or "\r" in token for token in ids):
        raise UnreadableFileError(f"{path}: its ids are not 0 to {len(ids) - 1}, each once, or a token breaks lines")
    return ids


Entry = tuple[str, Any, bool]
"""A token that transformers looks for in a text, its id, and whether it is special."""


def _added_entries(folder: Path, config: Mapping[str, Any], fast: Mapping[str, Any]) -> list[Entry]:
    """The tokens that transformers looks for, from the files that list them with their flags."""
    decoder = config.get("added_tokens_decoder")
    listed = [
        *((index, value) for index, value in (decoder if isinstance(decoder, dict) else {}).items()),
        *((entry.get("id"), entry) for entry in fast.get("added_tokens") or [] if isinstance(entry, dict)),
    ]
    return [
        (token_text(folder, "an added token", entry), index, isinstance(entry, dict) and entry.get("special") is True)
        for index, entry in listed
    ]


def _added(folder: Path, entries: Iterable[Entry], ids: Mapping[str, int]) -> dict[str, int]:
    """Tokens beyond the vocabulary, from whichever file holds them."""
    path = _existing(folder / ADDED_TOKENS)
    found: dict[str, int] = dict(read_json_object(path))
    for token, index, _ in entries:
        if token not in ids:
            found.setdefault(token, int(index))
    return checked_added(path or folder, {token: index for token, index in found.items() if token not in ids})


def _settings(
    origin: str,
    paddle_class: TokenizerClass,
    kind: str,
    config: Mapping[str, Any],
    mapped: Mapping[str, Any],
    fast: Mapping[str, Any],
    found: Iterable[str],
    added: Mapping[str, int],
) -> TokenizerSettings:
    """The settings; `found` are the special tokens of the vocabulary that transformers finds in a text, though perhaps
    no file names them otherwise."""
    refuse(origin, config)
    defaults = paddle_class.default_tokens(kind)
    special: dict[str, str] = {}
    for role in SPECIAL_TOKENS:
        # With added_tokens_decoder, transformers no longer reads special_tokens_map.json.
        sources = (config, {} if "added_tokens_decoder" in config and config.get(role) else mapped)
        given = [token_text(origin, role, source[role]) for source in sources if source.get(role) is not None]
        chosen = given[-1] if given else defaults.get(role)
        if chosen is not None:
            special[role] = chosen
    length = config.get("model_max_length", config.get("max_len"))
    if str(config.get("tokenizer_class") or "").removesuffix("Fast") not in target_tokenizers():
        config = {**config, **_flags(fast.get("normalizer"))}
    additional = _additional(origin, config, mapped)
    additional += tuple(token for token in dict.fromkeys(found) if token not in {*special.values(), *additional})
    of_pairs: dict[str, Strips] = {}
    if kind == BYTE_PAIRS:
        known = {*special.values(), *additional}
        of_pairs = _strips(config, fast, special, known.union(added))
        _check_strips(origin, {token: of_pairs.pop(token) for token in added if token not in known})
    return TokenizerSettings(
        kind=kind,
        paddle_class=paddle_class,
        special=special,
        additional=additional,
        added=added,
        **text_flags(origin, paddle_class, kind, config),
        strip_accents=optional_flag(origin, config, "strip_accents"),
        tokenize_chinese_chars=flag(origin, config, "tokenize_chinese_chars", True),
        model_max_length=UNLIMITED if isinstance(length, int | float) and length >= 1e20 else length_of(origin, length),
        padding_side=side_of(origin, config, "padding_side"),
        truncation_side=side_of(origin, config, "truncation_side"),
        name=None,
        guess=None,
        strips=of_pairs,
        **own_settings(origin, paddle_class, kind, config),
    )


def _check_expressible(source_folder: Path, settings: TokenizerSettings) -> None:
    """Raise TokenizerError for a setting that PaddleNLP's class does not take, unless it does as without it."""
    for name, usual in (("strip_accents", settings.do_lower_case), ("tokenize_chinese_chars", True)):
        value = getattr(settings, name)
        if name in settings.paddle_class.ignores and value not in (None, usual):
            raise TokenizerError(
                f"{source_folder}: {name} is {value!r}, a setting that {settings.paddle_class.name} of PaddleNLP does "
                "not have"
            )


def _additional(origin: str, config: Mapping[str, Any], mapped: Mapping[str, Any]) -> tuple[str, ...]:
    """The special tokens without a role. transformers 5 writes them under another name."""
    key = "additional_special_tokens"
    # transformers 4 has a table of the other name for something else, which is empty here.
    values = config.get(key) or mapped.get(key) or config.get("extra_special_tokens") or []
    if not isinstance(values, list):
        raise ConfigurationError(f"{origin}: {key} is {values!r}; a list of texts is expected")
    return tuple(token_text(origin, key, token) for token in values)


def _flags(normalizer: Any) -> dict[str, Any]:
    """The settings that lie in BERT's normalizer, which hold where no class of its own makes another one."""
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return {}
    names = {
        "lowercase": "do_lower_case",
        "strip_accents": "strip_accents",
        "handle_chinese_chars": "tokenize_chinese_chars",
    }
    return {name: normalizer[own] for own, name in names.items() if own in normalizer}


def _paddle_config(settings: TokenizerSettings) -> dict[str, Any]:
    document: dict[str, Any] = {
        "model_max_length": settings.model_max_length,
        "padding_side": settings.padding_side,
        "tokenizer_class": settings.paddle_class.name,
        "truncation_side": settings.truncation_side,
        **settings.special,
    }
    if settings.kind != BYTE_PAIRS:
        document["do_lower_case"] = settings.do_lower_case
    if settings.kind == SENTENCEPIECE:
        document |= {"remove_space": settings.remove_space, "keep_accents": settings.keep_accents, **settings.own}
    elif settings.kind == WORDPIECE:
        document |= {
            "strip_accents": settings.strip_accents,
            "tokenize_chinese_chars": settings.tokenize_chinese_chars,
        }
    document = {name: value for name, value in document.items() if name not in settings.paddle_class.ignores}
    document |= {name: only.value for name, only in settings.paddle_class.only_with(settings.kind).items()}
    if settings.paddle_class.wraps:
        # AlbertTokenizer asks for both files by name, even for the one that there is none of.
        document["vocab_file" if settings.kind == SENTENCEPIECE else "sentencepiece_model_file"] = None
    return dict(sorted(document.items()))


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
