"""Reads vocab.txt: one token per line, the number of the line is its id."""

from __future__ import annotations

from pathlib import Path

from ...errors import UnreadableFileError

LARGEST = 64 << 20
"""Bytes; the published files have about 110 thousand."""


def read_vocabulary(path: Path) -> dict[str, int]:
    """The ids by token, in order. Line ends are those of Python's text files, as in both libraries.

    Raises UnreadableFileError for a file that is empty, not UTF-8, or names a token twice.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise UnreadableFileError(f"{path}: has {size:,} bytes; a vocabulary has at most {LARGEST:,}")
        with path.open(encoding="utf-8") as file:
            tokens = [line.rstrip("\n") for line in file]
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path}: is not UTF-8 text: {error}") from error
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not any(tokens):
        raise UnreadableFileError(f"{path}: is empty; a token per line is expected")
    vocabulary: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token in vocabulary:
            raise UnreadableFileError(
                f"{path}: lines {vocabulary[token] + 1} and {index + 1} are both {token!r}; each token has one line"
            )
        vocabulary[token] = index
    return vocabulary
