"""Seeded weights that are written while others are verified."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from paddle2torch.errors import OutputError
from paddle2torch.verify import admission, gate
from paddle2torch.verify.gate import run_gate
from paddle2torch.verify.runners.client import RunnerProcess
from paddle2torch.verify.seeding import SeedingAhead, seed_checkpoint

TINY, SMALL = "albert-chinese-tiny", "albert-chinese-small"


def test_what_is_written_ahead_is_what_is_written_anyway(tmp_path: Path) -> None:
    with RunnerProcess("paddle") as runner, SeedingAhead([SMALL, TINY], tmp_path, 3) as ahead:
        ahead.begin_after(SMALL)
        answer, seconds = ahead.take(TINY, runner)
        assert runner.pid is None
        assert seconds > 0
        ahead.begin_after(TINY)
        other, _ = ahead.take(SMALL, runner)
        assert runner.pid is not None
        assert (answer["parameters"], other["parameters"]) == (4_080_520, 4_742_272)
        for name in (TINY, SMALL):
            seed_checkpoint(name, tmp_path / "plain" / name, seed=3, runner=runner)
            files = {path.name: path.read_bytes() for path in (tmp_path / "plain" / name).iterdir()}
            assert {path.name: path.read_bytes() for path in ahead.folder(name).iterdir()} == files


def test_an_error_is_that_of_the_one_who_takes(tmp_path: Path) -> None:
    (tmp_path / SMALL).write_text("no folder")
    with RunnerProcess("paddle") as runner, SeedingAhead([TINY, SMALL], tmp_path, 0) as ahead:
        ahead.begin_after(TINY)
        with pytest.raises(OutputError, match="cannot be made"):
            ahead.take(SMALL, runner)


def test_who_leaves_does_not_wait_for_it(tmp_path: Path) -> None:
    with SeedingAhead([TINY, "albert-xxlarge-v2"], tmp_path, 0) as ahead:
        ahead.begin_after(TINY)
        time.sleep(1)
        began = time.perf_counter()
    assert time.perf_counter() - began < 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", [True, False])
def test_the_gate_writes_the_next_where_there_is_room(
    room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[list[str]] = []

    class Ahead(SeedingAhead):
        def begin_after(self, name: str) -> None:
            super().begin_after(name)
            begun.append(list(self._begun))

    monkeypatch.setattr(gate, "SeedingAhead", Ahead)
    monkeypatch.setattr(admission, "available_memory", lambda: 64 << 30 if room else 1 << 30)
    result = run_gate([TINY, SMALL], seeded=True, keep=tmp_path, checks=("weights",))
    assert result.passed
    assert begun == ([[SMALL], []] if room else [[], []])
    assert all(model.stages["seeding"] > 0 for model in result.models)
    assert sorted(path.name for path in tmp_path.iterdir()) == [SMALL, TINY]
