"""Files of torch.save, read without PyTorch, against torch.load."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.formats import payloads
from paddle2torch.converters.formats.torch_save import archive as torch_archive
from paddle2torch.converters.formats.torch_save.file import open_torch_file
from paddle2torch.converters.inspection import inspect_checkpoint
from paddle2torch.errors import RefusedFileError, UnreadableFileError

from ...conftest import Run

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
    "views",
    "beside",
    "nested",
    "integers",
    "unchecked",
)


@pytest.mark.parametrize("form", ["", ".legacy"])
@pytest.mark.parametrize("name", READ)
def test_equals_what_torch_load_reads(name: str, form: str, torch_files: Path) -> None:
    expected = json.loads((torch_files / f"{name}{form}.json").read_text())
    assert expected
    found = {}
    with open_torch_file(torch_files / f"{name}{form}.bin") as opened:
        for key, tensor in opened.tensors.items():
            digest = hashlib.sha256(tensor.read().tobytes()).hexdigest()
            pieces = hashlib.sha256(b"".join(chunk.tobytes() for chunk in tensor.chunks())).hexdigest()
            assert digest == pieces
            found[key] = [tensor.dtype.name, list(tensor.shape), digest]
    assert found == expected


@pytest.mark.parametrize("form", ["", ".legacy"])
def test_other_values_beside_tensors_and_nested_names(form: str, torch_files: Path) -> None:
    with open_torch_file(torch_files / f"beside{form}.bin") as opened:
        assert list(opened.tensors) == ["x"]
        assert opened.ignored == (
            *("epoch", "note", "rate", "shape", "dtype", "device", "milestones", "names", "pole", "raw", "state"),
        )
    with open_torch_file(torch_files / f"nested{form}.bin") as opened:
        assert list(opened.tensors) == ["model.x", "list.0", "list.1"]
    with open_torch_file(torch_files / f"integers{form}.bin") as opened:
        assert list(opened.tensors) == ["7", "-1.0", "x"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("script", UnreadableFileError, "TorchScript program"),
        ("float8", RefusedFileError, "_rebuild_tensor_v3"),
        ("quantized", RefusedFileError, "_rebuild_qtensor"),
        ("sparse", RefusedFileError, "_rebuild_sparse_tensor"),
        ("module", RefusedFileError, "Sequential"),
    ],
)
def test_what_cannot_be_read_says_to_save_again(
    name: str, error: type[Exception], message: str, torch_files: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        open_torch_file(torch_files / f"{name}.bin")
    assert "save the model again as safetensors" in str(caught.value)
    assert str(caught.value).startswith(str(torch_files / f"{name}.bin"))


def test_a_folder_with_only_the_file_is_inspected(torch_files: Path, tmp_path: Path, paddle2torch: Run) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes((torch_files / "shared.bin").read_bytes())
    names = [tensor["name"] for tensor in inspect_checkpoint(tmp_path, with_hash=True).tensors]
    assert names == ["one", "other", "rows", "vector"]
    done = paddle2torch("inspect", tmp_path)
    assert done.returncode == 0
    assert "2x4" in done.stdout
    failed = paddle2torch("inspect", torch_files / "module.bin")
    assert failed.returncode == 2
    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.count("\n") == 1


def test_any_name_of_the_file_is_fine(torch_files: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights.pdparams"
    path.write_bytes((torch_files / "shared.bin").read_bytes())
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint.tensors) == ["one", "other", "rows", "vector"]


@pytest.mark.parametrize("form", ["", ".legacy"])
@pytest.mark.parametrize("piece", [16, 200, 3000])
def test_what_lies_apart_is_gathered_piece_by_piece(
    piece: int, form: str, torch_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_torch_file(torch_files / f"views{form}.bin") as opened:
        expected = {name: tensor.read().tobytes() for name, tensor in opened.tensors.items()}
    monkeypatch.setattr(payloads, "GATHER_BYTES", piece)
    monkeypatch.setattr(torch_archive, "CHECK_BYTES", piece)
    real, asked = os.preadv, []

    def counting(descriptor: int, buffers: tuple[memoryview, ...], offset: int) -> int:
        asked.append(sum(len(buffer) for buffer in buffers))
        return real(descriptor, buffers, offset)

    with open_torch_file(torch_files / f"views{form}.bin") as opened:
        monkeypatch.setattr(os, "preadv", counting)
        for name in ("columns", "permuted", "windows", "channels last", "one row, many times"):
            asked.clear()
            opened.tensors[name].open_source()
            assert 0 < max(asked) <= piece
        assert {name: tensor.read().tobytes() for name, tensor in opened.tensors.items()} == expected


def test_a_view_is_gathered_once_and_its_file_goes_with_the_source(torch_files: Path) -> None:
    with open_torch_file(torch_files / "views.bin") as opened:
        scratch, place = opened.tensors["columns"].open_source()
        assert opened.tensors["columns"].open_source() == (scratch, place)
        assert opened.tensors["column"].open_source() != (scratch, place)
        descriptor = scratch.descriptor
        assert os.fstat(descriptor).st_nlink == 0
    assert scratch.descriptor == -1


def flipped(path: Path, target: Path, at: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    target.write_bytes(bytes(data))
    return target


def place_of(path: Path, member: str) -> tuple[int, int]:
    """Where the bytes of an archive's member begin and end."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(member)
    header = path.read_bytes()[entry.header_offset :]
    start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    return start, start + entry.file_size


def test_a_flipped_bit_of_a_tensor_is_found(torch_files: Path, tmp_path: Path, paddle2torch: Run) -> None:
    """`torch.load` of PyTorch 2.13 reads it as another value."""
    original = torch_files / "shared.bin"
    start, end = place_of(original, "shared/data/0")
    for at in (start, (start + end) // 2, end - 1):
        path = flipped(original, tmp_path / "pytorch_model.bin", at)
        with open_torch_file(path) as opened:
            for tensor in opened.tensors.values():
                with pytest.raises(
                    UnreadableFileError, match=r"shared/data/0 is damaged: the CRC-32 .* fetch it again"
                ):
                    tensor.read()
    done = paddle2torch("inspect", "--hash", path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {path}: its member shared/data/0 is damaged")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("member", ["data.pkl", "byteorder"])
def test_a_flipped_bit_beside_the_tensors_is_found(member: str, torch_files: Path, tmp_path: Path) -> None:
    start, end = place_of(torch_files / "shared.bin", f"shared/{member}")
    for at in range(start, end, 5):
        path = flipped(torch_files / "shared.bin", tmp_path / "pytorch_model.bin", at)
        with pytest.raises(UnreadableFileError, match=f"its member shared/{member} is damaged"):
            open_torch_file(path)


def test_without_checksums_nothing_is_compared(torch_files: Path, tmp_path: Path) -> None:
    """`torch.serialization.set_crc32_options(False)` writes 0 for each."""
    start, _ = place_of(torch_files / "unchecked.bin", "unchecked/data/0")
    path = flipped(torch_files / "unchecked.bin", tmp_path / "pytorch_model.bin", start)
    with open_torch_file(path) as opened, open_torch_file(torch_files / "unchecked.bin") as whole:
        found, expected = (one.tensors["x"].read().tobytes() for one in (opened, whole))
        assert bytes([found[0] ^ 0x01]) + found[1:] == expected


def test_a_checksum_is_made_once_and_in_pieces(torch_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_archive, "CHECK_BYTES", 10)
    real, checked = zlib.crc32, []

    def counting(data: memoryview, start: int) -> int:
        checked.append(len(data))
        return real(data, start)

    with open_torch_file(torch_files / "shared.bin") as opened:
        monkeypatch.setattr(zlib, "crc32", counting)
        for _ in range(2):
            for tensor in opened.tensors.values():
                tensor.read()
    assert checked == [10] * 9 + [6]
