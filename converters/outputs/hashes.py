"""Hashes of files, as certificates and reports hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import UnreadableFileError

_BLOCK = 1 << 20


def hash_files(paths: Iterable[Path], root: Path | None = None) -> dict[str, dict[str, Any]]:
    """sha256 and size of each file, by file name, or by its path in `root`. Raises UnreadableFileError."""
    hashes: dict[str, dict[str, Any]] = {}
    for path in paths:
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                name = path.name if root is None else path.relative_to(root).as_posix()
                hashes[name] = {"sha256": digest.hexdigest(), "bytes": file.tell()}
        except OSError as error:
            raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return hashes
