"""What tests of sources on the Hub share: a repository's files, and the command line beside the hub."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import HURRIED, environment_of
from ..loopback_hub import TOKEN, LoopbackHub

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def files(seeded: Callable[..., Path]) -> dict[str, bytes]:
    """A small masked language model as PaddleNLP saves it, without the mark of seeded weights, and with what else
    people keep in a repository."""
    folder = seeded("AlbertForMaskedLM")
    held = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "seeded_weights.json"}
    return {**held, "README.md": b"# hello\n", "optimizer.pdopt": b"state", "flax_model.msgpack": b"f" * 1000}


@pytest.fixture
def command(hub: LoopbackHub, python: str, tmp_path: Path) -> Command:
    """`command(*arguments, **variables)`: the real command line in a process that knows the hub and has no token."""

    def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = environment_of(tmp_path / "hf-home", **{"HF_ENDPOINT": hub.endpoint, **variables})
        done = subprocess.run(
            [python, "-c", HURRIED, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
        assert TOKEN not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def refused(command: Command) -> Callable[..., str]:
    """The one line with which the command line refuses."""

    def run(*arguments: str | Path, **variables: str) -> str:
        done = command(*arguments, **variables)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        (line,) = done.stderr.splitlines()
        return line

    return run
