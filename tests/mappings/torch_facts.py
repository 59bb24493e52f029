"""Prints the state dicts of transformers' models, without allocating them, and what its auto classes make of things.

Runs as a child process that reads {"models": [[architecture, configuration], ...], "auto_classes": [[auto class,
architecture], ...], "folders": [folder, ...]} and prints one JSON line.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import torch
import transformers
from transformers.pytorch_utils import Conv1D

KINDS = {torch.nn.Linear: "linear", Conv1D: "turned linear", torch.nn.Embedding: "table"}
"""The layers whose matrices consist of vectors that must stay together: rows, and columns of a turned linear layer."""


def facts_of(architecture: str, configuration: dict[str, Any]) -> dict[str, Any]:
    model_class = getattr(transformers, architecture)
    with torch.device("meta"):
        model = model_class(model_class.config_class.from_dict(configuration))
    return {
        "kinds": {
            f"{name}.weight": KINDS[type(layer)] for name, layer in model.named_modules() if type(layer) in KINDS
        },
        "state": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
        "tied": tied_to_others(model),
    }


def tied_to_others(model: Any) -> list[str]:
    """The names of tensors that a model ties to others; in transformers 5, parts of it may have names of their own."""
    if hasattr(model, "all_tied_weights_keys"):
        return [name for name in model.state_dict() if name in model.all_tied_weights_keys]
    # Patterns, as transformers itself reads them.
    patterns = type(model)._tied_weights_keys or ()
    return [name for name in model.state_dict() if any(re.search(pattern, name) for pattern in patterns)]


def auto_class(name: str, architecture: str) -> str:
    """The class that the auto class `name` loads for the configuration class of `architecture`."""
    found = getattr(transformers, name)._model_mapping[getattr(transformers, architecture).config_class]
    return str((found[0] if isinstance(found, tuple) else found).__name__)


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    request = json.load(sys.stdin)
    answer = {
        "models": [facts_of(architecture, configuration) for architecture, configuration in request.get("models", [])],
        "auto_classes": [auto_class(*pair) for pair in request.get("auto_classes", [])],
        "configurations": [
            {**transformers.AutoConfig.from_pretrained(folder).to_dict(), "torch_dtype": None}
            for folder in request.get("folders", [])
        ],
    }
    print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
