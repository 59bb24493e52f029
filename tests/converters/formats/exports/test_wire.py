"""The wire format of protocol buffers: every kind of field, and messages that are cut off or of another form."""

from __future__ import annotations

import pytest

from paddle2torch.converters.formats.exports.wire import as_bytes, as_number, as_numbers, fields_of, submessage

from .made_up import message, number, varint


def test_every_kind_of_field() -> None:
    data = number(1, 300) + message(2, b"abc") + b"\x19" + b"8 bytes." + b"\x25" + b"four" + number(1, 2)
    assert fields_of(data) == {1: [300, 2], 2: [b"abc"], 3: [b"8 bytes."], 4: [b"four"]}
    assert fields_of(b"") == {}
    assert fields_of(number(1 << 20, 1)) == {1 << 20: [1]}


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, (1 << 31) - 1, 1 << 63, (1 << 64) - 1])
def test_numbers_of_every_length(value: int) -> None:
    assert fields_of(number(1, value)) == {1: [value]}
    assert as_numbers(fields_of(message(1, varint(value) * 3)), 1) == [value] * 3


def test_messages_within_messages() -> None:
    """One that is there in parts is that of all parts together."""
    fields = fields_of(message(3, number(1, 5)) + message(3, number(1, 6) + number(2, 7)))
    assert submessage(fields, 3) == {1: [5, 6], 2: [7]}
    assert submessage(fields, 4) == {}


def test_several_numbers() -> None:
    fields = fields_of(number(2, 1) + message(2, b"\x02\x03") + number(2, 4))
    assert as_numbers(fields, 2) == [1, 2, 3, 4]
    assert as_numbers(fields, 3) == []


def test_one_number() -> None:
    """The last one counts."""
    fields = fields_of(number(1, 5) + number(1, 6))
    assert as_number(fields, 1, 0) == 6
    assert as_number(fields, 2, -1) == -1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00\x01", "has the number 0"),
        (b"\x08", "cut off or too long"),
        (b"\x08\x80", "cut off or too long"),
        (b"\x80", "cut off or too long"),
        (b"\x08" + b"\x80" * 20 + b"\x01", "cut off or too long"),
        (b"\x12\x05abcd", "5 bytes goes beyond the end"),
        (b"\x12", "cut off or too long"),
        (b"\x19seven..", "8 bytes goes beyond the end"),
        (b"\x25abc", "4 bytes goes beyond the end"),
        (b"\x0b", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x0f", "wire type 7"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7fab", "goes beyond the end"),
    ],
)
def test_other_messages(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fields_of(data)


def test_values_of_the_wrong_kind() -> None:
    with pytest.raises(ValueError, match="wrong wire type"):
        as_bytes(3)
    with pytest.raises(ValueError, match="wrong wire type"):
        as_number(fields_of(message(1, b"a")), 1, 0)
    with pytest.raises(ValueError, match="wrong wire type"):
        submessage(fields_of(number(1, 3)), 1)
    with pytest.raises(ValueError, match="cut off"):
        as_numbers(fields_of(message(1, b"\x01\x80")), 1)
