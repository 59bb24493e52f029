"""Many conversions on the command line, and what an interrupt leaves of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import paddle2torch

from ...conftest import Run
from .folders import content, plain


def test_a_tree_on_the_command_line(tree: Path, paddle2torch: Run, tmp_path: Path) -> None:
    done = paddle2torch("convert", "--tree", tree, "out")
    assert done.returncode == 2
    rows = done.stdout.splitlines()
    assert [row.split()[-1] for row in rows[1:5]] == ["converted", "converted", "FAILED", "converted"]
    assert rows[5].startswith("FAILED: ")
    assert rows[6:] == ["3 converted, 1 failed"]
    assert len(done.stderr.splitlines()) == 5
    assert done.stderr.splitlines()[-1] == "Error: 1 of 4 checkpoints were not converted; each FAILED line says why"
    shutil.rmtree(tree / "bad")
    again = paddle2torch("convert", "--tree", tree, "out", "--resume", "--json")
    assert (again.returncode, len(json.loads(again.stdout)["skipped"])) == (0, 3)
    refused = paddle2torch("convert", "--tree", tree, "out")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("Error: ")
    assert "and 2 other outputs exist already" in refused.stderr


def test_a_list_on_the_command_line(tree: Path, paddle2torch: Run, tmp_path: Path) -> None:
    (tree / "list.txt").write_text("b\tfirst\na/final\n")
    done = paddle2torch("convert", "--list", tree / "list.txt", "out", "--jobs", "2", "--json")
    assert (done.returncode, done.stderr.count("converted")) == (0, 2)
    document = json.loads(done.stdout)
    assert [entry["output"] for entry in document["converted"]] == [
        str(tmp_path / "out" / name) for name in ("first", "a/final")
    ]
    assert document["failed"] == document["skipped"] == []
    assert content(tmp_path / "out" / "first") == plain(tree / "b", tmp_path / "plain")


@pytest.mark.parametrize(
    "arguments",
    [["--tree", "--list", "x", "out"], ["x", "out", "--jobs", "2"], ["--tree", "missing", "out"]],
    ids=" ".join,
)
def test_bad_usage_is_one_line(arguments: list[str], paddle2torch: Run) -> None:
    done = paddle2torch("convert", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1


def children_of(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def alive_after_a_while(pids: list[int]) -> list[int]:
    """A worker that was only starting notices a little later that nobody waits for it."""
    limit = time.monotonic() + 20
    while any(map(is_alive, pids)) and time.monotonic() < limit:
        time.sleep(0.05)
    return [pid for pid in pids if is_alive(pid)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupt_ends_all_workers_and_leaves_nothing_unfinished(
    number: signal.Signals, tiny: Path, tmp_path: Path
) -> None:
    """To the command alone, as a CI system sends it; a command that is killed cannot tidy, but its workers do."""
    (tmp_path / "list.txt").write_text("".join(f"{tiny}\t{place}\n" for place in range(500)))
    command = [sys.executable, "-m", "paddle2torch", "convert", "--list", "list.txt", "out", "--jobs", "2"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for _ in range(3):
        assert "converted" in child.stderr.readline()
    workers = children_of(child.pid)
    assert len(workers) >= 2
    child.send_signal(number)
    _, errors = child.communicate(timeout=30)
    if number == signal.SIGKILL:
        assert child.returncode == -number
    else:
        assert child.returncode == 128 + number
        assert errors.splitlines()[-1] == "Error: interrupted; unfinished output was removed"
        assert "Traceback" not in errors
    assert alive_after_a_while(workers) == []
    outputs = [path.name for path in (tmp_path / "out").iterdir()]
    assert [name for name in outputs if name.startswith(".")] == []
    assert 2 <= len(outputs) < 500
    assert all((tmp_path / "out" / name / "config.json").is_file() for name in outputs)


def test_work_under_way_is_dropped_at_an_interrupt(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import time\n"
        "from paddle2torch.workers.local import run_in_processes\n"
        "if __name__ == '__main__':\n"
        "    for place, _ in run_in_processes(time.sleep, [(0,), (100,), (100,), (100,)], 2):\n"
        "        print(place, flush=True)\n"
    )
    command = [sys.executable, "script.py"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "0\n"
    workers = children_of(child.pid)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert errors.count("KeyboardInterrupt") == 1
    assert alive_after_a_while(workers) == []


def test_a_worker_that_hands_in_a_result_ends_with_its_owner(tmp_path: Path) -> None:
    """It is between two items then. Whatever is raised there, an executor's worker sends in place of the result, and
    waits for the next item."""
    (tmp_path / "script.py").write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from paddle2torch.workers.local import run_in_processes\n"
        "class Slow:\n"
        "    def __reduce__(self):\n"
        "        Path(f'{os.getpid()}.pid').touch()\n"
        "        time.sleep(100)\n"
        "def slow(number):\n"
        "    return Slow()\n"
        "if __name__ == '__main__':\n"
        "    list(run_in_processes(slow, [(1,), (2,)], 2))\n"
    )
    child = subprocess.Popen([sys.executable, "script.py"], cwd=tmp_path)
    limit = time.monotonic() + 30
    while len(list(tmp_path.glob("*.pid"))) < 2:
        assert child.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    child.kill()
    child.wait(10)
    killed = time.monotonic()
    assert alive_after_a_while([int(path.stem) for path in tmp_path.glob("*.pid")]) == []
    assert time.monotonic() - killed < 5


def test_the_command_works_where_the_package_is_nothing_but_installed(tree: Path, tmp_path: Path) -> None:
    """The workers of --jobs start anew and must find the package without the caller's working directory."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = f"from paddle2torch.cli import main; import sys; sys.argv[1:] = {['convert', '--tree', str(tree), 'out']}"
    child = subprocess.run(
        [sys.executable, "-c", f"{script}; sys.argv += ['--jobs', '2']; main()"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == 2, child.stderr
    assert child.stdout.endswith("3 converted, 1 failed\n")
    assert paddle2torch.__file__ is not None
