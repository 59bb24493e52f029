"""The benchmark runs, finds that all contestants wrote the same weights, and writes its results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.benchmarks.goals import BASE, TINY, XLARGE, XXLARGE, judge

CONTESTANTS = ("convert", "copy", "convert, no reload", "usual")


def test_one_round_of_the_smallest_model(tmp_path: Path) -> None:
    pytest.importorskip("paddlenlp")
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


def medians(seconds: float, copy: float, usual: float) -> dict[str, dict[str, dict[str, float]]]:
    def facts(value: float, gigabytes: float) -> dict[str, float]:
        return {"seconds": value, "peak_mib": 90.0, "seconds_per_gb": value / gigabytes}

    measured: dict[str, dict[str, dict[str, float]]] = {}
    for model, gigabytes in ((TINY, 0.016), (BASE, 0.047), (XLARGE, 0.235), (XXLARGE, 0.89)):
        times: dict[str, Any] = dict(zip(CONTESTANTS, (seconds, copy, seconds * 0.5, usual), strict=True))
        measured[model] = {name: facts(value * gigabytes, gigabytes) for name, value in times.items()}
    return measured


@pytest.mark.parametrize(
    ("seconds", "copy", "usual", "missed"),
    [
        (2.0, 0.5, 20.0, set()),
        (2.0, 0.3, 20.0, {"at most 5", "at most 3"}),
        (2.0, 0.38, 20.0, {"at most 5"}),
        (2.0, 0.5, 15.0, {"at least 8"}),
    ],
)
def test_goals_are_judged_by_their_limits(seconds: float, copy: float, usual: float, missed: set[str]) -> None:
    judged = judge(medians(seconds, copy, usual))
    assert {goal["limit"] for goal in judged if goal["met"] is False} == missed


def test_goals_of_models_that_did_not_run_are_not_judged() -> None:
    judged = judge({TINY: medians(2.0, 0.5, 20.0)[TINY]})
    assert [goal["met"] for goal in judged if goal["met"] is not None] == [True, True]
