"""Every way in which the format spells an array, made with `pickle` or byte by byte."""

from __future__ import annotations

import collections
import os
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from paddle2torch.converters.formats import payloads
from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.errors import UnreadableFileError

PROTOCOLS = (2, 3, 4, 5)
DTYPES = ("?", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16")


def save(folder: Path, data: bytes) -> Path:
    path = folder / "file.pdparams"
    path.write_bytes(data)
    return path


def read_back(path: Path) -> dict[str, Any]:
    with open_pdparams(path) as opened:
        return {name: tensor.read() for name, tensor in opened.tensors.items()}


def same(read: dict[str, Any], expected: dict[str, Any]) -> bool:
    return list(read) == list(expected) and all(
        read[name].dtype == value.dtype and read[name].shape == value.shape and read[name].tobytes() == value.tobytes()
        for name, value in expected.items()
    )


def sample() -> dict[str, Any]:
    numbers = np.random.default_rng(5)
    return {
        "plain": numbers.standard_normal((3, 4)).astype("f4"),
        "turned": numbers.standard_normal((3, 4)).astype("f4").T,
        "turned in three": np.asfortranarray(numbers.standard_normal((2, 3, 4))),
        "strided": numbers.standard_normal((8, 6)).astype("f2")[::2, ::3],
        "scalar": np.array(1.5),
        "nothing": np.zeros((0, 7), "i8"),
        "nothing turned": np.zeros((7, 0, 2), "f4", order="F"),
        "one byte": np.array([1], "u1"),
        "another byte": np.array([1], "u1"),
        "one row": np.ones((1, 5), "f4").T,
        "all bytes": np.arange(256, dtype="u1"),
        "weight.with.dots": np.arange(5, dtype="i4"),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_layouts(tmp_path: Path, protocol: int) -> None:
    assert same(read_back(save(tmp_path, pickle.dumps(sample(), protocol))), sample())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", DTYPES)
def test_dtypes(tmp_path: Path, protocol: int, code: str) -> None:
    value = np.arange(7).astype(code)
    with open_pdparams(save(tmp_path, pickle.dumps({"w": value}, protocol))) as opened:
        tensor = opened.tensors["w"]
        assert tensor.dtype.name == ("bfloat16" if code == "u2" else value.dtype.name)
        assert tensor.read().tobytes() == value.tobytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("package", ["core", "_core"])
def test_both_module_names_of_numpy(tmp_path: Path, protocol: int, package: str) -> None:
    data = pickle.dumps(sample(), protocol)
    for part in ("multiarray", "numeric"):
        new = f"numpy.{package}.{part}".encode()
        for other in ("core", "_core"):
            old = f"numpy.{other}.{part}".encode()
            data = data.replace(b"c" + old + b"\n", b"c" + new + b"\n")
            data = data.replace(bytes([0x8C, len(old)]) + old, bytes([0x8C, len(new)]) + new)
    assert f"numpy.{package}.".encode() in data
    if data[2:3] == pickle.FRAME:
        data = data[:3] + struct.pack("<Q", len(data) - 11) + data[11:]
    assert same(read_back(save(tmp_path, data)), sample())


def python2_array(value: npt.NDArray[Any], payload: bytes) -> bytes:
    shape = b"(" + b"".join(b"K" + bytes([size]) for size in value.shape) + b"t"
    dtype: bytes = b"cnumpy\ndtype\n(U\x02" + value.dtype.str[1:].encode() + b"K\x00K\x01tR"
    dtype += b"(K\x03U\x01" + value.dtype.str[:1].encode() + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    return start + b"(K\x01" + shape + dtype + b"\x89" + payload + b"tb"


def test_python_2(tmp_path: Path) -> None:
    long, short = np.arange(100, dtype="f4").reshape(4, 25), np.arange(6, dtype="i8").reshape(2, 3)
    data = b"\x80\x02}q\x01(U\x04long" + python2_array(long, b"T" + struct.pack("<i", 400) + long.tobytes())
    data += b"X\x05\x00\x00\x00short" + python2_array(short, b"U\x30" + short.tobytes()) + b"u."
    assert same(read_back(save(tmp_path, data)), {"long": long, "short": short})


def test_ordered_dict_tuple_form_and_eval_form(tmp_path: Path) -> None:
    value = np.arange(6, dtype="f4").reshape(2, 3)

    class Tensor:
        def __reduce__(self) -> Any:
            return tuple, (("linear_0.w_0", value),)

    class Static:
        def __reduce__(self) -> Any:
            return eval, ("data", {"data": value})

    tree = collections.OrderedDict(a=Tensor(), b=collections.OrderedDict(c=[Static(), 3], d=Tensor()), epoch=3)
    for protocol in PROTOCOLS:
        path = save(tmp_path, pickle.dumps(tree, protocol))
        with open_pdparams(path) as opened:
            assert opened.ignored == ("b.c.1", "epoch")
        assert same(read_back(path), {"a": value, "b.c.0": value, "b.d": value})


@pytest.mark.parametrize("table", [None, {}, {"w": "linear_0.w_0"}, {"gone": "linear_7.w_0"}])
def test_the_name_table_makes_no_difference(tmp_path: Path, table: dict[str, str] | None) -> None:
    tree: dict[str, Any] = {"w": np.ones(3, "f4")}
    if table is not None:
        tree["StructuredToParameterName@@"] = table
    path = save(tmp_path, pickle.dumps(tree, 4))
    with open_pdparams(path) as opened:
        assert list(opened.tensors) == ["w"]
        assert opened.ignored == ()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bare_and_listed(tmp_path: Path, protocol: int) -> None:
    one, two = np.ones((2, 2), "f4"), np.arange(3)
    assert same(read_back(save(tmp_path, pickle.dumps(one, protocol))), {"tensor": one})
    assert same(read_back(save(tmp_path, pickle.dumps([one, two], protocol))), {"0": one, "1": two})
    assert same(read_back(save(tmp_path, pickle.dumps((one, [two]), protocol))), {"0": one, "1.0": two})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_are_ignored(tmp_path: Path, protocol: int) -> None:
    schedule = {"last_epoch": 7, "last_lr": np.float64(0.5), "big": 1 << 70, "negative": -5, "word": 70000}
    tree = {"w": np.ones(2), "LR_Scheduler": schedule, "flag": True, "none": None, "raw": b"abc", "empty": {}}
    with open_pdparams(save(tmp_path, pickle.dumps(tree, protocol))) as opened:
        assert list(opened.tensors) == ["w"]
        assert opened.ignored == ("LR_Scheduler", "flag", "none", "raw", "empty")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_arrays_appear_under_both_names(tmp_path: Path, protocol: int) -> None:
    shared = np.arange(4, dtype="f4")
    path = save(tmp_path, pickle.dumps({"a": shared, "b": shared}, protocol))
    with open_pdparams(path) as opened:
        assert opened.tensors["a"].open_source()[1] == opened.tensors["b"].open_source()[1]
    assert same(read_back(path), {"a": shared, "b": shared})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_entries(tmp_path: Path, protocol: int) -> None:
    tree = {f"layer.{index}.weight": np.full((2,), index, "f4") for index in range(2500)}
    assert same(read_back(save(tmp_path, pickle.dumps(tree, protocol))), tree)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_split_arrays_are_joined(tmp_path: Path, protocol: int) -> None:
    value = np.random.default_rng(2).standard_normal((7, 5)).astype("f4")
    flat = value.reshape(-1)
    tree = {
        "first": np.ones(2, "f4"),
        "big@@.0": flat[:16],
        "big@@.1": flat[16:32],
        "big@@.2": flat[32:],
        "last": np.zeros(1, "f4"),
        "UnpackBigParamInfor@@": {"big": {"OriginShape": (7, 5), "slices": ["big@@.0", "big@@.1", "big@@.2"]}},
    }
    path = save(tmp_path, pickle.dumps(tree, protocol))
    assert same(read_back(path), {"first": tree["first"], "big": value, "last": tree["last"]})
    with open_pdparams(path) as opened:
        turned = b"".join(piece.tobytes() for piece in opened.tensors["big"].chunks(transposed=True))
        assert turned == value.T.tobytes()
        opened.tensors["big"].open_source()[0].check_unchanged()


@pytest.mark.parametrize(
    "change",
    [
        {"UnpackBigParamInfor@@": 3},
        {"UnpackBigParamInfor@@": {"big": {"OriginShape": (4, 2), "slices": ["p0", "gone"]}}},
        {"UnpackBigParamInfor@@": {"big": {"OriginShape": (4, 2), "slices": ["p0", "p0"]}}},
        {"UnpackBigParamInfor@@": {"big": {"OriginShape": (4, 2), "slices": []}}},
        {"UnpackBigParamInfor@@": {"big": {"OriginShape": (4, 3), "slices": ["p0", "p1"]}}},
        {"UnpackBigParamInfor@@": {"p0": {"OriginShape": (4, 2), "slices": ["p0", "p1"]}}},
        {"UnpackBigParamInfor@@": {"big": {"slices": ["p0", "p1"]}}},
        {"p1": np.ones(4, "f8")},
        {"p1": np.ones((2, 2), "f4")},
        {"p1": 3},
    ],
)
def test_split_arrays_that_do_not_fit(tmp_path: Path, change: dict[str, Any]) -> None:
    tree = {
        "p0": np.ones(4, "f4"),
        "p1": np.ones(4, "f4"),
        "UnpackBigParamInfor@@": {"big": {"OriginShape": (4, 2), "slices": ["p0", "p1"]}},
    }
    open_pdparams(save(tmp_path, pickle.dumps(tree, 2))).close()
    with pytest.raises(UnreadableFileError, match="split array"):
        open_pdparams(save(tmp_path, pickle.dumps(tree | change, 2)))


def test_payload_over_four_gibibytes(tmp_path: Path) -> None:
    count = (4 << 30) + 3
    path = tmp_path / "large.pdparams"
    small = pickle.dumps(np.arange(4, dtype="f4"), 4)[11:-1]
    kind = b"\x8c\x15numpy.core.multiarray\x8c\x0c_reconstruct\x93\x8c\x05numpy\x8c\x07ndarray\x93K\x00\x85C\x01b\x87R"
    dtype = b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02u1\x89\x88\x87R"
    dtype += b"(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"\x8a\x05" + count.to_bytes(5, "little") + b"\x85"
    with open(path, "wb") as file:
        # The second array refers to memo entries from 0 on, so nothing before it may use the memo.
        file.write(
            b"\x80\x04}(\x8c\x05large" + kind + b"(K\x01" + shape + dtype + b"\x89\x8e" + struct.pack("<Q", count)
        )
        start = file.tell()
        file.seek(count - 1, os.SEEK_CUR)
        file.write(b"\x07" + b"tb\x8c\x05small" + small + b"u.")
    with open_pdparams(path) as opened:
        large = opened.tensors["large"]
        assert large.shape == (count,)
        source, offset = large.open_source()
        assert offset == start
        assert source.read(1, offset + count - 1) == b"\x07"
        assert opened.tensors["small"].read().tolist() == [0, 1, 2, 3]


def test_text_payloads_are_decoded_in_pieces_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payloads, "PIECE_BYTES", 7)
    path = save(tmp_path, pickle.dumps(sample(), 2))
    assert same(read_back(path), sample())
    with open_pdparams(path) as opened:
        first = opened.tensors["all bytes"].open_source()
        assert first[0] is not opened.source
        assert opened.tensors["all bytes"].open_source() == first


def test_decoding_takes_little_memory(tmp_path: Path) -> None:
    value = np.random.default_rng(3).integers(0, 256, 24 << 20, dtype="u1")
    path = save(tmp_path, pickle.dumps({"w": value}, 2))
    with open_pdparams(path) as opened:
        tracemalloc.start()
        opened.tensors["w"].open_source()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 << 20
        assert opened.tensors["w"].read().tobytes() == value.tobytes()


def test_decoding_finds_a_wrong_length(tmp_path: Path) -> None:
    value = np.full(8, 0xE9, "u1")
    data = pickle.dumps({"w": value}, 2)
    path = save(tmp_path, data.replace("\xe9".encode() * 8, b"a" * 2 + "\xe9".encode() * 7))
    with open_pdparams(path) as opened, pytest.raises(UnreadableFileError, match=r"needs 8 bytes by its shape .* 9"):
        opened.tensors["w"].read()
    path = save(tmp_path, data.replace("\xe9".encode() * 8, "\u0100".encode() * 8))
    with open_pdparams(path) as opened, pytest.raises(UnreadableFileError, match="not text of bytes"):
        opened.tensors["w"].read()


def test_decoding_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    path = save(tmp_path, pickle.dumps({"w": np.arange(300)}, 2))
    with open_pdparams(path) as opened, pytest.raises(UnreadableFileError, match=r"No space left.*TMPDIR"):
        opened.tensors["w"].read()


def test_closed_files_are_not_read(tmp_path: Path) -> None:
    for protocol in (2, 4):
        opened = open_pdparams(save(tmp_path, pickle.dumps({"w": np.arange(300)}, protocol)))
        opened.tensors["w"].read()
        opened.source.close()
        with pytest.raises(UnreadableFileError):
            opened.tensors["w"].read()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="."), max_size=12)
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    if dtype.kind == "b":
        raw = bytes(draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))
    else:
        raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    value = np.frombuffer(raw, dtype).reshape(shape)
    return value.T if draw(st.booleans()) else value.copy()


LEAVES = (
    arrays() | st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=5) | st.binary(max_size=5)
)
TREES = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda node: st.lists(node, max_size=3) | st.dictionaries(NAMES, node, max_size=3))
)


def flat(node: Any, name: str | None, found: dict[str, Any]) -> dict[str, Any]:
    if isinstance(node, np.ndarray):
        found[str(name)] = node
    elif isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            flat(value, str(key) if name is None else f"{name}.{key}", found)
    return found


@settings(derandomize=True, deadline=None, max_examples=250)
@given(tree=TREES, protocol=st.sampled_from(PROTOCOLS))
def test_whatever_is_pickled_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any], protocol: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.pdparams"
    path.write_bytes(pickle.dumps(tree, protocol))
    assert same(read_back(path), flat(tree, None, {}))
