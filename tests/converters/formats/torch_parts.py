"""Files of PyTorch put together from their parts, sound or not."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

NUMBERS = struct.pack("<24f", *range(24))
"""What storage 0 holds in every assembled file."""

SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(
    key: str = "0", count: int = 24, kind: str = "FloatStorage", word: str = "storage", more: bytes = b""
) -> bytes:
    return b"(" + text(word) + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + integer(count) + more + b"tQ"


def tensor(
    held: bytes | None = None,
    first: int = 0,
    shape: tuple[int, ...] = (6, 4),
    strides: tuple[int, ...] = (4, 1),
    hooks: bytes = b"ccollections\nOrderedDict\n)R",
    more: bytes = b"",
) -> bytes:
    arguments = (held or storage()) + integer(first) + numbers(shape) + numbers(strides) + b"\x89" + hooks + more
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def pickled(value: bytes) -> bytes:
    """A dict with one entry: PROTO 2, EMPTY_DICT, a key, the value, SETITEM, STOP."""
    return b"\x80\x02}" + text("x") + value + b"s."


def archive_of(
    data: bytes,
    members: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    byte_order: bytes = b"little",
    held: bytes = NUMBERS,
) -> bytes:
    """An archive like those of torch.save with this pickle and, besides `held` as storage 0, these members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as written:
        written.writestr("a/data.pkl", data)
        written.writestr("a/byteorder", byte_order)
        written.writestr("a/data/0", held)
        for name, more in (members or {}).items():
            written.writestr(name, more)
    return content.getvalue()


def legacy_of(
    data: bytes,
    keys: object = ("0",),
    system: object = SYSTEM,
    version: int = 1001,
    counts: tuple[int, ...] = (24,),
    after: bytes = b"",
) -> bytes:
    """A file like those of PyTorch before 1.6 with this pickle, and NUMBERS as each storage."""
    listed = list(keys) if isinstance(keys, tuple) else keys
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, version, system)]
    held = b"".join(struct.pack("<q", count) + NUMBERS for count in counts)
    return b"".join(head) + data + pickle.dumps(listed, 2) + held + after
