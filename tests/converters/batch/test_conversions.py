"""Many checkpoints: found in trees and lists as they lie on disks, converted each for itself, and resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

import paddle2torch
from paddle2torch import convert_checkpoint, convert_many, find_checkpoints, read_checkpoint_list
from paddle2torch.converters import job
from paddle2torch.converters.batch import conversions as many
from paddle2torch.converters.batch.finding import Item
from paddle2torch.converters.formats.safetensors_file import compare_safetensors
from paddle2torch.converters.outputs.unfinished import PARTIAL, unfinished
from paddle2torch.errors import (
    ConfigurationError,
    DifferentOutputError,
    OutputError,
    UnknownNameError,
    UnreadableFileError,
)

from ...conftest import Run

MODEL = "AlbertForMaskedLM"


@pytest.fixture
def one(seeded: Callable[..., Path]) -> Path:
    return seeded(MODEL)


@pytest.fixture
def other(seeded: Callable[..., Path]) -> Path:
    return seeded("BertModel")


def put(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


@pytest.fixture
def tree(one: Path, other: Path, tmp_path: Path) -> Path:
    """Three sound checkpoints at different depths and one that is none."""
    root = tmp_path / "tree"
    put(one, root / "a" / "final")
    put(other, root / "b")
    put(one, root / "c" / "deep" / "er")
    put(one, root / "bad")
    (root / "bad" / "model_state.pdparams").write_text("<html>not found</html>")
    (root / "notes").mkdir()
    (root / "notes" / "readme.txt").write_text("nothing")
    return root


def names(found: Any) -> list[str]:
    return [item.name for item in found.items]


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def plain(source: Path, folder: Path) -> dict[str, bytes]:
    """What the conversion of one checkpoint by itself writes."""
    convert_checkpoint(source, folder)
    return content(folder)


# Finding


def test_a_tree_is_searched_in_the_order_of_its_paths(tree: Path) -> None:
    found = find_checkpoints(tree)
    assert names(found) == ["a/final", "b", "bad", "c/deep/er"]
    assert [item.source for item in found.items] == [str(tree / name) for name in names(found)]


def test_hidden_folders_and_unfinished_ones_are_not_searched(tree: Path, one: Path) -> None:
    put(one, tree / ".git" / "x")
    put(one, unfinished(tree / "b", PARTIAL))
    assert names(find_checkpoints(tree)) == ["a/final", "b", "bad", "c/deep/er"]


def test_folders_of_the_other_library_are_none(tree: Path, tmp_path: Path) -> None:
    convert_checkpoint(tree / "b", tree / "b-converted")
    convert_checkpoint(tree / "a" / "final", tree / "sharded", max_shard_size=4000)
    assert names(find_checkpoints(tree)) == ["a/final", "b", "bad", "c/deep/er"]
    assert names(find_checkpoints(tree, to="paddle")) == ["b-converted", "sharded"]


@pytest.mark.parametrize("form", ["safetensors", "sharded-safetensors", "sharded-pdparams"])
def test_every_form_of_paddlenlp_is_found(form: str, checkpoints: Path, tmp_path: Path) -> None:
    put(checkpoints / MODEL / form, tmp_path / "tree" / "x")
    assert names(find_checkpoints(tmp_path / "tree")) == ["x"]
    with pytest.raises(UnreadableFileError, match="holds no checkpoint of Hugging Face"):
        find_checkpoints(tmp_path / "tree", to="paddle")


def test_links_are_followed_once_and_loops_end(tree: Path, one: Path, tmp_path: Path) -> None:
    put(one, tmp_path / "elsewhere" / "model")
    (tree / "a" / "loop").symlink_to("..")
    (tree / "a" / "up").symlink_to(tmp_path)
    (tree / "0-best").symlink_to("b")
    (tree / "far").symlink_to(tmp_path / "elsewhere")
    (tree / "far-again").symlink_to(tmp_path / "elsewhere")
    (tree / "nowhere").symlink_to("missing")
    assert names(find_checkpoints(tree)) == ["a/final", "b", "bad", "c/deep/er", "far/model"]


def test_a_checkpoint_inside_another_is_left_out_and_said(tree: Path, one: Path) -> None:
    put(one, tree / "b" / "checkpoint-500")
    found = find_checkpoints(tree)
    assert "b/checkpoint-500" not in names(found)
    assert [source for source, _ in found.left_out] == [str(tree / "b" / "checkpoint-500")]
    assert "lies inside the checkpoint" in found.left_out[0][1]


def test_files_of_training_make_no_checkpoint(tree: Path) -> None:
    (tree / "notes" / "model_state.pdopt").touch()
    (tree / "notes" / "optimizer.pdparams").touch()
    assert "notes" not in names(find_checkpoints(tree))


def test_a_folder_with_several_sets_of_weights_is_not_passed_over(tree: Path, tmp_path: Path) -> None:
    shutil.copy(tree / "b" / "model_state.pdparams", tree / "notes" / "x.pdparams")
    shutil.copy(tree / "b" / "model_state.pdparams", tree / "notes" / "y.pdparams")
    done = convert_many(find_checkpoints(tree), tmp_path / "out")
    assert [result.error for result in done.failed if "several sets of weights" in str(result.error)]


def test_a_folder_that_cannot_be_read_is_a_failure(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("/c"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_checkpoints(tree)
    monkeypatch.undo()
    assert names(found) == ["a/final", "b", "bad"]
    done = convert_many(found, tmp_path / "out")
    assert f"{tree / 'c'}: cannot be read: Permission denied" in [result.error for result in done.failed]
    assert done.exit_status == 2


def test_the_outputs_are_not_searched(tree: Path) -> None:
    out = tree / "out"
    convert_many(find_checkpoints(tree, output=out), out)
    convert_many([tree / "b"], tree / "back", to="torch", family=None)
    assert names(find_checkpoints(tree, output=out)) == ["a/final", "b", "bad", "c/deep/er"]


@pytest.mark.parametrize("name", ["notes", "missing"])
def test_a_tree_without_checkpoints_is_an_error(name: str, tree: Path) -> None:
    with pytest.raises(UnreadableFileError, match="holds no checkpoint of PaddleNLP" if name == "notes" else "no such"):
        find_checkpoints(tree / name)


def test_a_list_names_sources_and_outputs(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(
        b"\xef\xbb\xbf# models\r\n\r\n  a/final  \r\n"
        b"b\tchosen/name\n/far/away/model\nx/model_state.pdparams\ny/z.pdparams\nalbert-base-v2\n"
    )
    found = read_checkpoint_list(tmp_path / "list.txt")
    assert found.items == (
        Item(f"{tmp_path}/a/final", "a/final"),
        Item(f"{tmp_path}/b", "chosen/name"),
        Item("/far/away/model", "model"),
        Item(f"{tmp_path}/x/model_state.pdparams", "x"),
        Item(f"{tmp_path}/y/z.pdparams", "y/z"),
        Item("albert-base-v2", "albert-base-v2"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no checkpoint"),
        ("# only\n\n", "names no checkpoint"),
        ("a\tb\tc\n", "line 1: a source is expected"),
        ("a\n\tb\n", "line 2: a source is expected"),
        ("a\t\n", "line 1: a source is expected"),
        ("a\0b\n", "line 1: a source is expected"),
    ],
)
def test_a_list_of_another_form_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UnreadableFileError, match=message):
        read_checkpoint_list(tmp_path / "list.txt")


# Places


@pytest.mark.parametrize("name", ["../x", "x/../../y", "/etc/x", "", ".hidden", "x/.hidden/y", "a\0b", ".."], ids=repr)
def test_names_that_lead_elsewhere_are_refused(name: str, tree: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be called"):
        convert_many([(tree / "b", "fine"), (tree / "a" / "final", name)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_outputs_cannot_go_below_a_file(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="out: is not a folder"):
        convert_many(find_checkpoints(tree), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_link_that_leads_out_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="a link leads out of"):
        convert_many([(tree / "b", "link/x")], tmp_path / "out")
    assert content(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [("x", "x", "is the output of both"), ("x", "y/../x", "cannot be|both"), ("x/y", "x", "would lie inside")],
)
def test_outputs_that_collide_are_refused(first: str, second: str, message: str, tree: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=message):
        convert_many([(tree / "b", first), (tree / "a" / "final", second)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_source_of_another_is_never_replaced(checkpoints: Path, tmp_path: Path) -> None:
    """A PaddleNLP folder of safetensors has the files of a converted one: --overwrite alone would take it for that."""
    first = put(checkpoints / MODEL / "safetensors", tmp_path / "first")
    second = put(checkpoints / "AlbertModel" / "safetensors", tmp_path / "second")
    before = content(tmp_path)
    with pytest.raises(OutputError, match="is or contains the source"):
        convert_many([(first, "second"), (second, "third")], tmp_path, overwrite=True)
    assert content(tmp_path) == before


# Converting


def test_one_bad_checkpoint_stops_no_other(tree: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    done = convert_many(find_checkpoints(tree), tmp_path / "out", on_result=lambda result: seen.append(result.source))
    assert [(result.verdict, Path(result.output).name) for result in done.results] == [
        ("converted", "final"),
        ("converted", "b"),
        ("FAILED", "bad"),
        ("converted", "er"),
    ]
    assert "looks like a web page" in str(done.failed[0].error)
    assert seen == [result.source for result in done.results]
    assert done.exit_status == 2
    for name in ("a/final", "b", "c/deep/er"):
        assert content(tmp_path / "out" / name) == plain(tree / name, tmp_path / "plain" / name)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "c"]


def test_outputs_that_exist_stop_a_run_before_it_begins(tree: Path, tmp_path: Path) -> None:
    convert_checkpoint(tree / "b", tmp_path / "out" / "b")
    before = content(tmp_path / "out")
    with pytest.raises(OutputError, match=r"out/b: exists already; .* --resume"):
        convert_many(find_checkpoints(tree), tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_resumed_run_keeps_what_is_equal_and_does_the_rest(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert_checkpoint(tree / "b", out / "b")
    (out / "b" / "README.md").write_text("a card")
    convert_checkpoint(tree / "b", out / "a" / "final")
    stamp = (out / "b" / "model.safetensors").stat()
    done = convert_many(find_checkpoints(tree), out, resume=True)
    assert [result.verdict for result in done.results] == ["FAILED", "kept", "FAILED", "converted"]
    assert "final: exists already, and its" in str(done.failed[0].error)
    assert (out / "b" / "model.safetensors").stat() == stamp
    document = done.to_json()
    assert [entry["source"] for entry in document["skipped"]] == [str(tree / "b")]
    assert len(document["converted"]) == 1
    assert len(document["failed"]) == 2
    replaced = convert_many(find_checkpoints(tree), out, resume=True, overwrite=True)
    assert [result.verdict for result in replaced.results] == ["converted", "kept", "FAILED", "kept"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "a bit of a weight": lambda out: flip(out / "model.safetensors"),
    "a field of the configuration": lambda out: (out / "config.json").write_text("{}"),
    "only the record of a cast": lambda out: save_file(
        load_file(out / "model.safetensors"),
        out / "model.safetensors",
        {"format": "pt", "paddle2torch.cast": "float16"},
    ),
    "no configuration": lambda out: (out / "config.json").unlink(),
    "no weights": lambda out: (out / "model.safetensors").unlink(),
    "more weights": lambda out: shutil.copy(out / "model.safetensors", out / "model-00001-of-00002.safetensors"),
    "a truncated file": lambda out: os.truncate(out / "model.safetensors", 1000),
    "another file": lambda out: (out / "vocab.txt").write_text("a"),
    "nothing": lambda out: empty(out),
}


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("change", CHANGES)
def test_an_output_is_kept_only_when_it_is_equal(change: str, one: Path, tmp_path: Path) -> None:
    convert_checkpoint(one, tmp_path / "out")
    assert convert_checkpoint(one, tmp_path / "out", resume=True).kept
    CHANGES[change](tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(DifferentOutputError, match="is not what this conversion writes"):
        convert_checkpoint(one, tmp_path / "out", resume=True)
    assert content(tmp_path / "out") == before
    done = convert_checkpoint(one, tmp_path / "out", resume=True, overwrite=True)
    assert not done.kept
    assert content(tmp_path / "out") == plain(one, tmp_path / "plain")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"dtype": "bfloat16"}),
        ({"dtype": "float16"}, {}),
        ({"zero_padding_row": True}, {}),
        ({"max_shard_size": 4000}, {}),
        ({}, {"max_shard_size": 4000}),
        ({"max_shard_size": 4000}, {"max_shard_size": 6000}),
    ],
    ids=str,
)
def test_an_output_of_other_options_is_not_kept(
    first: dict[str, Any], second: dict[str, Any], one: Path, tmp_path: Path
) -> None:
    convert_checkpoint(one, tmp_path / "out", **first)
    assert convert_checkpoint(one, tmp_path / "out", resume=True, **first).kept
    with pytest.raises(DifferentOutputError):
        convert_checkpoint(one, tmp_path / "out", resume=True, **second)


def test_a_changed_source_is_noticed(one: Path, tmp_path: Path) -> None:
    source = put(one, tmp_path / "source")
    convert_checkpoint(source, tmp_path / "out")
    data = (source / "model_state.pdparams").read_bytes()
    place = data.rindex(b"\x3f") + 1
    (source / "model_state.pdparams").write_bytes(data[: place - 2] + bytes([data[place - 2] ^ 1]) + data[place - 1 :])
    with pytest.raises(DifferentOutputError, match=r"its model\.safetensors is not"):
        convert_checkpoint(source, tmp_path / "out", resume=True)


def test_the_way_to_paddle_is_resumed_too(one: Path, tmp_path: Path) -> None:
    convert_checkpoint(one, tmp_path / "torch" / "x")
    found = find_checkpoints(tmp_path / "torch", to="paddle")
    assert convert_many(found, tmp_path / "back", to="paddle").exit_status == 0
    again = convert_many(found, tmp_path / "back", to="paddle", resume=True)
    assert [result.verdict for result in again.results] == ["kept"]
    flip(tmp_path / "back" / "x" / "model_state.pdparams")
    changed = convert_many(found, tmp_path / "back", to="paddle", resume=True)
    assert [result.verdict for result in changed.results] == ["FAILED"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"dtype": "float8"}, UnknownNameError),
        ({"family": "gpt"}, UnknownNameError),
        ({"to": "jax"}, UnknownNameError),
        ({"max_shard_size": "many"}, UnknownNameError),
        ({"to": "paddle", "dtype": "float16"}, ConfigurationError),
    ],
    ids=str,
)
def test_options_that_fit_nothing_are_one_error(
    options: dict[str, Any], error: type[Exception], tree: Path, tmp_path: Path
) -> None:
    with pytest.raises(error):
        convert_many(find_checkpoints(tree), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_any_error_is_an_outcome(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*arguments: object, **options: object) -> None:
        raise MemoryError("too much")

    monkeypatch.setattr(many, "convert_checkpoint", break_down)
    done = convert_many([tree / "b"], tmp_path / "out")
    assert done.failed[0].error == f"{tree / 'b'}: MemoryError: too much"


# Executors


class Recorded(ThreadPoolExecutor):
    """Counts the futures that are not done."""

    most = 0

    def __init__(self) -> None:
        super().__init__(2)
        self.held: list[Future[Any]] = []

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        future = super().submit(*arguments, **options)
        self.held.append(future)
        self.most = max(self.most, sum(not future.done() for future in self.held))
        return future


def test_an_executor_holds_few_items_at_a_time(one: Path, tmp_path: Path) -> None:
    sources = [(one, f"{number}") for number in range(20)]
    with Recorded() as executor:
        done = convert_many(sources, tmp_path / "out", executor=executor, at_once=3)
    assert executor.most <= 3
    assert [result.verdict for result in done.results] == ["converted"] * 20
    expected = plain(one, tmp_path / "plain")
    assert all(content(tmp_path / "out" / str(number)) == expected for number in range(20))


class Broken(Executor):
    """Loses items in every way that an executor can."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        self.count += 1
        future: Future[Any] = Future()
        if self.count == 1:
            future.cancel()
        elif self.count == 2:
            future.set_exception(CancelledError())
        elif self.count == 3:
            future.set_exception(SystemExit(1))
        elif self.count == 4:
            future.set_exception(ValueError("the cluster is gone"))
        elif self.count == 5:
            threading.Timer(0.2, future.cancel).start()
        elif self.count == 6:
            raise RuntimeError("cannot schedule new futures after shutdown")
        else:
            future.set_result(function(*arguments, **options))
        return future


def test_what_an_executor_loses_fails_and_nothing_hangs(one: Path, tmp_path: Path) -> None:
    done = convert_many([(one, str(number)) for number in range(1, 8)], tmp_path / "out", executor=Broken())
    assert [result.verdict for result in done.results] == [*["FAILED"] * 6, "converted"]
    errors = [str(result.error) for result in done.failed]
    assert all(error.startswith(f"{one}: ") for error in errors)
    for error, text in zip(
        errors,
        ["was cancelled", "", "worker was ended: SystemExit", "the cluster is gone", "was cancelled", "after shutdown"],
        strict=True,
    ):
        assert text in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["7"]


def test_an_item_that_is_run_twice_is_converted_once(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster that takes a slow worker for lost: both finish, and each finds the other's output."""

    class Twice(ThreadPoolExecutor):
        def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
            super().submit(*arguments, **options)
            return super().submit(*arguments, **options)

    together = threading.Barrier(2)
    real = compare_safetensors

    def wait(path: Path, *others: Any) -> None:
        if ".partial" in str(path):
            together.wait(30)
        real(path, *others)

    monkeypatch.setattr(job, "compare_safetensors", wait)
    with Twice(2) as executor:
        done = convert_many([(one, "x")], tmp_path / "out", executor=executor)
    monkeypatch.undo()
    assert [result.verdict for result in done.results] == ["converted"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
    assert content(tmp_path / "out" / "x") == plain(one, tmp_path / "plain")


# What is left of processes that were killed


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


# The command line


def test_a_tree_on_the_command_line(tree: Path, paddle2torch: Run, tmp_path: Path) -> None:
    done = paddle2torch("convert", "--tree", tree, "out")
    assert done.returncode == 2
    rows = done.stdout.splitlines()
    assert [row.split()[-1] for row in rows[1:5]] == ["converted", "converted", "FAILED", "converted"]
    assert rows[5].startswith("FAILED: ")
    assert rows[6:] == ["3 converted, 1 failed"]
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 4
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
