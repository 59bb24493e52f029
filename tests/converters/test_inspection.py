"""What `inspect` says of a file or folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from paddle2torch.converters.inspection import inspect_checkpoint
from paddle2torch.workers.console import print_table, printable


@pytest.mark.parametrize("form", ["pdparams", "safetensors", "sharded-safetensors"])
def test_facts_and_hashes(form: str, checkpoints: Path) -> None:
    values = np.load(checkpoints / "AlbertModel" / "values.npz")
    tensors = inspect_checkpoint(checkpoints / "AlbertModel" / form, with_hash=True).tensors
    assert {tensor["name"] for tensor in tensors} == set(values.files)
    for tensor in tensors:
        value = values[tensor["name"]]
        assert tensor["dtype"] == value.dtype.name
        assert tensor["shape"] == list(value.shape)
        assert tensor["nbytes"] == value.nbytes
        assert tensor["sha256"] == hashlib.sha256(value.tobytes()).hexdigest()
    plain = inspect_checkpoint(checkpoints / "AlbertModel" / form).tensors
    assert plain == [{name: tensor[name] for name in tensor if name != "sha256"} for tensor in tensors]


def test_the_order_is_that_of_the_file(checkpoints: Path) -> None:
    names = [tensor["name"] for tensor in inspect_checkpoint(checkpoints / "AlbertModel" / "pdparams").tensors]
    assert names == np.load(checkpoints / "AlbertModel" / "values.npz").files


@pytest.mark.parametrize(
    ("text", "shown"),
    [("encoder.layers.0", "encoder.layers.0"), ("a b", "a b"), ("词", "词"), ("\x1b[2J", "\\x1b[2J"), ("\n", "\\n"),
     ("\u202e", "\\u202e"), ("\ud800", "\\ud800"), ("\x7f", "\\x7f")],
)  # fmt: skip
def test_text_of_a_file_is_shown_safely(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_plain_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "bytes", ""], [["x" * 500, "1", ""], ["a\nb", "1,000", "y"]], right=(1,))
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name" + " " * 498 + "bytes", "x" * 500 + "      1", "a\\nb" + " " * 498 + "1,000  y"]
