"""What the networks of both sides are given: pictures of odd sizes that follow from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from ...converters.formats.dtypes import Array

PICTURES: Mapping[str, Sequence[tuple[int, int]]] = {
    "recognition": ((48, 333), (48, 97), (31, 200), (77, 501)),
    "detection": ((96, 352), (736, 736), (101, 333)),
    "classification": ((256, 256), (256, 128), (512, 1024)),
    "table": ((488, 488), (128, 256), (512, 1024)),
}
"""Heights and widths of pictures that are prepared, for each task: the first needs no resizing, or hardly any, the
others become larger and smaller. Where the libraries round a side in ways of their own, which is noted, one side is
twice the other, so that neither has anything to round."""

PLAIN: Mapping[str, tuple[int, int, int]] = {"dark": (20, 70, 45), "bright": (235, 160, 205)}
"""Red, green and blue of pictures that are the same everywhere. However these are resized, nothing is blurred: two of
them tell the mean and the deviation of each channel."""

PLAIN_SIZE = (50, 64)


def arrays(shapes: Sequence[tuple[int, ...]], seed: int = 0) -> dict[str, Array]:
    """Prepared pictures of these shapes, [pictures, 3, height, width] in float32 between -1 and 1: waves with noise, no
    two channels, rows or columns of which are alike."""
    return {
        f"{number}: {'x'.join(map(str, shape))}": (
            np.stack([_waves(shape[1:], seed + 7 * number + row) for row in range(shape[0])]).astype(np.float32)
        )
        for number, shape in enumerate(shapes)
    }


def pictures(task: str, seed: int = 0) -> dict[str, Array]:
    """Pictures of a task, [height, width, 3] in red, green and blue, of whole numbers up to 255."""
    made = {name: np.full((*PLAIN_SIZE, 3), colour, np.uint8) for name, colour in PLAIN.items()}
    for number, (height, width) in enumerate(PICTURES[task]):
        values = _waves((3, height, width), seed + 100 + number)
        made[f"{height}x{width}"] = np.ascontiguousarray(np.rint((values.transpose(1, 2, 0) + 1) * 127.5), np.uint8)
    return made


def _waves(shape: tuple[int, ...], seed: int) -> Array:
    random = np.random.default_rng(seed)
    channels, height, width = shape
    rows, columns = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None, :]
    layers = []
    for _ in range(channels):
        down, right, turn = random.uniform(1, 6), random.uniform(1, 9), random.uniform(0, 2 * np.pi)
        smooth = np.sin(2 * np.pi * (down * rows + right * columns) + turn)
        layers.append(0.7 * smooth + 0.3 * random.uniform(-1, 1, (height, width)))
    made: Array = np.stack(layers)
    return made


def digest(given: Mapping[str, Array]) -> str:
    """The sha256 of what was given, by name."""
    hashed = hashlib.sha256()
    for name in sorted(given):
        hashed.update(name.encode())
        hashed.update(np.ascontiguousarray(given[name]).tobytes())
    return hashed.hexdigest()
