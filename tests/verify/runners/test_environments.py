"""Which interpreter does what: given, named by a variable, found beside, or the one that runs; and how to mend it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paddle2torch.errors import MissingDependencyError
from paddle2torch.verify.environments import survey
from paddle2torch.verify.runners import environments
from paddle2torch.verify.runners.client import RunnerProcess
from paddle2torch.verify.runners.environments import (
    BESIDE,
    GIVEN,
    PACKAGES,
    THIS,
    VARIABLES,
    Kind,
    find_interpreters,
    lacking,
    mending,
)
from paddle2torch.verify.runners.networks.processes import NETWORKS, NetworkProcess
from paddle2torch.verify.runners.networks.processes import PACKAGES as NETWORK_PACKAGES

from ...conftest import PADDLE_PYTHON, TORCH_PYTHON, Run

ROOT = Path(environments.__file__).parents[2]

KINDS: tuple[Kind, ...] = ("paddle", "torch")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this interpreter's environment, as it seems: nothing is installed, and nothing is beside it."""
    (tmp_path / "env").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(environments, "_is_installed", lambda module: False)
    return tmp_path


def make_python(environment: Path) -> str:
    python = environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    return str(python)


def found() -> list[tuple[str, str]]:
    interpreters = find_interpreters()
    return [(one.python, one.origin) for one in (interpreters.paddle, *interpreters.torch)]


def test_the_order_of_the_search(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found() == [(sys.executable, THIS)] * 2
    paddle, torch = make_python(beside / ".venv-paddle"), make_python(beside / ".venv-torch")
    assert found() == [(paddle, BESIDE), (torch, BESIDE)]
    monkeypatch.setattr(environments, "_is_installed", lambda module: module in ("torch", "transformers"))
    assert found() == [(paddle, BESIDE), (sys.executable, THIS)]
    monkeypatch.setenv(VARIABLES["paddle"], "p")
    monkeypatch.setenv(VARIABLES["torch"], os.pathsep.join(["t", "u", "", "t"]))
    assert found() == [("p", VARIABLES["paddle"]), ("t", VARIABLES["torch"]), ("u", VARIABLES["torch"])]
    given = find_interpreters("a", ["b", "c", "b"])
    assert (given.paddle.python, given.paddle.origin) == ("a", GIVEN)
    assert [one.python for one in given.torch] == ["b", "c"]
    assert find_interpreters(None, "d").torch[0].python == "d"


def test_what_someone_else_put_beside_is_not_run(beside: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    make_python(beside / ".venv-paddle")
    os.chown(beside / ".venv-paddle", 12345, -1)
    assert found()[0] == (sys.executable, THIS)


def test_a_folder_of_that_name_is_no_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing_but_a_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not environments._is_installed("nothing_but_a_folder")
    assert environments._is_installed("json")


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_make_an_environment_where_it_is_found(kind: Kind, beside: Path) -> None:
    make, fill = mending(kind, sys.executable)
    made = subprocess.run(f"{make} --without-pip", shell=True, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stderr
    python = find_interpreters().paddle.python if kind == "paddle" else find_interpreters().torch[0].python
    assert Path(python).is_relative_to(beside / f".venv-{kind}")
    assert fill == f"{python} -m pip install {' '.join(PACKAGES[kind])}"
    # Now that one lacks the framework, and the same commands complete it.
    assert mending(kind, python) == (make, fill)
    assert lacking(kind, python, "why").endswith(f"is not installed for {python} (why): {make} && {fill}")


def test_an_interpreter_that_was_named_is_completed(beside: Path) -> None:
    python = make_python(beside / "my env")
    assert mending("torch", python) == (f"'{python}' -m pip install {' '.join(PACKAGES['torch'])}",)
    # One that is not there cannot be.
    assert len(mending("torch", "/nowhere/python")) == 2


@pytest.mark.parametrize("name", PACKAGES)
def test_the_packages_are_those_of_the_project(name: str) -> None:
    """The extra of this name in pyproject.toml, in the versions of the constraints."""
    (listed,) = re.findall(rf"(?m)^{name} = \[(.*)\]$", (ROOT / "pyproject.toml").read_text())
    names = re.findall(r'"([\w-]+)[^"]*"', listed)
    assert sorted(names) == sorted(package.partition("==")[0] for package in PACKAGES[name])
    file = ROOT / "constraints" / ("paddle.txt" if name == "paddle" else "torch.txt")
    pinned = {line.partition("#")[0].strip() for line in file.read_text().splitlines()}
    assert set(PACKAGES[name]) <= pinned


def test_the_frameworks_are_found_and_named(paddle2torch: Run) -> None:
    done = paddle2torch("environments", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["complete"] is True
    by_use = {one["use"]: one for one in document["environments"]}
    assert by_use["PaddleNLP"]["python"] == PADDLE_PYTHON
    assert {"paddlepaddle", "paddlenlp", "numpy"} <= set(by_use["PaddleNLP"]["versions"])
    torch = by_use["transformers with torch"]
    assert torch["python"] == TORCH_PYTHON
    assert {"torch", "transformers", "numpy"} <= set(torch["versions"])
    assert {"unstructured-paddleocr", "paddleclas"} <= set(by_use[NETWORKS["paddle"]]["versions"])
    assert {"torchvision", "opencv-python-headless"} <= set(by_use[NETWORKS["torch"]]["versions"])
    assert {one["missing"] for one in document["environments"]} == {None}


def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path, paddle2torch: Run) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    done = paddle2torch("environments", "--torch-python", python, "--torch-python", "/nowhere/python")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith(f"transformers with torch: {python}"))
    assert lines[place + 1].startswith("  missing: No module named ")
    assert lines[place + 2] == f"  {python} -m pip install {' '.join(PACKAGES['torch'])}"
    nowhere = next(index for index, line in enumerate(lines) if "/nowhere/python (given)" in line)
    assert "cannot be started" in lines[nowhere + 1]
    # Of networks it is not said that these lack them too.
    assert not any(line.startswith(NETWORKS["torch"]) for line in lines)
    assert " -m venv " in lines[nowhere + 2]
    # The error of a runner is the same in one line.
    with RunnerProcess("torch", str(python)) as runner, pytest.raises(MissingDependencyError) as caught:
        runner.request({"operation": "versions"})
    assert str(caught.value).endswith(lines[place + 2].strip())
    assert "\n" not in str(caught.value)
    assert not survey(str(python), TORCH_PYTHON).complete


@pytest.mark.parametrize("kind", NETWORK_PACKAGES)
def test_the_packages_of_networks_are_those_that_were_tested(kind: Kind) -> None:
    """In messages on what is missing: the versions of the constraints."""
    needed, alone = NETWORK_PACKAGES[kind]
    lines = (ROOT / "constraints" / f"{kind}.txt").read_text().splitlines()
    pinned = {line.partition("#")[0].strip() for line in lines}
    assert {*needed, *alone} <= pinned


@pytest.mark.parametrize(
    ("kind", "there", "missing"),
    [
        ("paddle", ("paddlepaddle", "opencv-contrib-python", "unstructured-paddleocr", "paddleclas"), ()),
        ("paddle", ("paddlepaddle", "paddleclas"), ("opencv-python-headless", "unstructured-paddleocr")),
        ("torch", ("torch", "transformers", "opencv-python"), ("torchvision",)),
    ],
)
def test_what_networks_lack_is_named(kind: Kind, there: tuple[str, ...], missing: tuple[str, ...]) -> None:
    assert NetworkProcess(kind, sys.executable).lacks(dict.fromkeys(there, "1")) == missing


def test_networks_that_cannot_be_run_are_no_fault_of_a_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment made before networks were supported lacks their packages alone."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as metadata\n"
        "plain = metadata.version\n"
        "def version(name):\n"
        "    if name in ('torchvision', 'paddleclas'):\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return plain(name)\n"
        "metadata.version = version\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    found = survey(PADDLE_PYTHON, TORCH_PYTHON)
    by_use = {one.use: one for one in found.environments}
    assert found.complete
    assert by_use[NETWORKS["torch"]].missing == "torchvision"
    assert by_use[NETWORKS["paddle"]].missing == "paddleclas"
    needed, alone = NETWORK_PACKAGES["paddle"]
    assert by_use[NETWORKS["paddle"]].mend == (
        f"{PADDLE_PYTHON} -m pip install {' '.join(needed)}",
        f"{PADDLE_PYTHON} -m pip install --no-deps {' '.join(alone)}",
    )
