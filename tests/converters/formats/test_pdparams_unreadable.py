"""Files that cannot be read, or would cost too much: each gets an error that says what is wrong, and costs little."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from paddle2torch.converters.formats import pdparams, pickle_index
from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.errors import UnreadableFileError

from .pickles import HEAD, NEW_ARRAY, array, dtype, entry, failure, state, symbol, text
from .test_pdparams_hostile import REFUSED


def long1(value: int) -> bytes:
    raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def nested(depth: int) -> bytes:
    return HEAD + b"]" * depth + b"a" * (depth - 1) + b"."


def doubling(levels: int, last: bytes = b"K\x01") -> bytes:
    """Lists that each hold the one before twice: 2 ** levels entries once written out."""
    data = HEAD + b"](]\x94" + last + b"a"
    for level in range(levels):
        data += b"]\x94(h" + bytes([level]) + b"h" + bytes([level]) + b"e"
    return data + b"e."


def long_names() -> bytes:
    """Dicts that each hold the one before twice under long keys: the joined names double and grow."""
    data = HEAD + b"](" + text("a" * 200) + b"\x94" + text("b" * 200) + b"\x94" + array() + b"\x94"
    for level in range(40):
        before = b"h" + bytes([2 + level])
        data += b"}\x94(h\x00" + before + b"h\x01" + before + b"u"
    return data + b"e."


HUGE = b"\xff" * 7 + b"\x7f"
LONG_KEY = "k" * (64 << 10)
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
    "frame too long": (HEAD + b"\x95" + HUGE + b"}.", "frame"),
    "string too long": (HEAD + b"X\xff\xff\xff\xffabc.", "4294967295 bytes at byte 2 but only 4"),
    "string of 8 EiB": (HEAD + b"\x8d" + HUGE + b"abc.", "only 4 are left"),
    "bytes of 16 EiB": (HEAD + b"\x8e" + b"\xff" * 8 + b"abc.", "only 4 are left"),
    "bytearray of 8 EiB": (HEAD + b"\x96" + HUGE + b"abc.", "only 4 are left"),
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
    "key too long": (state(entry(array(), LONG_KEY + "k")), "no tensor has such a name"),
    "function name too long": (HEAD + b"c" + b"a" * 300 + b"\n\n.", "too long"),
    "function name of a number": (HEAD + b"K\x01K\x02\x93.", "not a name"),
    "joined names too long": (state(entry(b"}" + entry(array(), LONG_KEY) + b"s", LONG_KEY)), "far longer"),
    "joined duplicate": (state(entry(array(), "a.b"), entry(b"}" + entry(array(), "b") + b"s", "a")), "'a.b' once"),
    "list in itself": (HEAD + b"]\x94h\x00a.", "contains itself"),
    "dict in itself": (HEAD + b"}\x94" + entry(b"h\x00") + b"s.", "contains itself"),
    "deep lists": (nested(102), "nested more than 100 deep"),
    "very deep lists": (nested(100_000), "nested more than 100 deep"),
    "very deep tuples": (HEAD + b")" + b"\x85" * 1_000_000 + b".", "nested more than 100 deep"),
    "doubling lists": (doubling(60), "refer to each other so often"),
    "doubling tensors": (doubling(60, array()), "refer to each other so often"),
    "long names": (long_names(), "names are far longer"),
    "negative size": (state(entry(array(b"J\xff\xff\xff\xff\x85"))), "none that an array can have"),
    "size of 2040 bits": (state(entry(array(b"\x8a\xff" + b"\x7f" * 255 + b"\x85"))), "none that an array can have"),
    "truth as size": (state(entry(array(b"\x88\x85"))), "none that an array can have"),
    "float as size": (state(entry(array(b"G" + bytes(8) + b"\x85"))), "none that an array can have"),
    "list as shape": (state(entry(array(b"]"))), "none that an array can have"),
    "too many dimensions": (state(entry(array(b"(" + b"K\x01" * 33 + b"t"))), "none that an array can have"),
    "overflowing shape": (
        state(entry(array(long1(1 << 40) * 2 + b"\x86"))),
        "too large for any machine",
    ),
    "overflow beside a zero": (
        state(entry(array(b"K\x00" + long1(1 << 40) * 2 + b"\x87", payload=b"C\x00"))),
        "too large for any machine",
    ),
    "shape that wraps to the payload": (
        state(entry(array(long1((1 << 62) + 2) + b"\x85"))),
        "too large for any machine",
    ),
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
    "dtype with flags": (state(entry(array(element=dtype(flags=b"K\x3f")))), "contradicts itself"),
    "dtype of another order": (state(entry(array(element=dtype("f4", "|")))), "contradicts itself"),
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


def test_limits_count_all_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_index, "MAX_OPERATIONS", 1000)
    assert "more than 1000 pickle operations" in str(failure(tmp_path, HEAD + b"]" * 1001 + b"."))
    monkeypatch.setattr(pdparams, "MAX_ALL_NAMES_CHARACTERS", 1000)
    entries = b"".join(entry(b"N", f"{number:03}") for number in range(40))
    tree = HEAD + b"](" + (b"}(" + entries + b"u") * 8 + b"e."
    assert "names are far longer" in str(failure(tmp_path, tree))


def test_many_empty_containers_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "file.pdparams"
    path.write_bytes(HEAD + b"](" + b"]})" * 50_000 + array() + b"e.")
    with open_pdparams(path) as opened:
        assert list(opened.tensors) == ["150000"]
        assert len(opened.ignored) == 150_000


MEASURE = """
import sys, time
from pathlib import Path
from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.errors import Paddle2TorchError
for path in sorted(Path(sys.argv[1]).iterdir()):
    start = time.process_time()
    try:
        open_pdparams(path)
        outcome = "opened"
    except Paddle2TorchError:
        outcome = "refused"
    # Not getrusage: its peak includes that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    print(f"{path.name}\\t{outcome}\\t{time.process_time() - start}\\t{peak}", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_hostile_files_cost_little_time_and_memory(tmp_path: Path) -> None:
    bombs = {name: data for name, (data, _) in (UNREADABLE | REFUSED).items()}
    for index, data in enumerate(bombs.values()):
        if len(data) < 70_000:
            (tmp_path / f"{index:03}.pdparams").write_bytes(data)
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    lines = [line.split("\t") for line in child.stdout.splitlines()]
    assert len(lines) == len(list(tmp_path.iterdir()))
    for name, outcome, seconds, peak in lines:
        assert outcome == "refused", name
        assert float(seconds) < 2, name
        assert int(peak) < 200, name
