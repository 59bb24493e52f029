"""The gate as its users run it: the command of `make demo`, and wrong mappings that must turn it red."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import paddle2torch
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, names_of_family

from ..conftest import OLDER_TORCH_PYTHON, TORCH_PYTHON, checks_of
from .conftest import copy_package

pytestmark = pytest.mark.long

NAMES = [*names_of_family("albert"), "ernie-3.0-nano-zh", "uie-nano"]
"""What is tested here: the names that `make demo` proves. All others are compared with PaddleNLP's tables, and every
class of their families is proven at small sizes."""


def run(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paddle2torch", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=1500)


@pytest.fixture(scope="module")
def gate_of_all(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("gate")
    makefile = Path(paddle2torch.__file__).with_name("Makefile").read_text()
    (command,) = (line for line in makefile.splitlines() if "paddle2torch gate" in line)
    return run(command.split()[1:], folder), folder / "reports"


@pytest.fixture(scope="module")
def models(gate_of_all: tuple[subprocess.CompletedProcess[str], Path]) -> dict[str, dict[str, Any]]:
    document = json.loads((gate_of_all[1] / "gate.json").read_text())
    return {model["name"]: model for model in document["models"]}


def test_the_gate_passes_over_its_names(gate_of_all: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    finished, _ = gate_of_all
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.rstrip().endswith(f"{len(NAMES)} of {len(NAMES)} passed (seeded weights)")
    for name in NAMES:
        assert sum(line.startswith(name + " ") for line in finished.stdout.splitlines()) == 1


def test_the_smallest_names_are_proven_with_two_transformers(tmp_path: Path) -> None:
    names = ["albert-chinese-tiny", "albert-chinese-small"]
    pythons = ["--torch-python", TORCH_PYTHON, "--torch-python", OLDER_TORCH_PYTHON]
    finished = run(["gate", *names, "--seeded", "--report-dir", "reports", *pythons], tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.rstrip().endswith("2 of 2 passed (seeded weights)")
    document = json.loads((tmp_path / "reports" / "gate.json").read_text())
    for model in document["models"]:
        versions = [one["versions"]["transformers"] for one in model["report"]["environments"]]
        assert len(set(versions)) == 2
        assert all(one["passed"] for one in model["report"]["environments"])
        for version in versions:
            named = f"{model['name']} (transformers {version},"
            (row,) = [line for line in finished.stdout.splitlines() if line.startswith(named)]
            assert row.endswith("passed")
    assert document["command"].count("--torch-python") == 2


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_proven(name: str, models: dict[str, dict[str, Any]]) -> None:
    model = models[name]
    assert model["passed"] is True
    report = model["report"]
    assert report["weights"] == "seeded"
    family = FAMILIES[PRETRAINED[name].family]
    architecture = PRETRAINED[name].architecture or family.base
    assert report["architecture"] == architecture
    assert report["parameters"] == PRETRAINED[name].parameters[architecture]
    assert [check["name"] for check in report["checks"]] == [
        name for name in checks_of(architecture) if name != "tokenizer"
    ]
    assert all(check["passed"] for check in report["checks"])
    assert report["not_run"] == ["tokenizer", "gradients"]
    by_name = {check["name"]: check for check in report["checks"]}
    assert by_name["weights"]["details"]["live_models_compared"] == ["paddle", "torch"]
    states = {state["name"] for state in by_name["float64"]["details"]["states"]}
    layers = PRETRAINED[name].configuration["num_hidden_layers"]
    hidden = {f"hidden_state.{n:02d}" for n in range(layers + 1)}
    attentions = {f"attention.{n:02d}" for n in range(layers)}
    model_class = family.model(architecture)
    own = {"pooler_output"} if model_class.probabilities is None else {"qa_logits", *model_class.probabilities.outputs}
    assert states == {*hidden, *attentions, "last_hidden_state", *own}
    assert by_name["float64"]["worst"] < 1e-11
    assert 0 < by_name["float32"]["worst"] < 1e-2


@pytest.mark.parametrize(
    ("rule", "replacement", "culprit"),
    [
        pytest.param(
            'Linear(f"{LAYER}.attention.query", "hidden_size", "hidden_size"),',
            'Embedding(f"{LAYER}.attention.query", "hidden_size", "hidden_size"),\n'
            '        Parameter(f"{LAYER}.attention.query.bias", ("hidden_size",)),',
            "hidden state 1 (output of layer 0)",
            id="a square query weight is not transposed",
        ),
        pytest.param(
            'Linear("pooler", "hidden_size", "hidden_size")',
            'Embedding("pooler", "hidden_size", "hidden_size"), Parameter("pooler.bias", ("hidden_size",))',
            "pooler_output",
            id="the pooler is not transposed",
        ),
        pytest.param(
            'Norm(f"{LAYER}.attention.layer_norm", "hidden_size", f"{LAYER}.attention.LayerNorm"),',
            'Norm(f"{LAYER}.attention.layer_norm", "hidden_size", f"{LAYER}.full_layer_layer_norm"),',
            "two rules share the target",
            id="two norms get one target",
        ),
    ],
)
def test_a_wrong_rule_turns_the_gate_red(rule: str, replacement: str, culprit: str, tmp_path: Path) -> None:
    """The weight check shares the mapping and stays green: only running both frameworks can see this."""
    mapping = copy_package(tmp_path) / "mappings" / "albert.py"
    text = mapping.read_text()
    assert text.count(rule) == 1
    mapping.write_text(text.replace(rule, replacement))
    finished = run(["gate", "albert-chinese-tiny", "--seeded"], tmp_path)
    if culprit.startswith("two rules"):
        assert finished.returncode != 0
        assert culprit in finished.stdout + finished.stderr
        return
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert f"first diverging state: {culprit}" in finished.stdout
    assert "FAILED" in finished.stdout


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_gate_ends_at_once_and_leaves_nothing(jobs: int, tmp_path: Path) -> None:
    """A signal to the command alone, as a CI system sends it: the runners do not get it themselves."""
    (tmp_path / "tmp").mkdir()
    names = ["albert-xlarge-v1", "albert-xlarge-v2", "albert-base-v1", "albert-base-v2"]
    command = [sys.executable, "-m", "paddle2torch", "gate", *names, "--seeded", "--jobs", str(jobs)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    child = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(8)
    assert child.poll() is None
    started = time.perf_counter()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert time.perf_counter() - started < 10
    assert child.returncode == 130
    assert errors.splitlines()[-1] == "Error: interrupted; unfinished output was removed"
    # PyTorch makes a folder for its compiler's cache.
    left = [path.name for path in (tmp_path / "tmp").iterdir()]
    assert [name for name in left if not name.startswith("torchinductor")] == []
    assert "passed" not in errors
