"""What a user meets beside the usual path: a named pipe, a variable that is not set,
a cache that is a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run


@pytest.fixture
def source(seeded: Callable[..., Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(seeded("AlbertModel"), tmp_path / "tree" / "source"))


def refused(finished: subprocess.CompletedProcess[str]) -> str:
    """The one error line of a command that ended with status 2."""
    assert finished.returncode == 2, finished
    assert finished.stdout == ""
    assert finished.stderr.startswith("Error: ")
    assert finished.stderr.count("\n") == 1
    return finished.stderr


@pytest.mark.parametrize("arguments", [("inspect", "tree/source"), ("convert", "tree/source", "out")])
def test_a_named_pipe_in_a_folder_is_no_checkpoint(
    arguments: tuple[str, ...], paddle2torch: Run, source: Path, tmp_path: Path
) -> None:
    """Opening it would wait forever for a writer."""
    (source / "model_state.pdparams").unlink()
    os.mkfifo(source / "model_state.pdparams")
    assert "model_state.pdparams: is not a regular file" in refused(paddle2torch(*arguments, cwd=tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [("--tree", "", "../out"), ("--tree", ".", ""), ("source", ""), ("source", "", "--overwrite"), ("--list", "l", "")],
    ids=" ".join,
)
def test_an_empty_name_of_a_folder_is_not_the_current_one(
    arguments: tuple[str, ...], paddle2torch: Run, source: Path
) -> None:
    """As from a shell variable that is not set."""
    folder = source.parent
    (folder / "l").write_text("source\tconverted\n")
    assert "empty" in refused(paddle2torch("convert", *arguments, cwd=folder))
    assert sorted(path.name for path in folder.iterdir()) == ["l", "source"]
    assert not (folder.parent / "out").exists()


def test_a_cache_that_is_a_file_is_not_called_damaged(tmp_path: Path) -> None:
    """There is no folder to delete, and fetching again would not help."""
    (tmp_path / "cache").write_text("")
    environment = {**os.environ, "PADDLE2TORCH_CACHE": str(tmp_path / "cache"), "PADDLE2TORCH_OFFLINE": "1"}
    command = [sys.executable, "-m", "paddle2torch", "fetch", "albert-chinese-tiny"]
    line = refused(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60))
    assert "Not a directory" in line
    assert "damaged" not in line
