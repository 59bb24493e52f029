"""Loads folders with PaddleNLP's `from_pretrained` as a user would and reports what it logged and holds.

Runs as a child process that reads {"folders": [...]} and prints {folder: {"log": ..., "digests": ..., "config": ...}}.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import sys
from typing import Any

import paddle
import paddlenlp.transformers
from paddlenlp.utils.log import logger


def load(folder: str) -> dict[str, Any]:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logger.logger.addHandler(handler)
    with open(os.path.join(folder, "config.json")) as file:
        architecture = json.load(file)["architectures"][0]
    model = getattr(paddlenlp.transformers, architecture).from_pretrained(folder)
    logger.logger.removeHandler(handler)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return {
        "class": type(model).__name__,
        "log": log.getvalue(),
        "digests": {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in state.items()},
        "dtypes": {name: str(array.dtype) for name, array in state.items()},
        "num_labels": model.config.num_labels,
        "pooler_field": getattr(model.config, "add_pooling_layer", None),
    }


def main() -> None:
    paddle.set_device("cpu")
    folders = json.load(sys.stdin)["folders"]
    print(json.dumps({folder: load(folder) for folder in folders}), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
