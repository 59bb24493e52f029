"""An output folder that appears complete or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import OutputError
from ...mappings.language.beside import HEAD_FILE
from .card import MODEL_CARD, is_own_card
from .record import SEED_FILE, carries_record, holds_seeded_weights, weight_files
from .sentences import FILES_BELOW, entries_below
from .unfinished import OLD, PARTIAL, remove_abandoned, unfinished

_CONVERTED = re.compile(
    r"(config|generation_config|preprocessor_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|parity)\.json"
    r"|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|model_state\.pdparams"
    rf"|{re.escape(HEAD_FILE)}|spiece\.model|vocab\.txt|vocab\.json|merges\.txt|encoder\.json|vocab\.bpe"
    r"|modules\.json|(sentence_bert_config|config_sentence_transformers)\.json|"
    + "|".join(map(re.escape, sorted(FILES_BELOW)))
)
"""Names of the files that conversions and verifications write; --overwrite replaces no others."""

_SEEDED = re.compile(
    r"(config|model_config|generation_config|seeded_weights)\.json|model_state(-.*)?\.pdparams(\.index\.json)?"
    r"|best_accuracy\.pdparams|config\.yml|dict\.txt"
)
"""Names of the files of a folder with seeded weights, which SEED_FILE tells from someone's own weights."""

GIT_ATTRIBUTES = ".gitattributes"

LICENSES = frozenset({"LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", "NOTICE.md", "NOTICE.txt"})
"""Texts that a publisher may lay beside a conversion; no loader reads files of these names."""

SURVIVING = frozenset({MODEL_CARD, GIT_ATTRIBUTES}) | LICENSES
"""Files of a user's, or the hub's, that may lie in a converted folder and survive its replacement."""

TIDIED: set[Path] = set()
"""Folders in which whoever converts many has looked for abandoned work already: listing them again for every single
output would take time that grows with the square of their number."""


def is_name_of_conversion(name: str) -> bool:
    """Whether a conversion or a verification may have written a file of this name."""
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
        way_out = "" if _is_current(output) else " or pass --overwrite"
        raise OutputError(f"{output}: exists already; choose another folder{way_out}")
    if output.is_symlink() or not output.is_dir():
        raise OutputError(f"{output}: is not a folder, so --overwrite does not replace it")
    if _is_current(output):
        # Whoever works in it, a shell at least, would be left in the removed one.
        raise OutputError(f"{output}: is the current folder, which is not replaced; run the command from another one")
    if (foreign := _foreign(output)) is not None:
        raise OutputError(f"{output}: holds {foreign}; --overwrite does not replace it, remove it yourself if you can")


def _is_current(output: Path) -> bool:
    return os.path.realpath(output) == os.path.realpath(os.curdir)


def _foreign(output: Path) -> str | None:
    """What a folder holds that this package did not write, in words. Its files have names that others use too, so the
    weights must carry its record, and without weights nothing is known to be its own."""
    found = entries_below(output)
    entries = {name: entry for name, entry in found.items() if name not in SURVIVING or not entry.is_file()}
    seeded = SEED_FILE in entries
    own = _SEEDED if seeded else _CONVERTED
    for name, entry in entries.items():
        if entry.is_symlink() or not entry.is_file() or not own.fullmatch(name):
            return f"{name}, which no conversion wrote"
    if seeded:
        return None if holds_seeded_weights(output) else f"weights other than those that {SEED_FILE} speaks of"
    if not entries:
        return None
    weights = weight_files(output)
    if not weights:
        return f"{next(iter(entries))} and no weights, which no conversion wrote"
    foreign = [path.name for path in weights if not carries_record(path)]
    return f"{foreign[0]}, which no conversion wrote (it lacks this package's record)" if foreign else None


@contextmanager
def new_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder beside `output`; after the block it takes that name, after an exception it is removed.

    What processes that are gone left beside it is removed. Raises OutputError when the folder cannot be
    made or moved, or when what is there may not be replaced.
    """
    if output.name == "..":
        # What lies beside it is not what lies in the parent of that path.
        output = _real(output)
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
    _keep_surviving(output, temporary)
    output.rename(old)
    try:
        temporary.rename(output)
    except BaseException:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _keep_surviving(output: Path, temporary: Path) -> None:
    """Copy what survives into the folder that takes the place of `output`; a model card of this program's own, which
    speaks of what is replaced, does not."""
    for name in sorted(SURVIVING):
        path = output / name
        if os.path.lexists(path) and not (name == MODEL_CARD and is_own_card(path)):
            shutil.copy2(path, temporary / name, follow_symlinks=False)
