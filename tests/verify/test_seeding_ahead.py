"""Seeded weights that are written while others are verified."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from paddle2torch.errors import UnknownNameError
from paddle2torch.verify import gate
from paddle2torch.verify.gate import run_gate
from paddle2torch.verify.runners.client import RunnerProcess
from paddle2torch.verify.seeding import SeedingAhead, seed_checkpoint

TINY, SMALL = "albert-chinese-tiny", "albert-chinese-small"


def test_what_is_written_ahead_is_what_is_written_anyway(tmp_path: Path) -> None:
    with RunnerProcess("paddle") as runner, SeedingAhead(3) as ahead:
        ahead.begin(TINY, tmp_path / "ahead")
        answer, seconds = ahead.take(TINY, tmp_path / "ahead", runner)
        assert runner.pid is None
        assert seconds > 0
        other, _ = ahead.take(TINY, tmp_path / "at once", runner)
        assert answer["parameters"] == other["parameters"] == 4_080_520
        seed_checkpoint(TINY, tmp_path / "plain", seed=3, runner=runner)
    files = {path.name: path.read_bytes() for path in (tmp_path / "plain").iterdir()}
    for folder in ("ahead", "at once"):
        assert {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} == files


def test_an_error_is_that_of_the_one_who_takes(tmp_path: Path) -> None:
    with RunnerProcess("paddle") as runner, SeedingAhead(0) as ahead:
        ahead.begin("albert-of-nowhere", tmp_path / "ahead")
        with pytest.raises(UnknownNameError, match="albert-of-nowhere"):
            ahead.take("albert-of-nowhere", tmp_path / "ahead", runner)


def test_who_leaves_does_not_wait_for_it(tmp_path: Path) -> None:
    with SeedingAhead(0) as ahead:
        ahead.begin("albert-xxlarge-v2", tmp_path / "ahead")
        time.sleep(1)
        began = time.perf_counter()
    assert time.perf_counter() - began < 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [True, False])
def test_the_gate_writes_the_next_where_there_is_room(
    room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    class Ahead(SeedingAhead):
        def begin(self, name: str, output: Path) -> None:
            begun.append(name)
            super().begin(name, output)

    monkeypatch.setattr(gate, "SeedingAhead", Ahead)
    monkeypatch.setattr(gate, "available_memory", lambda: 64 << 30 if room else 1 << 30)
    result = run_gate([TINY, SMALL], seeded=True, keep=tmp_path, checks=("weights",))
    assert result.passed
    assert begun == ([SMALL] if room else [])
    assert all(model.stages["seeding"] > 0 for model in result.models)
    assert sorted(path.name for path in tmp_path.iterdir()) == [SMALL, TINY]
