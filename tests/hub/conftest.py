"""A hub on loopback, the command line that speaks to it, and converted folders with a real certificate."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.hub.publish import Publication
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

PYTHONS = os.environ.get("PADDLE2TORCH_TEST_PYTHONS", sys.executable).split(os.pathsep)
"""The interpreters that publish: each with a version of huggingface_hub, and with this package. The hub and the tests
stay in the one that runs pytest."""

NOT_INHERITED = ("HF_", "HUGGING", "HTTP_", "HTTPS_", "ALL_PROXY", "http_", "https_", "all_proxy")

Publish = Callable[..., "subprocess.CompletedProcess[str]"]
PublishHere = Callable[..., tuple[Publication, list[str]]]


def version_of_client(python: str) -> str:
    """The version of huggingface_hub that an interpreter has."""
    code = "from importlib.metadata import version; print('hub', version('huggingface_hub'))"
    return subprocess.run([python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session", params=PYTHONS, ids=version_of_client)
def python(request: pytest.FixtureRequest) -> str:
    """The interpreter that publishes."""
    return str(request.param)


def environment_of(hub_home: Path, **variables: str) -> dict[str, str]:
    """The environment of a process that publishes: nothing of this one's hub, proxies or token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    return {**kept, "HF_HOME": str(hub_home), **variables}


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """An empty hub."""
    with LoopbackHub() as running:
        yield running


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


@pytest.fixture(scope="session")
def publisher(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that interpreter that publishes again and again."""
    command = [python, str(Path(__file__).with_name("publish_child.py"))]
    home = tmp_path_factory.mktemp("publisher")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment_of(home), cwd=home
    ) as child:
        yield child
        assert child.stdin is not None
        child.stdin.close()


@pytest.fixture
def publish_here(hub: LoopbackHub, publisher: subprocess.Popen[bytes]) -> PublishHere:
    """`publish_here(folder, repo_id, token=..., **options)`: `publish_folder` without the start of another process;
    gives the publication and the notes. The token is neither in an error nor in anything that an error leads to."""

    def run(folder: Path, repo_id: str, token: str | None = TOKEN, **options: bool) -> tuple[Publication, list[str]]:
        assert publisher.stdin is not None
        assert publisher.stdout is not None
        pickle.dump((hub.endpoint, token, folder, repo_id, options), publisher.stdin)
        publisher.stdin.flush()
        answer, chained, notes = pickle.load(publisher.stdout)
        if isinstance(answer, Publication):
            return answer, notes
        assert TOKEN not in f"{answer} {notes}"
        assert chained == (None, None)
        raise answer

    return run


@pytest.fixture
def publish(hub: LoopbackHub, python: str, tmp_path: Path) -> Publish:
    """`publish(*arguments, token=..., **variables)`: the real command, in a process that knows the hub and the token.

    Its output never holds the token.
    """

    def run(*arguments: str | Path, token: str | None = TOKEN, **variables: str) -> subprocess.CompletedProcess[str]:
        if token is not None:
            variables = {"HF_TOKEN": token, **variables}
        environment = environment_of(tmp_path / "hf-home", **{"HF_ENDPOINT": hub.endpoint, **variables})
        command = [python, "-c", HURRIED, "publish", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path, check=False
        )
        assert TOKEN not in done.stdout + done.stderr
        return done

    return run
