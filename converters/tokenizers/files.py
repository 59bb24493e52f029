"""The tokenizer files beside a checkpoint, under the names that PaddleNLP gives them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import UnreadableFileError
from ...mappings.language.pretrained import name_of_stem, stem_of
from ...mappings.language.tokenizers import BYTE_PAIRS, MERGES_FILE, SENTENCEPIECE, VOCABULARY_FILES, BytePairs
from ...mappings.registry import COMMUNITY, published_tokenizers, tokenizer_classes
from ..checkpoints.source import Source, names_of_folder

CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS_MAP = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"
TOKENIZER = "tokenizer.json"

LARGEST_JSON = 64 << 20


@dataclass(frozen=True)
class TokenizerFiles:
    """Files that exist. `vocabularies` by kind of tokenizer, of byte pairs the one with the ids; `name` is the
    pretrained name that their names or their folder's show, whose published settings hold where `config` does not
    exist."""

    folder: Path
    vocabularies: dict[str, Path]
    name: str | None = None
    config: Path | None = None
    special_tokens_map: Path | None = None
    added_tokens: Path | None = None

    def paths(self, kind: str) -> tuple[Path, ...]:
        """The files of a tokenizer of this kind."""
        vocabulary = self.vocabularies[kind]
        beside = beside_byte_pairs(vocabulary).values() if kind == BYTE_PAIRS else ()
        found = (vocabulary, *beside, self.config, self.special_tokens_map, self.added_tokens)
        return tuple(path for path in found if path is not None)


def find_tokenizer_files(source: Source) -> TokenizerFiles | None:
    """The tokenizer files in a source's folder or beside its file; None when it has no vocabulary.

    Raises UnreadableFileError when several vocabularies of a kind fit equally well.
    """
    folder, names = _folder_of(source), _names_of(source)
    found = {}
    for kind, paths in _vocabularies(source).items():
        if len(paths) > 1:
            listed, plain = ", ".join(path.name for path in paths), plain_name(paths[0], kind)
            raise UnreadableFileError(
                f"{folder}: holds several vocabularies ({listed}); call the one that is meant {plain}"
            )
        found[kind] = paths[0]
    if not found:
        return None
    published = published_tokenizers()
    stems = [*names, *(_prefix(path, kind) for kind, path in found.items())]
    shown = [*map(name_of_stem, stems), *names_of_folder(folder.resolve())]
    return TokenizerFiles(
        folder,
        found,
        next((name for name in shown if name in published or name in COMMUNITY), None),
        *(_existing(folder / name) for name in (CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS)),
    )


def tokenizer_paths(source: Source) -> list[Path]:
    """All tokenizer files of a PaddleNLP source, of vocabularies that fit equally well each one."""
    found = _vocabularies(source)
    if not found:
        return []
    vocabularies = [path for paths in found.values() for path in paths]
    beside = [one for path in found.get(BYTE_PAIRS, ()) for one in beside_byte_pairs(path).values()]
    vocabularies += [path for path in dict.fromkeys(beside) if path not in vocabularies]
    settings = (_existing(_folder_of(source) / name) for name in (CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS))
    return [*vocabularies, *(path for path in settings if path is not None)]


def plain_tokenizer_paths(folder: Path) -> list[Path]:
    """The tokenizer files of a folder under the names that both libraries write."""
    own = [name for one in _declared() for name in (one.vocabulary, one.merges)]
    plain = [name for of_kind in _plain_names().values() for name in of_kind]
    names = (*plain, MERGES_FILE, *own, TOKENIZER, CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS)
    return [folder / name for name in dict.fromkeys(names) if (folder / name).is_file()]


def beside_byte_pairs(vocabulary: Path) -> dict[str, Path]:
    """The files that exist beside a vocabulary of byte pairs and belong to it, by the plain names: the pairs, and what
    PaddleNLP counts tokens by."""
    plain = plain_name(vocabulary, BYTE_PAIRS)
    names = {name for one in _declared() if one.vocabulary == plain for name in (one.merges, one.counted) if name}
    found = {name: named_beside(vocabulary, name) for name in sorted(names or {MERGES_FILE})}
    return {name: path for name, path in found.items() if path.is_file()}


def named_beside(vocabulary: Path, plain: str) -> Path:
    """The file of a plain name that goes with a vocabulary of byte pairs: before both stands the same."""
    return vocabulary.with_name(vocabulary.name.removesuffix(plain_name(vocabulary, BYTE_PAIRS)) + plain)


def plain_name(path: Path, kind: str) -> str:
    """What a vocabulary is called where it has no name of its own before that."""
    return next(name for name in _plain_names()[kind] if path.name.endswith(name))


def _declared() -> list[BytePairs]:
    return [one.byte_pairs for one in tokenizer_classes().values() if one.byte_pairs is not None]


@cache
def _plain_names() -> dict[str, tuple[str, ...]]:
    """The plain names of vocabularies by kind: those of byte pairs are each class's own, and some have their own of
    another kind."""
    names = {kind: [name] for kind, name in VOCABULARY_FILES.items()}
    names[BYTE_PAIRS] = [*(one.vocabulary for one in _declared()), *names[BYTE_PAIRS]]
    own = (one.sentencepiece_file for one in tokenizer_classes().values())
    names[SENTENCEPIECE] += [name for name in own if name is not None]
    return {kind: tuple(dict.fromkeys(of_kind)) for kind, of_kind in names.items()}


def read_json_object(path: Path | None) -> dict[str, Any]:
    """The JSON object in a file, empty without a file. Raises UnreadableFileError."""
    if path is None:
        return {}
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise UnreadableFileError(f"{path}: is larger than {LARGEST_JSON:,} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path}: is not a JSON file: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableFileError(f"{path}: holds {type(document).__name__}, a JSON object is expected")
    return document


def _folder_of(source: Source) -> Path:
    return source.path if source.path.is_dir() else source.path.parent


def _names_of(source: Source) -> list[str]:
    """The names that a source's vocabulary may go by: the pretrained one, and those of its files of weights."""
    stems = [path.name.removesuffix(".pdparams") for path in source.files]
    return list(dict.fromkeys([*([stem_of(source.pretrained)] if source.pretrained else []), *stems]))


def _vocabularies(source: Source) -> dict[str, list[Path]]:
    """The vocabularies of a source by kind, several of a kind where they fit equally well."""
    folder, names = _folder_of(source), _names_of(source)
    found: dict[str, list[Path]] = {}
    listed = sorted(os.listdir(folder))
    present = set(listed)
    for kind, plain in ((kind, name) for kind, of_kind in _plain_names().items() for name in of_kind):
        candidates = [plain, *(f"{name}{mark}{plain}" for name in names for mark in ".-_")]
        paths = [folder / name for name in candidates if name in present and (folder / name).is_file()][:1]
        if not paths and source.path.is_dir():
            paths = [folder / name for name in listed if name.endswith(tuple(f"{mark}{plain}" for mark in ".-_"))]
        if paths:
            found.setdefault(kind, paths)
    return found


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _prefix(path: Path, kind: str) -> str:
    return path.name.removesuffix(plain_name(path, kind)).rstrip(".-_")
