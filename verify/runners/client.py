"""The client of a framework runner: starts it when needed, asks, and turns whatever goes wrong into one error."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ...errors import MissingDependencyError, RunnerAccidentError, RunnerAnswerError, RunnerError
from ...workers.process import interrupts_held
from .environments import Kind, interpreter_of, lacking

STDERR_TAIL_BYTES = 4096
SCRIPTS = Path(__file__).parent
REUSE_MEMORY = ":".join(f"glibc.malloc.{name}_threshold={1 << 34}" for name in ("mmap", "trim"))
"""For glibc's allocator: memory that was freed is used again; otherwise every large tensor gets fresh pages, which the
system has to zero. Halves the system's share of loading, and costs up to a tenth more memory, for gaps."""

TITLES: dict[Kind, str] = {"paddle": "Paddle", "torch": "PyTorch"}


class RunnerProcess:
    """One framework runner, kept alive between requests.

    The child starts with the first request, and anew with the next request after it died. Use it as a context
    manager or call `close`; it also ends with this object and with the interpreter.
    """

    def __init__(
        self,
        kind: Kind,
        python: str | None = None,
        arguments: Sequence[str] = (),
        timeout_seconds: float | None = None,
        reuse_memory: bool = True,
        script: str | None = None,
    ) -> None:
        """`python` is found by default; `arguments` are for the runner's script, below this folder and by default that
        of its kind; `reuse_memory` trades memory for time, see REUSE_MEMORY."""
        self.kind = kind
        self.python = python or interpreter_of(kind)
        self.arguments = tuple(arguments)
        self.timeout_seconds = timeout_seconds
        self.reuse_memory = reuse_memory
        self._script = SCRIPTS / (script or f"{kind}_runner.py")
        self._child: _Child | None = None
        self._stopped = False
        # One child answers one request at a time, whoever asks.
        self._asking = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of the running child, if there is one."""
        return self._child.process.pid if self._child is not None else None

    @property
    def title(self) -> str:
        """How messages call this runner."""
        return f"The {TITLES[self.kind]} runner"

    def __enter__(self) -> RunnerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Kill the child at once and refuse every further request; the one under way fails. Safe from any thread."""
        self._stopped = True
        child = self._child
        if child is not None:
            child.process.kill()

    def close(self) -> None:
        """End the child, if it runs."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return its answer; a second thread waits for its turn.

        Raises `RunnerAnswerError` if the child answers with an error, `RunnerAccidentError` if that error says nothing
        of what it was asked about, `RunnerError` if it dies, breaks the protocol or takes too long, and
        `MissingDependencyError` if it lacks its framework.
        """
        with self._asking:
            return self._request(payload)

    def _request(self, payload: dict[str, Any]) -> dict[str, Any]:
        if self._stopped:
            raise RunnerError(f"{self.title} was stopped.")
        if self._child is not None and self._child.process.poll() is not None:
            self.close()
        try:
            if self._child is None:
                # The terminal's interrupt is for this process, which ends the child.
                with interrupts_held():
                    self._child = self._start()
            child = self._child
            if self._stopped:
                # `stop` came while the child was being started and did not see it.
                raise RunnerError(f"{self.title} was stopped.")
            line = child.ask(json.dumps(payload), self.timeout_seconds)
        except queue.Empty:
            self._kill()
            raise RunnerError(f"{self.title} did not answer within {self.timeout_seconds:g} seconds.") from None
        except BaseException:
            self._kill()
            raise
        if not line:
            self._child = None
            raise self._death(child)
        return self._read_answer(line)

    def _start(self) -> _Child:
        environment = dict(os.environ)
        # The script finds its helper beside itself, which this variable forbids.
        environment.pop("PYTHONSAFEPATH", None)
        if self.reuse_memory:
            environment.setdefault("GLIBC_TUNABLES", REUSE_MEMORY)
        try:
            return _Child([self.python, str(self._script), *self.arguments], environment)
        except OSError as error:
            raise RunnerError(
                f"{self.title} cannot be started with {self.python}: {error.strerror or error}."
            ) from error

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _death(self, child: _Child) -> Exception:
        """Describe a child that ended without an answer."""
        status = child.wait_for_end()
        last = child.last_stderr_line()
        if status < 0:
            name = _signal_name(-status)
            reason = ": most likely out of memory" if _signal_name(-status) == "SIGKILL" else ""
            return RunnerError(f"{self.title} was killed by {name}{reason}.")
        if last.startswith("ModuleNotFoundError"):
            return self._missing(last.partition(": ")[2])
        detail = f": {last}" if last else ""
        return RunnerError(f"{self.title} ended with exit status {status} before it answered{detail}")

    def _missing(self, detail: str) -> MissingDependencyError:
        return MissingDependencyError(lacking(self.kind, self.python, detail), detail)

    def _read_answer(self, line: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            self._kill()
            raise RunnerError(f"{self.title} gave a malformed answer: {line[:80]!r}")
        if answer["ok"]:
            return answer
        # Frameworks spread their messages over several lines; an error of this package is one line.
        message = " ".join(str(answer.get("error")).split())
        if answer.get("missing"):
            raise self._missing(message)
        if answer.get("accident"):
            raise RunnerAccidentError(
                f"{self.title} could not run it: {message} in the libraries of {self.python}, which says nothing of "
                "the models; `paddle2torch environments` shows what is installed and how to install what was tested"
            )
        raise RunnerAnswerError(f"{self.title} failed: {message}")


class _Child:
    """A started runner with the threads that read from it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        # The frameworks leave caches in the folder for temporary files; this one goes with the child.
        self._scratch = tempfile.TemporaryDirectory(prefix="paddle2torch-runner-", ignore_cleanup_errors=True)
        environment["TMPDIR"] = self._scratch.name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._stdin: IO[bytes] = self.process.stdin
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._tail = bytearray()
        self._threads = [
            threading.Thread(target=_read_lines, args=(self.process.stdout, self._lines), daemon=True),
            threading.Thread(target=_keep_tail, args=(self.process.stderr, self._tail), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        # Runs when this object goes away and when the interpreter exits, so the child never outlives either.
        self._finalizer = weakref.finalize(self, _end_process, self.process, self._scratch)

    def ask(self, text: str, timeout_seconds: float | None) -> bytes:
        """Send one line and wait for one; an empty answer means that the child is gone."""
        # A child that is gone is reported by the empty answer, with its exit status.
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(text.encode("utf-8") + b"\n")
            self._stdin.flush()
        return self._lines.get(timeout=timeout_seconds)

    def wait_for_end(self) -> int:
        """Wait until a child that closed its output has ended; return its exit status."""
        try:
            status = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._release()
        return status

    def last_stderr_line(self) -> str:
        """Return the last line that the child wrote to standard error."""
        lines = bytes(self._tail).decode("utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """End the child politely: it exits when its input ends."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._release()

    def kill(self) -> None:
        """End the child at once."""
        self.process.kill()
        self.process.wait()
        self._release()

    def _release(self) -> None:
        self._finalizer.detach()
        self._scratch.cleanup()
        for thread in self._threads:
            thread.join(timeout=5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _read_lines(stream: IO[bytes], lines: queue.Queue[bytes]) -> None:
    """Pass lines on until the stream ends, and then one empty line."""
    with contextlib.suppress(OSError, ValueError):
        while line := stream.readline():
            lines.put(line)
    lines.put(b"")


def _keep_tail(stream: IO[bytes], tail: bytearray) -> None:
    """Read a stream to its end, keeping only the last bytes."""
    with contextlib.suppress(OSError, ValueError):
        while block := stream.read1(STDERR_TAIL_BYTES):  # type: ignore[attr-defined]
            tail += block
            del tail[:-STDERR_TAIL_BYTES]


def _end_process(process: subprocess.Popen[bytes], scratch: tempfile.TemporaryDirectory[str]) -> None:
    """Kill a child that is still there, and remove its temporary files."""
    if process.poll() is None:
        process.kill()
        process.wait()
    scratch.cleanup()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
