"""What a gate says about its own time and memory."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from paddle2torch.verify.costs import cost_rows, largest_memory, memory_rows, sum_stages, timed
from paddle2torch.verify.gate import run_gate


def test_stages_are_summed_in_the_order_of_a_verification() -> None:
    first = {"comparing": 1.0, "paddle float64 load": 2.0, "seeding": 3.0}
    second = {"reading tea leaves": 0.0, "torch float32 forward": 4.0, "seeding": 5.0, "hashing files": 5.0}
    stages = sum_stages([first, second])
    assert list(stages.items()) == [
        ("seeding", 8.0),
        ("paddle float64 load", 2.0),
        ("torch float32 forward", 4.0),
        ("comparing", 1.0),
        ("hashing files", 5.0),
        ("reading tea leaves", 0.0),
    ]
    assert cost_rows(stages)[:2] == [["seeding", "8.0", "40%"], ["Paddle float64 load", "2.0", "10%"]]


def test_nothing_timed_is_no_row() -> None:
    assert cost_rows({}) == []
    assert cost_rows({"seeding": 0.0}) == []


def test_the_largest_memory_is_named_with_its_model() -> None:
    peaks = largest_memory([("small", {"torch float32": 10}), ("large", {"torch float32": 3 << 30, "paddle2torch": 5})])
    assert peaks == {"paddle2torch": (5, "large"), "torch float32": (3 << 30, "large")}
    assert memory_rows(peaks)[1] == ["PyTorch float32", "3.00 GiB", "large"]


def test_a_stage_that_fails_is_timed_too() -> None:
    seconds: dict[str, float] = {}
    with pytest.raises(KeyError), timed(seconds, "seeding"):
        raise KeyError
    assert seconds["seeding"] >= 0


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return run_gate(["albert-chinese-tiny"], seeded=True).to_json()


def test_a_real_gate_accounts_for_its_time(document: dict[str, Any]) -> None:
    (model,) = document["models"]
    stages = model["stages"]
    assert stages == document["stages"]
    assert {
        "seeding",
        "converting",
        "starting the frameworks",
        "comparing",
        "hashing files",
        "paddle float32 load",
        "paddle float64 forward",
        "torch float32 layers",
        "torch float64 embeddings",
    } <= stages.keys()
    assert all(seconds >= 0 for seconds in stages.values())
    # Side by side, stages add up to more than passed; one alone never does.
    assert max(stages.values()) < model["seconds"] < sum(stages.values()) + 2
    assert "total" not in stages


def test_a_real_gate_accounts_for_its_memory(document: dict[str, Any]) -> None:
    (model,) = document["models"]
    memory = model["peak_memory_bytes"]
    assert memory == document["peak_memory_bytes"]
    assert memory.keys() == {
        "paddle seeding",
        "paddle float32",
        "paddle float64",
        "torch float32",
        "torch float64",
        "paddle2torch",
    }
    assert all(100 << 20 < size < 2 << 30 for process, size in memory.items() if process != "paddle2torch")


def test_the_command_prints_both_tables_before_the_verdict(
    paddle2torch: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    finished = paddle2torch("gate", "albert-chinese-tiny", "--seeded", "--check", "weights")
    lines = finished.stdout.splitlines()
    costs = next(index for index, line in enumerate(lines) if line.split() == ["stage", "seconds", "share"])
    memory = next(index for index, line in enumerate(lines) if line.startswith("process  "))
    assert costs < memory < len(lines) - 1
    assert "1 of 1 passed" in lines[-1]
    assert any(line.startswith("seeding ") and line.endswith("%") for line in lines)
    # One line of a program's output per name, whatever else is printed.
    assert sum(line.startswith("albert-chinese-tiny ") for line in lines) == 1
