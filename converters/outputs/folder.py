"""An output folder that appears complete or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import OutputError
from ..formats.pdparams_writer import HEAD
from .unfinished import OLD, PARTIAL, remove_abandoned, unfinished

_CONVERTED = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|parity|report)\.json"
    r"|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|spiece\.model|vocab\.txt|README\.md"
)
"""Names of the files of a converted folder; --overwrite refuses to replace anything else."""

_SEEDED = re.compile(r"(config|model_config|seeded_weights)\.json|model_state(-.*)?\.pdparams(\.index\.json)?")
"""Names of the files of a folder with seeded weights, which `_SEED_MARK` tells from someone's own weights."""

_SEED_MARK = "seeded_weights.json"

TIDIED: set[Path] = set()
"""Folders in which whoever converts many has looked for abandoned work already: listing them again for every single
output would take time that grows with the square of their number."""


def is_name_of_conversion(name: str) -> bool:
    """Whether a conversion, a verification or a model card may have written a file of this name."""
    return _CONVERTED.fullmatch(name) is not None


def check_output(output: Path, source: Path, overwrite: bool, keep: bool = False) -> None:
    """Raise OutputError when `output` may not be (re)placed: it exists, holds foreign files, or touches the source.

    What links in a source folder lead to belongs to the source. An output that may be kept only must not touch it.
    """
    origins = [source, *source.iterdir()] if source.is_dir() else [source]
    resolved = _real(output)
    for origin in map(_real, origins):
        if resolved == origin or resolved in origin.parents:
            raise OutputError(f"{output}: is or contains the source {source}; choose another output folder")
    if not keep:
        _check_replaceable(output, overwrite)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _check_replaceable(output: Path, overwrite: bool) -> None:
    if not os.path.lexists(output):
        return
    if not overwrite:
        raise OutputError(f"{output}: exists already; choose another folder or pass --overwrite")
    if output.is_symlink() or not output.is_dir():
        raise OutputError(f"{output}: is not a folder, so --overwrite does not replace it")
    entries = sorted(output.iterdir())
    own = _SEEDED if any(entry.name == _SEED_MARK for entry in entries) else _CONVERTED
    foreign = [
        entry.name
        for entry in entries
        if entry.is_dir() or not (own.fullmatch(entry.name) or _is_written_pdparams(entry))
    ]
    if foreign:
        raise OutputError(f"{output}: holds {foreign[0]}, which no conversion wrote; --overwrite does not replace it")


def _is_written_pdparams(path: Path) -> bool:
    """Whether a file is PaddleNLP's by its name and a conversion's by how it begins, not someone's own weights."""
    if path.name != "model_state.pdparams":
        return False
    with path.open("rb") as file:
        return file.read(len(HEAD)) == HEAD


@contextmanager
def new_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder beside `output`; after the block it takes that name, after an exception it is removed.

    What processes that are gone left beside it is removed. Raises OutputError when the folder cannot be
    made or moved, or when what is there may not be replaced.
    """
    _check_replaceable(output, overwrite)
    if output.parent not in TIDIED:
        remove_abandoned(output.parent)
    temporary = unfinished(output, PARTIAL)
    made = [parent for parent in output.parents if not parent.exists()]
    try:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
        except OSError as error:
            raise OutputError(f"{output}: cannot be made: {error.strerror or error}") from error
        yield temporary
        try:
            _move(temporary, output, overwrite)
        except OSError as error:
            raise OutputError(f"{output}: cannot be put in place: {error.strerror or error}") from error
        if output.parent not in TIDIED:
            # What a killed process was replacing has its successor now.
            remove_abandoned(output.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            # Not there, or someone else has put something into it meanwhile.
            with suppress(OSError):
                parent.rmdir()
        raise


def _move(temporary: Path, output: Path, overwrite: bool) -> None:
    # A folder is replaced by renaming only when it is empty, so this never takes away what appeared meanwhile.
    _check_replaceable(output, overwrite)
    if not os.path.lexists(output):
        temporary.rename(output)
        return
    old = unfinished(output, OLD)
    output.rename(old)
    try:
        temporary.rename(output)
    except BaseException:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
