"""Outputs that may not be replaced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ..conftest import Run
from .outcomes import put_field, refused


@pytest.mark.parametrize("kind", ["folder", "file", "link", "dangling link", "looping link"])
def test_an_existing_output(kind: str, paddle2torch: Run, source: Path) -> None:
    out = source.parent / "out"
    make(out, kind)
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "out: exists already" in line
    assert "--overwrite" in line


def make(out: Path, kind: str) -> None:
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        if kind == "link":
            (out.parent / "elsewhere").mkdir()
        out.symlink_to(out if kind == "looping link" else out.parent / "elsewhere")


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "looping link"])
def test_overwrite_replaces_folders_only(kind: str, paddle2torch: Run, source: Path) -> None:
    make(source.parent / "out", kind)
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--overwrite")
    assert "out: is not a folder" in line


@pytest.mark.parametrize("foreign", ["thesis.docx", "notes.txt", "data.json", "own/config.json", "other.pdparams"])
def test_overwrite_keeps_foreign_files(foreign: str, paddle2torch: Run, source: Path) -> None:
    path = source.parent / "out" / foreign
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--overwrite")
    assert f"out: holds {foreign.split('/')[0]}, which no conversion wrote" in line


def test_overwrite_keeps_another_paddlenlp_folder(paddle2torch: Run, source: Path) -> None:
    """Someone's own weights are not a conversion's output, whatever their names."""
    shutil.copytree(source, source.parent / "precious")
    line = refused(paddle2torch, source.parent, "convert", "source", "precious", "--overwrite")
    assert "precious: holds model_state.pdparams" in line


@pytest.mark.parametrize("output", ["source", ".", "source/../source", ".."])
def test_overwrite_keeps_the_source(output: str, paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "convert", "source", output, "--overwrite")
    assert f"{Path(output)}: is or contains the source" in line


def test_overwrite_keeps_the_folder_that_the_sources_links_lead_to(paddle2torch: Run, source: Path) -> None:
    real = source.parent / "real"
    real.mkdir()
    (source / "model_state.pdparams").rename(real / "model_state.pdparams")
    (source / "model_state.pdparams").symlink_to(real / "model_state.pdparams")
    line = refused(paddle2torch, source.parent, "convert", "source", "real", "--overwrite")
    assert "real: is or contains the source" in line


def test_a_parent_that_is_a_file(paddle2torch: Run, source: Path) -> None:
    (source.parent / "file").write_text("mine")
    line = refused(paddle2torch, source.parent, "convert", "source", "file/out")
    assert "file/out" in line


def test_overwrite_replaces_what_a_conversion_wrote(paddle2torch: Run, source: Path) -> None:
    first = paddle2torch("convert", "source", "deep/down/out", cwd=source.parent)
    assert first.returncode == 0, first.stderr
    put_field(source, layer_norm_eps=1e-5)
    again = paddle2torch("convert", "source", "deep/down/out", "--overwrite", cwd=source.parent)
    assert again.returncode == 0, again.stderr
    out = source.parent / "deep" / "down" / "out"
    assert json.loads((out / "config.json").read_text())["layer_norm_eps"] == 1e-5
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]


def test_an_empty_folder_may_be_overwritten(paddle2torch: Run, source: Path) -> None:
    (source.parent / "out").mkdir()
    assert paddle2torch("convert", "source", "out", "--overwrite", cwd=source.parent).returncode == 0


@pytest.mark.parametrize(
    ("output", "held"),
    [
        *((output, "nothing") for output in (".", "../here/", "in/..", "absent/..")),
        (".", "a conversion"),
        (".", "other things"),
    ],
)
def test_the_current_folder_is_not_replaced(output: str, held: str, paddle2torch: Run, source: Path) -> None:
    """The shell would be left in a folder that is gone."""
    here = source.parent / "here"
    if held == "a conversion":
        assert paddle2torch("convert", "source", "here", cwd=source.parent).returncode == 0
    else:
        here.mkdir()
    if held == "other things":
        (here / "thesis.docx").write_text("mine")
    if output == "in/..":
        (here / "in").mkdir()
    line = refused(paddle2torch, here, "convert", "../source", output, "--overwrite")
    assert "is the current folder, which is not replaced; run the command from another one" in line
    assert [path.name for path in source.parent.iterdir() if path.name.startswith(".")] == []
    if output == ".":
        line = refused(paddle2torch, here, "convert", "../source", output)
        assert line == "Error: .: exists already; choose another folder"


@pytest.mark.parametrize("held", ["nothing", "a conversion", "other things"])
def test_the_folder_above_is_replaced_only_if_it_is_its_own(held: str, paddle2torch: Run, source: Path) -> None:
    below = source.parent / "out" / "below"
    below.mkdir(parents=True)
    if held == "a conversion":
        assert paddle2torch("convert", "source", "made", cwd=source.parent).returncode == 0
        for path in (source.parent / "made").iterdir():
            path.rename(below.parent / path.name)
        (source.parent / "made").rmdir()
    if held == "other things":
        (below.parent / "a.txt").write_text("mine")
    line = refused(paddle2torch, below, "convert", "../../source", "..", "--overwrite")
    name = "a.txt" if held == "other things" else "below"
    assert f"..: holds {name}, which no conversion wrote" in line
    assert sorted(path.name for path in source.parent.iterdir()) == ["out", "source"]


def test_the_current_folder_may_be_compared(paddle2torch: Run, source: Path) -> None:
    assert paddle2torch("convert", "source", "here", cwd=source.parent).returncode == 0
    kept = paddle2torch("convert", "../source", ".", "--resume", cwd=source.parent / "here")
    assert kept.returncode == 0, kept.stderr
    assert "there already and equal" in kept.stdout


@pytest.mark.parametrize("output", ["out/", "out/.", "elsewhere/../out"])
def test_an_output_with_dots_and_slashes_is_replaced(output: str, paddle2torch: Run, source: Path) -> None:
    (source.parent / "elsewhere").mkdir()
    for _ in range(2):
        done = paddle2torch("convert", "source", output, "--overwrite", cwd=source.parent)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in source.parent.iterdir()) == ["elsewhere", "out", "source"]


def test_a_failed_conversion_leaves_the_old_output(paddle2torch: Run, source: Path) -> None:
    assert paddle2torch("convert", "source", "out", cwd=source.parent).returncode == 0
    put_field(source, hidden_size=25)
    refused(paddle2torch, source.parent, "convert", "source", "out", "--overwrite")
