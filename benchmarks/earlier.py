"""The build of an earlier commit, in a folder of its own, and the environments that contestants run in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ..verify.runners.environments import interpreter_of
from .goals import EARLIER

ROOT = Path(__file__).resolve().parents[1]


def build_earlier(folder: Path) -> Path:
    """Unpack the commit EARLIER as the package `paddle2torch` in the new `folder`, which stands first on the path of
    whoever runs it. Raises RuntimeError where git does not have it."""
    package = folder / "paddle2torch"
    package.mkdir(parents=True)
    archive = package / "archive.tar"
    command = ["git", "-C", str(ROOT), "archive", "--output", str(archive), EARLIER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"the commit {EARLIER} that is compared with cannot be taken from git: {done.stderr.strip()}; in a shallow "
            "clone, `git fetch --unshallow` first"
        )
    subprocess.run(["tar", "-xf", str(archive), "-C", str(package)], check=True)
    archive.unlink()
    return folder


def environment(earlier: Path | None = None) -> dict[str, str]:
    """The variables of a contestant: this process's, with the bytecode that an installed package has, and the earlier
    build in place of this one where its folder is given."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Each build would look for them beside itself.
    variables |= {f"PADDLE2TORCH_{side.upper()}_PYTHON": interpreter_of(side) for side in ("paddle", "torch")}
    if earlier is not None:
        variables["PYTHONPATH"] = str(earlier)
    return variables
