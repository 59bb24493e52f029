"""The caches of published weights: this package's own, whose files are checked against their recorded hashes, and
PaddleNLP's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import ChangedFileError, UnreadableFileError
from ...mappings.registry import Published, get_published

RECORD = "fetched.json"
"""Beside the fetched files of a name: for each of them address, sha256, size, date and entity tag."""

FORMAT = 1


def own_cache() -> Path:
    """The folder of fetched models: `$PADDLE2TORCH_CACHE/models`, else `models` in the platform's cache folder."""
    chosen = os.environ.get("PADDLE2TORCH_CACHE")
    if chosen:
        return Path(chosen) / "models"
    from platformdirs import user_cache_path

    return user_cache_path("paddle2torch", appauthor=False) / "models"


def paddlenlp_cache() -> Path:
    """PaddleNLP's cache of models: `$PPNLP_HOME/models`, else `~/.paddlenlp/models`."""
    home = os.environ.get("PPNLP_HOME")
    return (Path(home) if home else Path.home() / ".paddlenlp") / "models"


def fetched_place(entry: Published) -> Path:
    """Where the folder of published weights is in this package's cache, or would be."""
    return own_cache() / entry.stem


def fetched_folder(name: str) -> Path | None:
    """The folder of a published name in this package's cache when it holds weights and their record, else None."""
    entry = get_published(name)
    folder = fetched_place(entry)
    complete = (folder / entry.weights_file).is_file() and (folder / RECORD).is_file()
    return folder if complete else None


def read_record(folder: Path) -> dict[str, dict[str, Any]]:
    """What is recorded of the files of a fetched name, by file name; empty when nothing is.

    Raises UnreadableFileError for a record that is damaged or cannot be read.
    """
    path = folder / RECORD
    try:
        document = json.loads(path.read_text("utf-8"))
        files: dict[str, dict[str, Any]] = document["files"]
        sound = document["format"] == FORMAT and all(
            isinstance(entry["sha256"], str) and isinstance(entry["size"], int) for entry in files.values()
        )
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise UnreadableFileError(f"{path}: is damaged; delete the folder {folder} and fetch the name again")
    return files


def write_record(folder: Path, name: str, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the record of the files of a fetched name; it is replaced at once or not at all."""
    document = {"format": FORMAT, "name": name, "files": files}
    temporary = folder / f"{RECORD}.partial"
    temporary.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    os.replace(temporary, folder / RECORD)


def record_entry(path: Path, url: str, etag: str | None) -> dict[str, Any]:
    """What is recorded of a file: where it is from, its sha256 and size in bytes, and the date in UTC."""
    status = path.stat()
    return {
        "url": url,
        "sha256": sha256_of(path),
        "size": status.st_size,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "etag": etag,
    }


def check_fetched(folder: Path) -> None:
    """Check the files of a fetched name that are there against what was recorded at their first download.

    Raises ChangedFileError naming both hashes, and UnreadableFileError for a damaged record.
    """
    for file, entry in read_record(folder).items():
        path = folder / file
        if path.is_file():
            check_entry(path, entry)


def check_entry(path: Path, entry: Mapping[str, Any]) -> None:
    """Raise ChangedFileError unless the file has the recorded sha256."""
    found = sha256_of(path)
    if found != entry["sha256"]:
        raise ChangedFileError(
            f"{path}: has changed since it was recorded on {entry.get('date')}: sha256 {entry['sha256']} with "
            f"{entry['size']:,} bytes then, {found} with {path.stat().st_size:,} bytes now; delete the file and run "
            "`paddle2torch fetch` for its name again"
        )


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hexadecimal, computed once per process as long as the file's status stays."""
    try:
        status = path.stat()
        return _sha256(str(path), status.st_ino, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=64)
def _sha256(path: str, inode: int, size: int, changed: int) -> str:
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
