"""Files of Paddle put together from their parts, sound or not."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.errors import Paddle2TorchError

HEAD = b"\x80\x04"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def symbol(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def dtype(code: str = "f4", order: str = "<", flags: bytes = b"K\x00") -> bytes:
    new = symbol("numpy", "dtype") + text(code) + b"\x89\x88\x87R"
    return new + b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + flags + b"tb"


NEW_ARRAY = symbol("numpy.core.multiarray", "_reconstruct") + symbol("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"


def array(shape: bytes = b"K\x02\x85", element: bytes = dtype(), payload: bytes = b"C\x08abcdefgh") -> bytes:
    return NEW_ARRAY + b"(K\x01" + shape + element + b"\x89" + payload + b"tb"


def state(*entries: bytes) -> bytes:
    return HEAD + b"}(" + b"".join(entries) + b"u."


def entry(value: bytes, name: str = "w") -> bytes:
    return text(name) + value


def failure(folder: Path, data: bytes) -> Paddle2TorchError:
    path = folder / "file.pdparams"
    path.write_bytes(data)
    with pytest.raises(Paddle2TorchError) as caught:
        open_pdparams(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return caught.value
