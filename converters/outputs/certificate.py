"""The parity certificate as a file: reading it, and comparing the files of a folder with the hashes it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import UnreadableFileError
from .folder import is_name_of_conversion

CERTIFICATE = "parity.json"
"""Its name, beside the converted weights."""

FORMAT = 1

NOT_CERTIFIED = frozenset({CERTIFICATE, "README.md"})
"""Files of a converted folder that no certificate covers: itself and the model card, which is written from it."""

_BLOCK = 1 << 20


def hash_files(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """sha256 and size of each file, by file name. Raises UnreadableFileError."""
    hashes: dict[str, dict[str, Any]] = {}
    for path in paths:
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                hashes[path.name] = {"sha256": digest.hexdigest(), "bytes": file.tell()}
        except OSError as error:
            raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return hashes


def read_certificate(converted: Path) -> dict[str, Any]:
    """The certificate of a converted folder. Raises UnreadableFileError when it is absent or malformed."""
    path = converted / CERTIFICATE
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UnreadableFileError(f"{path}: no such file; `paddle2torch verify` writes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path}: cannot be read as JSON: {error}") from error
    sides = (document.get("source"), document.get("output")) if isinstance(document, dict) else ()
    well_formed = (
        isinstance(document, dict)
        and document.get("format") == FORMAT
        and isinstance(document.get("passed"), bool)
        and all(
            isinstance(side, dict) and isinstance(side.get("files"), dict) and isinstance(side.get("tensors"), dict)
            for side in sides
        )
    )
    if not well_formed:
        raise UnreadableFileError(f"{path}: is not a certificate of format {FORMAT}")
    certificate: dict[str, Any] = document
    return certificate


def is_certified(name: str) -> bool:
    """Whether a certificate covers a file of this name where a converted folder holds one: weights and their index,
    configuration, tokenizer."""
    return is_name_of_conversion(name) and name not in NOT_CERTIFIED


def visible_files(converted: Path) -> list[Path]:
    """What lies in a converted folder by name, folders and links included, without hidden entries. Raises
    UnreadableFileError."""
    try:
        return sorted(path for path in converted.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UnreadableFileError(f"{converted}: cannot be read: {error.strerror or error}") from error


def differences(recorded: Mapping[str, Any], found: Mapping[str, Any], what: str) -> list[str]:
    """One line per name whose record is not what was found, such as "converted file config.json is missing"."""
    problems = []
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            problems.append(f"{what} {name} is missing")
        elif name not in recorded:
            problems.append(f"{what} {name} is not in the certificate")
        elif recorded[name] != found[name]:
            problems.append(f"{what} {name} is not what was verified")
    return problems


def match_output_files(certificate: Mapping[str, Any], hashes: Mapping[str, Any]) -> list[str]:
    """How the files of a converted folder (`hashes` as `hash_files` gives them for all that are visible) differ from
    those the certificate was made for, one line each; empty when each byte is one that was verified."""
    found = {name: entry for name, entry in hashes.items() if name not in NOT_CERTIFIED}
    return differences(certificate["output"]["files"], found, "converted file")
