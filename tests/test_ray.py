"""A real Ray on this machine as the executor, with a worker killed in the middle: docs/scale.md says how."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import ray

from paddle2torch import convert_checkpoint, convert_many, verify_many

from .test_cluster import content, wait_for_file

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"

COUNT = 3


def waiting_in_the_middle(marks: str) -> Callable[[], None]:
    """What every worker does first: from then on, the first conversion that has written its weights waits, so that its
    worker can be killed."""

    # Defined here, so that it travels by value: workers cannot import this module.
    def wait_in_the_middle() -> None:
        import os
        import time
        from unittest.mock import patch

        from paddle2torch.converters.formats.safetensors_file import check_safetensors
        from paddle2torch.converters.outputs import weights

        def compare(path: Path, *others: Any) -> None:
            if not os.listdir(marks):
                open(f"{marks}/{os.getpid()}", "w").close()
                time.sleep(120)
            check_safetensors(path, *others)

        patch.object(weights, "check_safetensors", compare).start()

    return wait_in_the_middle


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


@pytest.fixture
def executor(marks: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """The class that the page shows, on two workers."""
    # Otherwise it writes a token into the home folder.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    (block,) = re.findall(r"^```python\n(class RayExecutor.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}
    exec(block, {"concurrent": concurrent, "ray": ray}, found)
    # The paths of its sockets must be short, which pytest's are not.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 << 20,
            _temp_dir=short,
            runtime_env={
                "env_vars": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
                "worker_process_setup_hook": waiting_in_the_middle(str(marks)),
            },
        )
        try:
            yield found["RayExecutor"]()
        finally:
            ray.shutdown()


def killed_in_the_middle(marks: Path, work: Callable[[], Any]) -> Any:
    """What comes of work of which one worker is killed."""
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(work)
        os.kill(wait_for_file(marks), signal.SIGKILL)
        return running.result(timeout=120)


@pytest.fixture
def sources(seeded: Callable[..., Path]) -> list[tuple[Path, str]]:
    return [(seeded("AlbertForMaskedLM", vocab_size=50 + number), f"run{number}") for number in range(COUNT)]


def test_a_killed_worker_costs_nothing(
    executor: Executor, marks: Path, sources: list[tuple[Path, str]], tmp_path: Path
) -> None:
    done = killed_in_the_middle(marks, lambda: convert_many(sources, tmp_path / "out", executor=executor))
    assert [result.verdict for result in done.results] == ["converted"] * COUNT, done.failed
    for source, name in sources:
        convert_checkpoint(source, tmp_path / "plain" / name)
    assert content(tmp_path / "out") == content(tmp_path / "plain")


def test_verifying_goes_on_when_a_worker_is_killed(
    executor: Executor, marks: Path, sources: list[tuple[Path, str]], tmp_path: Path
) -> None:
    work = lambda: verify_many(sources[:2], executor=executor, keep=tmp_path / "kept")  # noqa: E731
    result = killed_in_the_middle(marks, work)
    assert [model.verdict for model in result.models] == ["passed"] * 2, [model.error for model in result.models]
    assert (tmp_path / "kept" / "run0" / "parity.json").is_file()
