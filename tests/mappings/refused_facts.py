"""Prints the classes of models that PaddleNLP's modules define, and the names by which their models go.

Runs as a child process that reads {"modules": [name, ...]} and prints one JSON line.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from importlib import import_module
from typing import Any

from paddlenlp.transformers import PretrainedModel, PretrainedTokenizer
from paddlenlp.utils.log import logger


def facts_of(folder: str) -> dict[str, list[str]]:
    """The models of a folder of PaddleNLP's, without the abstract ones, second names of them, and the names of their
    weights and types."""
    classes: set[str] = set()
    aliases: set[str] = set()
    names = {folder}
    for part in ("modeling", "tokenizer"):
        place = f"paddlenlp.transformers.{folder}.{part}"
        try:
            module = import_module(place)
        except ModuleNotFoundError as error:
            if error.name != place:
                raise
            continue
        for name, found in vars(module).items():
            own = inspect.isclass(found) and found.__module__ == place
            if own and issubclass(found, PretrainedModel | PretrainedTokenizer):
                names |= _names_of(found)
                if issubclass(found, PretrainedModel) and not name.lower().endswith("pretrainedmodel"):
                    (classes if name == found.__name__ else aliases).add(name)
    return {"classes": sorted(classes), "aliases": sorted(aliases), "names": sorted(names)}


def _names_of(found: Any) -> set[str]:
    """The keys of a class's tables, and the model type of its configuration."""
    config = getattr(found, "config_class", None)
    return {*(found.pretrained_init_configuration or ()), str(getattr(config, "model_type", ""))}


def main() -> None:
    logger.set_level("ERROR")
    print(json.dumps({folder: facts_of(folder) for folder in json.load(sys.stdin)["modules"]}), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
