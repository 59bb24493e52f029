"""Files that cannot be read, or would cost too much: each gets an error that says what is wrong, and costs little.

None would cost another reader much either. The limits that keep the cost down are lowered where they are tested, so
that small files reach them, and what no file should hold at all is made in memory.
"""

from __future__ import annotations

import gzip
import json
import pickle
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from paddle2torch.converters.formats import pdparams, pickle_index, pickle_objects
from paddle2torch.converters.formats.byte_source import MemorySource
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.converters.formats.pdparams import TensorCollector, open_pdparams
from paddle2torch.converters.formats.pickle_index import PickleIndex
from paddle2torch.converters.formats.pickle_objects import Calls, DTypeRef, Span
from paddle2torch.errors import Paddle2TorchError, UnreadableFileError

from .pickles import HEAD, NEW_ARRAY, array, dtype, entry, failure, state, symbol, text
from .test_pdparams_hostile import REFUSED


def long1(value: int) -> bytes:
    raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def doubling(levels: int, last: bytes = b"K\x01") -> bytes:
    """Lists that each hold the one before twice, a few levels of them."""
    data = HEAD + b"](]\x94" + last + b"a"
    for level in range(levels):
        data += b"]\x94(h" + bytes([level]) + b"h" + bytes([level]) + b"e"
    return data + b"e."


def eight(length: int) -> bytes:
    return struct.pack("<Q", length)


UNREADABLE = {
    "protocol 1": (b"\x80\x01}.", "protocol 1"),
    "protocol 6": (b"\x80\x06}.", "protocol 6"),
    "only the first byte": (b"\x80", "truncated"),
    "no end": (HEAD + b"}", "truncated"),
    "no object": (HEAD + b".", "0 objects"),
    "two objects": (HEAD + b"}}.", "2 objects"),
    "open mark": (HEAD + b"(}.", "ends at byte"),
    "trailing bytes": (HEAD + b"}.abc", "3 bytes follow the end"),
    "two pickles": (HEAD + b"}." + HEAD + b"}.", "4 bytes follow"),
    "no opcode": (HEAD + b"\xf3.", "0xf3 at 2 is no pickle opcode"),
    "a number": (HEAD + b"K\x01.", "no dict, list or tensor"),
    "a string": (HEAD + text("abc") + b".", "no dict, list or tensor"),
    "frame too long": (HEAD + b"\x95" + eight(100) + b"}.", "frame of 100 bytes"),
    "string too long": (HEAD + b"X" + struct.pack("<I", 100) + b"abc.", "100 bytes at byte 2 but only 4"),
    "long string too long": (HEAD + b"\x8d" + eight(100) + b"abc.", "100 bytes at byte 2 but only 4 are left"),
    "bytes too long": (HEAD + b"\x8e" + eight(100) + b"abc.", "100 bytes at byte 2 but only 4 are left"),
    "bytearray too long": (HEAD + b"\x96" + eight(100) + b"abc.", "100 bytes at byte 2 but only 4 are left"),
    "negative string": (HEAD + b"T\xff\xff\xff\xffabc.", "announces -1 bytes"),
    "empty stack": (HEAD + b"\x85.", "object is missing"),
    "under a mark": (HEAD + b"}(\x85.", "object is missing"),
    "no mark": (HEAD + b"}u.", "mark is missing"),
    "unknown memo entry": (HEAD + b"h\x07.", "never stored"),
    "odd items": (HEAD + b"}(" + text("a") + b"u.", "key without a value"),
    "item of a list": (HEAD + b"]" + entry(b"N") + b"s.", "not a dict"),
    "append to a dict": (HEAD + b"}Na.", "not a list"),
    "duplicate key": (state(entry(array()), entry(array())), "key 'w' twice"),
    "number as key": (state(b"K\x01" + array()), "not a string"),
    "bytes as key": (state(b"C\x01w" + array()), "not a string"),
    "tuple as key": (state(b")" + array()), "not a string"),
    "key that is not UTF-8": (state(b"X\x01\x00\x00\x00\xff" + array()), "not UTF-8"),
    "function name too long": (HEAD + b"c" + b"a" * 300 + b"\n\n.", "too long"),
    "function name of a number": (HEAD + b"K\x01K\x02\x93.", "not a name"),
    "joined duplicate": (state(entry(array(), "a.b"), entry(b"}" + entry(array(), "b") + b"s", "a")), "'a.b' once"),
    "negative size": (state(entry(array(b"J\xff\xff\xff\xff\x85"))), "none that an array can have"),
    "size of 65 bits": (state(entry(array(long1(1 << 64) + b"\x85"))), "none that an array can have"),
    "truth as size": (state(entry(array(b"\x88\x85"))), "none that an array can have"),
    "float as size": (state(entry(array(b"G" + bytes(8) + b"\x85"))), "none that an array can have"),
    "list as shape": (state(entry(array(b"]"))), "none that an array can have"),
    "too many dimensions": (state(entry(array(b"(" + b"K\x01" * 33 + b"t"))), "none that an array can have"),
    "payload too short": (state(entry(array(b"K\x03\x85"))), "needs 12 bytes by its shape but 8 are stored"),
    "payload too long": (state(entry(array(b"K\x01\x85"))), "needs 4 bytes by its shape but 8 are stored"),
    "text as payload": (state(entry(array(payload=text("abcdefgh")))), "text instead of bytes"),
    "number as payload": (state(entry(array(payload=b"K\x01"))), "not one that numpy writes"),
    "array without contents": (state(entry(NEW_ARRAY)), "without contents"),
    "array filled twice": (
        state(entry(array() + b"(K\x01K\x02\x85" + dtype() + b"\x89C\x08abcdefghtb")),
        "not one that numpy writes",
    ),
    "array of another version": (
        state(entry(NEW_ARRAY + b"(K\x02K\x02\x85" + dtype() + b"\x89C\x08abcdefghtb")),
        "not one that numpy writes",
    ),
    "big-endian": (state(entry(array(element=dtype("f4", ">")))), "big-endian"),
    "unfinished dtype": (
        state(entry(array(element=symbol("numpy", "dtype") + text("f4") + b"\x89\x88\x87R"))),
        "other than a dtype",
    ),
    "number as dtype": (state(entry(array(element=b"K\x04"))), "other than a dtype"),
    "dtype of strings": (state(entry(array(element=dtype("S8", "|")))), "dtype 'S8'"),
    "name table of tensors": (
        state(entry(b"}" + entry(array()) + b"s", "StructuredToParameterName@@")),
        "not a table of names",
    ),
    "name table that is a tensor": (state(entry(array(), "StructuredToParameterName@@")), "not a table of names"),
}


@pytest.mark.parametrize("name", list(UNREADABLE))
def test_unreadable(tmp_path: Path, name: str) -> None:
    data, message = UNREADABLE[name]
    error = failure(tmp_path, data)
    assert isinstance(error, UnreadableFileError), error
    assert message in str(error)
    assert len(str(error)) < len(str(tmp_path)) + 300


def zip_archive(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "archive", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    return (folder / "archive").read_bytes()


SAFETENSORS = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"
KINDS: dict[str, tuple[bytes | Callable[[Path], bytes], str]] = {
    "empty": (b"", "is empty"),
    "zip": (zip_archive, "how PyTorch saves"),
    "old torch": (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2), "old PyTorch checkpoint"),
    "safetensors": (struct.pack("<Q", len(SAFETENSORS)) + SAFETENSORS + bytes(4), "name that ends in .safetensors"),
    "gzip": (gzip.compress(b"abc"), "compressed with gzip"),
    "tar": (bytes(257).replace(b"\0", b"a", 40) + b"ustar\x0000" + bytes(250), "tar archive"),
    "html": (b"\n <!DOCTYPE html><html><body>404 \xe2\x80\x94 not found</body></html>", "looks like a web page"),
    "xml": (b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "looks like a web page"),
    "json": (b'{"error": "not found"}', "plain text"),
    "text": ("é".encode() * 600, "plain text"),
    "git-lfs": (LFS, "git lfs pull"),
    "binary tensor": (bytes(16) + b"\x05\x00\x00\x00\x08\x05\x10\x03" + bytes(12), "binary tensor without names"),
    "random": (np.random.default_rng(1).bytes(4096), "encrypted, damaged, or of another kind"),
    "protocol 0": (pickle.dumps({"w": 1}, 0), "plain text"),
}


@pytest.mark.parametrize("name", list(KINDS))
def test_other_kinds_of_files_are_named(tmp_path: Path, name: str) -> None:
    content, message = KINDS[name]
    error = failure(tmp_path, content(tmp_path) if callable(content) else content)
    assert isinstance(error, UnreadableFileError)
    assert message in str(error)


def test_folders_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="is a folder"):
        open_pdparams(tmp_path)
    with pytest.raises(UnreadableFileError, match="No such file"):
        open_pdparams(tmp_path / "missing")
    with pytest.raises(UnreadableFileError, match="not a regular file"):
        open_pdparams(Path("/dev/zero"))


NAMES = state(entry(b"}" + entry(array(), "k" * 20) + b"s", "k" * 20))
LIMITS: dict[str, tuple[ModuleType, str, int, bytes, str]] = {
    "operations": (pickle_index, "MAX_OPERATIONS", 50, HEAD + b"]" * 60 + b"a" * 59 + b".", "more than 50 pickle op"),
    "depth": (pdparams, "MAX_DEPTH", 5, HEAD + b"]" * 8 + b"a" * 7 + b".", "nested more than 5 deep"),
    "depth of tuples": (pdparams, "MAX_DEPTH", 5, HEAD + b")" + b"\x85" * 7 + b".", "nested more than 5 deep"),
    "text": (pickle_objects, "MAX_TEXT_BYTES", 19, NAMES, "has 20 bytes; no tensor has such a name"),
    "name": (pdparams, "MAX_NAME_CHARACTERS", 40, NAMES, "far longer than those of any checkpoint"),
    "all names": (
        pdparams,
        "MAX_ALL_NAMES_CHARACTERS",
        100,
        HEAD + b"](" + (b"}(" + b"".join(entry(b"N", f"{number:03}") for number in range(9)) + b"u") * 4 + b"e.",
        "far longer than those of any checkpoint",
    ),
    "shape": (
        pickle_objects,
        "MAX_ARRAY_BYTES",
        8,
        state(entry(array())),
        r"the shape \[2\] before byte \d+ is too large",
    ),
    "shape beside a zero": (
        pickle_objects,
        "MAX_ARRAY_BYTES",
        24,
        state(entry(array(b"K\x00K\x02K\x03\x87", payload=b"C\x00"))),
        r"the shape \[0, 2, 3\] before byte \d+ is too large for any machine",
    ),
}


@pytest.mark.parametrize("name", list(LIMITS))
def test_limits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limit as it is, the same file is read."""
    module, limit, value, data, message = LIMITS[name]
    (tmp_path / "whole").write_bytes(data)
    open_pdparams(tmp_path / "whole").close()
    monkeypatch.setattr(module, limit, value)
    error = failure(tmp_path, data)
    assert isinstance(error, UnreadableFileError)
    assert re.search(message, str(error)), error


@pytest.mark.parametrize("last", [b"K\x01", array()], ids=["numbers", "tensors"])
def test_a_limit_on_what_is_shared(last: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few levels of lists that hold each other twice: a tree grows with each by a factor, the file by some bytes."""
    (tmp_path / "whole").write_bytes(doubling(6, last))
    open_pdparams(tmp_path / "whole").close()
    monkeypatch.setattr(pdparams, "MAX_SHARED_NODES", 10)
    monkeypatch.setattr(pdparams, "NODES_AN_OPERATION", 1)
    assert "refer to each other so often" in str(failure(tmp_path, doubling(6, last)))


def in_itself(kind: str) -> object:
    """An object that a pickle can make and no tree of names can hold."""
    if kind == "list":
        items: list[object] = []
        items.append([items])
        return items
    entries: dict[str, object] = {}
    entries["a"] = [entries]
    return entries


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_what_contains_itself_is_refused(kind: str) -> None:
    source = MemorySource(Path("file"), b"")
    with pytest.raises(UnreadableFileError, match=r"^file: contains itself"):
        TensorCollector(source, PickleIndex(source)).collect_root(in_itself(kind))


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("float32", (3, "<", None, None, None, -1, -1, 63)),
        ("float32", (3, "|", None, None, None, -1, -1, 0)),
        ("int8", (3, "<", None, None, None, -1, -1, 0)),
        ("float32", (2, "<", None, None, None, -1, -1, 0)),
        ("float32", (3, "<", None, ("a",), None, -1, -1, 0)),
        ("float32", (3, "<", None, None, None, 8, -1, 0)),
    ],
)
def test_a_dtype_in_a_state_that_numpy_never_writes(code: str, state: tuple[object, ...]) -> None:
    """numpy itself would take some of these states and compute with them, so no file holds them here."""
    calls = Calls(MemorySource(Path("file"), str(state[1]).encode()))
    with pytest.raises(UnreadableFileError, match=r"^file: the dtype at byte 7 contradicts itself"):
        calls.build(DTypeRef(DTYPES[code]), (state[0], Span(0, 1, "text"), *state[2:]), 7)


def test_many_empty_containers_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "file.pdparams"
    path.write_bytes(HEAD + b"](" + b"]})" * 50_000 + array() + b"e.")
    with open_pdparams(path) as opened:
        assert list(opened.tensors) == ["150000"]
        assert len(opened.ignored) == 150_000


def test_a_file_that_is_refused_costs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "file.pdparams"
    for name, (data, _) in (UNREADABLE | REFUSED).items():
        path.write_bytes(data)
        tracemalloc.start()
        with pytest.raises(Paddle2TorchError):
            open_pdparams(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200_000, name
