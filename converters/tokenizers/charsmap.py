"""Looks a text up in SentencePiece's `precompiled_charsmap`: a double-array trie (darts-clone) and its values."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_FIRST, _VOWEL = "\u1100", "\u1161"
"""Jamo that every normalization form with composition joins."""


def composes(charsmap: bytes) -> bool:
    """Whether a charsmap joins decomposed characters, as those made from NFKC and NFC do."""
    return lookup(charsmap, _FIRST + _VOWEL) is not None


def replaced(charsmap: bytes, text: str) -> str:
    """The text with the longest entry at each place replaced, from left to right, as SentencePiece does."""
    parts, start = [], 0
    while start < len(text):
        length, to = max(_entries(charsmap, text[start:]), default=(1, text[start]))
        parts.append(to)
        start += length
    return "".join(parts)


def lookup(charsmap: bytes, text: str) -> str | None:
    """What a charsmap replaces exactly this text by, or None. A charsmap cut short holds nothing beyond its end."""
    return next((to for length, to in _entries(charsmap, text) if length == len(text)), None)


def _entries(charsmap: bytes, text: str) -> Iterator[tuple[int, str]]:
    """The beginnings of a text that are entries: their lengths, and what they are replaced by."""
    if len(charsmap) < 4:
        return
    (size,) = struct.unpack_from("<I", charsmap)
    end = min(4 + size, len(charsmap))

    def unit(index: int) -> int:
        place = 4 + 4 * index
        return int.from_bytes(charsmap[place : place + 4], "little") if place + 4 <= end else 0

    node = _offset(unit(0))
    for length, character in enumerate(text, start=1):
        for byte in character.encode("utf-8"):
            node ^= byte
            found = unit(node)
            if found & 0x800000FF != byte:
                return
            node ^= _offset(found)
        if found >> 8 & 1:
            start = 4 + size + (unit(node) & 0x7FFFFFFF)
            yield length, charsmap[start : charsmap.find(b"\0", start)].decode("utf-8", "replace")


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)
