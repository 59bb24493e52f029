"""Files that Paddle wrote are read back bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.errors import UnreadableFileError

KINDS = ("state", "epoch", "numpy", "bare", "list")
FILES = [f"{kind}-{protocol}.pdparams" for kind in KINDS for protocol in (2, 3, 4)]
FILES += ["tied.pdparams", "tied-epoch.pdparams", "large-2.pdparams", "empty-table.pdparams", "adam.pdopt"]
FILES += ["nested-2.pdparams", "nested-4.pdparams", "dense.pdparams", "static.pdparams"]


@pytest.mark.parametrize("name", FILES)
def test_values_are_read_back_bit_for_bit(paddle_files: Path, name: str) -> None:
    with open_pdparams(paddle_files / name) as opened, np.load(paddle_files / f"{name}.npz") as expected:
        # A static program saves its variables in an order of its own.
        order = sorted if name == "static.pdparams" else list
        assert order(opened.tensors) == order(expected.files)
        for key, tensor in opened.tensors.items():
            value = expected[key]
            assert tensor.name == key
            assert tensor.shape == value.shape
            assert tensor.dtype.name == ("bfloat16" if value.dtype == np.uint16 else value.dtype.name)
            assert tensor.nbytes == value.nbytes
            assert tensor.read().tobytes() == value.tobytes()
            assert b"".join(piece.tobytes() for piece in tensor.chunks()) == value.tobytes()
            if value.ndim == 2:
                turned = b"".join(piece.tobytes() for piece in tensor.chunks(transposed=True))
                assert turned == value.T.tobytes()
        opened.check_unchanged()


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("state-4.pdparams", ()),
        ("epoch-4.pdparams", ("epoch", "best", "tag")),
        ("adam.pdopt", ("LR_Scheduler",)),
        ("nested-2.pdparams", ("optimizer.LR_Scheduler", "epoch", "losses", "done")),
        ("empty-table.pdparams", ("epoch",)),
    ],
)
def test_what_is_no_tensor_is_named(paddle_files: Path, name: str, ignored: tuple[str, ...]) -> None:
    with open_pdparams(paddle_files / name) as opened:
        assert opened.ignored == ignored


def test_raw_payloads_are_read_from_the_file_itself(paddle_files: Path) -> None:
    with open_pdparams(paddle_files / "state-4.pdparams") as opened:
        assert all(tensor.open_source()[0] is opened.source for tensor in opened.tensors.values())


def test_binary_format_is_named(paddle_files: Path) -> None:
    with pytest.raises(UnreadableFileError, match="binary tensor without names"):
        open_pdparams(paddle_files / "binary.pdparams")
