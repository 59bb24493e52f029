"""SLANet and SLANet_plus, which read the structure of tables: from PaddleOCR's training network to transformers'
class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import ConfigurationError
from ..language.images.network import BATCH_NORM, Network, Shapes, Sizes, count
from ..language.images.preparation import Preparation, Transforms
from ..language.images.rows import BatchNorm, Convolution
from ..language.rows import Row
from .parts import citation, lcnet, sla_head, table

SIDE = 488
"""The longer side of pictures in PaddleOCR's configurations."""

FEATURES = (64, 128, 256, 512)
"""The channels, at scale 1, of what the neck is given: the ends of all stages but the first."""


def _measure(shapes: Shapes) -> dict[str, Any] | None:
    head = sla_head.measure(shapes)
    backbone = None if head is None else lcnet.measure(shapes, "backbone.")
    if backbone is None or head is None or "neck.conv_t.convs.0.conv.weight" not in shapes:
        return None
    first = shapes.get("neck.downsamples.0.dwconv.weight")
    if first is None or first[-1] % 2 == 0:
        raise ConfigurationError(
            "the neck has no depthwise convolutions with an odd kernel; transformers' class knows no other neck"
        )
    if (levels := count(shapes, "neck.conv_t.convs.")) != len(FEATURES):
        raise ConfigurationError(f"the neck has {levels} levels; transformers' class knows {len(FEATURES)} alone")
    return {
        **backbone,
        **head,
        "kernel": first[-1],
        "bottlenecks": count(shapes, "neck.top_down_blocks.0.blocks."),
    }


def _rows(sizes: Sizes) -> tuple[Row, ...]:
    return (
        *lcnet.rows(sizes, "backbone.", "backbone.vision_backbone.encoder.", turned=True),
        *_neck(sizes),
        *sla_head.rows(sizes),
    )


def _neck(sizes: Sizes) -> Iterator[Row]:
    """The pyramid CSP-PAN (ppocr/modeling/necks/csp_pan.py). Two convolutions of its layers have the numbers of each
    other in transformers."""
    wide, target = sizes["features"], "backbone.post_csp_pan"
    for level, plain in enumerate(FEATURES):
        shape = (wide, lcnet.channels(sizes, plain), 1, 1)
        yield from _layer(f"neck.conv_t.convs.{level}", f"{target}.channel_projector.{level}", shape)
    for level in range(len(FEATURES) - 1):
        yield from _separable(sizes, f"neck.downsamples.{level}", f"{target}.downsamples.{level}", wide)
        for name in ("top_down_blocks", "bottom_up_blocks"):
            here, there, half = f"neck.{name}.{level}", f"{target}.{name}.{level}", wide // 2
            yield from _layer(f"{here}.main_conv", f"{there}.conv2", (half, 2 * wide, 1, 1))
            yield from _layer(f"{here}.short_conv", f"{there}.conv1", (half, 2 * wide, 1, 1))
            yield from _layer(f"{here}.final_conv", f"{there}.conv3", (wide, 2 * half, 1, 1))
            for number in range(sizes["bottlenecks"]):
                block, other = f"{here}.blocks.{number}", f"{there}.bottlenecks.{number}"
                yield from _layer(f"{block}.conv1", f"{other}.conv1", (half, half, 1, 1))
                yield from _separable(sizes, f"{block}.conv2", f"{other}.conv2", half)


def _layer(source: str, target: str, shape: tuple[int, ...]) -> Iterator[Row]:
    """A convolution with the norm behind it."""
    yield Convolution(f"{source}.conv", shape, f"{target}.convolution")
    yield BatchNorm(f"{source}.bn", shape[0], f"{target}.normalization")


def _separable(sizes: Sizes, source: str, target: str, wide: int) -> Iterator[Row]:
    """A convolution of each channel on its own and one of all of them, each with a norm."""
    kernel = sizes["kernel"]
    for part, number, whole, shape in (
        ("dw", 1, "depthwise", (wide, 1, kernel, kernel)),
        ("pw", 2, "pointwise", (wide, wide, 1, 1)),
    ):
        yield Convolution(f"{source}.{part}conv", shape, f"{target}.{whole}_convolution.convolution")
        yield BatchNorm(f"{source}.bn{number}", wide, f"{target}.{whole}_convolution.normalization")


def _configuration(sizes: Sizes) -> dict[str, Any]:
    return {
        "backbone_config": {
            "model_type": "pp_lcnet",
            **lcnet.configuration(sizes),
            "out_features": ["stage2", "stage3", "stage4", "stage5"],
            "out_indices": [2, 3, 4, 5],
        },
        "hidden_act": "hardswish",
        "csp_kernel_size": sizes["kernel"],
        "csp_num_blocks": sizes["bottlenecks"],
        **sla_head.configuration(sizes),
    }


def _architecture(sizes: Sizes) -> dict[str, Any]:
    return {
        "model_type": "table",
        "algorithm": "SLANet",
        "Backbone": {"name": "PPLCNet", "scale": sizes["scale"], "pretrained": False},
        "Neck": {
            "name": "CSPPAN",
            "out_channels": sizes["features"],
            "kernel_size": sizes["kernel"],
            "num_csp_blocks": sizes["bottlenecks"],
            "use_depthwise": True,
            "act": "hard_swish",
        },
        "Head": sla_head.architecture(sizes),
    }


def _prepare(transforms: Transforms) -> Preparation:
    return table.prepare(transforms, SIDE)


def _sizes(classes: int, box: int) -> Mapping[str, Any]:
    """The sizes of PaddleOCR's own configurations, with a dictionary of its own and boxes of so many numbers."""
    return {
        "scale": 1.0,
        "features": 96,
        "hidden": 256,
        "classes": classes,
        "kernel": 5,
        "bottlenecks": 1,
        "boxes": {f"{sla_head.BOXES}1.bias": (box,)},
    }


SLANET = Network(
    name="slanet",
    title="SLANet and SLANet_plus, the structure of tables",
    task="table",
    target="SLANetForTableRecognition",
    auto_class="AutoModelForTableRecognition",
    measure=_measure,
    rows=_rows,
    configuration=_configuration,
    architecture=_architecture,
    constants=(BATCH_NORM, lcnet.SQUEEZE, sla_head.DOUBLE),
    inputs=((1, 3, 488, 356), (2, 3, 100, 124)),
    logits=sla_head.LOGITS,
    source_logits=sla_head.LOGITS,
    unread=(sla_head.BOXES,),
    official=("SLANet_plus", "SLANet"),
    seeded={"SLANet_plus": _sizes(50, 8), "SLANet": _sizes(30, 4)},
    losses=(sla_head.BOXES_REASON,),
    processor_class=table.PROCESSOR,
    turned=True,
    cautions=table.cautions,
    prepare=_prepare,
    citation=citation.PADDLEOCR,
)
