"""Many conversions: each for itself, and resumed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, convert_many, find_checkpoints
from paddle2torch.converters.batch import conversions
from paddle2torch.errors import (
    ConfigurationError,
    DifferentOutputError,
    OutputError,
    UnknownNameError,
)

from .folders import content, empty, flip, plain, put


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
        {"format": "pt", "paddle2torch": "1", "paddle2torch.cast": "float16"},
    ),
    "no configuration": lambda out: (out / "config.json").unlink(),
    "more weights": lambda out: shutil.copy(out / "model.safetensors", out / "model-00001-of-00002.safetensors"),
    "a truncated file": lambda out: os.truncate(out / "model.safetensors", 1000),
    "another file": lambda out: (out / "vocab.txt").write_text("a"),
    "nothing": lambda out: empty(out),
}


def test_what_is_left_without_weights_is_nobodys_output(one: Path, tmp_path: Path) -> None:
    convert_checkpoint(one, tmp_path / "out")
    (tmp_path / "out" / "model.safetensors").unlink()
    with pytest.raises(DifferentOutputError, match="is not what this conversion writes"):
        convert_checkpoint(one, tmp_path / "out", resume=True)
    with pytest.raises(OutputError, match=r"holds config\.json and no weights, which no conversion wrote"):
        convert_checkpoint(one, tmp_path / "out", resume=True, overwrite=True)


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
        ({"family": "reformer"}, UnknownNameError),
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

    monkeypatch.setattr(conversions, "convert_checkpoint", break_down)
    done = convert_many([tree / "b"], tmp_path / "out")
    assert done.failed[0].error == f"{tree / 'b'}: MemoryError: too much"
