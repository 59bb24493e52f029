"""PP-OCRv5 server text recognition: from PaddleOCR's training network to transformers' class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...errors import ConfigurationError
from ..language.images.network import BATCH_NORM, Network, Shapes, Sizes
from ..language.rows import Row
from .parts import citation, hgnet_v2, recognition, svtr

TASK: Final = "recognition"


def _measure(shapes: Shapes) -> dict[str, Any] | None:
    head = svtr.measure(shapes)
    backbone = None if head is None else hgnet_v2.measure(shapes)
    if backbone is None or head is None:
        return None
    if head["channels"] != hgnet_v2.CHANNELS:
        raise ConfigurationError(
            f"the head takes {head['channels']} channels, where the backbone gives {hgnet_v2.CHANNELS}"
        )
    svtr.refuse_others(head)
    return {**backbone, **head}


def _rows(sizes: Sizes) -> tuple[Row, ...]:
    return (*hgnet_v2.rows(sizes, TASK, "backbone.", "model.backbone."), *svtr.rows(sizes))


def _configuration(sizes: Sizes) -> dict[str, Any]:
    return {"backbone_config": hgnet_v2.configuration(TASK), **svtr.configuration(sizes)}


def _architecture(sizes: Sizes) -> dict[str, Any]:
    return {
        "model_type": "rec",
        "algorithm": "SVTR_HGNet",
        "Transform": None,
        "Backbone": {"name": "PPHGNetV2_B4", "text_rec": True},
        "Head": svtr.architecture(sizes),
    }


def _sizes(classes: int) -> Mapping[str, Any]:
    """The sizes of PP-OCR's own configuration, with a dictionary of its own."""
    return {"classifier": {}, **svtr.usual_sizes(hgnet_v2.CHANNELS, classes)}


PP_OCRV5_SERVER_REC = Network(
    name="pp_ocrv5_server_rec",
    title="PP-OCRv5 server text recognition",
    task=TASK,
    target="PPOCRV5ServerRecForTextRecognition",
    auto_class="AutoModelForTextRecognition",
    measure=_measure,
    rows=_rows,
    configuration=_configuration,
    architecture=_architecture,
    defaults={"Backbone.det": False, "Backbone.text_rec": False},
    constants=(BATCH_NORM, *svtr.CONSTANTS),
    inputs=((1, 3, 48, 187), (2, 3, 48, 97)),
    logits=svtr.LOGITS,
    source_logits=svtr.CLASSIFIER,
    unread=(*svtr.GUIDES, *hgnet_v2.CLASSIFIER),
    official=("PP-OCRv5_server_rec",),
    seeded={"PP-OCRv5_server_rec": _sizes(18385)},
    processor_class=recognition.PROCESSOR,
    prepare=recognition.prepare,
    citation=citation.PADDLEOCR,
)
