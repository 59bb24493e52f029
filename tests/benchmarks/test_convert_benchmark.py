"""The benchmark runs, finds that all contestants wrote the same weights, and writes its results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.benchmarks.convert import CONTESTANTS, OF_THE_LARGEST
from paddle2torch.benchmarks.goals import BASE, GATE, MODELS, START, TENSORS, TINY, TOKENIZER, TREE, XXLARGE, judge
from paddle2torch.benchmarks.replacing import replace


def benchmark(results: Path, *names: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """One round of the benchmark, and its results."""
    command = [sys.executable, "-m", "paddle2torch.benchmarks.convert", *names]
    command += ["--rounds", "1", "--warm-ups", "0", "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # Whether goals are met is no matter here: other tests run beside this one.
    assert done.returncode in (0, 1), done.stderr
    return done, json.loads((results / "convert.json").read_text())


def test_one_round_of_the_smallest_model(tmp_path: Path) -> None:
    done, document = benchmark(tmp_path, TINY)
    assert done.returncode == (1 if any(goal["met"] is False for goal in document["goals"]) else 0)
    contestants = document["models"][TINY]["contestants"]
    assert set(contestants) == set(CONTESTANTS)
    assert all(
        0 < facts["seconds"]["median"] < 60 and facts["peak_mib"]["median"] > 5 for facts in contestants.values()
    )
    assert contestants["convert"]["peak_mib"]["median"] < 200
    assert 0 < contestants["copy"]["copying_alone"]["median"] < contestants["copy"]["seconds"]["median"]
    assert f"| {TINY} | 16 MB | usual |" in (tmp_path / "convert.md").read_text()
    assert "chinese-tiny: seconds" in done.stdout


def test_one_round_of_a_tree_with_the_earlier_build(tmp_path: Path) -> None:
    _, document = benchmark(tmp_path, TREE, START)
    assert set(document["others"]) == {TREE, START}
    assert set(document["others"][TREE]) == {"20", "20, earlier", "220", "220, earlier"}
    judged = {goal["goal"]: goal["value"] for goal in document["goals"]}
    assert judged["a further folder of 44 KB in a tree: processor ms"] > 0
    assert "| tree | 220, earlier |" in (tmp_path / "convert.md").read_text()


def medians(seconds: float, copy: float, usual: float, shards: float = 1.2) -> dict[str, dict[str, dict[str, float]]]:
    def facts(value: float, gigabytes: float = 1.0) -> dict[str, float]:
        return {"seconds": value, "cpu_seconds": value, "peak_mib": 90.0, "nbytes": gigabytes * 1e9}

    measured: dict[str, dict[str, dict[str, float]]] = {}
    for model, gigabytes in zip(MODELS, (0.016, 0.047, 0.235, 0.89), strict=True):
        times = {"convert": seconds, "copy": copy, "convert, no reload": seconds * 0.5, "usual": usual}
        if model == XXLARGE:
            times |= dict.fromkeys(OF_THE_LARGEST, seconds * 1.1)
            times |= {"convert to shards": seconds * shards, "earlier": seconds * 3}
        measured[model] = {name: facts(value * gigabytes, gigabytes) for name, value in times.items()}
    measured[START] = {"help": facts(0.05)}
    measured[TENSORS] = {"25,015": facts(4.0), "50,007": facts(8.0)}
    measured[TREE] = {"20": facts(0.5), "220": facts(1.5)}
    measured[TOKENIZER] = {
        **{"verify": facts(6.0), "verify, one line": facts(5.0)},
        **{"earlier": facts(8.0), "earlier, one line": facts(5.0)},
    }
    measured[GATE] = {"gate": facts(100.0), "earlier": facts(200.0)}
    return measured


@pytest.mark.parametrize(
    ("seconds", "copy", "usual", "shards", "missed"),
    [
        (1.0, 0.4, 20.0, 1.2, set()),
        (1.0, 0.19, 20.0, 1.2, {"at most 3", "at most 2.5", "at most 4.5"}),
        (1.0, 0.3, 20.0, 1.2, {"at most 3"}),
        (1.0, 0.4, 11.0, 1.2, {"at least 12"}),
        (1.0, 0.4, 20.0, 1.3, {"at most 1.25"}),
    ],
)
def test_goals_are_judged_by_their_limits(
    seconds: float, copy: float, usual: float, shards: float, missed: set[str]
) -> None:
    judged = judge(medians(seconds, copy, usual, shards))
    assert {goal["limit"] for goal in judged if goal["met"] is False} == missed
    assert all(goal["met"] is not None for goal in judged)


def test_goals_of_what_was_not_measured_are_not_judged() -> None:
    judged = judge({TINY: medians(1.0, 0.4, 20.0)[TINY], BASE: medians(1.0, 0.4, 20.0)[BASE]})
    assert [goal["met"] for goal in judged if goal["met"] is not None] == [True] * 4


def test_the_profile_accounts_for_every_byte(tiny: Path, tmp_path: Path) -> None:
    module = "paddle2torch.benchmarks.profile_convert"
    command = [sys.executable, "-m", module, str(tiny), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line.split() for line in done.stdout.splitlines()]
    stages = ["stage", "start", "write", "read", "conversion", "call", "preadv", "pwrite"]
    assert [line[0] for line in lines if line] == stages
    moved = {line[0]: int(line[2].replace(",", "")) for line in lines if line and line[0].startswith("p")}
    weights = (tmp_path / "out" / "model.safetensors").stat().st_size
    assert moved["pwrite"] == weights
    # Read once to be written; the output once more to be checked.
    assert moved["preadv"] > 4 * 4_080_520 + weights


# Whoever reads back what was written ends the program.
ENDS_AT_THE_RELOAD = """
import runpy, sys
from paddle2torch.converters.formats import safetensors_file

def check_safetensors(*arguments):
    raise SystemExit("read back")

check_safetensors.__module__ = safetensors_file.__name__
safetensors_file.check_safetensors = check_safetensors
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""


def test_a_run_without_the_reload_does_not_read_back(tiny: Path, tmp_path: Path) -> None:
    def convert(module: str, output: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", ENDS_AT_THE_RELOAD, module, "convert", str(tiny), str(output)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert convert("paddle2torch", tmp_path / "plain").stderr.splitlines()[-1] == "read back"
    done = convert("paddle2torch.benchmarks.without_reload", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_function_that_no_module_imports_is_not_replaced() -> None:
    def judged() -> None:
        raise AssertionError("never called")

    with pytest.raises(LookupError, match=r"imports .*test_convert_benchmark\.judged"):
        replace(judged, judge)
