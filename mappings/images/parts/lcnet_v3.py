"""The backbone PP-LCNetV3 of the mobile networks of PP-OCRv4 and v5 (ppocr/modeling/backbones/rec_lcnetv3.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ....errors import ConfigurationError
from ...language.images.network import Constant, Shapes, Sizes, divisible
from ...language.images.rows import BatchNorm, Convolution
from ...language.rows import Made, Parameter, Row

Block = tuple[int, int, int, bool]
"""Kernel, channels in and out at scale 1, and whether the channels are weighted (squeeze and excitation)."""

STAGES: dict[str, tuple[Block, ...]] = {
    "blocks2": ((3, 16, 32, False),),
    "blocks3": ((3, 32, 64, False), (3, 64, 64, False)),
    "blocks4": ((3, 64, 128, False), (3, 128, 128, False)),
    "blocks5": ((3, 128, 256, False), *((5, 256, 256, False),) * 4),
    "blocks6": ((5, 256, 512, True), (5, 512, 512, True), (5, 512, 512, False), (5, 512, 512, False)),
}

STRIDES: dict[str, dict[str, tuple[Any, ...]]] = {
    "recognition": {
        "blocks2": (1,),
        "blocks3": (1, 1),
        "blocks4": ((2, 1), 1),
        "blocks5": ((1, 2), 1, 1, 1, 1),
        "blocks6": ((2, 1), 1, (2, 1), 1),
    },
    "detection": {
        "blocks2": (1,),
        "blocks3": (2, 1),
        "blocks4": (2, 1),
        "blocks5": (2, 1, 1, 1, 1),
        "blocks6": (2, 1, 1, 1),
    },
}
"""The strides of the depthwise convolutions, which no tensor tells: those for lines of text keep the width longer."""

DIVISOR, BRANCHES, REDUCTION, STEM = 16, 4, 4, 16

FUSED_GAIN, FUSED_VARIANCE = 128.0, 16384.0
"""What stands behind a convolution that an export has fused with its norms, where transformers' class wants a norm all
the same: gain over root of the variance is 1, and the variance is so large that the epsilon is lost in it: exactly 1 in
float32, bfloat16 and float16. (1 and 1 - epsilon are no 1 in float64 either, and the epsilon then matters.)"""

SQUEEZE = Constant(
    "slope of the backbone's hard sigmoid",
    "Paddle's hard sigmoid has the slope 0.1666667 as a float32, transformers' 1/6",
    "slope",
    r"\(PPLCNetV3SqueezeExcitationModule\)$",
    0.16666670143604279,
)

FUSED = Constant(
    "epsilon behind fused convolutions",
    "an export has no norm behind a fused convolution; the one that transformers' class wants changes nothing in "
    "float32, and 3e-10 of a value in float64",
    "epsilon",
    r"backbone\.encoder\.blocks\..*(conv_symmetric|identity|conv_small).* \(BatchNorm2d\)$",
    own=(1e-5,),
    when="fused",
)


def measure(shapes: Shapes, prefix: str = "backbone.") -> dict[str, Any] | None:
    """The scale, the number of branches and whether they are fused; None where this is another backbone. Raises
    ConfigurationError where channels are not those of one scale."""
    stem = shapes.get(f"{prefix}conv1.conv.weight")
    fused = f"{prefix}blocks2.0.dw_conv.reparam_conv.weight" in shapes
    if stem is None or not (fused or f"{prefix}blocks2.0.dw_conv.conv_kxk.0.conv.weight" in shapes):
        return None
    branches = 1
    while f"{prefix}blocks2.0.dw_conv.conv_kxk.{branches}.conv.weight" in shapes:
        branches += 1
    leaf = "reparam_conv" if fused else "conv_kxk.0.conv"
    found = {STEM: stem[0]}
    for stage, blocks in STAGES.items():
        for number, (_, _, outputs, _) in enumerate(blocks):
            shape = shapes.get(f"{prefix}{stage}.{number}.pw_conv.{leaf}.weight")
            if shape is None:
                return None
            if found.setdefault(outputs, shape[0]) != shape[0]:
                raise ConfigurationError(
                    f"{prefix}{stage}.{number}.pw_conv has {shape[0]} channels, where blocks like it have "
                    f"{found[outputs]}"
                )
    return {"scale": _scale(found), "branches": BRANCHES if fused else branches, "fused": fused}


def _scale(found: dict[int, int]) -> float:
    """The roundest scale, in steps of a twentieth, that makes these channels. Several may: they build the same."""
    for hundredths in (100, *range(25, 301, 5)):
        scale: float = hundredths / 100
        if all(divisible(plain * scale, DIVISOR) == channels for plain, channels in found.items()):
            return scale
    held = ", ".join(f"{channels} in place of {plain}" for plain, channels in found.items())
    raise ConfigurationError(f"no scale of PPLCNetV3 makes these channels: {held}")


def channels(sizes: Sizes, plain: int) -> int:
    """The number of channels where there are `plain` at scale 1."""
    return divisible(plain * sizes["scale"], DIVISOR)


def configuration(sizes: Sizes, task: str) -> dict[str, Any]:
    """The field backbone_config of transformers."""
    return {
        "model_type": "pp_lcnet_v3",
        "scale": sizes["scale"],
        "stem_channels": STEM,
        "divisor": DIVISOR,
        "reduction": REDUCTION,
        "conv_symmetric_num": sizes["branches"],
        "hidden_act": "hardswish",
        "block_configs": [
            [
                [kernel, inputs, outputs, list(stride) if isinstance(stride, tuple) else stride, weighted]
                for (kernel, inputs, outputs, weighted), stride in zip(blocks, STRIDES[task][stage], strict=True)
            ]
            for stage, blocks in STAGES.items()
        ],
        "out_features": ["stage2", "stage3", "stage4", "stage5"],
        "out_indices": [2, 3, 4, 5],
    }


def rows(sizes: Sizes, task: str, source: str, target: str) -> Iterator[Row]:
    """The backbone's rows; `source` and `target` are the prefixes on either side."""
    first = channels(sizes, STEM)
    yield Convolution(f"{source}conv1.conv", (first, 3, 3, 3), f"{target}convolution.convolution")
    yield BatchNorm(f"{source}conv1.bn", first, f"{target}convolution.normalization")
    for stage, (name, blocks) in enumerate(STAGES.items()):
        for number, (kernel, inputs, outputs, weighted) in enumerate(blocks):
            here, there = f"{source}{name}.{number}", f"{target}blocks.{stage}.layers.{number}"
            before, after = channels(sizes, inputs), channels(sizes, outputs)
            stride = STRIDES[task][name][number]
            for part, whole, shape, step in (
                ("dw", "depthwise", (before, 1, kernel, kernel), stride),
                ("pw", "pointwise", (after, before, 1, 1), 1),
            ):
                layer = Layer(f"{here}.{part}_conv", f"{there}.{whole}_convolution", shape, step)
                yield from layer.fused() if sizes["fused"] else layer.branched(sizes["branches"])
            if weighted:
                less = before // REDUCTION
                squeeze = f"{there}.squeeze_excitation_module.convolutions"
                yield Convolution(f"{here}.se.conv1", (less, before, 1, 1), f"{squeeze}.0", less)
                yield Convolution(f"{here}.se.conv2", (before, less, 1, 1), f"{squeeze}.2", before)


@dataclass(frozen=True)
class Layer:
    """A convolution in several branches, whose results are added; exports have them fused into one. `shape` is that of
    the largest branches' weights."""

    source: str
    target: str
    shape: tuple[int, ...]
    stride: Any

    @property
    def _size(self) -> int:
        return self.shape[0]

    @property
    def _identity(self) -> bool:
        """Whether one branch is the input itself, behind a norm."""
        inputs = self._size if self.shape[1] == 1 else self.shape[1]
        return inputs == self._size and self.stride == 1

    def _branches(self, number: int) -> list[tuple[str, str, tuple[int, ...]]]:
        """Paddle's name, transformers' name and the shape of each branch with a convolution."""
        found = [(f"conv_kxk.{index}", f"conv_symmetric.{index}", self.shape) for index in range(number)]
        small = (*self.shape[:2], 1, 1)
        return [*found, ("conv_1x1", "conv_small_symmetric", small)] if self.shape[-1] > 1 else found

    def branched(self, number: int) -> Iterator[Row]:
        """The rows as the network is trained."""
        for name, other, shape in self._branches(number):
            yield Convolution(f"{self.source}.{name}.conv", shape, f"{self.target}.{other}.convolution")
            yield BatchNorm(f"{self.source}.{name}.bn", self._size, f"{self.target}.{other}.normalization")
        if self._identity:
            yield BatchNorm(f"{self.source}.identity", self._size, f"{self.target}.identity")
        for leaf in ("scale", "bias"):
            yield Parameter(f"{self.source}.lab.{leaf}", (1,), f"{self.target}.lab.{leaf}")
            yield Parameter(f"{self.source}.act.lab.{leaf}", (1,), f"{self.target}.act.lab.{leaf}")

    def fused(self) -> Iterator[Row]:
        """The rows of an export: the fused convolution is the first branch, its bias that of the norm behind it, and
        all else adds nothing."""
        (_, first, shape), *others = self._branches(BRANCHES)
        norm = f"{self.target}.{first}.normalization"
        yield Parameter(f"{self.source}.reparam_conv.weight", shape, f"{self.target}.{first}.convolution.weight")
        yield Parameter(f"{self.source}.reparam_conv.bias", (self._size,), f"{norm}.bias")
        yield Made(f"{norm}.weight", (self._size,), FUSED_GAIN)
        yield Made(f"{norm}.running_mean", (self._size,), 0.0)
        yield Made(f"{norm}.running_var", (self._size,), FUSED_VARIANCE)
        for _, other, of in others:
            yield Made(f"{self.target}.{other}.convolution.weight", of, 0.0)
            yield from self._nothing(f"{other}.normalization")
        if self._identity:
            yield from self._nothing("identity")
        for leaf, name, fill in (("scale", "w", 1.0), ("bias", "b", 0.0)):
            yield Parameter(f"{self.source}.{name}", (1,), f"{self.target}.lab.{leaf}")
            target = f"{self.target}.act.lab.{leaf}"
            if self.stride == 2:
                # No activation is applied there, so that exports do not have its numbers.
                yield Made(target, (1,), fill)
            else:
                yield Parameter(f"{self.source}.activation.{leaf}", (1,), target)

    def _nothing(self, norm: str) -> Iterator[Row]:
        """A norm that gives zeros."""
        for leaf, fill in {"weight": 0.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            yield Made(f"{self.target}.{norm}.{leaf}", (self._size,), fill)
