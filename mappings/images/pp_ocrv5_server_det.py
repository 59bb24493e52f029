"""PP-OCRv5 server text detection: from PaddleOCR's training network to transformers' class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ...errors import ConfigurationError
from ..language.images.network import BATCH_NORM, Network, Shapes, Sizes
from ..language.images.rows import BatchNorm, Convolution
from ..language.rows import Row
from .parts import citation, db_head, detection, hgnet_v2

TASK: Final = "detection"

LEVELS = len(hgnet_v2.STAGES)

SHARE, REDUCTION = 4, 2
"""Each of the four levels gives a fourth of the neck's channels, and the blocks IntraCL compute with half of these:
both fixed in LKPAN (ppocr/modeling/necks/db_fpn.py)."""

LARGE, ONWARD = 9, 3
"""The kernels of LKPAN: those on a level, and those from one level to the next."""

DIRECTIONS = {
    "c_layer_{0}x{0}": ("symmetric_conv_long", True, True),
    "v_layer_{0}x1": ("vertical_long_to_small_conv", True, False),
    "q_layer_1x{0}": ("horizontal_small_to_long_conv", False, True),
}
"""PaddleOCR's name of IntraCL's convolutions by their size, transformers' name, and whether they are high and wide
(ppocr/modeling/necks/intracl.py)."""

LENGTHS = {"longratio": 7, "midratio": 5, "shortratio": 3}

REFINER, LOCAL, LOCAL_LOGITS = "head.local_refinement_module", "head.cbn_layer", "head.cbn_layer.last_1"
"""What refines the map of text once more (LocalModule in ppocr/modeling/heads/det_db_head.py)."""


def _measure(shapes: Shapes) -> dict[str, Any] | None:
    first = shapes.get("neck.ins_conv.0.weight")
    if first is None or "head.binarize.conv1.weight" not in shapes:
        return None
    backbone = hgnet_v2.measure(shapes)
    if backbone is None:
        return None
    _refuse_others(shapes, first[0])
    return {**backbone, "neck": first[0], "thresholds": db_head.thresholds(shapes)}


def _refuse_others(shapes: Shapes, neck: int) -> None:
    """Raise ConfigurationError for settings of LKPAN and PFHeadLocal that transformers' class does not have."""
    if "neck.inp_conv.0.weight" not in shapes:
        raise ConfigurationError("the neck is no LKPAN of mode large, the only one that transformers' class has")
    if "neck.incl1.conv1x1_reduce_channel.weight" not in shapes:
        raise ConfigurationError("the neck is an LKPAN without intracl; transformers' class has none without")
    local = shapes.get(f"{LOCAL}.last_3.conv.weight")
    if local is None:
        raise ConfigurationError("the head is no PFHeadLocal, the only one that transformers' class has")
    if local[0] != neck // SHARE:
        raise ConfigurationError(
            f"the head's second map is made of {local[0]} channels, as PFHeadLocal of mode small does; transformers' "
            f"class has mode large alone, with {neck // SHARE}"
        )


def _rows(sizes: Sizes) -> tuple[Row, ...]:
    binarize = "head.binarize_head"
    return (
        *hgnet_v2.rows(sizes, TASK, "backbone.", "model.backbone."),
        *_neck(sizes["neck"]),
        *db_head.rows(
            sizes,
            "head.binarize",
            f"{binarize}.conv_down.convolution|{binarize}.conv_down.norm",
            f"{binarize}.conv_up.convolution|{binarize}.conv_up.norm",
            f"{binarize}.conv_final",
        ),
        *_local(sizes["neck"] // SHARE),
    )


def _neck(wide: int) -> Iterator[Row]:
    """The feature pyramid LKPAN, which goes up once more."""
    less = wide // SHARE
    for level, stage in enumerate(hgnet_v2.STAGES):
        for name, target, shape in (
            (f"ins_conv.{level}", f"input_channel_adjustment_convolution.{level}", (wide, stage.outputs, 1, 1)),
            (f"inp_conv.{level}", f"input_feature_projection_convolution.{level}", (less, wide, LARGE, LARGE)),
            (f"pan_lat_conv.{level}", f"path_aggregation_lateral_convolution.{level}", (less, less, LARGE, LARGE)),
        ):
            yield Convolution(f"neck.{name}", shape, f"model.neck.{target}")
        if level:
            onward = f"model.neck.path_aggregation_head_convolution.{level - 1}"
            yield Convolution(f"neck.pan_head_conv.{level - 1}", (less, less, ONWARD, ONWARD), onward)
        yield from _within(f"neck.incl{level + 1}", f"model.neck.intraclass_blocks.{level}", less)


def _within(here: str, there: str, channels: int) -> Iterator[Row]:
    """A block IntraCL."""
    fewer = channels // REDUCTION
    yield Convolution(f"{here}.conv1x1_reduce_channel", (fewer, channels, 1, 1), f"{there}.conv_reduce_channel", fewer)
    for name, (target, high, wide) in DIRECTIONS.items():
        for ratio, length in LENGTHS.items():
            shape = (fewer, fewer, length if high else 1, length if wide else 1)
            yield Convolution(f"{here}.{name.format(length)}", shape, f"{there}.{target}_{ratio}", fewer)
    final = f"{there}.conv_final"
    yield Convolution(f"{here}.conv1x1_return_channel", (channels, fewer, 1, 1), f"{final}.convolution", channels)
    yield BatchNorm(f"{here}.bn", channels, f"{final}.norm")


def _local(channels: int) -> Iterator[Row]:
    """What makes the second map, of the first one and what that was made of."""
    backbone = f"{REFINER}.convolution_backbone"
    yield Convolution(f"{LOCAL}.last_3.conv", (channels, channels + 1, 3, 3), f"{backbone}.convolution")
    yield BatchNorm(f"{LOCAL}.last_3.bn", channels, f"{backbone}.norm")
    yield Convolution(LOCAL_LOGITS, (1, channels, 1, 1), f"{REFINER}.convolution_final", 1)


def _configuration(sizes: Sizes) -> dict[str, Any]:
    plain = [1, 1, 0]
    return {
        "backbone_config": hgnet_v2.configuration(TASK),
        "interpolate_mode": "nearest",
        "neck_out_channels": sizes["neck"],
        "reduce_factor": REDUCTION,
        "intraclass_block_number": LEVELS,
        "intraclass_block_config": {
            "reduce_channel": plain,
            "return_channel": plain,
            **{
                f"{target}_{ratio}": _arguments(length if high else 1, length if wide else 1)
                for target, high, wide in DIRECTIONS.values()
                for ratio, length in LENGTHS.items()
            },
        },
        "scale_factor": 2,
        "scale_factor_list": [2**level for level in range(LEVELS)],
        "hidden_act": "relu",
        "kernel_list": list(db_head.KERNELS),
        "id2label": {"0": "text"},
        "label2id": {"text": 0},
    }


def _arguments(high: int, wide: int) -> list[list[int]]:
    """Kernel, stride and padding of a convolution that leaves the size as it is."""
    return [[high, wide], [1, 1], [high // 2, wide // 2]]


def _architecture(sizes: Sizes) -> dict[str, Any]:
    return {
        "model_type": "det",
        "algorithm": "DB",
        "Transform": None,
        "Backbone": {"name": "PPHGNetV2_B4", "det": True},
        "Neck": {"name": "LKPAN", "out_channels": sizes["neck"], "intracl": True},
        "Head": {"name": "PFHeadLocal", "k": 50, "mode": "large"},
    }


PP_OCRV5_SERVER_DET = Network(
    name="pp_ocrv5_server_det",
    title="PP-OCRv5 server text detection",
    task=TASK,
    target="PPOCRV5ServerDetForObjectDetection",
    auto_class="AutoModelForObjectDetection",
    measure=_measure,
    rows=_rows,
    configuration=_configuration,
    architecture=_architecture,
    defaults={
        "Backbone.det": False,
        "Backbone.text_rec": False,
        "Neck.intracl": False,
        "Neck.mode": "large",
        "Head.mode": "small",
    },
    constants=(BATCH_NORM,),
    # Not the first map's: the second is made of that one and comes last.
    logits=f"{REFINER}.convolution_final",
    source_logits=LOCAL_LOGITS,
    unread=(db_head.THRESHOLD, *hgnet_v2.CLASSIFIER),
    inputs=((1, 3, 96, 352), (2, 3, 64, 32)),
    official=("PP-OCRv5_server_det",),
    seeded={"PP-OCRv5_server_det": {"classifier": {}, "neck": 256, "thresholds": {}}},
    processor_class=detection.PROCESSOR,
    prepare=detection.prepare,
    citation=citation.PADDLEOCR,
)
