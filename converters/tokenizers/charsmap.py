"""Looks a text up in SentencePiece's `precompiled_charsmap`: a double-array trie (darts-clone) and its values."""

from __future__ import annotations

import struct

_FIRST, _VOWEL = "\u1100", "\u1161"
"""Jamo that every normalization form with composition joins."""


def composes(charsmap: bytes) -> bool:
    """Whether a charsmap joins decomposed characters, as those made from NFKC and NFC do."""
    return lookup(charsmap, _FIRST + _VOWEL) is not None


def lookup(charsmap: bytes, text: str) -> str | None:
    """What a charsmap replaces exactly this text by, or None. A charsmap cut short holds nothing beyond its end."""
    if len(charsmap) < 4:
        return None
    (size,) = struct.unpack_from("<I", charsmap)
    units = charsmap[4 : 4 + size]
    values = charsmap[4 + size :]
    count = len(units) // 4

    def unit(index: int) -> int:
        return int.from_bytes(units[4 * index : 4 * index + 4], "little") if index < count else 0

    node = _offset(unit(0))
    for byte in text.encode("utf-8"):
        node ^= byte
        found = unit(node)
        if found & 0x800000FF != byte:
            return None
        node ^= _offset(found)
    if not found >> 8 & 1:
        return None
    start = unit(node) & 0x7FFFFFFF
    return values[start : values.find(b"\0", start)].decode("utf-8", "replace")


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)
