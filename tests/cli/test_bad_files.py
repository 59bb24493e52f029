"""A command gets files that are no checkpoint."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle2torch.cli import cli
from paddle2torch.errors import UnreadableFileError

from ..conftest import Run
from .outcomes import error_line, listing, refused, tensors_of


@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_missing_path(command: str, paddle2torch: Run, work: Path) -> None:
    arguments = ["missing/model.pdparams", *(["out"] if command == "convert" else [])]
    assert "missing/model.pdparams: no such file or folder" in refused(paddle2torch, work, command, *arguments)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"
CONTENTS = {
    "text": (b"just some text\n", "plain text"),
    "json": (b'{"err": {"code": 404, "message": "not found"}}', "plain text"),
    "html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "looks like a web page; the download failed"),
    "pointer": (POINTER, "git-lfs pointer to the real file; run `git lfs pull`"),
    "empty": (b"", "is empty; the download or the copy failed, fetch it again"),
    "gzip": (gzip.compress(b"weights"), "is compressed with gzip; unpack it first"),
    "tar": (bytes(257).replace(b"\0", b"a", 40) + b"ustar\x0000" + bytes(250), "is a tar archive; unpack it first"),
    "zip": (b"PK\x03\x04" + bytes(60), "zip archive, which is how PyTorch saves"),
}


@pytest.mark.parametrize(("content", "message"), CONTENTS.values(), ids=list(CONTENTS))
@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_file_of_another_kind(command: str, content: bytes, message: str, paddle2torch: Run, source: Path) -> None:
    (source / "model_state.pdparams").write_bytes(content)
    arguments: list[str | Path] = [source, *(["out"] if command == "convert" else [])]
    line = refused(paddle2torch, source.parent, command, *arguments)
    assert "model_state.pdparams" in line
    assert message in line


def write_shards(folder: Path) -> Path:
    """Two shards of safetensors with their index; the path of the second one."""
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    for name, letter in zip(names, "ab", strict=True):
        save_file({letter: np.zeros(2, "f4")}, folder / name)
    index = {"metadata": {}, "weight_map": dict(zip("ab", names, strict=True))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder / names[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *CONTENTS.values(),
        (pickle.dumps({"w": 1}, 4), "is a pickle, as Paddle's weights are; give it a name that ends in"),
    ],
    ids=[*CONTENTS, "pickle"],
)
@pytest.mark.parametrize("sharded", [False, True])
def test_safetensors_of_another_kind(
    sharded: bool, content: bytes, message: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On either side, whole or in shards, the words are those that a .pdparams file of the kind gets."""
    (source / "model_state.pdparams").unlink()
    weights = write_shards(source) if sharded else source / "model.safetensors"
    weights.write_bytes(content)
    before = listing(source.parent)
    out = source.parent / "out"
    for command, *rest in (("inspect",), ("convert", out), ("convert", out, "--to", "paddle"), ("verify", source)):
        with pytest.raises(UnreadableFileError) as caught:
            cli.main([command, str(source), *map(str, rest)], standalone_mode=False)
        assert str(caught.value).startswith(f"{weights}: "), rest
        assert message in str(caught.value)
    assert listing(source.parent) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("sharded", [False, True])
def test_a_foreign_folder_of_another_kind(sharded: bool, paddle2torch: Run, source: Path) -> None:
    foreign = source.parent / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_bytes((source / "config.json").read_bytes())
    weights = write_shards(foreign) if sharded else foreign / "model.safetensors"
    weights.write_bytes(POINTER)
    line = refused(paddle2torch, source.parent, "verify", source, foreign)
    assert f"{weights}: is only a git-lfs pointer to the real file" in line


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_file(keep: float, paddle2torch: Run, source: Path) -> None:
    weights = source / "model_state.pdparams"
    data = weights.read_bytes()
    weights.write_bytes(data[: int(len(data) * keep)])
    assert "model_state.pdparams" in refused(paddle2torch, source.parent, "convert", source, "out")


def test_a_truncated_safetensors_file(paddle2torch: Run, source: Path) -> None:
    tensors = tensors_of(source)
    (source / "model_state.pdparams").unlink()
    save_file(tensors, source / "model.safetensors")
    data = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(data[:-10])
    assert "model.safetensors" in refused(paddle2torch, source.parent, "convert", source, "out")


class Canary:
    """Unpickled, it makes an empty file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_pickle_with_a_foreign_global(command: str, paddle2torch: Run, source: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    state: dict[str, Any] = {**tensors_of(source), "canary": Canary(canary)}
    (source / "model_state.pdparams").write_bytes(pickle.dumps(state, protocol=4))
    arguments: list[str | Path] = [source, *(["out"] if command == "convert" else [])]
    line = refused(paddle2torch, source.parent, command, *arguments)
    assert "model_state.pdparams" in line
    assert "io.open" in line
    assert not canary.exists()


def test_a_pipe_is_no_checkpoint(paddle2torch: Run, work: Path) -> None:
    """Opening a named pipe would wait forever for a writer."""
    os.mkfifo(work / "pipe.pdparams")
    assert "pipe.pdparams: is not a regular file" in refused(paddle2torch, work, "inspect", "pipe.pdparams")


def test_an_empty_name_is_not_the_current_folder(paddle2torch: Run, source: Path) -> None:
    """As from a shell variable that is not set."""
    before = listing(source)
    finished = paddle2torch("convert", "", "../out", cwd=source)
    assert "empty" in error_line(finished)
    assert listing(source) == before
    assert not (source.parent / "out").exists()
