"""Executors whose workers die: a Dask cluster and process pools. Results are complete, each output right or absent."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster, WorkerPlugin

from paddle2torch import convert_checkpoint, convert_many, verify_many
from paddle2torch.converters.formats.safetensors_file import check_safetensors
from paddle2torch.converters.outputs import weights
from paddle2torch.workers import spread

COUNT = 6

SCALE = Path(__file__).parents[1] / "docs" / "scale.md"


@pytest.fixture
def sources(seeded: Callable[..., Path]) -> list[tuple[Path, str]]:
    """Checkpoints that differ, with the names of their outputs."""
    return [(seeded("AlbertForMaskedLM", vocab_size=50 + number), f"run{number}/model") for number in range(COUNT)]


@pytest.fixture
def expected(sources: list[tuple[Path, str]], tmp_path: Path) -> dict[str, bytes]:
    """All files of plain conversions of the sources."""
    for source, name in sources:
        convert_checkpoint(source, tmp_path / "plain" / name)
    return content(tmp_path / "plain")


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    settings = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.comm.timeouts.connect": "20s",
        "temporary-directory": str(tmp_path / "dask"),
    }
    with (
        dask.config.set(settings),
        LocalCluster(processes=True, n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as connected,
    ):
        yield connected


def stop_in_the_middle(folder: Path, name: str, then: str) -> WorkerPlugin:
    """A plug-in after which a worker that has written the weights of `name` says so in `folder` by a file with its
    process id; then it waits ("wait", the first time only) or kills itself ("die", every time)."""

    # Defined here, so that they travel by value: workers cannot import this module.
    class Stop(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            import os
            import signal
            import time
            from unittest.mock import patch

            from paddle2torch.converters.formats.safetensors_file import check_safetensors
            from paddle2torch.converters.outputs import weights

            def compare(path: Path, *others: Any) -> None:
                if f".{name}." in path.parent.name and (then == "die" or not any(folder.iterdir())):
                    (folder / str(os.getpid())).touch()
                    if then == "die":
                        os.kill(os.getpid(), signal.SIGKILL)
                    time.sleep(120)
                check_safetensors(path, *others)

            patch.object(weights, "check_safetensors", compare).start()

    return Stop()


def wait_for_file(folder: Path) -> int:
    """The number that names the one file in `folder`, once it is there."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        if names := os.listdir(folder):
            return int(names[0])
        time.sleep(0.01)
    raise AssertionError(f"nothing appeared in {folder}")


def verdicts(done: Any) -> list[str]:
    return [result.verdict for result in done.results]


def test_dask_gives_what_plain_conversions_give(
    client: Any, sources: list[tuple[Path, str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    done = convert_many(sources, tmp_path / "out", executor=client.get_executor(), at_once=3)
    assert verdicts(done) == ["converted"] * COUNT
    assert content(tmp_path / "out") == expected
    again = convert_many(sources, tmp_path / "out", executor=client.get_executor(), resume=True)
    assert verdicts(again) == ["kept"] * COUNT


def test_an_output_that_was_removed_is_made_again(client: Any, sources: list[tuple[Path, str]], tmp_path: Path) -> None:
    """Dask gives the answer of an equal call again as long as someone holds it: a run must not be taken for another."""
    executor = client.get_executor()
    convert_many(sources[:1], tmp_path / "out", executor=executor)
    (tmp_path / "out").rename(tmp_path / "away")
    assert verdicts(convert_many(sources[:1], tmp_path / "out", executor=executor)) == ["converted"]
    assert content(tmp_path / "out") == content(tmp_path / "away")


def test_a_dask_worker_killed_in_the_middle_costs_nothing(
    client: Any, sources: list[tuple[Path, str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    marks, sources = tmp_path / "marks", [(source, name.replace("/", "-")) for source, name in sources]
    marks.mkdir()
    client.register_plugin(stop_in_the_middle(marks, "run2-model", "wait"))
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(convert_many, sources, tmp_path / "out", executor=client.get_executor())
        pid = wait_for_file(marks)
        left = [name for name in os.listdir(tmp_path / "out") if name.startswith(".run2-model.")]
        assert len(left) == 1
        assert f"-{pid}-" in left[0]
        os.kill(pid, signal.SIGKILL)
        done = running.result(timeout=120)
    assert verdicts(done) == ["converted"] * COUNT
    assert sorted(os.listdir(tmp_path / "out")) == sorted(name for _, name in sources)
    assert content(tmp_path / "out") == {name.replace("/", "-", 1): data for name, data in expected.items()}


def test_a_checkpoint_that_kills_its_workers_fails_alone(
    client: Any, sources: list[tuple[Path, str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    marks, sources = tmp_path / "marks", [(source, name.replace("/", "-")) for source, name in sources]
    marks.mkdir()
    client.register_plugin(stop_in_the_middle(marks, "run2-model", "die"))
    done = convert_many(sources, tmp_path / "out", executor=client.get_executor(), at_once=1)
    assert verdicts(done) == [*["converted"] * 2, "FAILED", *["converted"] * 3]
    assert len(os.listdir(marks)) == 2
    assert "KilledWorker" in str(done.failed[0].error)
    assert content(tmp_path / "out") == {
        name.replace("/", "-", 1): data for name, data in expected.items() if not name.startswith("run2")
    }
    assert sorted(os.listdir(tmp_path / "out")) == [f"run{number}-model" for number in (0, 1, 3, 4, 5)]


def test_a_cluster_that_goes_away_is_an_outcome(
    client: Any, sources: list[tuple[Path, str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    marks, sources = tmp_path / "marks", [(source, name.replace("/", "-")) for source, name in sources]
    marks.mkdir()
    client.register_plugin(stop_in_the_middle(marks, "run2-model", "wait"))
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(convert_many, sources, tmp_path / "out", executor=client.get_executor(), at_once=2)
        pid = wait_for_file(marks)
        client.close()
        client.cluster.close()
        done = running.result(timeout=120)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert verdicts(done)[2] == "FAILED"
    assert len(done.results) == COUNT
    right = {name.replace("/", "-", 1): data for name, data in expected.items()}
    # The worker was killed after the results were there; what it left is hidden, and goes with the next run.
    finished = {name: data for name, data in content(tmp_path / "out").items() if not name.startswith(".run2-model.")}
    assert finished.items() <= right.items()
    again = convert_many(sources, tmp_path / "out", resume=True)
    assert again.exit_status == 0
    assert content(tmp_path / "out") == right


def test_what_is_handed_in_while_the_client_closes_is_an_outcome(
    client: Any, sources: list[tuple[Path, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask never ends such a future. Here that of the last checkpoint is one that nobody knows."""
    executor = client.get_executor()
    submit, handed = executor.submit, iter(range(COUNT))

    def submit_or_close(*arguments: Any) -> Future[Any]:
        if next(handed) < 2:
            future: Future[Any] = submit(*arguments)
            return future
        client.close()
        return Future()

    monkeypatch.setattr(executor, "submit", submit_or_close)
    monkeypatch.setattr(spread, "PATIENCE_SECONDS", 0.2)
    found: list[Any] = []

    def convert() -> None:
        found.append(convert_many(sources[:3], tmp_path / "out", executor=executor, at_once=1))

    # A pool would wait for it for ever, where this fails.
    thread = threading.Thread(target=convert, daemon=True)
    thread.start()
    thread.join(timeout=60)
    (done,) = found
    assert verdicts(done) == ["converted", "converted", "FAILED"]
    assert "was never answered for" in str(done.failed[0].error)


def test_a_killed_worker_of_a_process_pool_is_an_outcome(
    sources: list[tuple[Path, str]], expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool of the standard library is broken for good then: what it has not done fails, and nothing hangs."""
    marks = tmp_path / "marks"
    marks.mkdir()
    real = check_safetensors

    def compare(path: Path, *others: Any) -> None:
        if path.parent.parent.name == "run2":
            (marks / str(os.getpid())).touch()
            time.sleep(120)
        real(path, *others)

    # Workers that are forked take this along.
    monkeypatch.setattr(weights, "check_safetensors", compare)
    with (
        ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool,
        ThreadPoolExecutor(1) as thread,
    ):
        running = thread.submit(convert_many, sources, tmp_path / "out", executor=pool, at_once=2)
        os.kill(wait_for_file(marks), signal.SIGKILL)
        done = running.result(timeout=60)
    monkeypatch.undo()
    assert verdicts(done)[2] == "FAILED"
    assert len(done.results) == COUNT
    assert "its worker was lost" in str(done.results[2].error)
    # The pool ends its other worker too, perhaps in the middle; what that leaves is hidden.
    finished = {name: data for name, data in content(tmp_path / "out").items() if "/." not in name}
    assert finished.items() <= expected.items()
    assert not any(name.startswith("run2") for name in finished)
    for result, (_, name) in zip(done.results, sources, strict=True):
        assert (result.verdict == "converted") <= (f"{name}/model.safetensors" in finished)
    again = convert_many(sources, tmp_path / "out", resume=True)
    assert again.exit_status == 0
    assert content(tmp_path / "out") == expected


def test_a_killed_worker_of_our_own_pool_costs_nothing(
    sources: list[tuple[Path, str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    """`jobs` makes its own processes, so it makes new ones."""
    before = set(workers())
    killed = threading.Event()

    def kill(result: object) -> None:
        if not killed.is_set():
            killed.set()
            os.kill(next(pid for pid in workers() if pid not in before), signal.SIGKILL)

    done = convert_many(sources, tmp_path / "out", jobs=2, on_result=kill)
    assert killed.is_set()
    assert verdicts(done) == ["converted"] * COUNT
    assert content(tmp_path / "out") == expected
    assert set(workers()) <= before


def workers() -> list[int]:
    """Processes that multiprocessing spawned from this one."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split() if folder.name.isdigit() else []
            if fields and int(fields[1]) == os.getpid() and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_the_lines_in_the_documents_run(
    client: Any, sources: list[tuple[Path, str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    for source, name in sources:
        shutil.copytree(source, tmp_path / "models" / "paddle" / name)
    block, *_ = re.findall(r"^```python\n(.*?)^```$", SCALE.read_text(), re.MULTILINE | re.DOTALL)
    assert "tcp://scheduler:8786" in block
    block = block.replace("tcp://scheduler:8786", client.cluster.scheduler_address)
    command = [sys.executable, "-c", block]
    child = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (child.returncode, child.stdout) == (0, ""), child.stderr
    assert content(tmp_path / "models" / "converted") == expected


def test_dask_verifies(client: Any, sources: list[tuple[Path, str]], tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "model_state.pdparams").write_text("{}")
    chosen = [(sources[0][0], "one"), (bad, "bad"), (sources[1][0], "two")]
    result = verify_many(chosen, executor=client.get_executor(), keep=tmp_path / "kept")
    assert [(model.name, model.verdict) for model in result.models] == [
        ("one", "passed"),
        ("bad", "not run"),
        ("two", "passed"),
    ]
    assert result.exit_status == 2
    assert result.models[0].report is not None
    assert (tmp_path / "kept" / "one" / "parity.json").is_file()
