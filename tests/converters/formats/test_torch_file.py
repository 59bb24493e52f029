"""Files of torch.save, read without PyTorch: against torch.load, and against files made to harm."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.checkpoints.inspection import inspect_checkpoint
from paddle2torch.converters.formats import torch_file
from paddle2torch.converters.formats.pdparams import PdparamsFile
from paddle2torch.converters.formats.torch_file import open_torch_file
from paddle2torch.errors import Paddle2TorchError, RefusedFileError, UnreadableFileError

from ...conftest import TORCH_PYTHON, Run

DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
READ = (
    *DTYPES,
    "complex64",
    "complex128",
    "shared",
    "transposed",
    "shapes",
    "state_dict",
    "parameters",
    "模型",
    "many",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    script = Path(__file__).with_name("write_torch_files.py")
    child = subprocess.run([TORCH_PYTHON, str(script), str(folder)], capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr
    return folder


@pytest.mark.parametrize("name", READ)
def test_equals_what_torch_load_reads(name: str, files: Path) -> None:
    expected = json.loads((files / f"{name}.json").read_text())
    assert expected
    found = {}
    with open_torch_file(files / f"{name}.bin") as opened:
        for key, tensor in opened.tensors.items():
            digest = hashlib.sha256(tensor.read().tobytes()).hexdigest()
            pieces = hashlib.sha256(b"".join(chunk.tobytes() for chunk in tensor.chunks())).hexdigest()
            assert digest == pieces
            found[key] = [tensor.dtype.name, list(tensor.shape), digest]
    assert found == expected


def test_other_values_beside_tensors_and_nested_names(files: Path) -> None:
    with open_torch_file(files / "beside.bin") as opened:
        assert list(opened.tensors) == ["x"]
        assert opened.ignored == ("epoch", "note", "rate")
    with open_torch_file(files / "nested.bin") as opened:
        assert list(opened.tensors) == ["model.x", "list.0", "list.1"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("legacy", UnreadableFileError, "format of PyTorch before 1.6"),
        ("script", UnreadableFileError, "TorchScript program"),
        ("strided", UnreadableFileError, "do not lie in one piece"),
        ("expanded", UnreadableFileError, "do not lie in one piece"),
        ("float8", RefusedFileError, "_rebuild_tensor_v3"),
        ("quantized", RefusedFileError, "_rebuild_qtensor"),
        ("sparse", RefusedFileError, "_rebuild_sparse_tensor"),
        ("module", RefusedFileError, "Sequential"),
    ],
)
def test_what_cannot_be_read_says_to_save_again(name: str, error: type[Exception], message: str, files: Path) -> None:
    with pytest.raises(error, match=message) as caught:
        open_torch_file(files / f"{name}.bin")
    assert "save the model again as safetensors" in str(caught.value)
    assert str(caught.value).startswith(str(files / f"{name}.bin"))


def test_a_folder_with_only_the_file_is_inspected(files: Path, tmp_path: Path, paddle2torch: Run) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes((files / "shared.bin").read_bytes())
    names = [tensor["name"] for tensor in inspect_checkpoint(tmp_path, with_hash=True).tensors]
    assert names == ["one", "other", "rows", "vector"]
    done = paddle2torch("inspect", tmp_path)
    assert done.returncode == 0
    assert "2x4" in done.stdout
    failed = paddle2torch("inspect", files / "module.bin")
    assert failed.returncode == 2
    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.count("\n") == 1


def test_any_name_of_the_file_is_fine(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights.pdparams"
    path.write_bytes((files / "shared.bin").read_bytes())
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint.tensors) == ["one", "other", "rows", "vector"]


# Files made to harm. The pickle is assembled by hand: PROTO 2, EMPTY_DICT, a key, a value, SETITEM, STOP.


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(key: str = "0", count: int = 24, kind: str = "FloatStorage", word: str = "storage") -> bytes:
    return b"(" + text(word) + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + integer(count) + b"tQ"


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
    return b"\x80\x02}" + text("x") + value + b"s."


Archive = Callable[..., Path]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """`archive(pickle, members)`: a file like those of torch.save with this pickle and, besides 24 floats as storage 0,
    these members."""

    def make(data: bytes, members: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> Path:
        path = tmp_path / "pytorch_model.bin"
        with zipfile.ZipFile(path, "w", compression) as written:
            written.writestr("a/data.pkl", data)
            written.writestr("a/byteorder", b"little")
            written.writestr("a/data/0", struct.pack("<24f", *range(24)))
            for name, content in (members or {}).items():
                written.writestr(name, content)
        return path

    return make


def opened(path: Path) -> PdparamsFile:
    return open_torch_file(path)


def test_the_assembled_file_is_whole(archive: Archive) -> None:
    with opened(archive(pickled(tensor()))) as found:
        assert found.tensors["x"].read().tolist()[5] == [20.0, 21.0, 22.0, 23.0]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (b"cos\nsystem\n" + b"(" + text("touch harmed") + b"tR", RefusedFileError, "os.system"),
        (b"cbuiltins\neval\n" + b"(" + text("1") + b"tR", RefusedFileError, "builtins.eval"),
        (b"cnumpy.core.multiarray\n_reconstruct\n", RefusedFileError, "_reconstruct"),
        (b"ctorch.storage\nUntypedStorage\n", RefusedFileError, "UntypedStorage"),
        (b"ctorch\nFloatStorage\n(K\x01tR", RefusedFileError, "a call of torch.FloatStorage"),
        (b"ctorch\nFloatStorage\n", RefusedFileError, "as a value"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", RefusedFileError, "differs from the one in genuine files"),
        (tensor(more=b"}"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(hooks=b"K\x01"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(hooks=b"N"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(held=b"K\x00"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(first=-1), RefusedFileError, "differs from the one in genuine files"),
        (tensor(strides=(-4, 1)), RefusedFileError, "differs from the one in genuine files"),
        (tensor(strides=(4,)), RefusedFileError, "differs from the one in genuine files"),
        (tensor(shape=(-6, 4)), UnreadableFileError, "none that an array can have"),
        (tensor(shape=(7, 4)), UnreadableFileError, "ends at element 27 of a storage of 24"),
        (tensor(first=1), UnreadableFileError, "ends at element 24 of a storage of 24"),
        (tensor(first=1 << 62), UnreadableFileError, "of a storage of 24"),
        (tensor(shape=(1 << 40, 1 << 40)), UnreadableFileError, "too large for any machine"),
        (tensor(held=storage(count=25)), UnreadableFileError, "has 96 bytes, but 25 elements"),
        (tensor(held=storage(count=12)), UnreadableFileError, "has 96 bytes, but 12 elements"),
        (tensor(held=storage(count=-1)), RefusedFileError, "no storage of numbers"),
        (tensor(held=storage(kind="DoubleStorage")), UnreadableFileError, "24 elements of float64"),
        (tensor(held=storage(kind="QInt8Storage")), RefusedFileError, "QInt8Storage"),
        (tensor(held=storage(key="1")), UnreadableFileError, "is not in the archive"),
        (tensor(held=storage(key="../../etc/passwd")), UnreadableFileError, "is not in the archive"),
        (tensor(held=storage(key="/etc/passwd")), UnreadableFileError, "is not in the archive"),
        (tensor(held=storage(word="module")), RefusedFileError, "no storage of numbers"),
        (b"K\x07Q", RefusedFileError, "no storage of numbers"),
        (b"Pos\n", RefusedFileError, "opcode PERSID"),
        (b"ctorch._utils\n_rebuild_parameter\n(K\x01\x89ccollections\nOrderedDict\n)RtR", RefusedFileError, "differs"),
        (b"ccollections\nOrderedDict\n)R}" + text("x") + b"K\x01sb", RefusedFileError, "set the state"),
        (tensor() + b"}" + text("_metadata") + b"}sb", RefusedFileError, "set the state"),
    ],
)
def test_a_harmful_pickle_is_refused(
    value: bytes, error: type[Exception], message: str, archive: Archive, tmp_path: Path
) -> None:
    path = archive(pickled(value))
    with pytest.raises(error, match=message) as caught:
        opened(path)
    assert str(caught.value).startswith(str(path))
    assert sorted(os.listdir(tmp_path)) == ["pytorch_model.bin"]


def test_one_storage_of_two_types_is_refused(archive: Archive) -> None:
    value = b"](" + tensor() + tensor(held=storage(kind="IntStorage")) + b"e"
    with pytest.raises(UnreadableFileError, match="two element types"):
        opened(archive(pickled(value)))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a/byteorder": b"big"}, "twice"),
        ({"a/constants.pkl": b""}, "TorchScript"),
        ({"a/code/x.py": b""}, "TorchScript"),
        ({"b/data.pkl": b""}, "not one of torch.save"),
        ({"../outside": b""}, "not one of torch.save"),
        ({"/outside": b""}, "not one of torch.save"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_strange_member_is_refused(members: dict[str, bytes], message: str, archive: Archive) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        opened(archive(pickled(tensor()), members))


def test_a_big_endian_file_is_refused(archive: Archive) -> None:
    path = archive(pickled(tensor()))
    data = path.read_bytes()
    assert data.count(b"little") == 1
    path.write_bytes(data.replace(b"little", b"biggie"))
    with pytest.raises(UnreadableFileError, match="byte order b'biggie'"):
        opened(path)


def test_a_compressed_file_is_refused(archive: Archive) -> None:
    with pytest.raises(UnreadableFileError, match="is compressed"):
        opened(archive(pickled(tensor()), compression=zipfile.ZIP_DEFLATED))


def test_other_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("word/document.xml", b"")
    with pytest.raises(UnreadableFileError, match=r"not one of torch\.save"):
        opened(path)


def directory_of(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        # In the directory entry of the third member, a/data/0: flags, compressed and real size, place of its header.
        (8, b"\x01\x00", "is encrypted"),
        (20, struct.pack("<II", 97, 97), "has 97 bytes|overlap|not where"),
        (20, struct.pack("<II", 1 << 30, 1 << 30), "not where its directory says"),
        (20, struct.pack("<I", 95), "is compressed"),
        (42, struct.pack("<I", 0), "not where its directory says"),
        (42, struct.pack("<I", 3), "not where its directory says"),
        (42, struct.pack("<I", 1 << 30), "not where its directory says"),
    ],
)
def test_a_directory_that_lies_is_refused(at: int, value: bytes, message: str, archive: Archive) -> None:
    path = archive(pickled(tensor()))
    data = bytearray(path.read_bytes())
    third = data.rindex(b"PK\x01\x02")
    data[third + at : third + at + len(value)] = value
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFileError, match=message):
        opened(path)


def test_overlapping_members_are_refused(archive: Archive) -> None:
    """Two entries of the directory for one member: a zip of a few bytes could otherwise claim to hold terabytes."""
    path = archive(pickled(tensor()), {"a/data/1": bytes(400)})
    data = bytearray(path.read_bytes())
    entries = [index for index in range(len(data)) if data[index : index + 4] == b"PK\x01\x02"]
    longer = struct.pack("<II", 200, 200)
    data[entries[2] + 20 : entries[2] + 28] = longer
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableFileError, match="members a/data/0 and a/data/1 overlap"):
        opened(path)


def test_every_truncation_is_refused(archive: Archive) -> None:
    path = archive(pickled(tensor()))
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(UnreadableFileError):
            opened(path)


def test_any_damage_is_read_or_refused(files: Path, tmp_path: Path) -> None:
    """Whatever the bytes are, the outcome is tensors within the file or an error of this package."""
    original = (files / "shared.bin").read_bytes()
    chance = random.Random(3)
    path = tmp_path / "damaged.bin"
    outcomes = set()
    for _ in range(800):
        data = bytearray(original)
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data))
        try:
            with opened(path) as found:
                for one in found.tensors.values():
                    assert len(one.read().tobytes()) == one.nbytes <= len(data)
            outcomes.add("read")
        except Paddle2TorchError as error:
            outcomes.add(type(error).__name__ if str(error).startswith(str(path)) else str(error))
    assert outcomes == {"read", "UnreadableFileError", "RefusedFileError"}


def test_too_many_members_are_refused(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_file, "MAX_MEMBERS", 2)
    with pytest.raises(UnreadableFileError, match="holds 3 members"):
        opened(archive(pickled(tensor())))


def test_storages_are_not_read_until_asked_for(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening reads the directory, the headers and the pickle, so that it costs nothing for any size of tensor."""
    large = io.BytesIO(bytes(8 << 20)).getvalue()
    path = archive(pickled(tensor(storage("1", 2 << 20), shape=(2 << 20,), strides=(1,))), {"a/data/1": large})
    read: list[int] = []
    real = os.preadv

    def counting(descriptor: int, buffers: tuple[memoryview, ...], offset: int) -> int:
        read.append(sum(len(buffer) for buffer in buffers))
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", counting)
    with opened(path) as found:
        assert sum(read) < 4096
        assert found.tensors["x"].read().sum() == 0
