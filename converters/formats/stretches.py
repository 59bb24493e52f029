"""The stretches of a file that were written, with hashes by which they are read back, and the threads that do both."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
from xxhash import xxh3_128, xxh3_128_digest

from ...errors import OutputError, SourceChangedError, UnreadableFileError
from .byte_source import ByteSource, write_all
from .dtypes import Array
from .tensors import Scratch, Share

WORKERS = 2
"""Threads that write or compare. More gain nothing, as one file is written by one thread at a time, and cost memory."""

BAND_BYTES = 16 << 20
"""Read back at once, at most, where the rows of several stretches lie between each other's."""

ALONE_BYTES = 64 << 10
"""What is smaller takes less time than two threads that hand the interpreter's lock back and forth for each."""

GROUP_BYTES, GROUP_PIECES = 1 << 20, 256
"""Bytes and number of pieces that are given to a thread together."""


RESERVED_BYTES = 1 << 20
"""Room for smaller files is not worth a call."""


class Stretch(NamedTuple):
    """Rows of `length` bytes, the first at byte `place` of a file, `step` bytes from each other, and the hash of them
    together. They are of the tensor `name`, or of what stands around the tensors."""

    name: str | None
    place: int
    rows: int
    length: int
    step: int
    digest: bytes

    @property
    def nbytes(self) -> int:
        """Bytes in all."""
        return self.rows * self.length


def reserve(descriptor: int, nbytes: int) -> None:
    """Let the system find room for the `nbytes` of a new file at once, which takes a third of the time from writing it.
    Where it cannot, or has no room, nothing happens: writing says why."""
    if nbytes < RESERVED_BYTES or sys.platform != "linux":
        return
    # In place of os.posix_fallocate: where the file system cannot, the C library would write into each of its blocks.
    libc = ctypes.CDLL(None)
    call = getattr(libc, "fallocate64", None) or libc.fallocate
    call(descriptor, 0, ctypes.c_int64(0), ctypes.c_int64(nbytes))


def stretch_of(name: str | None, block: Array, place: int, step: int) -> Stretch:
    """The stretch that the rows of a C-ordered matrix are, written where `write_strip` writes them."""
    digest = xxh3_128_digest(bytes_of(block))
    if block.nbytes == step * len(block):
        return Stretch(name, place, 1, block.nbytes, block.nbytes, digest)
    return Stretch(name, place, len(block), block.nbytes // len(block), step, digest)


def write_strip(descriptor: int, block: Array, place: int, step: int) -> None:
    """Write the rows of a C-ordered matrix from byte `place` of the file on, `step` bytes from each other."""
    if block.nbytes == step * len(block):
        write_all(descriptor, bytes_of(block), place)
        return
    for row in block:
        write_all(descriptor, bytes_of(row), place)
        place += step


def bytes_of(array: Array) -> memoryview:
    """The bytes of a C-ordered array."""
    return array.reshape(-1).view(np.uint8).data


def check_stretches(source: ByteSource, stretches: Sequence[Stretch], progress: Callable[[int], None]) -> None:
    """Read an output back, from its beginning to its end, and compare the hash of every stretch; `progress` gets the
    bytes of tensors.

    Raises OutputError naming the first tensor that is different, and when the stretches are not the whole file.
    """
    if (hashed := sum(stretch.nbytes for stretch in stretches)) != source.size:
        raise OutputError(f"{source.path}: {hashed} bytes were written and it holds {source.size}; is the disk sound?")

    def check(band: Sequence[Stretch], start: int, end: int, scratch: Scratch) -> None:
        try:
            if end - start <= BAND_BYTES:
                found = bytes_of(scratch.take("strip", 1, end - start, np.dtype(np.uint8)))
                source.read_into(found, start)
                digests = [_digest_of(found, stretch, stretch.place - start, stretch.step) for stretch in band]
            else:
                digests = [
                    _digest_of(_rows_of(source, stretch, scratch), stretch, 0, stretch.length) for stretch in band
                ]
        except (SourceChangedError, UnreadableFileError) as error:
            raise OutputError(f"{source.path}: does not read back: {error}") from error
        for stretch, digest in zip(band, digests, strict=True):
            if digest != stretch.digest:
                raise did_not_read_back(source.path, stretch.name)

    bands = (
        ((band, start, end), sum(stretch.nbytes for stretch in band if stretch.name))
        for band, start, end in _bands(stretches)
    )
    in_threads(bands, check, progress)


def _bands(stretches: Sequence[Stretch]) -> Iterator[tuple[list[Stretch], int, int]]:
    """The stretches in the order of the file, those whose rows lie between each other's together: where a matrix was
    written some columns at a time, they are read in whole rows. With each, the bytes from and to which it reaches."""
    band: list[Stretch] = []
    start = end = 0
    for stretch in sorted(stretches, key=lambda stretch: stretch.place):
        if band and stretch.place >= end:
            yield band, start, end
            band = []
        if not band:
            start = end = stretch.place
        band.append(stretch)
        end = max(end, stretch.place + (stretch.rows - 1) * stretch.step + stretch.length)
    if band:
        yield band, start, end


def _rows_of(source: ByteSource, stretch: Stretch, scratch: Scratch) -> memoryview:
    """The rows of a stretch, read one by one."""
    found = bytes_of(scratch.take("strip", stretch.rows, stretch.length, np.dtype(np.uint8)))
    source.read_rows(found, stretch.length, stretch.length, stretch.place, stretch.step)
    return found


def _digest_of(found: memoryview, stretch: Stretch, place: int, apart: int) -> bytes:
    """The hash of the rows of a stretch, of which the first is at `place` of `found` and each `apart` from the next."""
    digest = xxh3_128()
    for begin in range(place, place + stretch.rows * apart, apart):
        digest.update(found[begin : begin + stretch.length])
    return digest.digest()


def did_not_read_back(path: Path, name: str | None) -> OutputError:
    """The error for a file that does not hold what was written."""
    what = f"tensor {name}" if name is not None else "what stands around the tensors"
    return OutputError(f"{path}: {what} did not read back as it was written; is the disk sound?")


def in_threads(
    items: Iterable[tuple[tuple[Any, ...], int]], work: Callable[..., None], progress: Callable[[int], None]
) -> None:
    """Do `work` on every one of `items`, which come with their bytes, `WORKERS` at a time, each with a `Scratch` that
    only one thread uses at a time; `progress` gets the bytes of each. Small ones come first, all in this thread.

    Raises the first exception, in that order, when the work under way has ended; no other is begun then.
    """
    scratches: SimpleQueue[Scratch] = SimpleQueue()
    for _ in range(WORKERS):
        scratches.put(Scratch())

    def task(group: Sequence[tuple[Any, ...]], nbytes: int) -> int:
        scratch = scratches.get()
        try:
            for item in group:
                work(*item, scratch)
        finally:
            scratches.put(scratch)
        return nbytes

    large: list[tuple[list[tuple[Any, ...]], int]] = []
    for group, nbytes in _groups(items):
        if nbytes < len(group) * ALONE_BYTES:
            progress(task(group, nbytes))
        else:
            large.append((group, nbytes))
    if len(large) <= 1:
        # Starting threads would cost more than there is to do.
        for group, nbytes in large:
            progress(task(group, nbytes))
        return
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for future in [pool.submit(task, *group) for group in large]:
                progress(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def by_shares(
    items: Iterable[tuple[tuple[Any, ...], int]],
    load: Callable[..., None],
    work: Callable[..., None],
    progress: Callable[[int], None],
) -> None:
    """Do `load`, and then `work`, on one of `items` after the other, all of `WORKERS` on a share of it: for what takes
    so much memory that there is only one at a time. `load` gets the item, a `Scratch` that is common to all, and the
    share; `work` also a `Scratch` of its own, before these. Raises as `in_threads`.
    """
    common, scratches = Scratch(), [Scratch() for _ in range(WORKERS)]
    shares = [Share(number, WORKERS) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for item, nbytes in items:
                loading = [pool.submit(load, *item, common, share) for share in shares]
                for future in loading:
                    future.result()
                working = [pool.submit(work, *item, scratches[share.number], common, share) for share in shares]
                for future in working:
                    future.result()
                progress(nbytes)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _groups(items: Iterable[tuple[tuple[Any, ...], int]]) -> Iterator[tuple[list[tuple[Any, ...]], int]]:
    """The items in their order, small ones together."""
    group: list[tuple[Any, ...]] = []
    filled = 0
    for item, nbytes in items:
        group.append(item)
        filled += nbytes
        if filled >= GROUP_BYTES or len(group) >= GROUP_PIECES:
            yield group, filled
            group, filled = [], 0
    if group:
        yield group, filled
