"""How many names of a gate run together: an injected limit, and the systems' ways to say what memory is left."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from paddle2torch.verify.admission import MemoryBudget, available_memory, memory_needed, one_at_a_time
from paddle2torch.verify.gate import run_gate

KIB = 1024
MEMINFO = "MemTotal:       8000 kB\nMemFree:        1000 kB\nMemAvailable:   5000 kB\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_a_group_the_system_says_what_is_available(tmp_path: Path) -> None:
    assert available_memory(system(tmp_path, {})) == 5000 * KIB


def test_a_system_that_does_not_say_sets_no_bound(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None


def test_version_2_groups_leave_limit_less_usage_and_dropped_files_count(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/ci/job"
    files = {
        "proc/self/cgroup": "0::/ci/job\n",
        f"{group}/memory.max": f"{3000 * KIB}\n",
        f"{group}/memory.current": f"{2500 * KIB}\n",
        f"{group}/memory.stat": f"anon 1\ninactive_file {200 * KIB}\nactive_file {400 * KIB}\n",
    }
    assert available_memory(system(tmp_path, files)) == 700 * KIB


def test_the_least_of_all_groups_above_holds(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/ci/job\n",
        "sys/fs/cgroup/ci/job/memory.max": "max\n",
        "sys/fs/cgroup/ci/job/memory.current": "0\n",
        "sys/fs/cgroup/ci/memory.max": f"{2000 * KIB}\n",
        "sys/fs/cgroup/ci/memory.current": f"{100 * KIB}\n",
    }
    assert available_memory(system(tmp_path, files)) == 1900 * KIB


def test_version_1_groups(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/docker/abc"
    files = {
        "proc/self/cgroup": "12:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n",
        f"{group}/memory.limit_in_bytes": f"{1500 * KIB}\n",
        f"{group}/memory.usage_in_bytes": f"{1000 * KIB}\n",
        f"{group}/memory.stat": f"inactive_file 1\ntotal_inactive_file {100 * KIB}\n",
    }
    assert available_memory(system(tmp_path, files)) == 600 * KIB


def test_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/system.slice/docker-abc.scope\n",
        "sys/fs/cgroup/memory.max": f"{900 * KIB}\n",
        "sys/fs/cgroup/memory.current": "0\n",
    }
    assert available_memory(system(tmp_path, files)) == 900 * KIB


def test_the_limit_of_a_full_group_leaves_nothing(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "10\n",
        "sys/fs/cgroup/memory.current": "20\n",
    }
    assert available_memory(system(tmp_path, files)) == 0


def test_this_system_says_something() -> None:
    found = available_memory()
    assert found is not None
    assert found > 100 << 20


def test_larger_models_need_more() -> None:
    assert 2 << 30 > memory_needed(4_080_520) > 1 << 30
    assert 12 << 30 > memory_needed(222_595_584) > 8 << 30


def test_a_model_that_one_process_holds_at_a_time_needs_no_more_than_that() -> None:
    assert [one_at_a_time(parameters) for parameters in (222_595_584, 610_851_840)] == [False, True]
    assert 16 << 30 > memory_needed(610_851_840) > 12 << 30


def test_jobs_never_hold_more_than_there_is() -> None:
    budget = MemoryBudget(100)
    held, most = 0, 0
    waits: list[int] = []
    lock = threading.Lock()

    def job(size: int) -> None:
        nonlocal held, most
        with budget.hold(size, waits.append):
            with lock:
                held += size
                most = max(most, held)
            time.sleep(0.05)
            with lock:
                held -= size

    threads = [threading.Thread(target=job, args=(size,)) for size in (60, 50, 40, 30, 90, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert held == 0
    assert 60 <= most <= 100
    assert waits
    assert all(0 <= left < 100 for left in waits)


def test_one_job_always_runs_and_is_told_nothing() -> None:
    waits: list[int] = []
    with MemoryBudget(10).hold(1000, waits.append):
        assert waits == []


def test_without_a_bound_nobody_waits() -> None:
    budget = MemoryBudget(None)
    waits: list[int] = []
    with budget.hold(1 << 60, waits.append), budget.hold(1 << 60, waits.append):
        assert waits == []


def test_whoever_waits_goes_on_when_the_budget_is_stopped() -> None:
    budget = MemoryBudget(10)
    waiting = threading.Event()
    done = threading.Event()

    def job() -> None:
        with budget.hold(10, lambda left: waiting.set()):
            done.set()

    with budget.hold(10):
        thread = threading.Thread(target=job, daemon=True)
        thread.start()
        assert waiting.wait(5)
        assert not done.wait(0.2)
        budget.stop()
        assert done.wait(5)
    thread.join(5)


@pytest.mark.parametrize("memory", [1, 64 << 30])
def test_jobs_of_a_gate_are_held_back_for_lack_of_memory_only(memory: int) -> None:
    """Without room for two, the names run one after the other all the same, and a plain line says why."""
    names = ["albert-chinese-tiny", "albert-chinese-small"]
    running: set[str] = set()
    together: list[int] = []
    lines: list[str] = []

    def on_stage(name: str, stage: str) -> None:
        running.add(name)
        together.append(len(running))

    result = run_gate(
        names,
        seeded=True,
        jobs=2,
        memory=memory,
        on_stage=on_stage,
        on_result=lambda one: running.discard(one.name),
        on_wait=lines.append,
    )
    assert result.passed
    assert [model.name for model in result.models] == names
    if memory == 1:
        assert max(together) == 1
        (line,) = lines
        assert "waits for other names to end: it takes about 2.0 GiB" in line
        assert "0.0 GiB of memory are left" in line
    else:
        assert max(together) == 2
        assert lines == []
