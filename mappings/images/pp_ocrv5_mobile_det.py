"""PP-OCRv5 and v4 mobile text detection: from PaddleOCR's training network to transformers' class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..language.images.network import BATCH_NORM, Constant, Network, Shapes, Sizes
from ..language.images.rows import Convolution
from ..language.rows import Row
from .parts import citation, db_head, detection, lcnet_v3

TASK: Final = "detection"

REDUCTION = 4

NECK_SQUEEZE = Constant(
    "slope of the neck's hard sigmoid",
    "Paddle's hard sigmoid has the slope 0.2 as a float32, transformers' as a float64",
    "factor",
    r"\(PPOCRV5MobileDetSqueezeExcitationModule\)$",
    0.20000000298023224,
    own=(0.2,),
)


def _measure(shapes: Shapes) -> dict[str, Any] | None:
    backbone = lcnet_v3.measure(shapes)
    neck = [shapes.get(f"neck.ins_conv.{level}.in_conv.weight") for level in range(4)]
    if backbone is None or "head.binarize.conv1.weight" not in shapes or None in neck:
        return None
    features = [shape for shape in neck if shape is not None]
    return {
        **backbone,
        "features": [shape[1] for shape in features],
        "neck": features[0][0],
        "thresholds": db_head.thresholds(shapes),
    }


def _rows(sizes: Sizes) -> tuple[Row, ...]:
    return (
        *lcnet_v3.rows(sizes, TASK, "backbone.", "model.backbone.encoder."),
        *_neck(sizes),
        *db_head.rows(
            sizes,
            "head.binarize",
            "head.conv_down.convolution|head.conv_down.norm",
            "head.conv_up.convolution|head.conv_up.norm",
            "head.conv_final",
        ),
    )


def _neck(sizes: Sizes) -> Iterator[Row]:
    """The feature pyramid RSEFPN, and the convolutions before it (ppocr/modeling/necks/db_fpn.py)."""
    wide = sizes["neck"]
    outputs = [lcnet_v3.STAGES[name][-1][2] for name in ("blocks3", "blocks4", "blocks5", "blocks6")]
    for level, (plain, less) in enumerate(zip(outputs, sizes["features"], strict=True)):
        before = lcnet_v3.channels(sizes, plain)
        yield Convolution(f"backbone.layer_list.{level}", (less, before, 1, 1), f"model.layer.{level}", less)
        for name, target, shape in (
            ("ins_conv", "insert_conv", (wide, less, 1, 1)),
            ("inp_conv", "input_conv", (wide // 4, wide, 3, 3)),
        ):
            here, there = f"neck.{name}.{level}", f"model.neck.{target}.{level}"
            channels, fewer = shape[0], shape[0] // REDUCTION
            yield Convolution(f"{here}.in_conv", shape, f"{there}.in_conv")
            squeeze = f"{there}.squeeze_excitation_block"
            yield Convolution(f"{here}.se_block.conv1", (fewer, channels, 1, 1), f"{squeeze}.conv1", fewer)
            yield Convolution(f"{here}.se_block.conv2", (channels, fewer, 1, 1), f"{squeeze}.conv2", channels)


def _configuration(sizes: Sizes) -> dict[str, Any]:
    return {
        "backbone_config": lcnet_v3.configuration(sizes, TASK),
        "reduction": REDUCTION,
        "neck_out_channels": sizes["neck"],
        "interpolate_mode": "nearest",
        "kernel_list": list(db_head.KERNELS),
        "layer_list_out_channels": list(sizes["features"]),
        "id2label": {"0": "text"},
        "label2id": {"text": 0},
    }


def _architecture(sizes: Sizes) -> dict[str, Any]:
    return {
        "model_type": "det",
        "algorithm": "DB",
        "Transform": None,
        "Backbone": {"name": "PPLCNetV3", "scale": sizes["scale"], "conv_kxk_num": sizes["branches"], "det": True},
        "Neck": {"name": "RSEFPN", "out_channels": sizes["neck"], "shortcut": True},
        "Head": {"name": "DBHead", "k": 50},
    }


PP_OCRV5_MOBILE_DET = Network(
    name="pp_ocrv5_mobile_det",
    title="PP-OCRv5 and v4 mobile text detection",
    task=TASK,
    target="PPOCRV5MobileDetForObjectDetection",
    auto_class="AutoModelForObjectDetection",
    measure=_measure,
    rows=_rows,
    configuration=_configuration,
    architecture=_architecture,
    defaults={"Backbone.det": False, "Neck.shortcut": True, "Neck.intracl": False},
    constants=(BATCH_NORM, lcnet_v3.FUSED, lcnet_v3.SQUEEZE, NECK_SQUEEZE),
    logits="head.conv_final",
    source_logits="head.binarize.conv3",
    unread=(db_head.THRESHOLD,),
    inputs=((1, 3, 96, 352), (2, 3, 64, 32)),
    official=("PP-OCRv5_mobile_det", "PP-OCRv4_mobile_det", "PP-OCRv4_mobile_seal_det"),
    seeded={
        "PP-OCRv5_mobile_det": {
            "scale": 0.75,
            "branches": lcnet_v3.BRANCHES,
            "fused": False,
            "features": [12, 18, 42, 360],
            "neck": 96,
            "thresholds": {},
        }
    },
    processor_class=detection.PROCESSOR,
    prepare=detection.prepare,
    citation=citation.PADDLEOCR,
)
