"""The small files of a converted network: config.json and preprocessor_config.json, and the lines that use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...mappings.language.images.network import Network
from .recognition import RecognisedNetwork

PREPROCESSOR = "preprocessor_config.json"


def configuration_document(found: RecognisedNetwork, dtype: str) -> dict[str, Any]:
    """config.json for transformers' class; `dtype` is the element type of what is written."""
    network = found.network
    document = {
        **network.configuration(found.sizes),
        "architectures": [network.target],
        "model_type": network.model_type or network.name,
        "dtype": dtype,
    }
    return dict(sorted(document.items()))


def preprocessor_document(found: RecognisedNetwork) -> dict[str, Any]:
    """preprocessor_config.json: how pictures are prepared, and for a recogniser the characters by their numbers."""
    document: dict[str, Any] = {**found.preparation.fields, "image_processor_type": found.network.processor_class}
    if found.characters is not None:
        document["character_list"] = list(found.characters.texts)
    return dict(sorted(document.items()))


_CALLS = {
    "recognition": (
        'inputs = processor(images=Image.open("line.png").convert("RGB"), return_tensors="pt")',
        "print(processor.post_process_text_recognition(model(**inputs)))",
    ),
    "detection": (
        'inputs = processor(images=Image.open("page.png").convert("RGB"), return_tensors="pt")',
        'outputs = model(pixel_values=inputs["pixel_values"])',
        'print(processor.post_process_object_detection(outputs, target_sizes=inputs["target_sizes"]{thresholds}))',
    ),
    "classification": (
        'inputs = processor(images=Image.open("page.png").convert("RGB"), return_tensors="pt")',
        "print(model(**inputs).last_hidden_state)",
    ),
    "table": (
        'inputs = processor(images=Image.open("table.png").convert("RGB"), return_tensors="pt")',
        'print(model(pixel_values=inputs["pixel_values"]).last_hidden_state.argmax(-1))',
    ),
}


def using_lines(
    network: Network, place: str, processor: bool, thresholds: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """Python that loads the network at `place`, a path, and with its image `processor` runs it on a picture."""
    # A text of JSON's is one of Python's.
    quoted, auto_class = json.dumps(place, ensure_ascii=False), network.auto_class
    model = f"model = {auto_class}.from_pretrained({quoted}).eval()"
    given = "".join(f", {name}={value}" for name, value in (thresholds or {}).items())
    if not processor:
        return (f"from transformers import {auto_class}", model)
    return (
        "from PIL import Image",
        f"from transformers import AutoImageProcessor, {auto_class}",
        f"processor = AutoImageProcessor.from_pretrained({quoted})",
        model,
        *(line.replace("{thresholds}", given) for line in _CALLS[network.task]),
    )
