"""A hub on loopback, the command line that speaks to it, and converted folders with a real certificate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.errors import Paddle2TorchError
from paddle2torch.hub.publish import Publication, publish_folder
from paddle2torch.verify.runners.forward import Runners

from .loopback_hub import TOKEN, LoopbackHub

HURRIED = """
import sys, time
wait = time.sleep
time.sleep = lambda seconds: wait(min(seconds, 0.01))
import paddle2torch.hub.client as client
client.ANSWER_SECONDS = 2.0
from paddle2torch.cli import main
sys.argv[0] = "paddle2torch"
main()
"""
"""The command line, but the client's pauses between attempts are short and so is its patience."""

Publish = Callable[..., "subprocess.CompletedProcess[str]"]
PublishHere = Callable[..., tuple[Publication, list[str]]]


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """An empty hub."""
    with LoopbackHub() as running:
        yield running


@pytest.fixture(scope="session")
def runners() -> Iterator[Runners]:
    """Runners that live as long as the test session."""
    with Runners() as started:
        yield started


@pytest.fixture(scope="session")
def certify(runners: Runners) -> Callable[[Path, Path], None]:
    """A function that converts a source into a folder and verifies it, certificate included."""

    def convert_and_verify(source: Path, converted: Path) -> None:
        convert_checkpoint(source, converted)
        verify_checkpoint(source, converted, runners=runners, certificate=True).assert_passed()

    return convert_and_verify


@pytest.fixture(scope="session")
def certified(
    certify: Callable[[Path, Path], None], seeded: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small masked language model converted from a local checkpoint, with its certificate; shared, never changed."""
    folder = tmp_path_factory.mktemp("certified")
    source = folder / "my_finetuned [model]"
    shutil.copytree(seeded("AlbertForMaskedLM"), source, ignore=shutil.ignore_patterns("seeded_weights.json"))
    certify(source, folder / "converted")
    return folder / "converted"


@pytest.fixture
def converted(certified: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to change."""
    return Path(shutil.copytree(certified, tmp_path / "converted"))


@pytest.fixture
def publish_here(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublishHere:
    """`publish_here(folder, repo_id, **options)`: the same in this process, without the start of another; gives the
    publication and the notes. The token is neither in an error nor in anything that an error leads to."""
    wait = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: wait(min(seconds, 0.01)))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def run(folder: Path, repo_id: str, **options: bool) -> tuple[Publication, list[str]]:
        notes: list[str] = []
        failure: Paddle2TorchError | None = None
        try:
            return publish_folder(folder, repo_id, tell=notes.append, **options), notes
        except Paddle2TorchError as error:
            failure = error
        assert TOKEN not in f"{failure} {notes}"
        assert failure.__cause__ is None
        assert failure.__context__ is None
        raise failure

    return run


@pytest.fixture
def publish(hub: LoopbackHub, tmp_path: Path) -> Publish:
    """`publish(*arguments, token=..., **variables)`: the real command, in a process that knows the hub and the token.

    Its output never holds the token.
    """

    def run(*arguments: str | Path, token: str | None = TOKEN, **variables: str) -> subprocess.CompletedProcess[str]:
        unwanted = ("HF_", "HUGGING", "HTTP_", "HTTPS_", "ALL_PROXY", "http_", "https_", "all_proxy")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf-home")}
        if token is not None:
            environment["HF_TOKEN"] = token
        environment |= variables
        command = [sys.executable, "-c", HURRIED, "publish", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path, check=False
        )
        assert TOKEN not in done.stdout + done.stderr
        return done

    return run
