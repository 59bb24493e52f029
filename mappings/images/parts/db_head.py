"""The head of detectors that binarises a map of text (Head and DBHead in ppocr/modeling/heads/det_db_head.py)."""

from __future__ import annotations

from collections.abc import Iterator

from ...language.images.network import Shapes, Sizes
from ...language.images.rows import BatchNorm, Convolution
from ...language.rows import Dropped, Parameter, Row

THRESHOLD = "head.thresh."

THRESHOLD_REASON = (
    "it makes the map of thresholds, with which the network is trained and nothing is computed afterwards"
)

KERNELS = (3, 2, 2)


def thresholds(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The tensors of the map of thresholds."""
    return {name: shape for name, shape in shapes.items() if name.startswith(THRESHOLD)}


def rows(sizes: Sizes, source: str, down: str, up: str, final: str) -> Iterator[Row]:
    """The rows of the map of text; `down`, `up` and `final` are its three convolutions in transformers, each of the
    former two with a norm of the name behind the bar."""
    channels = sizes["neck"]
    less = channels // 4
    first, second, third = KERNELS
    for name, norm, target, shape, bias in (
        ("conv1", "conv_bn1", down, (less, channels, first, first), None),
        ("conv2", "conv_bn2", up, (less, less, second, second), less),
    ):
        convolution, behind = target.split("|")
        yield Convolution(f"{source}.{name}", shape, convolution, bias)
        yield BatchNorm(f"{source}.{norm}", less, behind)
    yield Convolution(f"{source}.conv3", (less, 1, third, third), final, 1)
    for name, shape in sizes["thresholds"].items():
        yield Dropped(Parameter(name, shape), THRESHOLD_REASON)
