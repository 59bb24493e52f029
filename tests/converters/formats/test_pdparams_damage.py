"""Damage to sound files: it is found, or changes nothing but the values that it hit."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.errors import Paddle2TorchError, UnreadableFileError

from .pickles import HEAD, failure


def small_tree() -> dict[str, Any]:
    numbers = np.random.default_rng(11)
    shared = numbers.standard_normal(3).astype("f4")
    return {
        "albert.weight": numbers.standard_normal((2, 3)).astype("f4"),
        "albert.bias": numbers.standard_normal(2).astype("f2"),
        "albert.ids": np.arange(4).reshape(2, 2).T,
        "albert.tied": shared,
        "albert.twin": shared,
        "StructuredToParameterName@@": {"albert.weight": "linear_0.w_0"},
        "epoch": 3,
    }


def facts(path: Path) -> dict[str, bytes]:
    """Each tensor's bytes as they are stored."""
    found = {}
    with open_pdparams(path) as opened:
        for name, tensor in opened.tensors.items():
            source, offset = tensor.open_source()
            found[name] = source.read(tensor.nbytes, offset)
            assert tensor.read().nbytes == tensor.nbytes
    return found


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_truncation_is_found(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps(small_tree(), protocol)
    for count in range(len(data)):
        assert isinstance(failure(tmp_path, data[:count]), UnreadableFileError), count


def damaged_outcome(path: Path, data: bytes) -> dict[str, bytes] | None:
    path.write_bytes(data)
    try:
        return facts(path)
    except Paddle2TorchError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    return None


def places(data: bytes, values: list[bytes]) -> set[int]:
    found: set[int] = set()
    for value in values:
        start = data.find(value)
        while start >= 0:
            found.update(range(start, start + len(value)))
            start = data.find(value, start + 1)
    return found


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_bit_flip(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "file.pdparams"
    data = pickle.dumps(small_tree(), protocol)
    path.write_bytes(data)
    good = facts(path)
    encoded = [value.decode("latin1").encode() if protocol == 2 else value for value in good.values()]
    in_payload = places(data, encoded)
    in_name = places(data, [name.encode() for name in small_tree()])
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            outcome = damaged_outcome(path, bytes(changed))
            if outcome is None:
                continue
            if place in in_payload:
                assert list(outcome) == list(good)
                different = {value for name, value in good.items() if outcome[name] != value}
                assert len(different) <= 1
            elif place in in_name:
                assert set(outcome.values()) == set(good.values())
                assert len(set(outcome) - set(good)) <= 1
            else:
                # A flag or a reference: tensors may be read as another type or under another name, never from
                # a shifted place.
                assert {value for value in outcome.values() if value} <= set(good.values())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_random_damage(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "file.pdparams"
    data = pickle.dumps(small_tree(), protocol)
    numbers = np.random.default_rng(protocol)
    refused = 0
    for _ in range(1500):
        changed = bytearray(data)
        kind = numbers.integers(4)
        for _ in range(numbers.integers(1, 4)):
            place = int(numbers.integers(2, len(changed)))
            if kind == 0:
                changed[place] = int(numbers.integers(256))
            elif kind == 1:
                del changed[place : place + int(numbers.integers(1, 9))]
            elif kind == 2:
                changed[place:place] = numbers.bytes(int(numbers.integers(1, 9)))
            else:
                start = int(numbers.integers(2, len(changed)))
                changed[place:place] = changed[start : start + 20]
        refused += damaged_outcome(path, bytes(changed)) is None
    # Some damage is in the bytes of a tensor or a name, where nobody can see it; nearly all is refused.
    assert 1350 < refused < 1500


def test_damage_to_files_of_paddle(tmp_path: Path, paddle_files: Path) -> None:
    path = tmp_path / "file.pdparams"
    numbers = np.random.default_rng(17)
    for name in ("nested-2.pdparams", "nested-4.pdparams", "tied-epoch.pdparams", "dense.pdparams", "adam.pdopt"):
        data = (paddle_files / name).read_bytes()
        for count in range(len(data)):
            assert isinstance(failure(tmp_path, data[:count]), UnreadableFileError)
        for _ in range(600):
            changed = bytearray(data)
            changed[int(numbers.integers(len(data)))] ^= 1 << int(numbers.integers(8))
            damaged_outcome(path, bytes(changed))


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.pdparams"
    numbers = np.random.default_rng(23)
    opcodes = b"(}])t\x85\x86\x87suaeN\x88\x89JKM\x8aG\x8cXC\x8eUTqr\x94hjcR\x93b."
    refused = 0
    for _ in range(3000):
        length = int(numbers.integers(1, 60))
        body = bytes(numbers.choice(list(opcodes), length).tolist()) if numbers.integers(2) else numbers.bytes(length)
        refused += damaged_outcome(path, HEAD + body) is None
    assert refused > 2900
