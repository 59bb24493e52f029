"""Hashes of files, as certificates and reports hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...errors import UnreadableFileError

_BLOCK = 1 << 20

THREADS = 2


def hash_files(paths: Iterable[Path], root: Path | None = None) -> dict[str, dict[str, Any]]:
    """sha256 and size of each file, by file name, or by its path in `root`. Raises UnreadableFileError."""
    (hashes,) = hash_groups((list(paths), root))
    return hashes


def hash_groups(*groups: tuple[Sequence[Path], Path | None]) -> list[dict[str, dict[str, Any]]]:
    """As `hash_files` for the paths and root of each of `groups`, two files at a time. Raises UnreadableFileError."""
    files = [path for group, _ in groups for path in group]
    if len(files) < THREADS or sum(_size(path) for path in files) <= _BLOCK:
        done = iter([_hash(path) for path in files])
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            done = iter(list(pool.map(_hash, files)))
    return [{_name(path, root): next(done) for path in group} for group, root in groups]


def _name(path: Path, root: Path | None) -> str:
    return path.name if root is None else path.relative_to(root).as_posix()


def _size(path: Path) -> int:
    """0 where it is not known: reading says why."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _hash(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
            return {"sha256": digest.hexdigest(), "bytes": file.tell()}
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
