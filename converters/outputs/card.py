"""The mark under a model card of this program: it tells a card that is to be written anew from a user's own text."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

MODEL_CARD = "README.md"

_MARK = "<!-- written by paddle2torch; sha256 of the text above: {} -->\n"
_MARKED = re.compile(re.escape(_MARK).replace(re.escape("{}"), "([0-9a-f]{64})"))


def marked(text: str) -> str:
    """The text of a card with the mark under it."""
    return text + _MARK.format(_digest(text))


def is_own_card(path: Path) -> bool:
    """Whether the card `path` is as this program wrote it, to the last byte. Raises OSError."""
    try:
        text = path.read_bytes().decode()
    except ValueError:
        return False
    mark = _MARKED.search(text)
    return mark is not None and mark.end() == len(text) and mark[1] == _digest(text[: mark.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
