"""Where the outputs of many go: never outside, into each other or over a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch import convert_many, find_checkpoints
from paddle2torch.errors import (
    OutputError,
)

from .folders import MODEL, content, put


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
