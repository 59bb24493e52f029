"""Lets PaddleNLP save a small model as bfloat16 in each of its forms, and load each again.

Runs as a child process: reads `{"folder": ..., "configuration": ...}`, writes FOLDER/pdparams, FOLDER/safetensors and
FOLDER/shards, and prints for each whether PaddleNLP loads the same bfloat16 values.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import paddle
from paddlenlp.transformers import BertConfig, BertForSequenceClassification

FORMS: dict[str, dict[str, Any]] = {
    "pdparams": {},
    "safetensors": {"safe_serialization": True},
    "shards": {"safe_serialization": True, "max_shard_size": "20KB"},
}


def main() -> None:
    request = json.load(sys.stdin)
    paddle.seed(3)
    model = BertForSequenceClassification(BertConfig(**request["configuration"]))
    model.to(dtype="bfloat16")
    values = {name: tensor.astype("float32").numpy() for name, tensor in model.state_dict().items()}
    loaded = {}
    for form, options in FORMS.items():
        folder = Path(request["folder"]) / form
        model.save_pretrained(str(folder), **options)
        again = BertForSequenceClassification.from_pretrained(str(folder)).state_dict()
        loaded[form] = again.keys() == values.keys() and all(
            tensor.dtype == paddle.bfloat16 and (tensor.astype("float32").numpy() == values[name]).all()
            for name, tensor in again.items()
        )
    print(json.dumps(loaded))


if __name__ == "__main__":
    main()
