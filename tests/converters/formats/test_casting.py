"""Casting, compared with torch's own rounding and with exact arithmetic."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from paddle2torch.converters.formats.casting import BLOCK, cast
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.errors import CastError

from ...conftest import TORCH_PYTHON

CODE = """
import sys, numpy, torch
given = torch.from_numpy(numpy.load(sys.argv[1]))
numpy.savez(sys.argv[2], float16=given.half().numpy(), bfloat16=given.bfloat16().view(torch.uint16).numpy())
"""


def samples() -> np.ndarray[Any, Any]:
    """Values of every size, ties between neighbours of both types, and what is not finite."""
    generator = np.random.default_rng(5)
    usual = generator.normal(0, 1, 2 * BLOCK + 77) * 10.0 ** generator.integers(-9, 4, 2 * BLOCK + 77)
    ties = np.array([1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8, 2**-25, 3 * 2**-25, 65504, 65519.99], "f4")
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], "f4")
    strange = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 1, 0x80000001], "u4").view("f4")
    return np.concatenate([usual.astype("f4"), ties, -ties, special, strange])


@pytest.fixture(scope="module")
def torch_rounded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray[Any, Any]]:
    folder = tmp_path_factory.mktemp("rounded")
    np.save(folder / "given.npy", samples())
    command = [TORCH_PYTHON, "-c", CODE, str(folder / "given.npy"), str(folder / "rounded.npz")]
    subprocess.run(command, check=True, timeout=120)
    with np.load(folder / "rounded.npz") as loaded:
        return {name: loaded[name] for name in loaded.files}


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_the_rounding_is_torchs(name: str, torch_rounded: dict[str, np.ndarray[Any, Any]]) -> None:
    values = samples()
    # What is beyond the range is refused, where torch makes it infinite.
    kept = ~(np.isfinite(values) & (np.abs(values) > 65519.99)) if name == "float16" else np.ones(values.shape, bool)
    mine = cast(values[kept], DTYPES["float32"], DTYPES[name], "w")
    theirs = torch_rounded[name][kept]
    nan = np.isnan(values[kept])
    assert nan.sum() >= 4
    assert np.array_equal(mine.view("u2")[~nan], theirs.view("u2")[~nan])
    wide = (mine.astype("u4") << 16).view("f4") if name == "bfloat16" else mine
    assert np.isnan(wide[nan]).all()


def test_every_float16_number_and_all_between_two_of_them() -> None:
    """Each finite number, the middle to the next, and the float32 neighbours of the middle, as numpy rounds them."""
    exact = np.arange(0x7C00, dtype="u2").view("f2").astype("f4")
    middle = ((exact[:-1].astype("f8") + exact[1:]) / 2).astype("f4")
    around = [np.nextafter(middle, np.float32(side)) for side in (0, np.inf)]
    values = np.concatenate([exact, middle, *around])
    for signed in (values, -values):
        mine = cast(signed, DTYPES["float32"], DTYPES["float16"], "w")
        assert mine.tobytes() == signed.astype("f2").tobytes()


def test_bfloat16_rounds_to_the_nearest_with_ties_to_even() -> None:
    values = np.random.default_rng(1).normal(0, 1, 2000).astype("f4")
    rounded = cast(values, DTYPES["float32"], DTYPES["bfloat16"], "w")
    for value, bits in zip(values, rounded, strict=True):
        near = [
            (np.array(int(bits) + step, "u4") << np.uint32(16)).astype("u4").view("f4").item() for step in (-1, 0, 1)
        ]
        errors = [abs(Fraction(float(value)) - Fraction(one)) for one in near]
        assert errors[1] <= min(errors[0], errors[2])


@pytest.mark.parametrize(
    ("value", "name", "hint"),
    [(65520.0, "float16", "choose bfloat16"), (-3.4e38, "float16", "float32"), (3.4e38, "bfloat16", "keep")],
)
def test_a_value_beyond_the_range_is_refused_by_name(value: float, name: str, hint: str) -> None:
    values = np.ones(BLOCK + 5, "f4")
    values[-2] = value
    with pytest.raises(CastError, match=rf"^layer\.weight holds .* beyond the range of {name}.*{hint}"):
        cast(values, DTYPES["float32"], DTYPES[name], "layer.weight")


def test_float64_goes_through_float32() -> None:
    # Just above a tie of float16 that float32 does not see.
    values = np.array([1 + 2**-11 + 2**-40, 1e-300, np.inf, np.nan], "f8")
    rounded = cast(values, DTYPES["float64"], DTYPES["float16"], "w")
    assert rounded[:3].tolist() == [1.0, 0.0, np.inf]
    assert np.isnan(rounded[3])
    with pytest.raises(CastError, match="w holds 1e\\+300"):
        cast(np.array([1e300]), DTYPES["float64"], DTYPES["float32"], "w")


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_widening_is_exact(name: str) -> None:
    bits = np.arange(1 << 16, dtype="u2")
    given = bits if name == "bfloat16" else bits.view("f2")
    wide = cast(given, DTYPES[name], DTYPES["float32"], "w")
    back = cast(wide, DTYPES["float32"], DTYPES[name], "w")
    nan = np.isnan(wide)
    assert np.array_equal(back.view("u2")[~nan], bits[~nan])


def test_shapes_and_orders_are_kept() -> None:
    values = np.arange(6, dtype="f4").reshape(2, 3).T
    assert cast(values, DTYPES["float32"], DTYPES["float16"], "w").tolist() == values.tolist()
    assert cast(np.float32(2.5).reshape(()), DTYPES["float32"], DTYPES["float16"], "w").shape == ()
    assert json.dumps(cast(np.empty((0, 4), "f4"), DTYPES["float32"], DTYPES["float16"], "w").tolist()) == "[]"
