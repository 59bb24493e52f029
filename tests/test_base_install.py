"""A plain `pip install` into an empty environment: it converts and inspects, and says what the rest needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import paddle2torch
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.certificate import make_certificate, write_certificate
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.sides.pair import find_pair, open_pair

ROOT = Path(paddle2torch.__file__).parent


UNWANTED = ("PYTHON", "VIRTUAL_ENV", "PADDLE2TORCH_")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    # Nothing of this environment may leak into the other.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    environment["PPNLP_HOME"] = str(cwd / "no-cache")
    environment["PADDLE2TORCH_CACHE"] = str(cwd / "no-cache-either")
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def copy_working_tree(folder: Path) -> None:
    """The working tree without what git ignores; building in the tree itself would leave files there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with nothing but a plain install of this package."""
    folder = tmp_path_factory.mktemp("base")
    copy_working_tree(folder / "working_tree")
    made = run(sys.executable, "-m", "venv", folder / "environment", cwd=folder)
    assert made.returncode == 0, made.stderr
    programs = folder / "environment" / "bin"
    install: list[str | Path] = [programs / "python", "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    # The wheel is made of the source distribution, and installed where neither lies.
    built = run(sys.executable, "-m", "build", "--outdir", folder / "dist", folder / "working_tree", cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    shutil.rmtree(folder / "working_tree")
    (wheel,) = (folder / "dist").glob("*.whl")
    assert wheel.name == f"paddle2torch-{paddle2torch.__version__}-py3-none-any.whl"
    done = run(*install, "-c", ROOT / "constraints" / "torch.txt", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "dist")
    return programs


@pytest.fixture
def foreign(tmp_path: Path, seeded: Callable[..., Path]) -> Path:
    """A working directory of someone else, with modules in it that must not be taken for this package's."""
    for name in ("cli", "converters", "mappings", "verify"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
    shutil.copytree(seeded("AlbertForMaskedLM"), tmp_path / "source")
    return tmp_path


def test_only_what_converting_needs_is_installed(installed: Path, foreign: Path) -> None:
    listed = run(installed / "python", "-m", "pip", "list", "--format", "json", cwd=foreign)
    names = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert names - {"pip", "setuptools", "wheel"} == {
        "paddle2torch",
        "click",
        "numpy",
        "platformdirs",
        "rich",
        "safetensors",
        "xxhash",
        # What rich needs.
        "markdown-it-py",
        "mdurl",
        "pygments",
    }
    for framework in ("paddle", "paddlenlp", "torch", "transformers"):
        assert run(installed / "python", "-c", f"import {framework}", cwd=foreign).returncode == 1


def test_nothing_generic_lands_beside_the_package(installed: Path, foreign: Path) -> None:
    code = (
        "import paddle2torch, os; print(*sorted(os.listdir(os.path.dirname(os.path.dirname(paddle2torch.__file__)))))"
    )
    names = run(installed / "python", "-I", "-c", code, cwd=foreign).stdout.split()
    assert "paddle2torch" in names
    assert not {"cli.py", "converters", "mappings", "verify", "tests", "hub", "benchmarks"} & set(names)


def test_convert_and_inspect(installed: Path, foreign: Path) -> None:
    done = run(installed / "paddle2torch", "convert", "source", "out", "--json", cwd=foreign)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["architecture"] == "AlbertForMaskedLM"
    shown = run(installed / "paddle2torch", "inspect", "out", "--json", "--hash", cwd=foreign)
    assert (shown.returncode, shown.stderr) == (0, "")
    names = {tensor["name"] for tensor in json.loads(shown.stdout)["tensors"]}
    assert names == set(load_file(foreign / "out" / "model.safetensors"))
    # The same bytes as from the environment of the tests.
    here = run(sys.executable, "-m", "paddle2torch", "convert", foreign / "source", foreign / "here", cwd=ROOT.parent)
    assert here.returncode == 0, here.stderr
    for name in ("model.safetensors", "config.json"):
        assert (foreign / "out" / name).read_bytes() == (foreign / "here" / name).read_bytes()


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["inspect", "source"]])
def test_tables_and_help(arguments: list[str], installed: Path, foreign: Path) -> None:
    done = run(installed / "paddle2torch", *arguments, cwd=foreign)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_pretrained_names_are_installed(installed: Path, foreign: Path) -> None:
    listed = json.loads(run(installed / "paddle2torch", "list", "--json", cwd=foreign).stdout)
    assert "albert-chinese-tiny" in json.dumps(listed["models"])
    assert "cl-tohoku/bert-base-japanese" in json.dumps(listed["community"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "source", "converted"],
        ["gate", "--seeded", "albert-chinese-tiny"],
        ["gate", "--seeded", "--all", "--json"],
        ["seed", "albert-chinese-tiny", "seeded"],
    ],
)
def test_commands_that_need_the_frameworks_say_so(arguments: list[str], installed: Path, foreign: Path) -> None:
    assert run(installed / "paddle2torch", "convert", "source", "converted", cwd=foreign).returncode == 0
    before = sorted(foreign.rglob("*"))
    done = run(installed / "paddle2torch", *arguments, cwd=foreign)
    assert (done.returncode, done.stdout) == (2, "")
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert done.stderr.splitlines()[-1] == errors[0]
    # Which of the two is missed first is a matter of time.
    named = re.match(
        "Error: (PaddleNLP|transformers with torch) is not installed for (.*) [(].*No module named ", errors[0]
    )
    assert named is not None, errors[0]
    assert Path(named[2]).parent == installed
    folder = installed.parents[1] / f".venv-{'paddle' if named[1] == 'PaddleNLP' else 'torch'}"
    make, fill = errors[0].partition("): ")[2].split(" && ")
    assert make == f"{named[2]} -m venv {folder}"
    assert fill.startswith(f"{folder}/bin/python -m pip install ")
    assert "Traceback" not in done.stderr
    assert sorted(foreign.rglob("*")) == before


@pytest.mark.parametrize("arguments", [["fetch", "albert-chinese-tiny"], ["convert", "albert-chinese-tiny", "out"]])
def test_downloads_say_what_they_need(arguments: list[str], installed: Path, foreign: Path) -> None:
    before = sorted(foreign.rglob("*"))
    done = run(installed / "paddle2torch", *arguments, cwd=foreign)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "-m pip install filelock huggingface-hub requests" in done.stderr
    assert sorted(foreign.rglob("*")) == before


def test_a_certificate_is_checked_without_a_framework(installed: Path, foreign: Path) -> None:
    source, out = foreign / "source", foreign / "out"
    convert_checkpoint(source, out)
    report = verify_checkpoint(source, out, checks=("weights",))
    with open_pair(find_pair(source, out), out, None, None) as pair:
        write_certificate(out, make_certificate(report, pair.certified, source, out))
    done = run(installed / "paddle2torch", "verify", "source", "out", "--certificate-only", cwd=foreign)
    assert (done.returncode, done.stderr) == (0, "")
    assert "weights" in done.stdout
    (out / "adapter_config.json").write_text("{}")
    done = run(installed / "paddle2torch", "verify", "source", "out", "--certificate-only", cwd=foreign)
    assert (done.returncode, done.stderr) == (1, "")
    assert "converted file adapter_config.json is not in the certificate" in done.stdout
