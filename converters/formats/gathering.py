"""Arrays whose elements lie apart in a file, or repeat, written in C order."""

from __future__ import annotations

import math

import numpy as np

from .byte_source import ByteSource, write_all
from .dtypes import Array
from .pickle_objects import ArrayRef

GATHER_BYTES = 8 << 20
"""Read at a time, and written at a time."""


def gather(source: ByteSource, array: ArrayRef, descriptor: int, place: int) -> None:
    """Write the elements of `array`, which `source` holds `array.steps` apart, from byte `place` of an open file on.

    The array is cut into boxes until each is small on both sides, along the dimension that reaches farthest in the
    source: what lies together is read together and once. Raises as `ByteSource.read_into`, and OSError.
    """
    if array.steps is None:
        raise ValueError("the elements lie in one piece")
    size = array.dtype.itemsize
    steps = tuple(step * size for step in array.steps)
    placed = tuple(size * math.prod(array.shape[axis + 1 :]) for axis in range(len(array.shape)))
    boxes = [(array.payload.offset, place, array.shape)]
    while boxes:
        start, target, sizes = boxes.pop()
        reaches = [(count - 1) * step for count, step in zip(sizes, steps, strict=True)]
        span = sum(reaches) + size
        if max(span, math.prod(sizes) * size) <= GATHER_BYTES:
            block = np.ndarray(sizes, np.dtype(f"V{size}"), source.read(span, start), strides=steps)
            _write_box(descriptor, block, array.shape, placed, target)
            continue
        axis = int(np.argmax(reaches if span > GATHER_BYTES else sizes))
        half = sizes[axis] // 2
        for first, count in ((half, sizes[axis] - half), (0, half)):
            part = (*sizes[:axis], count, *sizes[axis + 1 :])
            boxes.append((start + first * steps[axis], target + first * placed[axis], part))


def _write_box(descriptor: int, block: Array, shape: tuple[int, ...], placed: tuple[int, ...], target: int) -> None:
    """Write a box of an array of `shape` whose elements are `placed` bytes apart, in runs as long as they can be."""
    axis = len(shape)
    while axis and block.shape[axis:] == shape[axis:]:
        axis -= 1
    runs = np.ascontiguousarray(block).reshape(*block.shape[:axis], -1)
    for index in np.ndindex(*block.shape[:axis]):
        offset = sum(number * step for number, step in zip(index, placed, strict=False))
        write_all(descriptor, runs[index].view(np.uint8).data, target + offset)
