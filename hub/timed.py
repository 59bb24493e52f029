"""Calls that may take a stated time and no longer, whatever the other side does."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class OverdueError(Exception):
    """A call did not come back in time; it goes on in its thread and nobody waits for it."""


class TimedCalls:
    """Makes calls one after the other in a thread of its own. A limit on the waits of a socket begins anew with every
    byte that comes, so only somebody who does not read can keep the time."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        # A daemon: the end of the process does not wait for a call that was left behind.
        Thread(target=self._work, name="timed calls", daemon=True).start()

    def call(self, seconds: float, function: Callable[[], T]) -> T:
        """What `function` returns or raises. Raises OverdueError when that takes longer than `seconds`; no other call
        is made after that."""
        self._calls.put(function)
        try:
            answer, error = self._answers.get(timeout=seconds)
        except Empty:
            raise OverdueError from None
        if error is not None:
            raise error
        result: T = answer
        return result

    def finish(self, last: Callable[[], Any] | None = None) -> None:
        """Make one more call when those before have come back, without waiting for it, and end the thread."""
        if last is not None:
            self._calls.put(last)
        self._calls.put(None)

    def _work(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                self._answers.put((function(), None))
            except BaseException as error:
                self._answers.put((None, error))
