"""What both runners share and no framework takes part in."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from paddle2torch.verify.runners.protocol import HASHED_ELEMENTS, digest

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
