"""The client of the runners: children that die, hang, chatter or misbehave. Scripts stand in for the frameworks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paddle2torch.errors import MissingDependencyError, RunnerError
from paddle2torch.verify.runners import client
from paddle2torch.verify.runners.client import RunnerProcess
from paddle2torch.verify.runners.environments import Kind

from ...conftest import PADDLE_PYTHON, TORCH_PYTHON

ECHO = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"ok": True, "got": json.loads(line)}), flush=True)
"""


def use_script(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, kind: Kind = "torch") -> RunnerProcess:
    (folder / f"{kind}_runner.py").write_text(text)
    monkeypatch.setattr(client, "SCRIPTS", folder)
    return RunnerProcess(kind)


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_child_is_an_error_and_the_next_request_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "import time\n" + ECHO.replace("    print", "    time.sleep(json.loads(line).get('sleep', 0))\n    print")
    with use_script(monkeypatch, tmp_path, text, "paddle") as runner:
        runner.request({})
        first = runner.pid
        assert first is not None
        threading.Timer(0.3, os.kill, (first, signal.SIGKILL)).start()
        with pytest.raises(
            RunnerError, match=r"^The Paddle runner was killed by SIGKILL: most likely out of memory\.$"
        ):
            runner.request({"sleep": 30})
        assert runner.request({"n": 2})["got"] == {"n": 2}
        assert runner.pid != first
        # Killed between two requests: nobody was waiting, so the next one simply starts anew.
        assert runner.pid is not None
        os.kill(runner.pid, signal.SIGKILL)
        time.sleep(0.2)
        assert runner.request({"n": 3})["got"] == {"n": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys; sys.exit('out of luck')", "ended with exit status 1 before it answered: out of luck"),
        ("import sys; input(); print('tea?'); sys.stdin.read()", "malformed answer: b'tea"),
        ("import sys; input(); print('[1]'); sys.stdin.read()", "malformed answer"),
        ('input(); print(\'{"ok": false, "error": "no such luck"}\')', "^The PyTorch runner failed: no such luck$"),
        ("import os; os.abort()", "killed by SIGABRT"),
    ],
)
def test_children_that_misbehave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, message: str) -> None:
    runner = use_script(monkeypatch, tmp_path, text)
    with pytest.raises(RunnerError, match=message) as caught:
        runner.request({})
    assert "\n" not in str(caught.value)
    runner.close()


def test_a_framework_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="cannot be started with /nowhere/python"):
        RunnerProcess("torch", python="/nowhere/python").request({})
    (tmp_path / "torch.py").write_text("raise ImportError('no torch today')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with RunnerProcess("torch") as runner, pytest.raises(MissingDependencyError, match="pip install torch=="):
        runner.request({"operation": "versions"})
    script = use_script(monkeypatch, tmp_path, "import nothing_of_this_name")
    with pytest.raises(MissingDependencyError, match="nothing_of_this_name"):
        script.request({})


def test_a_slow_child_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = use_script(monkeypatch, tmp_path, "import time; time.sleep(60)")
    runner.timeout_seconds = 0.5
    threading.Timer(0.2, lambda: pids.append(runner.pid)).start()
    pids: list[int | None] = []
    with pytest.raises(RunnerError, match=r"did not answer within 0\.5 seconds"):
        runner.request({})
    assert pids[0] is not None
    assert gone(pids[0])


def test_two_threads_ask_one_after_the_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with use_script(monkeypatch, tmp_path, ECHO) as runner, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: runner.request({"n": number}), range(200)))
        assert [answer["got"]["n"] for answer in answers] == list(range(200))
        assert runner.pid is not None


def test_much_noise_on_standard_error_does_not_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    noisy = ECHO.replace("    print", "    sys.stderr.write('x' * 1_000_000)\n    print")
    with use_script(monkeypatch, tmp_path, noisy) as runner:
        assert runner.request({"n": 1})["ok"]
        assert runner.request({"n": 2})["ok"]


def test_chatter_on_standard_output_does_not_reach_the_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A stand-in for the framework, which prints while it is imported, from Python and from below.
    (tmp_path / "torch.py").write_text(
        "import os\nprint('{\"ok\": false}', flush=True)\nos.write(1, b'native chatter\\n')\n__version__ = '9'\n"
    )
    (tmp_path / "transformers.py").write_text(
        "import subprocess\nsubprocess.run(['echo', 'hi'])\n__version__ = '8'\nPreTrainedModel = object\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    with RunnerProcess("torch") as runner:
        versions = runner.request({"operation": "versions"})["versions"]
        assert (versions["torch"], versions["transformers"]) == ("9", "8")


@pytest.mark.parametrize("kind", ["paddle", "torch"])
def test_end_of_input_ends_the_real_runners(kind: str) -> None:
    script = Path(client.__file__).parent / f"{kind}_runner.py"
    lines = b'\n[]\nnot json\n{"operation": "dance"}\n'
    python = {"paddle": PADDLE_PYTHON, "torch": TORCH_PYTHON}[kind]
    run = subprocess.run([python, str(script)], input=lines, capture_output=True, timeout=30, check=False)
    assert run.returncode == 0
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["ok"] for answer in answers] == [False] * 3
    assert all(answer["error"] and "Traceback" in answer["traceback"] for answer in answers)


def test_the_child_ends_with_its_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runner = use_script(monkeypatch, tmp_path, ECHO)
    runner.request({})
    closed = runner.pid
    runner.close()
    runner.close()
    runner.request({})
    dropped = runner.pid
    del runner
    assert closed is not None
    assert dropped is not None
    assert gone(closed)
    assert gone(dropped)
    # And with the interpreter, even if nobody closes it and the child is busy.
    (tmp_path / "torch_runner.py").write_text("import time; time.sleep(60)")
    parent = f"""
import os, pathlib, signal, threading
from paddle2torch.verify.runners import client
client.SCRIPTS = pathlib.Path({str(tmp_path)!r})
runner = client.RunnerProcess("torch")
threading.Timer(0.5, lambda: (print(runner.pid, flush=True), os.kill(os.getpid(), signal.SIGINT))).start()
runner.request({{}})
"""
    run = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=30, check=False)
    assert "KeyboardInterrupt" in run.stderr
    assert gone(int(run.stdout))
