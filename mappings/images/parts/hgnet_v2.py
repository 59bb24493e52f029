"""The backbone PP-HGNetV2 of the server networks of PP-OCRv5 (ppocr/modeling/backbones/rec_pphgnetv2.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ....errors import ConfigurationError
from ...language.images.network import Shapes, Sizes, count
from ...language.images.rows import BatchNorm, Convolution
from ...language.rows import Dropped, Parameter, Row


class Stage(NamedTuple):
    """One stage: channels in, within and out, its blocks, the layers of each, the layers' kernel, and whether they are
    light: a pointwise convolution before a depthwise one, in place of one full convolution."""

    inputs: int
    middle: int
    outputs: int
    blocks: int
    layers: int
    kernel: int
    light: bool


STEM = (3, 32, 48)
"""Channels of the picture, within the stem and behind it."""

STAGES = (
    Stage(48, 48, 128, 1, 6, 3, False),
    Stage(128, 96, 512, 1, 6, 3, False),
    Stage(512, 192, 1024, 3, 6, 5, True),
    Stage(1024, 384, 2048, 1, 6, 5, True),
)
"""PPHGNetV2_B4. PaddleOCR's class takes a stride for each stage, and its tables of B0 to B3, B5 and B6 have none: it
can build no other than B4, and no argument of a training configuration changes these sizes."""

CHANNELS = STAGES[-1].outputs

STEM_STRIDES: dict[str, tuple[int, ...]] = {"recognition": (2, 1, 1, 1, 1), "detection": (2, 1, 1, 2, 1)}

STRIDES: dict[str, tuple[Any, ...]] = {
    "recognition": ((2, 1), (1, 2), (2, 1), (2, 1)),
    "detection": (None, 2, 2, 2),
}
"""The strides before each stage, which no tensor tells; where there is none, the stage has no such convolution."""

NO_STRIDE = 2
"""What transformers' own defaults have where it is not read."""

CLASSIFIER = ("backbone.last_conv.", "backbone.fc.")
"""What classifies whole pictures, behind the last stage."""

CLASSIFIER_REASON = "it classifies whole pictures, and neither lines of text nor pages are computed with it"


def measure(shapes: Shapes, prefix: str = "backbone.") -> dict[str, Any] | None:
    """What the tensors tell: the sizes of what classifies pictures, all others being those of B4; None where this is
    another backbone. Raises ConfigurationError for another PP-HGNetV2."""
    first, last = shapes.get(f"{prefix}stem.stem1.conv.weight"), shapes.get(f"{prefix}stem.stem4.conv.weight")
    if first is None or last is None:
        return None
    stages = tuple(_stage(shapes, f"{prefix}stages.{number}.") for number in range(count(shapes, f"{prefix}stages.")))
    if None in stages:
        return None
    stem = (first[1], first[0], last[0])
    if (stem, stages) != (STEM, STAGES):
        held = [f"a stem of {_joined(stem)} channels", *(_told(stage) for stage in stages if stage is not None)]
        others = [f"a stem of {_joined(STEM)} channels", *map(_told, STAGES)]
        differing = next((pair for pair in zip(held, others, strict=False) if pair[0] != pair[1]), None)
        found = (
            f"{len(stages)} stages in place of {len(STAGES)}" if differing is None else " in place of ".join(differing)
        )
        raise ConfigurationError(
            f"the backbone is another PP-HGNetV2 than B4, the only one that PaddleOCR can build: it has {found}"
        )
    return {"classifier": {name: shape for name, shape in shapes.items() if name.startswith(CLASSIFIER)}}


def _stage(shapes: Shapes, prefix: str) -> Stage | None:
    """The sizes of a stage; None where its tensors are not there."""
    block = f"{prefix}blocks.0."
    light = f"{block}layers.0.conv1.conv.weight" in shapes
    entry = shapes.get(f"{block}layers.0.conv1.conv.weight" if light else f"{block}layers.0.conv.weight")
    spread = shapes.get(f"{block}layers.0.conv2.conv.weight") if light else entry
    after = shapes.get(f"{block}aggregation_excitation_conv.conv.weight")
    if entry is None or spread is None or after is None:
        return None
    blocks, layers = count(shapes, f"{prefix}blocks."), count(shapes, f"{block}layers.")
    return Stage(entry[1], entry[0], after[0], blocks, layers, spread[-1], light)


def _told(stage: Stage) -> str:
    kind = "light" if stage.light else "full"
    channels = f"{stage.inputs}, {stage.middle} and {stage.outputs} channels"
    return f"a stage of {channels}, {stage.blocks} x {stage.layers} {kind} layers and kernel {stage.kernel}"


def _joined(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def configuration(task: str) -> dict[str, Any]:
    """The field backbone_config of transformers."""
    strides = STRIDES[task]
    return {
        "model_type": "hgnet_v2",
        "num_channels": STEM[0],
        "embedding_size": STEM[2],
        "depths": [stage.blocks for stage in STAGES],
        "hidden_sizes": [stage.outputs for stage in STAGES],
        "hidden_act": "relu",
        "stem_channels": list(STEM),
        "stem_strides": list(STEM_STRIDES[task]),
        "stage_in_channels": [stage.inputs for stage in STAGES],
        "stage_mid_channels": [stage.middle for stage in STAGES],
        "stage_out_channels": [stage.outputs for stage in STAGES],
        "stage_num_blocks": [stage.blocks for stage in STAGES],
        "stage_numb_of_layers": [stage.layers for stage in STAGES],
        "stage_kernel_size": [stage.kernel for stage in STAGES],
        "stage_light_block": [stage.light for stage in STAGES],
        "stage_downsample": [stride is not None for stride in strides],
        "stage_downsample_strides": [
            NO_STRIDE if stride is None else list(stride) if isinstance(stride, tuple) else stride for stride in strides
        ],
        "use_learnable_affine_block": False,
        "out_features": [f"stage{number}" for number in range(1, len(STAGES) + 1)],
        "out_indices": list(range(1, len(STAGES) + 1)),
    }


def rows(sizes: Sizes, task: str, source: str, target: str) -> Iterator[Row]:
    """The backbone's rows; `source` and `target` are the prefixes on either side."""
    picture, within, behind = STEM
    for name, shape in {
        "stem1": (within, picture, 3, 3),
        "stem2a": (within // 2, within, 2, 2),
        "stem2b": (within, within // 2, 2, 2),
        "stem3": (within, 2 * within, 3, 3),
        "stem4": (behind, within, 1, 1),
    }.items():
        yield from _layer(f"{source}stem.{name}", f"{target}embedder.{name}", shape)
    for number, (stage, stride) in enumerate(zip(STAGES, STRIDES[task], strict=True)):
        here, there = f"{source}stages.{number}", f"{target}encoder.stages.{number}"
        if stride is not None:
            yield from _layer(f"{here}.downsample", f"{there}.downsample", (stage.inputs, 1, 3, 3))
        for block in range(stage.blocks):
            yield from _block(stage, block, f"{here}.blocks.{block}", f"{there}.blocks.{block}")
    for name, shape in sizes["classifier"].items():
        yield Dropped(Parameter(name, shape), CLASSIFIER_REASON)


def _block(stage: Stage, number: int, here: str, there: str) -> Iterator[Row]:
    """The rows of a block: its layers, and the two that join what all of them give."""
    inputs, middle, square = stage.outputs if number else stage.inputs, stage.middle, (stage.kernel, stage.kernel)
    for layer in range(stage.layers):
        before = middle if layer else inputs
        name = f"layers.{layer}"
        if stage.light:
            yield from _layer(f"{here}.{name}.conv1", f"{there}.{name}.conv1", (middle, before, 1, 1))
            yield from _layer(f"{here}.{name}.conv2", f"{there}.{name}.conv2", (middle, 1, *square))
        else:
            yield from _layer(f"{here}.{name}", f"{there}.{name}", (middle, before, *square))
    joined, half = inputs + stage.layers * middle, stage.outputs // 2
    yield from _layer(f"{here}.aggregation_squeeze_conv", f"{there}.aggregation.0", (half, joined, 1, 1))
    yield from _layer(f"{here}.aggregation_excitation_conv", f"{there}.aggregation.1", (stage.outputs, half, 1, 1))


def _layer(source: str, target: str, shape: tuple[int, ...]) -> Iterator[Row]:
    """A convolution and the norm behind it."""
    yield Convolution(f"{source}.conv", shape, f"{target}.convolution")
    yield BatchNorm(f"{source}.bn", shape[0], f"{target}.normalization")
