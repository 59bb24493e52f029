"""Reads vocab.txt: one token per line, the number of the line is its id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ...errors import UnreadableFileError

LARGEST = 64 << 20
"""Bytes; the published files have about 110 thousand."""


SHOWN = 3
"""Tokens in a note."""


def read_vocabulary(path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """The ids by token, by rising id, and notes of what is odd about the file. Line ends are those of Python's text
    files, as in both libraries; of a token on several lines, the last one counts, as in both.

    Raises UnreadableFileError for a file that is empty or not UTF-8.
    """
    tokens = read_text(path).removesuffix("\n").split("\n")
    if not any(tokens):
        raise UnreadableFileError(f"{path}: is empty; a token per line is expected")
    last = {token: index for index, token in enumerate(tokens)}
    ids = dict(sorted(last.items(), key=lambda item: item[1]))
    return ids, tuple(_oddities(path, tokens, ids))


def read_text(path: Path) -> str:
    """The text of a file of lines, with the line ends of Python's text files. Raises UnreadableFileError."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise UnreadableFileError(f"{path}: has {size:,} bytes; a vocabulary has at most {LARGEST:,}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path}: is not UTF-8 text: {error}") from error
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _oddities(path: Path, tokens: list[str], ids: dict[str, int]) -> Iterator[str]:
    """Notes of what PaddleNLP and transformers both read, and perhaps nobody meant."""
    repeated = [token for token, count in Counter(tokens).items() if count > 1 and token]
    if repeated:
        where = (f"{token!r} has the id {ids[token]}, not {tokens.index(token)}" for token in repeated[:SHOWN])
        more = f", and so on for {len(repeated)} tokens" if len(repeated) > SHOWN else ""
        yield f"{path}: a token on several lines has the id of the last one: {', '.join(where)}{more}"
    if "" in ids:
        yield f"{path}: empty lines ({tokens.count('')}) count as ids that no text leads to"
    soiled = [token for token in ids if token and token != token.strip().removeprefix("\ufeff")]
    if soiled:
        shown = ", ".join(map(ascii, soiled[:SHOWN]))
        yield (
            f"{path}: tokens with white space or a byte order mark at an end ({len(soiled)}) are those that no text "
            f"leads to: {shown}"
        )
