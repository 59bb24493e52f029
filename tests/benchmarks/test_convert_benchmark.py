"""The benchmark runs, finds that all contestants wrote the same weights, and writes its results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.benchmarks.goals import BASE, TINY, XLARGE, XXLARGE, judge

CONTESTANTS = ("convert", "copy", "convert, no reload", "usual", "convert to float16", "convert to shards")


def test_one_round_of_the_smallest_model(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "paddle2torch.benchmarks.convert", TINY]
    command += ["--rounds", "1", "--warm-ups", "0", "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "convert.json").read_text())
    contestants = document["models"][TINY]["contestants"]
    assert set(contestants) == set(CONTESTANTS)
    assert all(
        0 < facts["seconds"]["median"] < 60 and facts["peak_mib"]["median"] > 5 for facts in contestants.values()
    )
    assert contestants["convert"]["peak_mib"]["median"] < 120
    assert 0 < contestants["copy"]["copying_alone"]["median"] < contestants["copy"]["seconds"]["median"]
    assert f"| {TINY} | 16 MB | usual |" in (tmp_path / "convert.md").read_text()
    assert "at least 8" in done.stdout


def medians(seconds: float, copy: float, usual: float, shards: float = 1.2) -> dict[str, dict[str, dict[str, float]]]:
    def facts(value: float, gigabytes: float) -> dict[str, float]:
        return {"seconds": value, "peak_mib": 90.0, "seconds_per_gb": value / gigabytes}

    measured: dict[str, dict[str, dict[str, float]]] = {}
    for model, gigabytes in ((TINY, 0.016), (BASE, 0.047), (XLARGE, 0.235), (XXLARGE, 0.89)):
        times: dict[str, Any] = dict(
            zip(CONTESTANTS, (seconds, copy, seconds * 0.5, usual, seconds * 1.1, seconds * shards), strict=True)
        )
        measured[model] = {name: facts(value * gigabytes, gigabytes) for name, value in times.items()}
    return measured


@pytest.mark.parametrize(
    ("seconds", "copy", "usual", "shards", "missed"),
    [
        (2.0, 0.5, 20.0, 1.2, set()),
        (2.0, 0.3, 20.0, 1.2, {"at most 5", "at most 3"}),
        (2.0, 0.38, 20.0, 1.2, {"at most 5"}),
        (2.0, 0.5, 15.0, 1.2, {"at least 8"}),
        (2.0, 0.5, 20.0, 1.3, {"at most 1.25"}),
    ],
)
def test_goals_are_judged_by_their_limits(
    seconds: float, copy: float, usual: float, shards: float, missed: set[str]
) -> None:
    judged = judge(medians(seconds, copy, usual, shards))
    assert {goal["limit"] for goal in judged if goal["met"] is False} == missed


def test_goals_of_models_that_did_not_run_are_not_judged() -> None:
    judged = judge({TINY: medians(2.0, 0.5, 20.0)[TINY]})
    assert [goal["met"] for goal in judged if goal["met"] is not None] == [True, True]


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
    # Read once to be written, and once more to be compared.
    assert moved["preadv"] > 2 * 4 * 4_080_520
