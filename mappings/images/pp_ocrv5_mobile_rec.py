"""PP-OCRv5 and v4 mobile text recognition: from PaddleOCR's training network to transformers' class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..language.images.network import BATCH_NORM, Network, Shapes, Sizes
from ..language.rows import Row
from .parts import citation, lcnet_v3, recognition, svtr

TASK: Final = "recognition"


LANGUAGES = ("arabic", "cyrillic", "devanagari", "el", "en", "eslav", "korean", "latin", "ta", "te", "th")
"""Those that PaddleOCR has configurations of PP-OCRv5 for, each with a dictionary of its own."""


def _measure(shapes: Shapes) -> dict[str, Any] | None:
    backbone, head = lcnet_v3.measure(shapes), svtr.measure(shapes)
    if backbone is None or head is None:
        return None
    svtr.refuse_others(head)
    return {**backbone, **head}


def _rows(sizes: Sizes) -> tuple[Row, ...]:
    return (*lcnet_v3.rows(sizes, TASK, "backbone.", "model.backbone.encoder."), *svtr.rows(sizes))


def _configuration(sizes: Sizes) -> dict[str, Any]:
    return {"backbone_config": lcnet_v3.configuration(sizes, TASK), **svtr.configuration(sizes)}


def _architecture(sizes: Sizes) -> dict[str, Any]:
    return {
        "model_type": "rec",
        "algorithm": "SVTR_LCNet",
        "Transform": None,
        "Backbone": {"name": "PPLCNetV3", "scale": sizes["scale"], "conv_kxk_num": sizes["branches"]},
        "Head": svtr.architecture(sizes),
    }


def _sizes(classes: int) -> Mapping[str, Any]:
    """The sizes of PP-OCR's own configurations, with a dictionary of its own."""
    backbone = {"scale": 0.95, "branches": lcnet_v3.BRANCHES, "fused": False}
    return {**backbone, **svtr.usual_sizes(480, classes)}


PP_OCRV5_MOBILE_REC = Network(
    name="pp_ocrv5_mobile_rec",
    title="PP-OCRv5 and v4 mobile text recognition",
    task=TASK,
    target="PPOCRV5MobileRecForTextRecognition",
    auto_class="AutoModelForTextRecognition",
    measure=_measure,
    rows=_rows,
    configuration=_configuration,
    architecture=_architecture,
    defaults={"Backbone.det": False},
    constants=(BATCH_NORM, lcnet_v3.FUSED, lcnet_v3.SQUEEZE, *svtr.CONSTANTS),
    inputs=((1, 3, 48, 333), (2, 3, 48, 97)),
    logits=svtr.LOGITS,
    source_logits=svtr.CLASSIFIER,
    unread=svtr.GUIDES,
    official=(
        *("PP-OCRv5_mobile_rec", "PP-OCRv4_mobile_rec", "en_PP-OCRv4_mobile_rec"),
        *(f"{language}_PP-OCRv5_mobile_rec" for language in LANGUAGES),
    ),
    seeded={"PP-OCRv5_mobile_rec": _sizes(18385), "PP-OCRv4_mobile_rec": _sizes(6625)},
    processor_class=recognition.PROCESSOR,
    prepare=recognition.prepare,
    citation=citation.PADDLEOCR,
)
