"""What both runners share and no framework takes part in."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from paddle2torch.verify.runners.protocol import HASHED_ELEMENTS, digest, for_arithmetic

SIZES = (0, 1, HASHED_ELEMENTS - 1, HASHED_ELEMENTS, 3 * HASHED_ELEMENTS + 5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("storage", [np.float32, np.float64, np.float16, np.int64, np.bool_])
def test_a_digest_is_that_of_all_numbers(size: int, storage: type[np.generic]) -> None:
    values = (np.random.default_rng(0).standard_normal(size) * 4).astype(np.float16).astype(storage)
    expected = values.astype(np.float32) if np.issubdtype(storage, np.floating) else values
    found = digest(values)
    assert found["sha256"] == hashlib.sha256(expected.tobytes()).hexdigest()
    assert (found["dtype"], found["shape"]) == (expected.dtype.name, [size])


def test_a_digest_is_that_of_the_numbers_in_their_order() -> None:
    values = np.arange(600, dtype=np.float32).reshape(20, 30)
    assert digest(values.T)["sha256"] == hashlib.sha256(np.ascontiguousarray(values.T).tobytes()).hexdigest()
    assert digest(np.float32(2))["shape"] == []


def cpuinfo(vendor: str, flags: str) -> str:
    """Two processors as Linux describes them."""
    one = f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: something of 2 GHz\nflags\t\t: fpu sse2 {flags}\n\n"
    return one + one.replace(": 0", ": 1")


@pytest.mark.parametrize(
    ("processor", "told"),
    [
        (cpuinfo("AuthenticAMD", "fma avx avx2"), True),
        (cpuinfo("HygonGenuine", "avx2 fma"), True),
        (cpuinfo("AuthenticAMD", "fma4 avx"), False),
        (cpuinfo("AuthenticAMD", "avx2"), False),
        # It knows what its own can do, and AVX-512 is more.
        (cpuinfo("GenuineIntel", "avx2 fma avx512f"), False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),
        ("", False),
    ],
)
def test_only_a_processor_that_can_is_told_to_use_avx2(processor: str, told: bool) -> None:
    assert for_arithmetic(processor) == ({"MKL_DEBUG_CPU_TYPE": "5"} if told else {})
