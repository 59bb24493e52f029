"""What became of a command, and checkpoints spoiled for it."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..conftest import Run

Seeded = Callable[..., Path]


def listing(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, hidden ones included, with the bytes of each file."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() or path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_dir() or path.is_symlink() or path.is_file()
    }


def error_line(finished: subprocess.CompletedProcess[str]) -> str:
    """The one line of an expected failure; everything else about the outcome is asserted here."""
    assert finished.returncode == 2, finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
    lines = finished.stderr.splitlines()
    assert len(lines) == 1, finished.stderr
    assert lines[0].startswith("Error: ")
    return lines[0]


def refused(paddle2torch: Run, work: Path, *arguments: str | Path, home: Path | None = None) -> str:
    """Run a command that must fail: its error line, after checking that it changed nothing."""
    before = listing(work)
    finished = paddle2torch(*arguments, cwd=work, home=home)
    line = error_line(finished)
    assert listing(work) == before
    assert finished.stdout == ""
    return line


def tensors_of(source: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a .pdparams file that Paddle wrote; such a file of the tests' own is safe to unpickle."""
    state = pickle.loads((source / "model_state.pdparams").read_bytes())
    return {
        name: value[1] if isinstance(value, tuple) else value
        for name, value in state.items()
        if name != "StructuredToParameterName@@"
    }


def put_tensors(source: Path, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    (source / "model_state.pdparams").write_bytes(pickle.dumps(tensors, protocol=4))


def put_field(source: Path, **fields: Any) -> None:
    path = source / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
