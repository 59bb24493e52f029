"""An output folder that appears complete or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..mappings.errors import OutputError

WRITTEN_SUFFIXES = (".json", ".safetensors", ".pdparams", ".model", ".txt", ".md")
"""What a folder of this package may hold; --overwrite refuses to replace anything else."""


def check_output(output: Path, source: Path, overwrite: bool) -> None:
    """Raise OutputError when `output` may not be (re)placed: it exists, holds foreign files, or touches the source."""
    resolved, origin = output.resolve(), source.resolve()
    if resolved == origin or resolved in origin.parents:
        raise OutputError(f"{output}: is or contains the source {source}; choose another output folder")
    if not os.path.lexists(output):
        return
    if not overwrite:
        raise OutputError(f"{output}: exists already; choose another folder or pass --overwrite")
    if output.is_symlink() or not output.is_dir():
        raise OutputError(f"{output}: is not a folder, so --overwrite does not replace it")
    foreign = [entry.name for entry in output.iterdir() if entry.is_dir() or entry.suffix not in WRITTEN_SUFFIXES]
    if foreign:
        raise OutputError(f"{output}: holds {foreign[0]}, which no conversion wrote; --overwrite does not replace it")


@contextmanager
def new_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder beside `output`; after the block it takes that name, after an exception it is removed.

    Raises OutputError when the folder cannot be made or moved.
    """
    temporary = output.parent / f".{output.name}.{secrets.token_hex(6)}.partial"
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
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise


def _move(temporary: Path, output: Path, overwrite: bool) -> None:
    if not os.path.lexists(output):
        temporary.rename(output)
        return
    if not overwrite:
        raise OutputError(f"{output}: appeared while the conversion ran; nothing was replaced")
    old = output.parent / f".{output.name}.{secrets.token_hex(6)}.old"
    output.rename(old)
    temporary.rename(output)
    shutil.rmtree(old, ignore_errors=True)
