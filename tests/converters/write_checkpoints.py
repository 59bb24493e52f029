"""Lets PaddleNLP write small checkpoints in all its forms, with the values of each model beside them.

Runs as a child process that reads {"folder": ..., "models": [[architecture, configuration], ...]} and writes
FOLDER/ARCHITECTURE/FORM/ and FOLDER/ARCHITECTURE/values.npz.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import paddlenlp.transformers
from paddlenlp.utils.log import logger

SHARD_BYTES = 12_000


def write(folder: Path, architecture: str, configuration: dict[str, Any]) -> None:
    model_class = getattr(paddlenlp.transformers, architecture)
    model = model_class(model_class.config_class(**configuration))
    for _, parameter in model.named_parameters():
        parameter.set_value(paddle.randn(parameter.shape))
    model.save_pretrained(str(folder / "pdparams"))
    model.save_pretrained(str(folder / "safetensors"), safe_serialization=True)
    model.save_pretrained(str(folder / "sharded-pdparams"), max_shard_size=SHARD_BYTES)
    model.save_pretrained(str(folder / "sharded-safetensors"), max_shard_size=SHARD_BYTES, safe_serialization=True)
    state = model.state_dict()
    np.savez(folder / "values.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    for dtype in ("float16", "bfloat16"):
        cast = {name: tensor.astype(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        (folder / dtype).mkdir()
        paddle.save(cast, str(folder / dtype / "model_state.pdparams"))
        shutil.copy(folder / "pdparams" / "config.json", folder / dtype)
        # A bfloat16 tensor becomes an array of its bit patterns.
        np.savez(folder / f"values-{dtype}.npz", **{name: tensor.numpy() for name, tensor in cast.items()})


def main() -> None:
    logger.set_level("ERROR")
    paddle.set_device("cpu")
    paddle.seed(11)
    request = json.load(sys.stdin)
    for architecture, configuration in request["models"]:
        folder = Path(request["folder"], architecture)
        folder.mkdir(parents=True)
        write(folder, architecture, configuration)
    print("{}", flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
