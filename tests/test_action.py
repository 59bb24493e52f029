"""The composite action and the example workflow: their shell steps are run as GitHub runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "example-workflow.yml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
WORKFLOW_STEPS: list[dict[str, Any]] = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
SEEDED = Callable[..., Path]
PADDLE2TORCH = Callable[..., "subprocess.CompletedProcess[str]"]


def check_step() -> dict[str, Any]:
    return next(step for step in STEPS if step.get("id") == "check")


def run_check(folder: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the action's main step with these inputs in `folder`; also what it put out."""
    values = {name: str(given["default"]) for name, given in ACTION["inputs"].items()}
    values.update({name.replace("_", "-"): value for name, value in inputs.items()})
    step = check_step()
    environment = {
        name: EXPRESSION.sub(lambda found: values.get(found[1].removeprefix("inputs."), found[0]), value)
        for name, value in step["env"].items()
    }
    command = folder / "bin" / "paddle2torch"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m paddle2torch "$@"\n')
    command.chmod(0o755)
    script, output = folder / "step.sh", folder / "output.txt"
    script.write_text(step["run"])
    output.write_text("")
    finished = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        env={**os.environ, **environment, "PADDLE2TORCH": str(command), "GITHUB_OUTPUT": str(output)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return finished, output.read_text()


@pytest.fixture
def pair(seeded: SEEDED, paddle2torch: PADDLE2TORCH, tmp_path: Path) -> tuple[Path, Path]:
    """A small checkpoint and its conversion."""
    source = seeded("AlbertModel")
    converted = tmp_path / "con verted"
    assert paddle2torch("convert", source, converted).returncode == 0
    return source, converted


@pytest.mark.parametrize("step", [step for step in [*STEPS, *WORKFLOW_STEPS] if "run" in step], ids=lambda s: s["name"])
def test_every_shell_step_is_valid_bash_and_safe(step: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "step.sh"
    script.write_text(step["run"])
    checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert step["shell"] == "bash"
    # An expression inside a script would let an input become code.
    assert "${{" not in step["run"]


def test_every_input_exists_is_described_and_used() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text("utf-8")))
    assert used == set(ACTION["inputs"])
    documented = (ROOT / "docs" / "ci.md").read_text("utf-8")
    for name, given in ACTION["inputs"].items():
        assert given["description"], name
        assert f"| `{name}` |" in documented


def test_the_action_installs_itself_with_its_constraints() -> None:
    step = next(step for step in STEPS if step["name"] == "Install paddle2torch")
    assert step["env"]["ACTION_PATH"] == "${{ github.action_path }}"
    assert '"$ACTION_PATH/constraints/install.py" "$VENV"' in step["run"]
    command = check_step()["env"]["PADDLE2TORCH"]
    assert command == step["env"]["VENV"] + "/.venv/bin/paddle2torch"


PIP = """
import os, sys
with open(os.environ["ASKED"], "a") as file:
    file.write("\\t".join([sys.executable, *sys.argv[1:]]) + "\\n")
sys.exit(int(os.environ["STATUS"]))
"""


TORCH = """
class library:
    declared = []

    class Library:
        def __init__(self, name, kind):
            assert (name, kind) == ("torchvision", "DEF")

        def define(self, signature):
            library.declared.append(signature)
"""

BUILT_FOR_ANOTHER = """
import torch
if not any(signature.startswith("nms(") for signature in torch.library.declared):
    raise RuntimeError("operator torchvision::nms does not exist")
"""


def install(
    folder: Path, status: int, *options: str, torchvision: str = ""
) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """Run the installation into `folder`, with a pip that writes down what it is asked for; also that. What it would
    install of torchvision is this module."""
    (folder / "stand-in" / "pip").mkdir(parents=True)
    for name, text in (("torch", TORCH), ("torchvision", torchvision)):
        (folder / "stand-in" / f"{name}.py").write_text(text)
    (folder / "stand-in" / "pip" / "__init__.py").write_text("")
    (folder / "stand-in" / "pip" / "__main__.py").write_text(PIP)
    variables = {"PYTHONPATH": str(folder / "stand-in"), "ASKED": str(folder / "asked"), "STATUS": str(status)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "constraints" / "install.py"), "runner", *options],
        env={**os.environ, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done, [line.split("\t") for line in (folder / "asked").read_text().splitlines()]


def test_both_sides_are_installed_where_they_are_found(tmp_path: Path) -> None:
    done, asked = install(tmp_path, 0)
    assert done.returncode == 0, done.stderr
    command = os.path.join("runner", ".venv", "bin", "paddle2torch")
    assert done.stdout.splitlines()[-1] == f"installed: {command} environments shows what is there"
    for (python, *arguments), (environment, name, extras) in zip(
        asked, [(".venv", "torch", "torch,report,hub"), (".venv-paddle", "paddle", "paddle")], strict=True
    ):
        # Python resolves no link of the path that it was called by.
        assert Path(python) == Path(os.path.realpath(tmp_path)) / "runner" / environment / "bin" / "python"
        assert arguments[-2:] == [str(ROOT / "constraints" / f"{name}.txt"), f"{ROOT}[{extras}]"]
        assert (ROOT / "constraints" / f"{name}.txt").is_file()


def test_what_networks_take_is_installed_when_it_is_asked_for(tmp_path: Path) -> None:
    """PaddleOCR and PaddleClas without what they ask for: their networks need none of it, and PaddleClas asks for a
    numpy that nothing else here runs with."""
    done, asked = install(tmp_path, 0, "--ocr")
    assert done.returncode == 0, done.stderr
    assert [arguments[-1] for arguments in asked] == [
        f"{ROOT}[torch,report,hub,ocr]",
        f"{ROOT}[paddle-ocr]",
        "paddleclas",
    ]
    assert asked[2][-3:] == ["--no-deps", "unstructured-paddleocr", "paddleclas"]
    assert str(ROOT / "constraints" / "paddle.txt") in asked[2]
    pinned = (ROOT / "constraints" / "paddle.txt").read_text()
    assert "\nunstructured-paddleocr==" in pinned
    assert "\npaddleclas==" in pinned


@pytest.mark.parametrize(
    ("torchvision", "status", "declared"),
    [("", 0, False), (BUILT_FOR_ANOTHER, 0, True), ("raise ImportError('no such library')", 2, False)],
    ids=["fits", "built for another PyTorch", "broken"],
)
def test_what_was_installed_can_be_imported(torchvision: str, status: int, declared: bool, tmp_path: Path) -> None:
    """PyPI's torchvision beside a PyTorch for the CPU: without its operators, which image processors do not use."""
    done, _ = install(tmp_path, 0, "--ocr", torchvision=torchvision)
    assert done.returncode == status, done.stderr
    assert ("no such library" in done.stderr) == (status != 0)
    environment = tmp_path / "runner" / ".venv"
    placed = {path.suffix for path in environment.rglob("torchvision_operators.*")} - {".pyc"}
    assert placed == ({".pth", ".py"} if declared else set())
    if status == 0:
        tried = [str(environment / "bin" / "python"), "-c", "import torchvision"]
        path = {**os.environ, "PYTHONPATH": str(tmp_path / "stand-in")}
        subprocess.run(tried, env=path, check=True, timeout=60)


def test_what_could_not_be_installed_is_said(tmp_path: Path) -> None:
    done, asked = install(tmp_path, 1)
    assert done.returncode == 2
    assert len(asked) == 1
    assert done.stderr.startswith("Error: runner/.venv: not installed; status 1 of: ")


def test_the_example_workflow_uses_inputs_and_outputs_that_exist() -> None:
    calls = [step for step in WORKFLOW_STEPS if "paddle2torch@" in step.get("uses", "")]
    assert calls
    for step in calls:
        assert set(step["with"]) <= set(ACTION["inputs"])
    for name in re.findall(r"steps\.parity\.outputs\.([\w-]+)", (ROOT / "docs" / "example-workflow.yml").read_text()):
        assert name in ACTION["outputs"]


def test_the_reports_are_uploaded_whatever_the_verdict() -> None:
    upload = next(step for step in STEPS if "upload-artifact" in step.get("uses", ""))
    assert upload["if"].startswith("always()")
    assert upload["with"]["path"] == "${{ inputs.report-dir }}"


def test_status_0_the_gate_over_a_pretrained_name(tmp_path: Path) -> None:
    finished, output = run_check(tmp_path, names="albert-chinese-tiny", seeded="true", checks="weights")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert output == "exit-status=0\n"
    assert "checks not run: files, config, float64" in finished.stdout
    written = {path.name for path in (tmp_path / "paddle2torch-report").iterdir()}
    assert written == {"gate.json", "albert-chinese-tiny.json", "junit.xml", "summary.md", "report.html"}


def test_status_1_a_changed_byte(pair: tuple[Path, Path], tmp_path: Path) -> None:
    source, converted = pair
    inputs = {"source": str(source), "converted": str(converted), "checks": "weights", "report_dir": "re ports"}
    finished, output = run_check(tmp_path, **inputs)
    assert (finished.returncode, output) == (0, "exit-status=0\n"), finished.stdout + finished.stderr
    weights = converted / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    finished, output = run_check(tmp_path, **inputs)
    assert (finished.returncode, output) == (1, "exit-status=1\n"), finished.stdout + finished.stderr
    assert "FAILED" in (tmp_path / "re ports" / "report.html").read_text("utf-8")


def test_status_0_a_tree(seeded: SEEDED, tmp_path: Path) -> None:
    shutil.copytree(seeded("AlbertModel"), tmp_path / "mo dels" / "one")
    finished, output = run_check(tmp_path, tree="mo dels", checks="weights")
    assert (finished.returncode, output) == (0, "exit-status=0\n"), finished.stdout + finished.stderr
    assert "1 of 1 passed" in finished.stdout


def test_the_environments_are_cached_by_what_they_are_made_of(tmp_path: Path) -> None:
    named = next(step for step in STEPS if step.get("id") == "environments")
    output = tmp_path / "output.txt"
    variables = {**os.environ, "ACTION_PATH": str(ROOT), "GITHUB_OUTPUT": str(output)}
    subprocess.run(["bash", "-eo", "pipefail", "-c", named["run"]], env=variables, check=True)
    assert re.fullmatch(r"key=[0-9a-f]{16}\n", output.read_text())
    cache = next(step for step in STEPS if "actions/cache" in step.get("uses", ""))
    install = next(step for step in STEPS if "install.py" in step.get("run", ""))
    assert cache["with"]["path"] == install["env"]["VENV"]
    assert "steps.environments.outputs.key" in cache["with"]["key"]
    assert install["env"]["CACHED"] == "${{ steps.cache.outputs.cache-hit }}"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"names": "albert-chinese-tyni", "seeded": "true"}, "albert-chinese-tyni"),
        ({"names": "albert-chinese-tiny", "seeded": "true", "checks": "wieghts"}, "wieghts"),
        ({"source": "nowhere", "converted": "nowhere"}, "nowhere"),
        ({"names": "albert-chinese-tiny", "seeded": "yes"}, "neither true nor false"),
        ({"names": "albert-chinese-tiny", "source": "a", "converted": "b"}, "not both"),
        ({"source": "a"}, "both source and converted"),
        ({"tree": "a", "names": "b"}, "tree goes with none of names"),
        ({"source": "a", "converted": "b", "seeded": "true"}, "seeded belongs to names"),
        ({}, "both source and converted"),
        ({"names": "$(touch hacked) --all"}, "unknown"),
    ],
)
def test_status_2_what_cannot_be_run(inputs: dict[str, str], message: str, tmp_path: Path) -> None:
    finished, output = run_check(tmp_path, **inputs)
    assert (finished.returncode, output) == (2, "exit-status=2\n"), finished.stdout + finished.stderr
    assert message in finished.stdout + finished.stderr
    assert "passed" not in finished.stdout
    assert not (tmp_path / "hacked").exists()
