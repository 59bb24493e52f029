"""The wire format of protocol buffers, and nothing of the library for it: numbered fields that are numbers or bytes.

Every function raises ValueError for a message that is cut off or of another form.
"""

from __future__ import annotations

from collections.abc import Iterator

Fields = dict[int, list[int | bytes]]
"""The values of each numbered field of a message, in their order."""


def submessage(message: Fields, number: int) -> Fields:
    """The message that a field of `message` holds."""
    # Repeated occurrences of one message are merged, which is the same as reading them in a row.
    return fields_of(b"".join(as_bytes(part) for part in message.get(number, [])))


def as_bytes(value: int | bytes) -> bytes:
    """A value that must be bytes."""
    if not isinstance(value, bytes):
        raise ValueError("a field has the wrong wire type")
    return value


def as_number(fields: Fields, number: int, default: int) -> int:
    """The last value of a field that must be a number, `default` without any."""
    value = fields.get(number, [default])[-1]
    if not isinstance(value, int):
        raise ValueError(f"field {number} has the wrong wire type")
    return value


def as_numbers(fields: Fields, number: int) -> list[int]:
    """The values of a field that holds several numbers, each on its own or all of them packed."""
    found: list[int] = []
    for value in fields.get(number, []):
        if isinstance(value, int):
            found.append(value)
            continue
        position = 0
        while position < len(value):
            one, position = _varint(value, position)
            found.append(one)
    return found


def fields_of(data: bytes) -> Fields:
    """The fields of a message."""
    fields: Fields = {}
    for number, value in _walk(data):
        fields.setdefault(number, []).append(value)
    return fields


def _walk(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if not number:
            raise ValueError("a field has the number 0")
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} is not used in such files")
        if position + length > len(data):
            raise ValueError(f"a field of {length} bytes goes beyond the end")
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("a number is cut off or too long")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
