"""Prints what PaddleNLP itself says: its tables of pretrained names, and the state dicts of its models.

Runs as a child process that reads {"models": [[architecture, configuration], ...], "tables": [[backbone, tokenizer
class], ...]} and prints one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import paddle
from paddlenlp.utils.log import logger


def facts_of(architecture: str, configuration: dict[str, Any]) -> dict[str, Any]:
    import paddlenlp.transformers

    model_class = getattr(paddlenlp.transformers, architecture)
    model = model_class(model_class.config_class(**configuration))
    return {
        "state": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
        "dtypes": sorted({str(tensor.dtype) for _, tensor in model.named_parameters()}),
        # A shared parameter is listed once.
        "parameters": sum(int(parameter.size) for _, parameter in model.named_parameters()),
    }


def tables_of(architecture: str, tokenizer: str) -> dict[str, Any]:
    """PaddleNLP's tables of the pretrained names of a backbone's family."""
    import paddlenlp.transformers

    model_class = getattr(paddlenlp.transformers, architecture)
    return {
        "configurations": model_class.pretrained_init_configuration,
        "weights": model_class.pretrained_resource_files_map["model_state"],
        "tokenizers": getattr(paddlenlp.transformers, tokenizer).pretrained_resource_files_map,
        "names": sorted(model_class.config_class.pretrained_init_configuration),
    }


def main() -> None:
    logger.set_level("ERROR")
    paddle.set_device("cpu")
    request = json.load(sys.stdin)
    answer = {
        "tables": [tables_of(*asked) for asked in request["tables"]],
        "models": [facts_of(architecture, configuration) for architecture, configuration in request["models"]],
    }
    print(json.dumps(answer), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
