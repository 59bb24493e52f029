"""`publish` against a hub on loopback: what arrives, what is refused, and what is left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .conftest import Publish
from .loopback_hub import LoopbackHub

REPO = "me/albert-tiny"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def error_of(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """The one line of error of a run that failed as it should."""
    assert done.returncode == status, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0]


def writes(hub: LoopbackHub) -> list[str]:
    return [f"{one.method} {one.path}" for one in hub.seen if one.method not in ("GET", "HEAD")]


def test_a_new_repository_holds_the_very_bytes(converted: Path, hub: LoopbackHub, publish: Publish) -> None:
    done = publish(converted, REPO)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == f"published in a new repository (verified weights): {hub.endpoint}/{REPO}"
    assert hub.files(REPO) == contents(converted)
    assert set(hub.files(REPO)) == {"README.md", "config.json", "model.safetensors", "parity.json"}
    assert not hub.repositories[REPO].private
    assert len(hub.repositories[REPO].commits) == 2
    stored = {name for name, file in hub.repositories[REPO].at("main").items() if file.large}
    assert stored == {"model.safetensors"}
    assert all(one.headers["user-agent"].startswith("paddle2torch/") for one in hub.seen if "/api/" in one.path)
