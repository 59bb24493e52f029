"""The interpreters of the two sides: which Python runs PaddleNLP and which run torch, and what to do when one lacks it.

The frameworks never share a process, so each side may have an environment of its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Kind = Literal["paddle", "torch"]

FRAMEWORKS: Mapping[Kind, str] = {"paddle": "PaddleNLP", "torch": "transformers with torch"}
"""What each side runs, in words."""

MODULES: Mapping[Kind, tuple[str, ...]] = {"paddle": ("paddle", "paddlenlp"), "torch": ("torch", "transformers")}
"""The modules by which an interpreter of a side is known."""

VARIABLES: Mapping[Kind, str] = {"paddle": "PADDLE2TORCH_PADDLE_PYTHON", "torch": "PADDLE2TORCH_TORCH_PYTHON"}
"""Environment variables that name interpreters; several torch sides are separated as in PATH."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "paddle": (
        "paddlepaddle==3.3.1",
        "paddlenlp==2.8.1",
        "aistudio-sdk==0.2.6",
        "huggingface-hub==0.36.2",
        "pyarrow==21.0.0",
    ),
    "torch": ("torch==2.13.0", "transformers==5.24.0", "protobuf==7.36.2", "sentencepiece==0.2.3"),
    "hub": ("filelock==4.2.11", "huggingface-hub==2.4.0", "requests==2.34.2"),
    "report": ("jinja2==3.1.6", "junitparser==5.0.3", "matplotlib==3.11.2"),
}
"""The packages of the extras, in the versions that were tested together. A test compares pyproject.toml and
constraints/."""

NEWEST_FOR_PADDLE = (3, 12)
"""The newest Python for which what PaddleNLP needs (numpy 1) is built."""

GIVEN, BESIDE, THIS = "given", "found beside this environment", "this interpreter"


@dataclass(frozen=True)
class Interpreter:
    """A Python for one side, and where it was named or found."""

    kind: Kind
    python: str
    origin: str


@dataclass(frozen=True)
class Interpreters:
    """The interpreters of a verification: one for PaddleNLP, and one for each torch side that is compared with it."""

    paddle: Interpreter
    torch: tuple[Interpreter, ...]


def find_interpreters(
    paddle_python: str | None = None, torch_python: str | Sequence[str] | None = None
) -> Interpreters:
    """The interpreters that are given, else those that the environment variables name, else those that are found: this
    interpreter if it has the framework, then `.venv-paddle` (`.venv-torch`) beside its environment."""
    torches = (torch_python,) if isinstance(torch_python, str) else torch_python or ()
    return Interpreters(
        _find("paddle", [paddle_python] if paddle_python else [])[0], tuple(_find("torch", list(torches)))
    )


def interpreter_of(kind: Kind) -> str:
    """The first interpreter of a side, when none is given."""
    return _find(kind, [])[0].python


def _find(kind: Kind, given: Sequence[str]) -> list[Interpreter]:
    origin = GIVEN
    if not given:
        origin, value = VARIABLES[kind], os.environ.get(VARIABLES[kind], "")
        given = [value] if kind == "paddle" else value.split(os.pathsep)
    named = [Interpreter(kind, python, origin) for python in dict.fromkeys(given) if python]
    return named or [_search(kind)]


def _search(kind: Kind) -> Interpreter:
    python = _python_in(_beside(kind))
    if not all(map(_is_installed, MODULES[kind])) and _is_ours(python):
        return Interpreter(kind, str(python), BESIDE)
    return Interpreter(kind, sys.executable, THIS)


def _is_installed(module: str) -> bool:
    spec = find_spec(module)
    # Any folder of that name, in the working directory for one, is a package without an origin.
    return spec is not None and spec.origin is not None


def _beside(kind: Kind) -> Path:
    """The environment for a side beside the one that runs; without one, in the user's own folder for data."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix).parent / f".venv-{kind}"
    from platformdirs import user_data_path

    return user_data_path("paddle2torch") / f".venv-{kind}"


def _python_in(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _is_ours(python: Path) -> bool:
    """Whether an interpreter is there and is its owner's who owns this one: what others put beside it is not run.
    Windows has no such numbers; there, who may write beside this environment may write into it too."""
    try:
        owner = python.parent.parent.stat().st_uid
        own = {Path(sys.prefix).stat().st_uid, *([os.getuid()] if hasattr(os, "getuid") else [])}
        return os.access(python, os.X_OK) and owner in own
    except OSError:
        return False


def mending(kind: Kind, python: str) -> tuple[str, ...]:
    """The shell commands that give a side its framework: two that make an environment where it is found, or one that
    completes an interpreter that was named."""
    packages = " ".join(map(shlex.quote, PACKAGES[kind]))
    if python != _search(kind).python and shutil.which(python):
        return (f"{shlex.quote(python)} -m pip install {packages}",)
    folder = _beside(kind)
    return (
        f"{shlex.quote(_maker(kind))} -m venv {shlex.quote(str(folder))}",
        f"{shlex.quote(str(_python_in(folder)))} -m pip install {packages}",
    )


def older_transformers(version: str) -> tuple[tuple[str, ...], str]:
    """The shell commands that make an environment of torch's side with this version of transformers beside the one that
    runs, and its interpreter."""
    folder = _beside("torch").with_name(f".venv-torch-{version}")
    python = shlex.quote(str(_python_in(folder)))
    wanted = [f"transformers=={version}" if one.startswith("transformers==") else one for one in PACKAGES["torch"]]
    packages = " ".join(map(shlex.quote, wanted))
    commands = (
        f"{shlex.quote(_maker('torch'))} -m venv {shlex.quote(str(folder))}",
        f"{python} -m pip install {packages}",
    )
    return commands, python


def _maker(kind: Kind) -> str:
    """A Python that makes an environment in which the packages of a side can be installed."""
    if kind != "paddle" or sys.version_info[:2] <= NEWEST_FOR_PADDLE:
        return sys.executable
    fitting = [f"python3.{minor}" for minor in range(NEWEST_FOR_PADDLE[1], 9, -1)]
    return next((name for name in fitting if _runs(name)), fitting[0])


def _runs(python: str) -> bool:
    # Some are only stand-ins, which tell how to install the real one.
    return bool(shutil.which(python)) and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def lacking(kind: Kind, python: str, detail: str) -> str:
    """One line that says that an interpreter lacks its framework, and the commands that mend it."""
    return f"{FRAMEWORKS[kind]} is not installed for {python} ({detail}): {' && '.join(mending(kind, python))}"


def lacking_libraries(what: str, libraries: Sequence[str]) -> str:
    """One line that says that this interpreter lacks libraries for a report, and the command that mends it."""
    packages = " ".join(map(shlex.quote, PACKAGES["report"]))
    return f"{what} needs {' and '.join(libraries)}: {shlex.quote(sys.executable)} -m pip install {packages}"
