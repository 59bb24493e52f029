"""PP-LCNet classifiers of lines of text: from PaddleClas's training network to transformers' class.

They have the tensors of pp_lcnet.py, and other strides, which keep the width longer (stride_list in PaddleClas's
configurations of textline_orientation and language_classification).
"""

from __future__ import annotations

from functools import partial

from ..language.images.network import Network
from ..language.images.preparation import Preparation, Transforms
from .parts import classification
from .pp_lcnet import CLASSIFIER, CONSTANTS, DEFAULTS, architecture, configuration, measure, rows, sizes_of

STRIDES = (2, (2, 1), (2, 1), (2, 1), (2, 1))


def _prepare(transforms: Transforms) -> Preparation:
    usual = ({"ResizeImage": {"size": [160, 80]}}, {"NormalizeImage": {"order": ""}})
    return classification.prepare(transforms, usual, "160 by 80")


PP_LCNET_TEXTLINE = Network(
    name="pp_lcnet_textline",
    model_type="pp_lcnet",
    title="PP-LCNet classification of lines of text",
    task="classification",
    target="PPLCNetForImageClassification",
    auto_class="AutoModelForImageClassification",
    measure=measure,
    rows=rows,
    configuration=partial(configuration, strides=STRIDES),
    architecture=partial(architecture, strides=STRIDES),
    defaults=DEFAULTS,
    constants=CONSTANTS,
    inputs=((1, 3, 80, 160), (2, 3, 48, 97)),
    builder="PaddleClas",
    logits="head",
    source_logits=CLASSIFIER,
    official=("PP-LCNet_x0_25_textline_ori", "PP-LCNet_x1_0_textline_ori"),
    seeded={
        "PP-LCNet_x0_25_textline_ori": sizes_of(0.25, 2),
        "PP-LCNet_x1_0_textline_ori": sizes_of(1.0, 2),
    },
    processor_class=classification.PROCESSOR,
    prepare=_prepare,
)
