"""What processes that were killed left behind goes, and the work of live ones stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from paddle2torch import convert_checkpoint, convert_many
from paddle2torch.converters.outputs.unfinished import PARTIAL, unfinished

from .folders import content, flip, plain


def left_by(script: str, output: Path, source: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(output), str(source)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


KILLED_WHILE_WRITING = """
import os, signal, sys
from paddle2torch.converters.outputs.folder import new_folder
from pathlib import Path
with new_folder(Path(sys.argv[1]), False) as folder:
    (folder / "model.safetensors").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_with_the_next_run(one: Path, tmp_path: Path) -> None:
    assert left_by(KILLED_WHILE_WRITING, tmp_path / "out", one).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    assert left.name.endswith(".partial")
    convert_checkpoint(one, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_killed_processes_left_goes_with_the_next_run_of_many(one: Path, tmp_path: Path) -> None:
    left_by(KILLED_WHILE_WRITING, tmp_path / "out" / "a", one)
    (left,) = (tmp_path / "out").iterdir()
    shutil.copytree(left, left.with_name(left.name.replace(".a.", ".b.")))
    convert_many([(one, "a")], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    # What comes afterwards looks again.
    left.mkdir()
    convert_checkpoint(one, tmp_path / "out" / "c")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c"]


def test_what_a_worker_leaves_during_a_run_goes_at_its_end(one: Path, tmp_path: Path) -> None:
    left_by(KILLED_WHILE_WRITING, tmp_path / "elsewhere" / "b", one)
    (left,) = (tmp_path / "elsewhere").iterdir()

    def leave(result: object) -> None:
        left.rename(tmp_path / "out" / left.name)

    convert_many([(one, "a")], tmp_path / "out", on_result=leave)
    assert os.listdir(tmp_path / "out") == ["a"]


def test_a_run_twice_in_turn_is_converted_once(one: Path, tmp_path: Path) -> None:
    """As on a cluster that lost a worker after its work was done, and before it could say so."""

    class Again(Executor):
        def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
            function(*arguments)
            future: Future[Any] = Future()
            future.set_result(function(*arguments))
            return future

    done = convert_many([(one, "x")], tmp_path / "out", executor=Again())
    assert [result.verdict for result in done.results] == ["converted"]
    flip(tmp_path / "out" / "x" / "model.safetensors")
    replaced = convert_many([(one, "x")], tmp_path / "out", executor=Again(), overwrite=True)
    assert [result.verdict for result in replaced.results] == ["converted"]
    assert content(tmp_path / "out" / "x") == plain(one, tmp_path / "plain")


def test_the_work_of_a_live_process_is_left_alone(one: Path, tmp_path: Path) -> None:
    wait = "import sys; print(os.listdir(folder.parent), flush=True); sys.stdin.read()"
    script = KILLED_WHILE_WRITING.replace("os.kill(os.getpid(), signal.SIGKILL)", wait)
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert ".partial" in child.stdout.readline()
        convert_many([(one, "out")], tmp_path)
        convert_checkpoint(one, tmp_path / "out2")
        assert len([path for path in tmp_path.iterdir() if path.name.startswith(".out.")]) == 1
        child.kill()
    convert_checkpoint(one, tmp_path / "out3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out2", "out3"]


def test_the_work_of_other_systems_is_left_alone(one: Path, tmp_path: Path) -> None:
    mine = unfinished(tmp_path / "out", PARTIAL).name
    system = mine.split(".")[2].split("-")[0]
    others = [mine.replace(system, "0123abcd"), mine.replace(system, "00000000"), ".out.abcdef123456.partial"]
    foreign = [".out.partial", "out.partial", ".out.zzzzzzzz-1-1-abcdef.partial"]
    for name in (*others, *foreign):
        (tmp_path / name.replace(f"-{os.getpid()}-", "-4194305-")).mkdir()
    before = set(os.listdir(tmp_path))
    convert_checkpoint(one, tmp_path / "out")
    assert set(os.listdir(tmp_path)) == {*before, "out"}


def test_a_process_number_that_went_to_another_process_protects_nothing(one: Path, tmp_path: Path) -> None:
    mine = unfinished(tmp_path / "out", PARTIAL)
    system, pid, started, token = mine.name.split(".")[2].split("-")
    (tmp_path / f".out.{system}-{pid}-{int(started) - 1}-{token}.partial").mkdir()
    mine.mkdir()
    convert_checkpoint(one, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == sorted([mine.name, "out"])


def test_a_replaced_folder_is_kept_until_its_successor_is_there(one: Path, tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from paddle2torch import convert_checkpoint
rename = Path.rename
def die(self, target):
    if self.suffix == ".partial":
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
convert_checkpoint(sys.argv[2], sys.argv[1])
Path.rename = die
convert_checkpoint(sys.argv[2], sys.argv[1], overwrite=True)
"""
    assert left_by(script, tmp_path / "out", one).returncode == -signal.SIGKILL
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".old", ".partial"]
    convert_checkpoint(one, tmp_path / "another")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".old"]
    convert_checkpoint(one, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "out"]
