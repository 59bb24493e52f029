"""Ctrl-C in the first moments: while the command is being imported, and while its workers or the frameworks start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..conftest import PADDLE_PYTHON, TORCH_PYTHON, Run

STARTED = """
import sys
class Told:
    def find_spec(self, name, path, target=None):
        if name == "paddle2torch.cli":
            print("started", file=sys.stderr, flush=True)
sys.meta_path.insert(0, Told())
from paddle2torch.__main__ import main
main()
"""
"""The command line, which says when it begins to import all the rest; what Python does before is not its own."""

AT = """
import os, signal, sys
class Interrupted:
    left = int(sys.argv.pop(1))
    def find_spec(self, name, path, target=None):
        self.left -= name != "paddle2torch.__main__" and "paddle2torch.__main__" in sys.modules
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupted())
from paddle2torch.__main__ import main
main()
"""
"""The command line, interrupted as it imports the module of a given number."""

INTERRUPTED = ("Error: interrupted before anything was begun", "Error: interrupted; unfinished output was removed")


IN_FINALIZER = """
import os, signal, sys
left = int(sys.argv.pop(1))
def strike(frame, event, argument):
    global left
    code = frame.f_code.co_filename, frame.f_code.co_name
    if "paddle2torch.cli" in sys.modules and code == ("<frozen importlib._bootstrap>", "cb"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)
sys.settrace(strike)
from paddle2torch.__main__ import main
main()
"""
"""The command line, interrupted in the finalizer of a given number that an import runs, where no exception gets out."""

HALF_MADE = """
import os, signal, sys
left = int(sys.argv.pop(1))
def strike(frame, event, argument):
    global left
    if (frame.f_globals["__name__"], frame.f_code.co_name) != ("multiprocessing.util", "__init__"):
        return None
    made = vars(frame.f_locals["self"]) if "self" in frame.f_locals else {}
    if event == "line" and "_kwargs" in made and "_key" not in made:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)
    return strike
sys.settrace(strike)
from paddle2torch.__main__ import main
main()
"""
"""The command line, interrupted while what ends a semaphore or a process of a given number is half made."""


def start(script: str, arguments: list[str], work: Path) -> subprocess.Popen[str]:
    """The command line in a process group of its own, as a shell starts it on a terminal."""

    def default_signals() -> None:
        # A shell that started the tests in the background has SIGINT ignored, which is inherited.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    scratch = work / "tmp"
    scratch.mkdir(exist_ok=True)
    pythons = {"PADDLE2TORCH_PADDLE_PYTHON": PADDLE_PYTHON, "PADDLE2TORCH_TORCH_PYTHON": TORCH_PYTHON}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=work,
        env={**os.environ, "TMPDIR": str(scratch), **pythons},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=default_signals,
    )


def group_of(pid: int) -> list[str]:
    """The living processes of a process group."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[2] == str(pid) and fields[0] != "Z":
                found.append(folder.name)
    return found


def assert_ended(child: subprocess.Popen[str], work: Path) -> None:
    """Status 130 and one line, no process of the group left, and nothing unfinished."""
    output, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    told = ("[", "starting the frameworks")
    lines = [line for line in errors.splitlines() if not line.startswith(told)]
    assert lines in ([INTERRUPTED[0]], [INTERRUPTED[1]]), errors
    assert output == ""
    deadline = time.monotonic() + 20
    while group_of(child.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert group_of(child.pid) == []
    assert list((work / "tmp").iterdir()) == []
    assert [path for path in work.rglob(".*") if path.name.startswith(".")] == []


def interrupt_after(seconds: float, arguments: list[str], work: Path) -> None:
    """Send SIGINT to the whole group, as a terminal does, so long after the command's own first import."""
    child = start(STARTED, arguments, work)
    assert child.stderr is not None
    assert child.stderr.readline() == "started\n"
    time.sleep(seconds)
    assert child.poll() is None, child.communicate()
    os.killpg(child.pid, signal.SIGINT)
    assert_ended(child, work)


@pytest.mark.parametrize("tenths", range(10))
def test_ctrl_c_while_workers_start(tenths: int, source: Path) -> None:
    (source.parent / "list.txt").write_text("".join(f"source\t{number}\n" for number in range(2000)))
    for hundredths in range(0, 10, 2):
        out = f"out{hundredths}"
        moment = tenths / 10 + hundredths / 100
        interrupt_after(moment, ["convert", "--list", "list.txt", out, "--jobs", "2"], source.parent)


def test_ctrl_c_while_frameworks_start(source: Path, paddle2torch: Run) -> None:
    assert paddle2torch("convert", source, "converted", cwd=source.parent).returncode == 0
    for moment in (0.3, 0.6, 0.8, 1.0, 1.3, 1.8, 2.5):
        interrupt_after(moment, ["verify", "source", "converted"], source.parent)
    assert "parity.json" not in os.listdir(source.parent / "converted")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_while_a_gates_frameworks_start(jobs: str, source: Path) -> None:
    (source.parent / "list.txt").write_text("source\ta\nsource\tb\n")
    for moment in (0.5, 1.0, 2.0):
        interrupt_after(moment, ["gate", "--list", "list.txt", "--jobs", jobs], source.parent)


def test_ctrl_c_does_not_wait_for_a_python_that_hangs(work: Path) -> None:
    """`environments` asks all of them at once."""
    hanging = work / "python"
    hanging.write_text("#!/bin/sh\ntrap '' INT\nexec sleep 600\n")
    hanging.chmod(0o755)
    interrupt_after(3, ["environments", "--paddle-python", str(hanging), "--torch-python", str(hanging)], work)


@pytest.mark.parametrize("arguments", [["list"], ["convert", "source", "out"]], ids=" ".join)
def test_ctrl_c_at_any_import(arguments: list[str], source: Path) -> None:
    """Wherever it strikes: in a library that is just being imported, it must not be lost or turned into anything."""
    number, interrupted = 1, True
    while interrupted:
        child = start(AT, [str(number), *arguments], source.parent)
        interrupted = child.wait(60) == 130
        if interrupted:
            assert_ended(child, source.parent)
        number += 1 + number // 10
    output, errors = child.communicate()
    assert (child.returncode, errors) == (0, "")
    assert output
    assert number > 100


def test_ctrl_c_in_a_finalizer(source: Path) -> None:
    """Python drops what is raised there, so the command went on as if nobody had pressed anything."""
    for number in range(1, 120, 7):
        child = start(IN_FINALIZER, [str(number), "convert", "source", f"out{number}"], source.parent)
        assert_ended(child, source.parent)


def test_ctrl_c_while_a_pool_is_made(source: Path) -> None:
    """It tore its parts to pieces, which their finalizers then told in tracebacks."""
    (source.parent / "list.txt").write_text("source\t1\nsource\t2\n")
    number, interrupted = 1, True
    while interrupted:
        arguments = ["convert", "--list", "list.txt", f"out{number}", "--jobs", "2"]
        child = start(HALF_MADE, [str(number), *arguments], source.parent)
        interrupted = child.wait(60) == 130
        if interrupted:
            assert_ended(child, source.parent)
        number += 1
    assert child.returncode == 0
    assert number > 5


IN_ANY_FINALIZER = """
import os, signal, sys, time
from paddle2torch.workers.process import Terminated, guard_process

class Gone:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

guard_process()
try:
    Gone()
    time.sleep(20)
    print("lost")
except Terminated as error:
    print(error.number)
"""


def test_an_interrupt_in_any_finalizer_comes_after_it() -> None:
    done = subprocess.run([sys.executable, "-c", IN_ANY_FINALIZER], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("2\n", "")


BESIDE_A_THREAD = """
import os, signal, threading, time
from paddle2torch.workers.process import Terminated, guard_process, interrupts_held

threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
guard_process()
try:
    with interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        print("held")
    print("lost")
except Terminated as error:
    print(error.number)
"""


def test_an_interrupt_that_another_thread_gets_is_held_back_too() -> None:
    """Libraries start threads that hold nothing back: a worker that was half started then got half of what it needs."""
    done = subprocess.run([sys.executable, "-c", BESIDE_A_THREAD], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["held", "2"], done.stderr
