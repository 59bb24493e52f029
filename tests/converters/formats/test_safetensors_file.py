"""What is written equals what the safetensors library writes, and reading it back finds every wrong bit."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from paddle2torch.converters.formats import piecewise, safetensors_file, stretches, tensors
from paddle2torch.converters.formats.byte_source import ByteSource
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.converters.formats.piecewise import Entry, Layout, Receipt
from paddle2torch.converters.formats.safetensors_file import (
    check_safetensors,
    compare_safetensors,
    open_safetensors,
    write_safetensors,
)
from paddle2torch.converters.formats.tensors import Piece, Tensor
from paddle2torch.errors import OutputError, SourceChangedError, UnreadableFileError
from paddle2torch.mappings.language.transforms import IDENTITY, TRANSPOSE, Transform

METADATA = {"format": "pt"}
SHAPES = [(), (1,), (17,), (0,), (0, 3), (3, 0), (1, 9), (9, 1), (40, 60), (300, 20), (20, 300), (2, 3, 4), (2, 0, 3)]
DTYPE_NAMES = [name for name, dtype in DTYPES.items() if name not in ("bfloat16", "complex128")]


def nothing(count: int) -> None:
    """Progress that nobody watches."""


def stored(folder: Path, values: dict[str, Any], dtypes: dict[str, str] | None = None) -> dict[str, Tensor]:
    """The values one after the other in one file, from an odd offset."""
    path = folder / "source"
    path.write_bytes(b"\xee" * 3 + b"".join(value.tobytes() for value in values.values()))
    source = ByteSource(path)
    found, offset = {}, 3
    for name, value in values.items():
        dtype = DTYPES[(dtypes or {}).get(name) or value.dtype.name]
        found[name] = Tensor(name, dtype, value.shape, lambda place=offset: (source, place))  # type: ignore[misc]
        offset += value.nbytes
    return found


def one_matrix(folder: Path, transform: Transform = TRANSPOSE) -> tuple[Any, list[Entry]]:
    value = np.random.default_rng(1).standard_normal((50, 70)).astype("f4")
    return value, [Entry("w", (stored(folder, {"w": value})["w"],), transform)]


in_every_way = pytest.mark.parametrize(
    "transform", [IDENTITY, TRANSPOSE], ids=["a piece for each thread", "a share of each piece"]
)
"""How threads divide the work: a matrix that is turned, and takes more memory than a piece, is theirs together."""


@pytest.fixture(params=[None, 2000, 64], ids=["default", "small", "smallest"])
def piece_sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of the real size, and so small that every matrix is cut on both sides."""
    if request.param is not None:
        cut_small(monkeypatch, request.param)


def cut_small(monkeypatch: pytest.MonkeyPatch, nbytes: int) -> None:
    """Pieces of some `nbytes`, in strips of a quarter."""
    monkeypatch.setattr(tensors, "BLOCK_BYTES", nbytes)
    monkeypatch.setattr(tensors, "OWN_BYTES", nbytes // 2)
    monkeypatch.setattr(tensors, "PLAIN_BYTES", nbytes)
    monkeypatch.setattr(tensors, "BLOCK_ROWS", 5)
    monkeypatch.setattr(tensors, "UNPADDED_BYTES", nbytes // 12)
    monkeypatch.setattr(piecewise, "SMALL", 0)
    monkeypatch.setattr(stretches, "ALONE_BYTES", 0)
    # With 2000 bytes read back as it lies, with 64 row by row.
    monkeypatch.setattr(stretches, "BAND_BYTES", 8 * nbytes)
    for module in (tensors, piecewise):
        monkeypatch.setattr(module, "STRIP_BYTES", nbytes // 4)


def written_and_checked(path: Path, entries: list[Entry]) -> Receipt:
    """What was written, once it was read back."""
    receipt = write_safetensors(path, entries, METADATA, nothing)
    check_safetensors(path, entries, receipt, nothing)
    return receipt


@pytest.mark.usefixtures("piece_sizes")
def test_bytes_are_those_of_the_library(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    values = {
        f"{dtype}.{'x'.join(map(str, shape))}": np.asarray(numbers.integers(0, 2 if dtype == "bool" else 100, shape))
        for dtype in DTYPE_NAMES
        for shape in SHAPES
    }
    values = {name: value.astype(name.split(".")[0]) for name, value in values.items()}
    values["nan"] = np.array([np.nan, -0.0, np.inf], "f4")
    entries, expected = [], {}
    for name, tensor in stored(tmp_path, values).items():
        entries.append(Entry(name, (tensor,)))
        expected[name] = values[name]
        if len(tensor.shape) == 2:
            entries.append(Entry(name + ".T", (tensor,), TRANSPOSE))
            expected[name + ".T"] = np.ascontiguousarray(values[name].T)
    seen: list[int] = []
    receipt = write_safetensors(tmp_path / "ours", entries, METADATA, seen.append)
    safetensors.numpy.save_file(expected, tmp_path / "theirs", METADATA)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    total = sum(value.nbytes for value in expected.values())
    assert sum(seen) == total
    seen.clear()
    check_safetensors(tmp_path / "ours", entries, receipt, seen.append)
    assert sum(seen) == total
    seen.clear()
    compare_safetensors(tmp_path / "ours", entries, seen.append)
    assert sum(seen) == total


@pytest.mark.usefixtures("piece_sizes")
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "uint8"])
def test_every_wrong_byte_is_found(tmp_path: Path, dtype: str, transposed: bool) -> None:
    value = np.random.default_rng(2).integers(0, 100, (13, 21)).astype(DTYPES[dtype].storage)
    entries = [Entry("w", (stored(tmp_path, {"w": value}, {"w": dtype})["w"],), TRANSPOSE if transposed else IDENTITY)]
    path = tmp_path / "written"
    receipt = written_and_checked(path, entries)
    good = path.read_bytes()
    for place in range(len(good) - value.nbytes, len(good), 211):
        bad = bytearray(good)
        bad[place] ^= 0x01
        path.write_bytes(bad)
        with pytest.raises(OutputError, match="tensor w did not read back as it was written"):
            check_safetensors(path, entries, receipt, nothing)
        with pytest.raises(OutputError, match="tensor w did not read back as it was written"):
            compare_safetensors(path, entries, nothing)
    path.write_bytes(good)
    compare_safetensors(path, entries, nothing)


def test_every_wrong_byte_around_the_tensors_is_found(tmp_path: Path) -> None:
    """The library accepts another order of the header's entries, other metadata and other spaces."""
    value, entries = one_matrix(tmp_path)
    path = tmp_path / "written"
    receipt = written_and_checked(path, entries)
    good = path.read_bytes()
    for place in range(len(good) - value.nbytes):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x01]) + good[place + 1 :])
        with pytest.raises(OutputError):
            check_safetensors(path, entries, receipt, nothing)
    path.write_bytes(good.replace(b'"pt"', b'"tf"'))
    with pytest.raises(OutputError, match="what stands around the tensors did not read back"):
        check_safetensors(path, entries, receipt, nothing)


def test_tensors_at_other_places_are_found(tmp_path: Path) -> None:
    """Two of one type and shape that were exchanged, which the header admits: its entries say so."""
    held = stored(tmp_path, {"v": np.zeros(4, "f4"), "w": np.ones(4, "f4")})
    entries = [Entry(name, (tensor,)) for name, tensor in held.items()]
    path = tmp_path / "written"
    receipt = written_and_checked(path, entries)
    path.write_bytes(path.read_bytes().replace(b'"v"', b'"x"').replace(b'"w"', b'"v"').replace(b'"x"', b'"w"'))
    with pytest.raises(OutputError, match=r"tensor v reads back from byte \d+, it was written at \d+"):
        check_safetensors(path, entries, receipt, nothing)


def test_stretches_that_are_not_the_whole_file_are_found(tmp_path: Path) -> None:
    _, entries = one_matrix(tmp_path)
    receipt = written_and_checked(tmp_path / "written", entries)
    with pytest.raises(OutputError, match=r"\d+ bytes were written and it holds"):
        check_safetensors(tmp_path / "written", entries, replace(receipt, stretches=receipt.stretches[:-1]), nothing)


def test_signs_of_zero_and_payloads_of_nan_count(tmp_path: Path) -> None:
    entries = [Entry("w", (stored(tmp_path, {"w": np.array([0.0, np.nan], "f4")})["w"],))]
    path = tmp_path / "written"
    receipt = written_and_checked(path, entries)
    compare_safetensors(path, entries, nothing)
    good = path.read_bytes()
    for other in (np.array([-0.0, np.nan], "f4"), np.array([0, 0x7FC00001], "u4")):
        path.write_bytes(good[:-8] + other.tobytes())
        with pytest.raises(OutputError, match="did not read back"):
            compare_safetensors(path, entries, nothing)
        with pytest.raises(OutputError, match="did not read back"):
            check_safetensors(path, entries, receipt, nothing)


def test_other_names_shapes_and_types_are_found(tmp_path: Path) -> None:
    value = np.zeros((4, 6), "f4")
    held = stored(tmp_path, {"w": value, "v": value})
    path = tmp_path / "written"
    write_safetensors(path, [Entry("w", (held["w"],))], METADATA, nothing)
    for entries, message in (
        ([Entry("w", (held["w"],)), Entry("v", (held["v"],))], r"other tensors: \['v'\]"),
        ([], r"other tensors: \['w'\]"),
        ([Entry("w", (held["w"],), TRANSPOSE)], r"reads back as float32 \[4, 6\], expected float32 \[6, 4\]"),
        ([Entry("w", (stored(tmp_path, {"w": value.astype("i4")})["w"],))], "reads back as float32"),
    ):
        with pytest.raises(OutputError, match=message):
            compare_safetensors(path, entries, nothing)
        with pytest.raises(OutputError, match=message):
            check_safetensors(path, entries, Receipt(Layout((), {}, 0), ()), nothing)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OutputError, match="does not read back"):
        compare_safetensors(path, [Entry("w", (held["w"],))], nothing)


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, entries = one_matrix(tmp_path)

    def full(descriptor: int, data: Any, offset: int) -> int:
        if offset > 4000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[:1000], offset)

    real = os.pwrite
    cut_small(monkeypatch, 500)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match="cannot be written: No space left"):
        write_safetensors(tmp_path / "written", entries, METADATA, nothing)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, entries = one_matrix(tmp_path)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:777], offset))
    write_safetensors(tmp_path / "written", entries, METADATA, nothing)
    assert (tmp_path / "written").read_bytes().endswith(value.T.tobytes())


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    _, entries = one_matrix(tmp_path)
    (tmp_path / "written").write_bytes(b"mine")
    with pytest.raises(OutputError, match="cannot be written"):
        write_safetensors(tmp_path / "written", entries, METADATA, nothing)
    assert (tmp_path / "written").read_bytes() == b"mine"


def test_a_source_that_shrinks_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, entries = one_matrix(tmp_path)
    cut_small(monkeypatch, 500)
    write_safetensors(tmp_path / "written", entries, METADATA, nothing)
    os.truncate(tmp_path / "source", value.nbytes // 2)
    with pytest.raises(SourceChangedError, match="ends at byte"):
        write_safetensors(tmp_path / "again", entries, METADATA, nothing)
    with pytest.raises(SourceChangedError, match="ends at byte"):
        compare_safetensors(tmp_path / "written", entries, nothing)


@in_every_way
@pytest.mark.parametrize("error", [UnreadableFileError("bad"), MemoryError("none left"), KeyError("a bug")])
def test_no_exception_of_a_worker_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, transform: Transform
) -> None:
    """The first in the order of the pieces is raised, and the pieces after it are not begun."""
    _, entries = one_matrix(tmp_path, transform)
    cut_small(monkeypatch, 500)
    monkeypatch.setattr(stretches, "GROUP_PIECES", 1)
    real, begun = Tensor.strips, []

    def strips(self: Tensor, piece: Piece, *rest: Any) -> Any:
        begun.append(piece)
        time.sleep(0.002)
        if piece.top >= 20:
            raise error
        return real(self, piece, *rest)

    monkeypatch.setattr(Tensor, "strips", strips)
    with pytest.raises(type(error)) as caught:
        write_safetensors(tmp_path / "written", entries, METADATA, nothing)
    assert caught.value is error
    assert len(set(begun)) < len(list(entries[0].pieces()))


@in_every_way
def test_an_interruption_leaves_promptly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transform: Transform) -> None:
    """It comes to the calling thread; pieces not yet begun are given up and no thread stays behind."""
    _, entries = one_matrix(tmp_path, transform)
    cut_small(monkeypatch, 200)
    monkeypatch.setattr(stretches, "GROUP_PIECES", 1)
    real = Tensor.strips

    def slow(*arguments: Any) -> Any:
        time.sleep(0.05)
        return real(*arguments)

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tensor, "strips", slow)
    threads = threading.active_count()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        write_safetensors(tmp_path / "written", entries, METADATA, interrupt)
    assert time.perf_counter() - began < 0.05 * len(list(entries[0].pieces())) / 2
    assert threading.active_count() == threads


def test_what_is_written_opens_lazily(tmp_path: Path) -> None:
    value, entries = one_matrix(tmp_path)
    write_safetensors(tmp_path / "written", entries, METADATA, nothing)
    opened = open_safetensors(tmp_path / "written")
    assert opened.metadata == METADATA
    assert np.array_equal(opened.tensors["w"].read(), value.T)
    opened.source.close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_file_is_not_opened_once_for_every_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """Opening costs as much as the file has tensors: with one for each, twice the tensors cost four times the time."""
    opened: list[Any] = []

    def counted(*given: Any, **also: Any) -> Any:
        opened.append(given)
        return safe_open(*given, **also)

    monkeypatch.setattr(safetensors_file, "safe_open", counted)
    for count in (300, 3000):
        (folder := tmp_path / str(count)).mkdir()
        values = {f"w{number}": np.full(3, number, "f4" if dtype == "float32" else "u2") for number in range(count)}
        held = stored(folder, values, dict.fromkeys(values, dtype))
        entries = [Entry(name, (tensor,)) for name, tensor in held.items()]
        written_and_checked(folder / "model.safetensors", entries)
        compare_safetensors(folder / "model.safetensors", entries, nothing)
        assert len(opened) == 2
        opened.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_room_is_found_before_writing_or_nothing_happens(tmp_path: Path) -> None:
    path, nbytes = tmp_path / "file", 3 << 20
    with path.open("xb") as file:
        stretches.reserve(file.fileno(), nbytes)
    assert path.stat().st_blocks * 512 >= nbytes
    (tmp_path / "other").write_bytes(b"as it was")
    with (tmp_path / "other").open("rb") as file:
        # It may not be written, and no disk is as large as the second one.
        stretches.reserve(file.fileno(), nbytes)
    with (tmp_path / "other").open("r+b") as file:
        stretches.reserve(file.fileno(), 1 << 60)
    assert (tmp_path / "other").read_bytes() == b"as it was"
