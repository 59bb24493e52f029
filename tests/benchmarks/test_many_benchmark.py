"""The benchmark of many checkpoints runs and writes its results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from paddle2torch.benchmarks.goals import TINY
from paddle2torch.benchmarks.many import WAYS


def test_a_few_checkpoints(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "paddle2torch.benchmarks.many", "1", "3", "--tiny", "1", "--rounds", "1"]
    done = subprocess.run([*command, "--results", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    models = json.loads((tmp_path / "many.json").read_text())["models"]
    assert {name: list(counts) for name, counts in models.items()} == {"small": ["1", "3"], TINY: ["1"]}
    for counts in models.values():
        for ways in counts.values():
            assert set(ways) == set(WAYS)
            assert all(0 < ways[way]["cpu_seconds"]["median"] < 60 for way in WAYS)
            assert all(10 < ways[way]["peak_mib"]["median"] < 200 for way in WAYS)
    assert "| small | two workers | 3 |" in (tmp_path / "many.md").read_text()
