"""A command gets files that are no checkpoint."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from ..conftest import Run
from .outcomes import error_line, listing, refused, tensors_of


@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_missing_path(command: str, paddle2torch: Run, work: Path) -> None:
    arguments = ["missing/model.pdparams", *(["out"] if command == "convert" else [])]
    assert "missing/model.pdparams: no such file or folder" in refused(paddle2torch, work, command, *arguments)


CONTENTS = {
    "text": (b"just some text\n", "plain text"),
    "html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
    "empty": (b"", "empty"),
    "zip": (b"PK\x03\x04" + bytes(60), "zip"),
}


@pytest.mark.parametrize(("content", "message"), CONTENTS.values(), ids=list(CONTENTS))
@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_file_of_another_kind(command: str, content: bytes, message: str, paddle2torch: Run, source: Path) -> None:
    (source / "model_state.pdparams").write_bytes(content)
    arguments: list[str | Path] = [source, *(["out"] if command == "convert" else [])]
    line = refused(paddle2torch, source.parent, command, *arguments)
    assert "model_state.pdparams" in line
    assert message in line


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
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_pickle_with_a_foreign_global(command: str, paddle2torch: Run, source: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    state: dict[str, Any] = {**tensors_of(source), "canary": Canary(canary)}
    (source / "model_state.pdparams").write_bytes(pickle.dumps(state, protocol=4))
    arguments: list[str | Path] = [source, *(["out"] if command == "convert" else [])]
    line = refused(paddle2torch, source.parent, command, *arguments)
    assert "model_state.pdparams" in line
    assert "mkdir" in line
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
