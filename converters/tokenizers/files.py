"""The tokenizer files beside a checkpoint, under the names that PaddleNLP gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UnreadableFileError
from ...mappings.language.tokenizers import VOCABULARY_FILES
from ...mappings.registry import published_tokenizers
from ..checkpoints.source import Source

CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS_MAP = "special_tokens_map.json"
ADDED_TOKENS = "added_tokens.json"
TOKENIZER = "tokenizer.json"

LARGEST_JSON = 64 << 20


@dataclass(frozen=True)
class TokenizerFiles:
    """Files that exist. `vocabularies` by kind of tokenizer; `name` is the pretrained name that their names or their
    folder's show, whose published settings hold where `config` does not exist."""

    folder: Path
    vocabularies: dict[str, Path]
    name: str | None = None
    config: Path | None = None
    special_tokens_map: Path | None = None
    added_tokens: Path | None = None

    def paths(self, kind: str) -> tuple[Path, ...]:
        """The files of a tokenizer of this kind."""
        found = (self.vocabularies[kind], self.config, self.special_tokens_map, self.added_tokens)
        return tuple(path for path in found if path is not None)


def find_tokenizer_files(source: Source) -> TokenizerFiles | None:
    """The tokenizer files in a source's folder or beside its file; None when it has no vocabulary.

    Raises UnreadableFileError when several vocabularies of a kind fit equally well.
    """
    folder = source.path if source.path.is_dir() else source.path.parent
    stems = [path.name.removesuffix(".pdparams") for path in source.files]
    names = list(dict.fromkeys([*([source.pretrained] if source.pretrained else []), *stems]))
    found = {
        kind: path
        for kind in VOCABULARY_FILES
        if (path := _vocabulary(folder, kind, names, search=source.path.is_dir())) is not None
    }
    if not found:
        return None
    published = published_tokenizers()
    shown = [*names, *(_prefix(path, kind) for kind, path in found.items()), folder.resolve().name]
    return TokenizerFiles(
        folder,
        found,
        next((name for name in shown if name in published), None),
        *(_existing(folder / name) for name in (CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS)),
    )


def tokenizer_paths(source: Source) -> list[Path]:
    """All tokenizer files of a PaddleNLP source. Raises UnreadableFileError as `find_tokenizer_files` does."""
    files = find_tokenizer_files(source)
    if files is None:
        return []
    settings = (files.config, files.special_tokens_map, files.added_tokens)
    return [*files.vocabularies.values(), *(path for path in settings if path is not None)]


def plain_tokenizer_paths(folder: Path) -> list[Path]:
    """The tokenizer files of a folder under the names that both libraries write."""
    names = (*VOCABULARY_FILES.values(), TOKENIZER, CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS)
    return [folder / name for name in names if (folder / name).is_file()]


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


def _vocabulary(folder: Path, kind: str, names: list[str], search: bool) -> Path | None:
    plain = VOCABULARY_FILES[kind]
    candidates = [plain, *(f"{name}{mark}{plain}" for name in names for mark in ".-_")]
    for candidate in candidates:
        if (folder / candidate).is_file():
            return folder / candidate
    if not search:
        return None
    found = sorted(path for path in folder.glob(f"*{plain}") if path.name[: -len(plain)][-1:] in tuple(".-_"))
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise UnreadableFileError(
            f"{folder}: holds several vocabularies ({listed}); call the one that is meant {plain}"
        )
    return found[0] if found else None


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _prefix(path: Path, kind: str) -> str:
    return path.name.removesuffix(VOCABULARY_FILES[kind]).rstrip(".-_")
