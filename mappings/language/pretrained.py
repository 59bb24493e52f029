"""What is known of one set of published weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pretrained:
    """A pretrained name of PaddleNLP.

    `configuration` holds PaddleNLP's fields, `parameters` the exact number of elements per architecture (tied tensors
    counted once, buffers not at all), `counterpart` the same model on the Hugging Face Hub, `license` that of the
    counterpart where one is stated.
    """

    name: str
    family: str
    language: str
    configuration: Mapping[str, Any]
    weights_url: str
    tokenizer_url: str
    parameters: Mapping[str, int]
    counterpart: str
    license: str | None
