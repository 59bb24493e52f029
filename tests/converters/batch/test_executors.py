"""Many conversions on executors that lose, repeat or cancel what they were given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from paddle2torch import convert_many
from paddle2torch.converters.formats.safetensors_file import check_safetensors
from paddle2torch.converters.outputs import weights

from .folders import content, plain


class Recorded(ThreadPoolExecutor):
    """Counts the futures that are not done."""

    most = 0

    def __init__(self) -> None:
        super().__init__(2)
        self.held: list[Future[Any]] = []

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        future = super().submit(*arguments, **options)
        self.held.append(future)
        self.most = max(self.most, sum(not future.done() for future in self.held))
        return future


def test_an_executor_holds_few_items_at_a_time(one: Path, tmp_path: Path) -> None:
    sources = [(one, f"{number}") for number in range(20)]
    with Recorded() as executor:
        done = convert_many(sources, tmp_path / "out", executor=executor, at_once=3)
    assert executor.most <= 3
    assert [result.verdict for result in done.results] == ["converted"] * 20
    expected = plain(one, tmp_path / "plain")
    assert all(content(tmp_path / "out" / str(number)) == expected for number in range(20))


class Broken(Executor):
    """Loses items in every way that an executor can."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        self.count += 1
        future: Future[Any] = Future()
        if self.count == 1:
            future.cancel()
        elif self.count == 2:
            future.set_exception(CancelledError())
        elif self.count == 3:
            future.set_exception(SystemExit(1))
        elif self.count == 4:
            future.set_exception(ValueError("the cluster is gone"))
        elif self.count == 5:
            threading.Timer(0.2, future.cancel).start()
        elif self.count == 6:
            raise RuntimeError("cannot schedule new futures after shutdown")
        else:
            future.set_result(function(*arguments, **options))
        return future


def test_what_an_executor_loses_fails_and_nothing_hangs(one: Path, tmp_path: Path) -> None:
    done = convert_many([(one, str(number)) for number in range(1, 8)], tmp_path / "out", executor=Broken())
    assert [result.verdict for result in done.results] == [*["FAILED"] * 6, "converted"]
    errors = [str(result.error) for result in done.failed]
    assert all(error.startswith(f"{one}: ") for error in errors)
    for error, text in zip(
        errors,
        ["was cancelled", "", "worker was ended: SystemExit", "the cluster is gone", "was cancelled", "after shutdown"],
        strict=True,
    ):
        assert text in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["7"]


def test_an_item_that_is_run_twice_is_converted_once(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster that takes a slow worker for lost: both finish, and each finds the other's output."""

    class Twice(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
            super().submit(*arguments, **options)
            return super().submit(*arguments, **options)

    together = threading.Barrier(2)
    real = check_safetensors

    def wait(path: Path, *others: Any) -> None:
        if ".partial" in str(path):
            together.wait(30)
        real(path, *others)

    monkeypatch.setattr(weights, "check_safetensors", wait)
    with Twice(2) as executor:
        done = convert_many([(one, "x")], tmp_path / "out", executor=executor)
    monkeypatch.undo()
    assert [result.verdict for result in done.results] == ["converted"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
    assert content(tmp_path / "out" / "x") == plain(one, tmp_path / "plain")
