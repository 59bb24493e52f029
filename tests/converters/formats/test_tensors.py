"""Tensors come in pieces that join to the whole, whatever the layout and the size of the pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch.converters.formats import byte_source, tensors
from paddle2torch.converters.formats.byte_source import ByteSource
from paddle2torch.converters.formats.dtypes import DTYPES
from paddle2torch.converters.formats.tensors import Piece, Scratch, Tensor
from paddle2torch.errors import SourceChangedError
from paddle2torch.mappings.language.transforms import matrix_shape

SHAPES = [(), (1,), (17,), (0,), (0, 3), (3, 0), (1, 1), (1, 9), (9, 1), (5, 7), (64, 64), (65, 130), (200, 3)]
SHAPES += [(3, 200), (2, 3, 4), (3, 1, 2, 2), (2, 0, 3)]


def stored(folder: Path, value: Any, name: str, offset: int = 0, fortran: bool = False) -> Tensor:
    """A tensor with the bytes of `value` at `offset` of a file of its own, other bytes around it."""
    path = folder / "data"
    path.write_bytes(b"\xee" * offset + value.tobytes("F" if fortran else "C") + b"\xee" * 9)
    source = ByteSource(path)
    return Tensor("w", DTYPES[name], value.shape, lambda: (source, offset), fortran)


def joined(tensor: Tensor, transposed: bool = False) -> bytes:
    pieces = []
    for piece in tensor.chunks(transposed):
        assert piece.ndim == 1
        assert piece.dtype == tensor.dtype.storage
        pieces.append(piece.tobytes())
    return b"".join(pieces)


@pytest.mark.parametrize("piece", [1, 8, 100, 1000, 16 << 20])
@pytest.mark.parametrize("offset", [0, 1, 7])
@pytest.mark.parametrize("fortran", [False, True])
def test_pieces_join_to_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, offset: int, fortran: bool
) -> None:
    for name in ("BLOCK_BYTES", "STRIP_BYTES", "PLAIN_BYTES"):
        monkeypatch.setattr(tensors, name, piece)
    numbers = np.random.default_rng(1)
    for shape in SHAPES:
        value = numbers.standard_normal(shape).astype("f4")
        value = np.asarray(value)
        tensor = stored(tmp_path, value, "float32", offset, fortran)
        assert tensor.nbytes == value.nbytes
        assert tensor.read().shape == shape
        assert tensor.read().tobytes() == value.tobytes()
        assert joined(tensor) == value.tobytes()
        if len(shape) == 2:
            assert joined(tensor, transposed=True) == value.T.tobytes()


@pytest.mark.parametrize("name", list(DTYPES))
def test_every_dtype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(tensors, "STRIP_BYTES", 100)
    value = np.random.default_rng(2).integers(0, 2, (13, 11)).astype(DTYPES[name].storage)
    for fortran in (False, True):
        tensor = stored(tmp_path, value, name, 3, fortran)
        assert joined(tensor) == value.tobytes()
        assert joined(tensor, transposed=True) == value.T.tobytes()


def test_pieces_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "STRIP_BYTES", 4000)
    tensor = stored(tmp_path, np.zeros((100, 90), "f4"), "float32")
    assert max(piece.nbytes for piece in tensor.chunks()) <= 4000
    assert max(piece.nbytes for piece in tensor.chunks(transposed=True)) <= 4000
    # A row of the transpose that is longer than the bound still comes, alone.
    monkeypatch.setattr(tensors, "STRIP_BYTES", 100)
    assert {piece.size for piece in tensor.chunks(transposed=True)} == {100}


@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2)])
def test_only_matrices_are_transposed(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensor = stored(tmp_path, np.zeros(shape, "f4"), "float32")
    with pytest.raises(ValueError, match="only a matrix"):
        next(tensor.chunks(transposed=True))


@pytest.mark.parametrize("way", [Tensor.read, joined, lambda tensor: joined(tensor, transposed=True)])
def test_a_file_that_shrinks_is_reported(tmp_path: Path, way: Callable[[Tensor], object]) -> None:
    tensor = stored(tmp_path, np.zeros((40, 30), "f4"), "float32")
    (tmp_path / "data").write_bytes(bytes(4000))
    with pytest.raises(SourceChangedError, match="ends at byte 4000"):
        way(tensor)
    with pytest.raises(SourceChangedError, match="changed while"):
        tensor.open_source()[0].check_unchanged()


@pytest.mark.parametrize("rows_of_block", [1, 5, 33, 4096])
@pytest.mark.parametrize("strip", [4, 60, 1000, 4 << 20])
@pytest.mark.parametrize("block", [500, 5000, 66 << 20])
@pytest.mark.parametrize("fortran", [False, True])
def test_rectangles_cover_the_matrix_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, strip: int, rows_of_block: int, fortran: bool
) -> None:
    monkeypatch.setattr(tensors, "PLAIN_BYTES", block)
    monkeypatch.setattr(tensors, "STRIP_BYTES", strip)
    monkeypatch.setattr(tensors, "BLOCK_ROWS", rows_of_block)
    monkeypatch.setattr(tensors, "UNPADDED_BYTES", 40)
    monkeypatch.setattr(tensors, "TILE_ROWS", 8)
    monkeypatch.setattr(tensors, "TILE_COLUMNS", 4)
    monkeypatch.setattr(byte_source, "IOV_MAX", 7)
    for shape in [(1, 1), (1, 9), (9, 1), (5, 7), (33, 65), (65, 33), (17,), (), (2, 3, 4)]:
        value = np.asarray(np.random.default_rng(3).standard_normal(shape).astype("f4"))
        tensor = stored(tmp_path, value, "float32", 3, fortran)
        for transposed in (False, True) if len(shape) == 2 else (False,):
            target = (value.T if transposed else value).reshape(matrix_shape(shape[::-1] if transposed else shape))
            found, covered, scratch = np.zeros_like(target), np.zeros(target.shape, int), Scratch()
            for piece in tensor.pieces(transposed, block_bytes=block):
                for part, values in tensor.strips(piece, scratch, transposed):
                    place = (slice(part.top, part.bottom), slice(part.left, part.right))
                    found[place] = values
                    covered[place] += 1
                    assert (part.left, part.right) == (piece.left, piece.right)
                    assert values.nbytes <= strip or fortran
            assert (covered == 1).all()
            assert found.tobytes() == target.tobytes()


@pytest.mark.parametrize("block", [tensors.LOW_BLOCK_BYTES, tensors.BLOCK_BYTES])
@pytest.mark.parametrize(
    "shape",
    [(4096, 16384), (16384, 4096), (2, 30_000_000), (30_000_000, 2), (3_000_000, 300), (1, 1), (7, 123_456_789)],
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8"])
def test_no_piece_of_any_matrix_needs_more_memory(block: int, shape: tuple[int, int], dtype: str) -> None:
    tensor = Tensor("w", DTYPES[dtype], shape, lambda: (_ for _ in ()).throw(AssertionError("nothing is read")))
    for transposed in (False, True):
        rows, columns = shape[:: -1 if transposed else 1]
        covered = 0
        for piece in tensor.pieces(transposed, block_bytes=block):
            whole = piece.height == rows
            apart = tensors._stride(piece.height * tensor.dtype.itemsize, whole)
            assert not transposed or piece.width * apart <= block
            assert tensor.is_shared(piece, transposed) == (transposed and piece.width * apart > tensors.OWN_BYTES)
            assert piece.width * tensor.dtype.itemsize <= tensors.STRIP_BYTES
            covered += piece.height * piece.width
        assert covered == rows * columns


def test_scratch_is_used_again(tmp_path: Path) -> None:
    tensor = stored(tmp_path, np.arange(12, dtype="f4").reshape(3, 4), "float32")
    scratch = Scratch()
    ((_, first),) = tensor.strips(Piece(0, 2, 0, 4), scratch)
    ((_, second),) = tensor.strips(Piece(1, 3, 0, 4), scratch)
    assert np.shares_memory(first, second)
    assert second.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
