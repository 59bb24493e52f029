"""Questions about values: equality of bits, not of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle2torch.converters.checkpoints.comparison import bit_equal
from paddle2torch.converters.formats.safetensors_file import open_safetensors
from paddle2torch.converters.formats.tensors import Tensor


def pair(folder: Path, one: object, other: object) -> tuple[Tensor, Tensor]:
    save_file({"one": np.asarray(one), "other": np.asarray(other)}, folder / "pair.safetensors")
    opened = open_safetensors(folder / "pair.safetensors").tensors
    return opened["one"], opened["other"]


SMALL = np.arange(6, dtype=np.float32).reshape(2, 3)
NAN = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (SMALL, SMALL, True),
        (NAN, NAN, True),
        (NAN, NAN[::-1].copy(), False),
        (np.array([0.0], np.float32), np.array([-0.0], np.float32), False),
        (SMALL, SMALL.reshape(3, 2), False),
        (SMALL, SMALL.astype(np.float64), False),
        (np.array([1.0], np.float16), np.array([0x3C00], np.int16), False),
        (SMALL, SMALL + np.float32(1e-7), False),
        (SMALL[:0], SMALL[:0], True),
    ],
    ids=["same", "nan", "other nan", "signed zero", "shape", "wider", "kind", "last bit", "empty"],
)
def test_equality_is_of_bits(one: object, other: object, equal: bool, tmp_path: Path) -> None:
    assert bit_equal(*pair(tmp_path, one, other)) is equal


@pytest.mark.parametrize("place", [0, 5 << 20, (9 << 20) - 1])
def test_a_difference_anywhere_is_seen(place: int, tmp_path: Path) -> None:
    """In a tensor that is read in several pieces."""
    values = np.arange(9 << 20, dtype=np.float32)
    changed = values.copy()
    changed[place] = np.nextafter(changed[place], np.float32(-9))
    assert bit_equal(*pair(tmp_path, values, values.copy()))
    assert not bit_equal(*pair(tmp_path, values, changed))
