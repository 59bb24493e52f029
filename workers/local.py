"""Worker processes on this machine that end with whoever started them and take nothing down with them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar

from ..errors import NotBegunError, WorkerError
from .process import interrupts_held
from .spread import run_everywhere

R = TypeVar("R")

_STATUS = 128 + signal.SIGTERM

_GRACE_SECONDS = 10
"""Time for a worker whose owner is gone to remove what is unfinished."""


def run_in_processes(
    function: Callable[..., R], work: Sequence[tuple[Any, ...]], jobs: int
) -> Generator[tuple[int, R | Exception], None, None]:
    """As `run_everywhere`, on `jobs` fresh processes. When one of them dies, the items that were under way are run
    once more, each in a process of its own, so that only the one that kills its process has a WorkerError as outcome.

    When the caller stops early, or is killed, the processes end at once and remove what they have not finished.
    """
    left = list(range(len(work)))
    call = partial(_call, function)
    while left:
        suspects, not_begun = [], []
        with local_workers(jobs) as pool:
            for place, outcome in run_everywhere(call, [work[place] for place in left], pool, 2 * jobs):
                if isinstance(outcome, NotBegunError):
                    not_begun.append(left[place])
                elif isinstance(outcome, WorkerError):
                    suspects.append(left[place])
                else:
                    yield left[place], outcome
        for place in suspects:
            with local_workers(1) as pool:
                for _, outcome in run_everywhere(call, [work[place]], pool):
                    yield place, outcome
        left = not_begun


@contextmanager
def local_workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of `jobs` processes. After an exception they are not waited for: they drop what they do, and end."""
    context = get_context("spawn")
    # Half made, their parts would fail once more when they are taken away, and leave semaphores behind.
    with interrupts_held():
        # Nothing is ever sent. Its other end closes when this process stops or dies, and every worker notices.
        watched, held = context.Pipe(duplex=False)
        pool = _Pool(jobs, mp_context=context, initializer=_begin, initargs=(watched,))
    try:
        yield pool
    except BaseException:
        held.close()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown()
        held.close()
        watched.close()


class _Pool(ProcessPoolExecutor):
    """Starts its processes in `submit`, with the terminal's interrupt held back: it stays so in them, and while they
    import what they need, it is left to the process that starts them."""

    def submit(self, function: Callable[..., R], /, *arguments: Any, **options: Any) -> Future[R]:
        with interrupts_held():
            return super().submit(function, *arguments, **options)


def _begin(watched: Connection) -> None:
    """In a worker: leave the terminal's interrupt to the process that started it, and end with that process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_watch, args=(watched,), daemon=True).start()


def _watch(watched: Connection) -> None:
    with suppress(EOFError, OSError):
        watched.recv_bytes()
    # On Windows the former would end the process at once, whatever it has to remove.
    if os.name == "nt":
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
    # Nobody waits for this process any more; one that gets stuck on its way out would keep the streams open.
    time.sleep(_GRACE_SECONDS)
    os._exit(_STATUS)


_at_work = False
"""Whether this worker is at an item."""


def _end(number: int, frame: object) -> NoReturn:
    # Between two items nothing is unfinished. An exception there would be sent to the owner, who is gone, in place of a
    # result, and the worker would wait for its next item.
    if not _at_work:
        os._exit(_STATUS)
    raise SystemExit(_STATUS)


def _call(function: Callable[..., R], *arguments: Any) -> R:
    """Call `function`; a worker that is told to end removes what is unfinished on the way out, and takes no more."""
    global _at_work
    try:
        _at_work = True
        return function(*arguments)
    except SystemExit:
        os._exit(_STATUS)
    finally:
        _at_work = False
