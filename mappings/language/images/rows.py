"""Rows of networks that read pictures: convolutions and batch normalisations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..rows import MappedRow, Part
from ..rules import Size
from ..transforms import IDENTITY, Chain, Reorder, Reshape, Shape, Transform

LEAVES = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}
"""Paddle's names of what a batch normalisation holds, and PyTorch's."""


@dataclass(frozen=True)
class BatchNorm(MappedRow):
    """A batch normalisation: gain, bias and running statistics of one size, unchanged; the statistics have names of
    their own in each framework."""

    source: str
    size: Size
    target: str | None = None

    def parts(self) -> tuple[Part, ...]:
        """Weight, bias, mean and variance."""
        target = self.target or self.source
        return tuple(
            Part((f"{self.source}.{leaf}",), (f"{target}.{other}",), ((self.size,),)) for leaf, other in LEAVES.items()
        )


@dataclass(frozen=True)
class Convolution(MappedRow):
    """A convolution, unchanged: both frameworks hold its weight as [outputs, inputs of a group, height, width], and
    that of a transposed one as [inputs, outputs, height, width]. `shape` is the weight's, `bias` its size if there is
    one. `turned`: its three inputs are taken in the other order, red, green and blue for blue, green and red."""

    source: str
    shape: tuple[Size, ...]
    target: str | None = None
    bias: Size | None = None
    turned: bool = False

    def parts(self) -> tuple[Part, ...]:
        """Weight, and bias if there is one."""
        target = self.target or self.source
        transform = _colours(self.shape) if self.turned else IDENTITY
        weight = Part((f"{self.source}.weight",), (f"{target}.weight",), (self.shape,), transform)
        if self.bias is None:
            return (weight,)
        return (weight, Part((f"{self.source}.bias",), (f"{target}.bias",), ((self.bias,),)))


def _colours(shape: tuple[Size, ...]) -> Transform:
    """The inputs of a convolution of three channels in the other order."""
    plain: Shape = tuple(int(size) for size in shape)
    return Chain((Reshape((plain[0], math.prod(plain[1:]))), Reorder(1, (2, 1, 0)), Reshape(plain)))
