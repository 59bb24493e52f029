"""Work spread over an executor of any make: few items submitted at a time, and whatever breaks is an outcome."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..errors import NotBegunError, WorkerError

R = TypeVar("R")

SUBMITTED_AT_ONCE = 64
"""Items that an executor holds at a time unless told otherwise."""

PATIENCE_SECONDS = 5.0
"""How long to wait for an answer before asking whether any can still come."""


def run_everywhere(
    function: Callable[..., R],
    work: Sequence[tuple[Any, ...]],
    executor: Executor | None,
    at_once: int = SUBMITTED_AT_ONCE,
) -> Generator[tuple[int, R | Exception], None, None]:
    """Call `function(*arguments)` for each item of `work`; give its place and its result, or what it raised, as they
    come. Without an executor all is done here, in order.

    An item whose worker was lost or whose future was cancelled has a WorkerError as its outcome, one that the executor
    would not take a NotBegunError. When the caller stops early, what has not begun is cancelled.
    """
    if executor is None:
        for place, arguments in enumerate(work):
            yield place, _call(function, arguments)
        return
    finished: SimpleQueue[Future[Any]] = SimpleQueue()
    under_way: dict[Future[Any], int] = {}
    try:
        for place, arguments in enumerate(work):
            while len(under_way) >= max(1, at_once):
                yield _next_outcome(finished, under_way, executor)
            try:
                future = executor.submit(function, *arguments)
            except Exception as error:
                yield place, NotBegunError(f"could not be handed to a worker: {one_line(error)}")
                continue
            under_way[future] = place
            # Unlike concurrent.futures.wait, this also hears of a future that was cancelled and never started.
            future.add_done_callback(finished.put)
        while under_way:
            yield _next_outcome(finished, under_way, executor)
    finally:
        for future in under_way:
            future.cancel()


def _next_outcome(
    finished: SimpleQueue[Future[Any]], under_way: dict[Future[Any], int], executor: Executor
) -> tuple[int, Any]:
    """Wait for the next of what is under way; its place and its outcome."""
    while True:
        try:
            done = finished.get(timeout=PATIENCE_SECONDS)
        except Empty:
            if not _has_closed(executor):
                continue
            # What was answered in the last moment counts.
            if finished.empty():
                return under_way.pop(next(iter(under_way))), WorkerError(
                    "was never answered for: the executor closed while it was handed in; run it again"
                )
        else:
            # One that was given up may be answered for after all.
            if done in under_way:
                return under_way.pop(done), _outcome(done)


def _has_closed(executor: Executor) -> bool:
    """Whether an executor is one of Dask's whose client has closed: a future that it was handed just then never ends.
    Those of other makes answer for all."""
    return getattr(getattr(executor, "_client", None), "status", None) == "closed"


def _call(function: Callable[..., R], arguments: tuple[Any, ...]) -> R | Exception:
    try:
        return function(*arguments)
    except Exception as error:
        return error


def _outcome(future: Future[Any]) -> Any:
    """The result of a future that is done, or an Exception."""
    if future.cancelled():
        return WorkerError("was cancelled before it was done; run it again")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenExecutor):
        return WorkerError(f"its worker was lost, most likely killed or out of memory: {one_line(error)}")
    if isinstance(error, Exception):
        return error
    # A worker that was told to end; raised here, it would end this process.
    return WorkerError(f"its worker was ended: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """The message of an error on one line, with its class unless the package raised it on purpose."""
    return " ".join(f"{type(error).__name__}: {error}".split())
