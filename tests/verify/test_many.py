"""The gate over local checkpoints: a tree or a list, one table, the exit status of the gate."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_many
from paddle2torch.errors import MissingDependencyError, OutputError
from paddle2torch.verify import many
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.gate_result import ModelResult
from paddle2torch.verify.runners.client import RunnerProcess
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Run

pytestmark = pytest.mark.long


@pytest.fixture
def tree(seeded: Callable[..., Path], tmp_path: Path) -> Path:
    for name, source in (("a/one", seeded("AlbertForMaskedLM")), ("b", seeded("BertForSequenceClassification"))):
        shutil.copytree(source, tmp_path / "tree" / name)
    return tmp_path / "tree"


def run(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paddle2torch", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=550)


def test_a_tree_is_converted_and_verified(tree: Path, tmp_path: Path) -> None:
    done = run(["gate", "--tree", "tree", "--keep", "kept", "--report-dir", "reports"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.endswith(("passed", "FAILED"))}
    assert set(rows) == {"a/one", "b"}
    assert done.stdout.rstrip().endswith("2 of 2 passed (local weights)")
    document = json.loads((tmp_path / "reports" / "gate.json").read_text())
    assert [model["name"] for model in document["models"]] == ["a/one", "b"]
    assert document["command"] == "paddle2torch gate tree --tree"
    assert json.loads((tmp_path / "reports" / "a" / "one.json").read_text())["passed"] is True
    for name in ("a/one", "b"):
        certificate = tmp_path / "kept" / name / "parity.json"
        assert json.loads(certificate.read_text())["passed"] is True
    again = run(["gate", "--tree", "tree", "--keep", "kept", "--check", "weights"], tmp_path)
    assert "kept: a/one, b is there already, and is replaced where this run makes another" in again.stderr
    # What is kept is proven, and can be proven again without a framework.
    proof = run(["verify", "tree/b", "kept/b", "--certificate-only"], tmp_path)
    assert proof.returncode == 0, proof.stderr


def test_the_conversions_of_a_tree_are_verified(tree: Path, tmp_path: Path) -> None:
    assert run(["convert", "--tree", "tree", "converted"], tmp_path).returncode == 0
    verify = ["verify", "--tree", "tree", "converted", "--check", "weights,config"]
    assert run([*verify, "--report-dir", "reports"], tmp_path).returncode == 0
    document = json.loads((tmp_path / "reports" / "gate.json").read_text())
    assert [(model["name"], model["verdict"]) for model in document["models"]] == [("a/one", "passed"), ("b", "passed")]
    assert document["command"] == "paddle2torch verify tree converted --tree --check weights,config"
    # One is another model, one is not there, and one nobody asked for.
    shutil.move(tmp_path / "converted" / "a" / "one", tmp_path / "converted" / "other")
    weights = tmp_path / "converted" / "b" / "model.safetensors"
    with safe_open(str(weights), "np") as opened:
        metadata = opened.metadata()
    tensors = load_file(weights)
    tensors["classifier.bias"][0] += 1
    save_file(tensors, weights, metadata)
    done = run([*verify, "--json"], tmp_path)
    assert done.returncode == 1, done.stderr
    models = {model["name"]: model for model in json.loads(done.stdout)["models"]}
    assert {name: model["verdict"] for name, model in models.items()} == {"a/one": "not run", "b": "FAILED"}
    assert re.search(r"converted/a/one: no such folder; .*tree/a/one was not converted there", models["a/one"]["error"])
    assert "left out: converted/other: no checkpoint in tree has this name" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["converted", "reports", "tree"]


def test_the_conversions_of_a_list_get_their_certificates(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("tree/b\tmine\n")
    assert run(["convert", "--list", "list.txt", "converted"], tmp_path).returncode == 0
    assert run(["verify", "--list", "list.txt", "converted", "--no-certificate"], tmp_path).returncode == 0
    assert not (tmp_path / "converted" / "mine" / "parity.json").exists()
    done = run(["verify", "--list", "list.txt", "converted"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "converted" / "mine" / "parity.json").read_text())["passed"] is True
    # And the way back, whose checkpoints are Hugging Face's.
    # Outputs below the tree itself are no sources.
    assert run(["convert", "--tree", "converted", "converted/back", "--to", "paddle"], tmp_path).returncode == 0
    done = run(["verify", "--tree", "converted", "converted/back", "--check", "weights"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tree", "--list"], "exclude each other"),
        (["--tree", "--faults"], "go with one SOURCE"),
        (["--list", "--config", "config.json"], "go with one SOURCE"),
    ],
)
def test_options_that_do_not_go_with_many(tree: Path, tmp_path: Path, options: list[str], message: str) -> None:
    done = run(["verify", "tree", "converted", *options], tmp_path)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_one_bad_checkpoint_stops_no_other(tree: Path, tmp_path: Path) -> None:
    (tree / "b" / "model_state.pdparams").write_text("nothing")
    (tmp_path / "list.txt").write_text("tree/b\nmissing\ntree/a/one\tgood\n")
    done = run(["gate", "--list", "list.txt", "--check", "weights", "--jobs", "2", "--json"], tmp_path)
    assert done.returncode == 2, done.stderr
    models = {model["name"]: model for model in json.loads(done.stdout)["models"]}
    assert {name: model["verdict"] for name, model in models.items()} == {
        "tree/b": "not run",
        "missing": "not run",
        "good": "passed",
    }
    assert "is plain text" in models["tree/b"]["error"]
    assert "no such file or folder" in models["missing"]["error"]
    assert done.stderr.splitlines()[-1] == "Error: 2 of 3 did not pass: tree/b (not run), missing (not run)"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.txt", "tree"]


def test_a_difference_turns_the_gate_red(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(source: str, converted: Path, **options: Any) -> None:
        convert_checkpoint(source, converted, **options)
        if "one" in source:
            weights = load_file(converted / "model.safetensors")
            weights["albert.encoder.embedding_hidden_mapping_in.bias"][3] += 1
            save_file(weights, converted / "model.safetensors", {"format": "pt"})

    monkeypatch.setattr(many, "convert_checkpoint", convert)
    with ThreadPoolExecutor(2) as executor:
        result = verify_many([tree / "a" / "one", tree / "b"], executor=executor, checks=("weights",))
    assert [model.verdict for model in result.models] == ["FAILED", "passed"]
    assert result.exit_status == 1


def test_outcomes_travel_between_processes(tree: Path) -> None:
    result = verify_many([tree / "b"], checks=("weights",))
    assert pickle.loads(pickle.dumps(result.models[0])) == result.models[0]
    assert result.passed


def test_runners_are_used_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Runners] = []

    class Counted(Runners):
        def __init__(self, *arguments: str | None) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(many, "Runners", Counted)
    result = verify_many([(tree / "b", str(number)) for number in range(3)], checks=("weights", "config"))
    assert [model.verdict for model in result.models] == ["passed"] * 3
    assert len(made) == 1
    assert [runner.pid for runner in (made[0].paddle32, made[0].torch)] == [None, None]


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the runners that were started, one entry per start."""
    started: list[str] = []
    start = RunnerProcess._start

    def counted(self: RunnerProcess) -> Any:
        started.append(self.kind)
        return start(self)

    monkeypatch.setattr(RunnerProcess, "_start", counted)
    return started


EACH_ONCE = ["paddle", "paddle", "torch"]
"""Paddle runs in float32 and in float64."""


def test_a_refused_checkpoint_leaves_the_runners_alone(tree: Path, tmp_path: Path, starts: list[str]) -> None:
    """Refused by the conversion, by the verification, and by PaddleNLP itself, which answers with an error."""
    (tree / "damaged").mkdir()
    (tree / "damaged" / "model_state.pdparams").write_text("nothing")
    shutil.copytree(tree / "b", tree / "unfit")
    (tree / "unfit" / "config.json").write_text('{"architectures": ["BertModel"], "num_hidden_layers": 9}')
    shutil.copytree(tree / "b", tree / "unloadable")
    weights = tree / "unloadable" / "model_state.pdparams"
    # An entry that is no tensor, which PaddleNLP's loader does not expect.
    weights.write_bytes(pickle.dumps({**pickle.loads(weights.read_bytes()), "epoch": 3}, protocol=4))
    bad = ("damaged", "missing", "unfit", "unloadable")
    sources = [(tree / "b", "first"), *((tree / name, name) for name in bad), (tree / "a" / "one", "last")]
    for jobs in (1, 2):
        starts.clear()
        result = verify_many(sources, checks=("weights", "config"), jobs=jobs)
        verdicts = {model.name: model.verdict for model in result.models}
        assert verdicts == {"first": "passed", **dict.fromkeys(bad, "not run"), "last": "passed"}
        assert "The Paddle runner failed" in str(result.models[4].error)
        assert sorted(starts) == sorted(EACH_ONCE * jobs)


def test_a_runner_that_died_is_started_again(tree: Path, monkeypatch: pytest.MonkeyPatch, starts: list[str]) -> None:
    """While it was asked, which is the error of one item and renews all, and between two items."""
    lent: list[Runners] = []

    def dying(source: str, converted: Path, **options: Any) -> Any:
        lent.append(options["runners"])
        if len(lent) == 2:
            lent[-1].torch.request({"operation": "versions"})
            pid = lent[-1].torch.pid
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        return verify_checkpoint(source, converted, **options)

    def killed(model: ModelResult) -> None:
        pid = lent[-1].paddle32.pid
        if model.name == "2" and pid is not None:
            os.kill(pid, signal.SIGKILL)
            # It takes a moment; whoever started it still learns of it.
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr(many, "verify_checkpoint", dying)
    sources = [(tree / "b", str(number)) for number in range(4)]
    result = verify_many(sources, checks=("weights", "config"), on_result=killed)
    assert [model.verdict for model in result.models] == ["passed", "not run", "passed", "passed"]
    assert "The PyTorch runner was killed by SIGKILL" in str(result.models[1].error)
    assert sorted(starts) == sorted([*EACH_ONCE, *EACH_ONCE, "paddle"])


def test_a_missing_framework_is_one_error(tree: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    with pytest.raises(MissingDependencyError):
        verify_many([tree / "b", tree / "a" / "one"], torch_python=str(python), paddle_python=str(python), jobs=2)


def test_names_that_collide_are_refused(tree: Path) -> None:
    with pytest.raises(OutputError, match="is the output of both"):
        verify_many([(tree / "b", "x"), (tree / "a" / "one", "x")])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tree"],
        ["--tree", "x", "y"],
        ["--tree", "--all"],
        ["--tree", "--list", "x"],
        ["--tree", "x", "--seeded"],
        ["--list", "x", "--faults"],
        ["--tree", "missing"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_one_line(arguments: list[str], paddle2torch: Run) -> None:
    done = paddle2torch("gate", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_gate_ends_at_once_and_leaves_nothing(jobs: int, tree: Path, tmp_path: Path) -> None:
    """A signal to the command alone: the runners do not get it themselves."""
    (tmp_path / "tmp").mkdir()
    lines = [f"tree/a/one\t{number}\n" for number in range(200)]
    (tmp_path / "list.txt").write_text("".join(lines))
    command = [sys.executable, "-m", "paddle2torch", "gate", "--list", "list.txt", "--jobs", str(jobs)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    child = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    assert "passed" in child.stderr.readline()
    started = time.perf_counter()
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=60)
    assert time.perf_counter() - started < 15
    assert child.returncode == 130
    assert errors.splitlines()[-1] == "Error: interrupted; unfinished output was removed"
    assert output == ""
    # PyTorch makes a folder for its compiler's cache.
    left = [path.name for path in (tmp_path / "tmp").iterdir()]
    assert [name for name in left if not name.startswith("torchinductor")] == []
