"""The backbone PP-LCNet, the first of its name: of PaddleClas's classifiers (ppcls/arch/backbone/legendary_models/
pp_lcnet.py) and of PaddleOCR's SLANet (ppocr/modeling/backbones/det_pp_lcnet.py), which share names and sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ....errors import ConfigurationError
from ...language.images.network import Constant, Shapes, Sizes, divisible, scale_of
from ...language.images.rows import BatchNorm, Convolution
from ...language.rows import Row

Block = tuple[int, int, int, bool]
"""Kernel, channels in and out at scale 1, and whether the channels are weighted (squeeze and excitation)."""

Strides = Sequence[int | tuple[int, int]]
"""What PaddleClas calls stride_list: that of the first convolution, then that of the first block of each later stage
but blocks2. All others are 1."""

STAGES: dict[str, tuple[Block, ...]] = {
    "blocks2": ((3, 16, 32, False),),
    "blocks3": ((3, 32, 64, False), (3, 64, 64, False)),
    "blocks4": ((3, 64, 128, False), (3, 128, 128, False)),
    "blocks5": ((3, 128, 256, False), *((5, 256, 256, False),) * 5),
    "blocks6": ((5, 256, 512, True), (5, 512, 512, True)),
}

LAST = STAGES["blocks6"][-1][2]
"""The channels of the last block at scale 1."""

USUAL_STRIDES: Strides = (2, 2, 2, 2, 2)
"""The only ones that PaddleOCR has, and PaddleClas's where a training configuration does not say any."""

DIVISOR, REDUCTION, STEM = 8, 4, 16

SCALES = (1.0, 0.25, 0.35, 0.5, 0.75, 1.5, 2.0, 2.5, *(hundredths / 100 for hundredths in range(5, 401, 5)))
"""Those that PaddleClas has names for, then whatever a training configuration may say. Several may build the same."""

SQUEEZE = Constant(
    "slope of the backbone's hard sigmoid",
    "Paddle's hard sigmoid has the slope 0.1666667 as a float32, transformers' 1/6",
    "slope",
    r"\(PPLCNetSqueezeExcitationModule\)$",
    0.16666670143604279,
)


def measure(shapes: Shapes, prefix: str) -> dict[str, Any] | None:
    """The scale; None where this is another backbone, such as PP-LCNetV2 or V3. Raises ConfigurationError where
    channels are not those of one scale."""
    stem = shapes.get(f"{prefix}conv1.conv.weight")
    if stem is None:
        return None
    found = {STEM: stem[0]}
    for stage, blocks in STAGES.items():
        for number, (_, _, outputs, _) in enumerate(blocks):
            here = f"{prefix}{stage}.{number}"
            # Blocks of later versions have several branches, and no convolution directly below these names.
            shape = shapes.get(f"{here}.pw_conv.conv.weight")
            if shape is None or f"{here}.dw_conv.conv.weight" not in shapes:
                return None
            if found.setdefault(outputs, shape[0]) != shape[0]:
                raise ConfigurationError(
                    f"{here}.pw_conv has {shape[0]} channels, where blocks like it have {found[outputs]}"
                )
    return {"scale": scale_of(found, DIVISOR, SCALES)}


def channels(sizes: Sizes, plain: int) -> int:
    """The number of channels where there are `plain` at scale 1."""
    return divisible(plain * sizes["scale"], DIVISOR)


def stride_list(strides: Strides) -> list[int | list[int]]:
    """Strides as configurations have them."""
    return [list(stride) if isinstance(stride, tuple) else stride for stride in strides]


def configuration(sizes: Sizes, strides: Strides = USUAL_STRIDES) -> dict[str, Any]:
    """The fields of transformers' PPLCNetConfig that concern the backbone."""
    first, *later = stride_list(strides)
    by_stage = dict(zip(STAGES, [1, *later], strict=True))
    return {
        "scale": sizes["scale"],
        "stem_channels": STEM,
        "stem_stride": first,
        "divisor": DIVISOR,
        "reduction": REDUCTION,
        "hidden_act": "hardswish",
        "block_configs": [
            [
                [kernel, inputs, outputs, by_stage[stage] if number == 0 else 1, weighted]
                for number, (kernel, inputs, outputs, weighted) in enumerate(blocks)
            ]
            for stage, blocks in STAGES.items()
        ],
    }


def rows(sizes: Sizes, source: str, target: str, turned: bool = False) -> Iterator[Row]:
    """The backbone's rows; `source` and `target` are the prefixes on either side. `turned`: pictures come in red, green
    and blue, and not the other way round."""
    first = channels(sizes, STEM)
    yield Convolution(f"{source}conv1.conv", (first, 3, 3, 3), f"{target}convolution.convolution", turned=turned)
    yield BatchNorm(f"{source}conv1.bn", first, f"{target}convolution.normalization")
    for stage, (name, blocks) in enumerate(STAGES.items()):
        for number, (kernel, inputs, outputs, weighted) in enumerate(blocks):
            here, there = f"{source}{name}.{number}", f"{target}blocks.{stage}.layers.{number}"
            before, after = channels(sizes, inputs), channels(sizes, outputs)
            yield from _layer(f"{here}.dw_conv", f"{there}.depthwise_convolution", (before, 1, kernel, kernel))
            if weighted:
                less = before // REDUCTION
                squeeze = f"{there}.squeeze_excitation_module.convolutions"
                yield Convolution(f"{here}.se.conv1", (less, before, 1, 1), f"{squeeze}.0", less)
                yield Convolution(f"{here}.se.conv2", (before, less, 1, 1), f"{squeeze}.2", before)
            yield from _layer(f"{here}.pw_conv", f"{there}.pointwise_convolution", (after, before, 1, 1))


def _layer(source: str, target: str, shape: tuple[int, ...]) -> Iterator[Row]:
    """A convolution without a bias, and the norm behind it."""
    yield Convolution(f"{source}.conv", shape, f"{target}.convolution")
    yield BatchNorm(f"{source}.bn", shape[0], f"{target}.normalization")
