"""Real exports of trained networks: every tensor under its name in training, with the values that Paddle loads, and
nothing of it when the files are cut off or mixed up."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from paddle2torch.converters.formats.exports.file import files_of_export, open_export
from paddle2torch.errors import RefusedFileError, UnreadableFileError

from ...conftest import Trained
from .made_up import failure

COUNTS = {"recognition": 234, "detection": 234, "classification": 213}

exports = pytest.mark.parametrize("name", list(COUNTS))


def copied(trained: Trained, name: str, folder: Path) -> Path:
    """A copy of an export, to be spoiled."""
    for path in files_of_export(trained.weights[name]):
        shutil.copy(path, folder)
    return folder / trained.weights[name].name


@exports
def test_the_values_are_those_that_paddle_loads(name: str, trained: Trained) -> None:
    with np.load(trained.loaded / f"{name}.npz") as loaded, open_export(trained.weights[name]) as opened:
        assert len(opened.tensors) == COUNTS[name]
        assert set(opened.tensors) == set(loaded.files)
        for tensor in opened.tensors.values():
            expected = loaded[tensor.name]
            assert tensor.shape == expected.shape, tensor.name
            assert tensor.dtype.name == expected.dtype.name == "float32"
            assert tensor.read().tobytes() == expected.tobytes(), tensor.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("recognition", {"head.ctc_head.fc.weight": (120, 6625), "backbone.conv1.conv.weight": (16, 3, 3, 3)}),
        ("detection", {"head.binarize.conv3.weight": (24, 1, 2, 2), "neck.ins_conv.0.in_conv.weight": (96, 12, 1, 1)}),
        ("classification", {"head.fc.weight": (200, 2)}),
    ],
)
def test_names_and_shapes_as_in_training(name: str, expected: dict[str, tuple[int, ...]], trained: Trained) -> None:
    known = re.compile(r"(backbone|neck|head)\..*\.(weight|bias|_mean|_variance|scale|w|b)")
    with open_export(trained.weights[name]) as opened:
        assert {one: opened.tensors[one].shape for one in expected} == expected
        assert [one for one in opened.tensors if not known.fullmatch(one)] == []


@exports
def test_cut_off(name: str, trained: Trained, tmp_path: Path) -> None:
    path = copied(trained, name, tmp_path)
    size = path.stat().st_size
    for length in (size - 1, size // 2, 4096, 25, 19, 3, 0):
        with path.open("r+b") as opened:
            opened.truncate(length)
        assert isinstance(failure(path), UnreadableFileError)


@exports
def test_with_a_program_of_another_network(name: str, trained: Trained, tmp_path: Path) -> None:
    path = copied(trained, name, tmp_path)
    other = next(one for one in COUNTS if one != name)
    shutil.copy(trained.weights[other].with_suffix(".pdmodel"), path.with_suffix(".pdmodel"))
    with pytest.raises(UnreadableFileError):
        open_export(path)


@exports
def test_with_a_byte_more(name: str, trained: Trained, tmp_path: Path) -> None:
    path = copied(trained, name, tmp_path)
    with path.open("ab") as opened:
        opened.write(b"\0")
    assert "1 bytes follow the last tensor" in str(failure(path))


def test_a_program_with_a_byte_changed_is_another_or_refused(trained: Trained, tmp_path: Path) -> None:
    """Whatever bit is turned in a program or a table of names: tensors come out, or a refusal."""
    path = copied(trained, "detection", tmp_path)
    random = np.random.default_rng(5)
    read = tried = 0
    for other in files_of_export(path)[1:]:
        whole = other.read_bytes()
        for place in random.integers(0, len(whole), 12):
            spoiled = bytearray(whole)
            spoiled[place] ^= 1 << int(random.integers(8))
            other.write_bytes(spoiled)
            with suppress(RefusedFileError, UnreadableFileError):
                open_export(path).close()
                read += 1
            tried += 1
        other.write_bytes(whole)
    assert 0 < read < tried
    open_export(path).close()
