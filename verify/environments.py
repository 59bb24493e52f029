"""What the command `environments` shows: which interpreter does what, with which versions, and what is missing."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from .. import __version__
from ..errors import MissingDependencyError, RunnerError
from .runners.client import RunnerProcess
from .runners.environments import FRAMEWORKS, PACKAGES, THIS, Interpreter, find_interpreters, mending
from .runners.networks.processes import NETWORKS, NetworkProcess, NetworkRunners

LIBRARIES = {"report": ("jinja2", "junitparser", "matplotlib"), "hub": ("filelock", "huggingface_hub", "requests")}
"""What this interpreter itself needs, by what for."""


@dataclass(frozen=True)
class Environment:
    """An interpreter: what it is used for, what was found in it, what is missing, and the commands that mend that. An
    `optional` use is none of a verification's."""

    use: str
    python: str
    origin: str
    versions: dict[str, str]
    missing: str | None = None
    mend: tuple[str, ...] = ()
    optional: bool = False

    def lines(self) -> list[str]:
        """The environment for people."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = [f"{self.use}: {self.python} ({self.origin}){': ' + versions if versions else ''}"]
        if self.missing is not None:
            lines += [f"  missing: {self.missing}", *(f"  {command}" for command in self.mend)]
        return lines

    def to_json(self) -> dict[str, Any]:
        """The environment as plain JSON values."""
        return {
            "use": self.use,
            "python": self.python,
            "origin": self.origin,
            "versions": self.versions,
            "missing": self.missing,
            "commands": list(self.mend),
            "optional": self.optional,
        }


@dataclass(frozen=True)
class Survey:
    """All environments of a verification."""

    environments: tuple[Environment, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that a verification needs."""
        return all(one.missing is None or one.optional for one in self.environments)

    def lines(self) -> list[str]:
        """The environments for people."""
        return [line for one in self.environments for line in one.lines()]

    def to_json(self) -> dict[str, Any]:
        """The environments as plain JSON values."""
        return {"complete": self.complete, "environments": [one.to_json() for one in self.environments]}


def survey(paddle_python: str | None = None, torch_python: str | Sequence[str] | None = None) -> Survey:
    """Look into the interpreters of both sides, by importing their frameworks there, and into this one."""
    found = find_interpreters(paddle_python, torch_python)
    interpreters = (found.paddle, *found.torch)
    frameworks = [RunnerProcess(one.kind, one.python) for one in interpreters]
    with NetworkRunners(paddle_python, torch_python) as networks, ThreadPoolExecutor(2 * len(interpreters)) as pool:
        try:
            # Most of the time goes into imports, which processes of their own do beside each other.
            asked = [pool.submit(_networks, *pair) for pair in zip(interpreters, networks.all, strict=True)]
            sides = list(pool.map(_side, interpreters, frameworks))
            # A side without its framework has no networks either, which goes without saying.
            optional = [one.result() for one, side in zip(asked, sides, strict=True) if side.missing is None]
        except BaseException:
            # Whoever interrupts does not wait until all have answered.
            for runner in (*frameworks, *networks.all):
                runner.stop()
            raise
    return Survey((*sides, *optional, *_this()))


def _side(interpreter: Interpreter, runner: RunnerProcess) -> Environment:
    kind, python = interpreter.kind, interpreter.python
    place = (FRAMEWORKS[kind], python, interpreter.origin)
    with runner:
        try:
            return Environment(*place, runner.request({"operation": "versions"})["versions"])
        except MissingDependencyError as error:
            missing = error.detail
        except RunnerError as error:
            missing = str(error)
        return Environment(*place, {}, missing, mending(kind, python))


def _networks(interpreter: Interpreter, runner: NetworkProcess) -> Environment:
    """What networks that read pictures take, in the interpreter of a side."""
    place = (NETWORKS[interpreter.kind], interpreter.python, interpreter.origin)
    try:
        versions = runner.request({"operation": "versions"})["versions"]
    except MissingDependencyError as error:
        return Environment(*place, {}, error.detail, runner.mending(), optional=True)
    except RunnerError as error:
        return Environment(*place, {}, str(error), optional=True)
    lacking = runner.lacks(versions)
    return Environment(*place, versions, ", ".join(lacking) or None, runner.mending() if lacking else (), optional=True)


def _this() -> list[Environment]:
    """This interpreter, for each thing that needs libraries of its own."""
    versions = {"python": platform.python_version(), "paddle2torch": __version__}
    found = []
    for use, libraries in LIBRARIES.items():
        missing = [name for name in libraries if find_spec(name) is None]
        packages = " ".join(map(shlex.quote, PACKAGES[use]))
        mend = (f"{shlex.quote(sys.executable)} -m pip install {packages}",) if missing else ()
        found.append(Environment(use, sys.executable, THIS, versions, ", ".join(missing) or None, mend, optional=True))
    return found
