"""A process of the command line: it ends in order when asked to, and survives streams that are closed early."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Output(io.FileIO):
    """A stream whose reader may leave early, as `head` does: what it no longer reads is dropped, and the exit status
    stays that of the work. Any other failure is raised once; the interpreter would try again at its end."""

    failed = False

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError:
            if self.failed:
                return len(data)
            self.failed = True
            raise


class Terminated(BaseException):
    """The process was asked to end, by the signal `number`: it removes what is unfinished on the way out. Unlike a
    KeyboardInterrupt, neither click nor the interpreter makes anything of it. Its argument, where it gets one, says
    what stays."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def interruption(error: BaseException) -> str:
    """An interrupt in words, with what it left behind: nothing, unless it says what."""
    return f"interrupted; {error if error.args else 'unfinished output was removed'}"


def _terminate(number: int, frame: object) -> None:
    raise Terminated(number)


def _signal_main_thread(number: int) -> None:
    # Only a signal of its own wakes a thread that waits.
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        signal.pthread_kill(main_thread, number)
    else:
        signal.raise_signal(number)


def _resend_dropped(dropped: sys.UnraisableHookArgs) -> None:
    """What is raised in a finalizer goes no further: an interrupt that strikes there, as at the end of any import, is
    sent once more, a moment later, when the finalizer is done."""
    if isinstance(dropped.exc_value, Terminated):
        again = threading.Timer(0.01, _signal_main_thread, (dropped.exc_value.number,))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(dropped)


def guard_process() -> None:
    """Let SIGTERM and the terminal's interrupt raise Terminated, wherever they strike, and make the standard streams
    survive a reader that leaves or a closed one. A process that ignores interrupts, as in the background, goes on
    ignoring them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    sys.unraisablehook = _resend_dropped
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Closed by the caller; the number of the stream must not go to a file that is opened later.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            buffer = io.BufferedWriter(_Output(stream.fileno(), "wb", closefd=False))
            setattr(
                sys,
                name,
                io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering),
            )


def ignore_interrupts() -> None:
    """Let the last moments of a process whose outcome is settled take their course."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold the terminal's interrupt back until the end of the block. Processes that are started in it never get it: it
    is for whoever started them to end them."""
    if not hasattr(signal, "pthread_sigmask"):  # Not every system can.
        yield
        return
    came: list[int] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # A thread of a library does not hold it back, and what it gets is handled here all the same.
    handler = None
    # None is a handler that Python did not set, and could not set again.
    replaceable = signal.getsignal(signal.SIGINT) not in (None, signal.SIG_IGN)
    if threading.current_thread() is threading.main_thread() and replaceable:
        handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if came:
            signal.raise_signal(signal.SIGINT)


_THREADS = "OPENBLAS_NUM_THREADS"


def load_numpy() -> None:
    """Load numpy for a command that has no linear algebra to do. Its OpenBLAS reads only then how many threads to
    start, which would look for work for a twentieth of a conversion of 890 MB. Child processes are not told."""
    if _THREADS in os.environ:
        return
    os.environ[_THREADS] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[_THREADS]


def process_peak_bytes() -> int:
    """The most memory that this process has held, resident, in bytes; 0 where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
