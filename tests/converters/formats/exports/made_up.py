"""Exports of Paddle 2 put together from their parts, sound or not."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from paddle2torch.converters.formats.exports.file import open_export
from paddle2torch.errors import Paddle2TorchError

FLOAT32 = 5

DENSE_TENSOR = 7

HEAD = struct.pack("<IQI", 0, 0, 0)
"""What stands before the description of a plain tensor."""


def varint(value: int) -> bytes:
    """A number, or the two's complement of one below zero."""
    value &= (1 << 64) - 1
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def number(field_number: int, value: int) -> bytes:
    return varint(field_number << 3) + varint(value)


def message(field_number: int, content: bytes) -> bytes:
    return varint(field_number << 3 | 2) + varint(len(content)) + content


def description(kind: int, shape: tuple[int, ...]) -> bytes:
    return number(1, kind) + b"".join(number(2, size) for size in shape)


def variable(name: str, kind: int, shape: tuple[int, ...], persistent: bool = True, of: int = DENSE_TENSOR) -> bytes:
    """A variable of a program, as one of its block's fields."""
    dense = message(3, message(1, description(kind, shape)) + number(2, 0))
    return message(3, message(1, name.encode()) + message(2, number(1, of) + dense) + number(3, persistent))


@dataclass(frozen=True)
class Held:
    """A tensor of an export: its element type as Paddle numbers them, its shape, its bytes, and its name in training,
    None for one that has none."""

    kind: int
    shape: tuple[int, ...]
    data: bytes
    name: str | None

    @property
    def record(self) -> bytes:
        """The tensor as the file of weights holds it."""
        text = description(self.kind, self.shape)
        return HEAD + struct.pack("<i", len(text)) + text + self.data


TENSORS: Mapping[str, Held] = {
    # In the program in this order; Paddle saves them in that of their names.
    "linear_0.w_0": Held(FLOAT32, (2, 3), struct.pack("<6f", *range(6)), "head.fc.weight"),
    "conv2d_0.w_0": Held(FLOAT32, (1, 2, 1, 1), struct.pack("<2f", 7, 8), "backbone.conv1.conv.weight"),
    "linear_0.b_0": Held(FLOAT32, (3,), struct.pack("<3f", 9, 10, 11), "head.fc.bias"),
}


def program(tensors: Mapping[str, Held], more: bytes = b"") -> bytes:
    """A program with these variables, and with what every program has besides."""
    others = variable("feed", FLOAT32, (), of=9) + variable("fetch", FLOAT32, (), of=10)
    others += variable("relu_0.tmp_0", FLOAT32, (-1, 3), persistent=False)
    own = b"".join(variable(name, held.kind, held.shape) for name, held in tensors.items())
    return message(1, number(1, 0) + number(2, 1) + others + own + more) + message(4, number(1, 0))


def names(tensors: Mapping[str, Held]) -> bytes:
    """The table of names, as Paddle pickles it."""
    table = {
        name: {} if held.name is None else {"structured_name": held.name, "stop_gradient": False}
        for name, held in tensors.items()
    }
    return pickle.dumps(table, protocol=2)


@dataclass
class Export:
    """The three files of an export; each can be replaced before they are written."""

    tensors: Mapping[str, Held] = field(default_factory=lambda: dict(TENSORS))
    weights: bytes | None = None
    model: bytes | None = None
    info: bytes | None = None

    def write(self, folder: Path, stem: str = "inference") -> Path:
        """Write the files; the path of the weights."""
        path = folder / f"{stem}.pdiparams"
        saved = b"".join(self.tensors[name].record for name in sorted(self.tensors))
        path.write_bytes(saved if self.weights is None else self.weights)
        path.with_suffix(".pdmodel").write_bytes(program(self.tensors) if self.model is None else self.model)
        table = path.with_name(f"{path.name}.info")
        table.write_bytes(names(self.tensors) if self.info is None else self.info)
        return path


def failure(path: Path, of: Path | None = None) -> Paddle2TorchError:
    """The error that opening an export ends with; its message begins with the path of the file `of`."""
    with pytest.raises(Paddle2TorchError) as caught:
        open_export(path)
    assert str(caught.value).startswith(f"{of or path}: ")
    assert "\n" not in str(caught.value)
    return caught.value
