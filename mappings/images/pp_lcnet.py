"""PP-LCNet classifiers of pictures and pages: from PaddleClas's training network to transformers' class.

Nothing in a checkpoint tells these from classifiers of lines of text, whose strides are others: pp_lcnet_textline.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError
from ..language.images.network import BATCH_NORM, Constant, Network, Shapes, Sizes
from ..language.images.preparation import Preparation, Transforms
from ..language.images.rows import Convolution
from ..language.rows import Linear, Row
from .parts import classification, lcnet

LAST_CONVOLUTION, CLASSIFIER = "last_conv", "fc"

EXPAND = 1280
"""The channels behind the last convolution where a training configuration does not say any (class_expand)."""

DROPOUT = 0.2

DROPOUT_FACTOR = Constant(
    "factor in place of the dropout",
    "a trained PP-LCNet multiplies by what its dropout would have left, 0.8: Paddle by a float32, transformers by a "
    "float64",
    "factor",
    # The model itself: its own code multiplies.
    r"^ \(PPLCNetForImageClassification\)$",
    0.800000011920929,
    own=(1 - DROPOUT,),
)

CONSTANTS = (BATCH_NORM, lcnet.SQUEEZE, DROPOUT_FACTOR)


DEFAULTS = {
    "Arch.class_num": 1000,
    "Arch.class_expand": EXPAND,
    "Arch.dropout_prob": DROPOUT,
    "Arch.stride_list": [2, 2, 2, 2, 2],
    "Arch.use_last_conv": True,
    "Arch.act": "hardswish",
}
"""Those of PaddleClas's PPLCNet (ppcls/arch/backbone/legendary_models/pp_lcnet.py)."""


def measure(shapes: Shapes) -> dict[str, Any] | None:
    """The scale, the channels behind the last convolution and the number of classes; None where this is another
    network. Raises ConfigurationError for a network without a last convolution."""
    backbone, classifier = lcnet.measure(shapes, ""), shapes.get(f"{CLASSIFIER}.weight")
    if backbone is None or classifier is None:
        return None
    last = shapes.get(f"{LAST_CONVOLUTION}.weight")
    if last is None:
        raise ConfigurationError(
            f"there is no {LAST_CONVOLUTION}.weight: the network was trained with use_last_conv false, and "
            "PPLCNetForImageClassification of transformers always has a convolution and an activation there"
        )
    return {**backbone, "expand": last[0], "classes": classifier[-1]}


def rows(sizes: Sizes) -> tuple[Row, ...]:
    """The rows of backbone and classifier."""
    last = (sizes["expand"], lcnet.channels(sizes, lcnet.LAST), 1, 1)
    return (
        *lcnet.rows(sizes, "", "encoder."),
        Convolution(LAST_CONVOLUTION, last, "last_convolution"),
        Linear(CLASSIFIER, sizes["expand"], sizes["classes"], "head"),
    )


def configuration(sizes: Sizes, strides: lcnet.Strides = lcnet.USUAL_STRIDES) -> dict[str, Any]:
    """The fields of config.json. No tensor tells the strides, the activation and the dropout: they are fixed."""
    names = [f"LABEL_{number}" for number in range(sizes["classes"])]
    return {
        **lcnet.configuration(sizes, strides),
        "class_expand": sizes["expand"],
        "hidden_dropout_prob": DROPOUT,
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }


def architecture(sizes: Sizes, strides: lcnet.Strides = lcnet.USUAL_STRIDES) -> dict[str, Any]:
    """The module of PaddleClas, its class and all arguments that change what it computes; a training configuration has
    them in its section Arch."""
    return {
        "module": "legendary_models.pp_lcnet",
        "name": "PPLCNet",
        "scale": sizes["scale"],
        "class_num": sizes["classes"],
        "class_expand": sizes["expand"],
        "dropout_prob": DROPOUT,
        "stride_list": lcnet.stride_list(strides),
        "use_last_conv": True,
        "act": "hardswish",
    }


def sizes_of(scale: float, classes: int) -> Mapping[str, Any]:
    """The sizes of PaddleClas's own configurations."""
    return {"scale": scale, "expand": EXPAND, "classes": classes}


def _prepare(transforms: Transforms) -> Preparation:
    usual = (
        {"ResizeImage": {"resize_short": 256}},
        {"CropImage": {"size": 224}},
        {"NormalizeImage": {"order": ""}},
    )
    return classification.prepare(transforms, usual, "the shorter side of 256 and of that the middle, 224 by 224")


PP_LCNET = Network(
    name="pp_lcnet",
    title="PP-LCNet classification of pictures and pages",
    task="classification",
    target="PPLCNetForImageClassification",
    auto_class="AutoModelForImageClassification",
    measure=measure,
    rows=rows,
    configuration=configuration,
    architecture=architecture,
    defaults=DEFAULTS,
    constants=CONSTANTS,
    inputs=((1, 3, 224, 224), (2, 3, 96, 131)),
    builder="PaddleClas",
    logits="head",
    source_logits=CLASSIFIER,
    official=(
        "PP-LCNet_x1_0_doc_ori",
        "PP-LCNet_x1_0_table_cls",
        *(f"PP-LCNet_x{scale}" for scale in ("0_25", "0_35", "0_5", "0_75", "1_0", "1_5", "2_0", "2_5")),
    ),
    seeded={
        "PP-LCNet_x1_0_doc_ori": sizes_of(1.0, 4),
        "PP-LCNet_x1_0_table_cls": sizes_of(1.0, 2),
        "PP-LCNet_x0_25": sizes_of(0.25, 1000),
    },
    processor_class=classification.PROCESSOR,
    prepare=_prepare,
)
