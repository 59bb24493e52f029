"""Prints what transformers' classes of networks are, without allocating their weights.

Runs as a child process that reads {"models": [[class, configuration], ...], "auto_classes": [[auto class, class], ...],
"processors": [class, ...]} and prints one JSON line.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

OF_ALL = {"model_type", "id2label", "label2id", "out_features", "out_indices"}
"""Fields that every configuration of a kind takes, beside those that its class declares."""


def facts_of(architecture: str, configuration: dict[str, Any]) -> dict[str, Any]:
    """The state, all modules as "NAME (CLASS)", and the fields of the configuration that no class has."""
    model_class = getattr(transformers, architecture)
    with torch.device("meta"):
        model = model_class(model_class.config_class.from_dict(configuration))
    return {
        "state": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
        "modules": [f"{name} ({type(module).__name__})" for name, module in model.named_modules()],
        "unknown": list(unknown_fields(model_class.config_class, configuration)),
        "model_type": model_class.config_class.model_type,
    }


def unknown_fields(config_class: Any, configuration: dict[str, Any]) -> Iterator[str]:
    """The fields that a configuration's class would take without ever reading them."""
    known = {field.name for field in dataclasses.fields(config_class)} | OF_ALL
    for name, value in configuration.items():
        if name not in known:
            yield f"{config_class.__name__}.{name}"
        if isinstance(value, dict) and "model_type" in value:
            yield from unknown_fields(CONFIG_MAPPING[value["model_type"]], value)


def auto_class(name: str, architecture: str) -> str:
    """The class that the auto class `name` loads for the configuration class of `architecture`."""
    found = getattr(transformers, name)._model_mapping[getattr(transformers, architecture).config_class]
    return str((found[0] if isinstance(found, tuple) else found).__name__)


def processor(name: str) -> list[str]:
    """What an image processor declares that it takes."""
    return sorted(getattr(transformers, name).valid_kwargs.__annotations__)


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    request = json.load(sys.stdin)
    answer = {
        "models": [facts_of(*one) for one in request["models"]],
        "auto_classes": [auto_class(*pair) for pair in request["auto_classes"]],
        "processors": [processor(name) for name in request["processors"]],
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
