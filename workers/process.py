"""A process of the command line: it ends in order when asked to, and survives streams that are closed early."""

from __future__ import annotations

import io
import os
import signal
import sys
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
    """The process was asked to end; like an interrupt, it removes what is unfinished on the way out. The argument of
    either says what stays, where something does."""


def interruption(error: BaseException) -> str:
    """An interrupt in words, with what it left behind: nothing, unless it says what."""
    # click raises its own exception in place of the interpreter's.
    original = error.__cause__ or error
    return f"interrupted; {original if original.args else 'unfinished output was removed'}"


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def guard_process() -> None:
    """Let SIGTERM raise Terminated, and make the standard streams survive a reader that leaves or a closed one."""
    signal.signal(signal.SIGTERM, _terminate)
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
