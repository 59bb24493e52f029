"""Many checkpoints, found in trees and lists as they lie on disks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from paddle2torch import convert_checkpoint, convert_many, find_checkpoints, read_checkpoint_list
from paddle2torch.converters.batch.finding import Item
from paddle2torch.converters.outputs.unfinished import PARTIAL, unfinished
from paddle2torch.errors import (
    UnreadableFileError,
)

from .folders import MODEL, names, put


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
