"""Prints the names that PaddleNLP's tokenizers know at the community's address and none of its models has weights of.

Runs as a child process: {} in, {name: tokenizer class} as one JSON line out.
"""

from __future__ import annotations

import json
import os
from typing import Any

import paddlenlp.transformers
from paddlenlp.transformers import PretrainedModel, PretrainedTokenizer
from paddlenlp.utils.log import logger


def tables(kind: type) -> dict[str, dict[str, dict[str, str]]]:
    """The tables of addresses of all classes of a kind that PaddleNLP exports."""
    found: dict[str, Any] = {name: getattr(paddlenlp.transformers, name) for name in dir(paddlenlp.transformers)}
    return {name: value.pretrained_resource_files_map for name, value in found.items() if is_a(value, kind)}


def is_a(value: Any, kind: type) -> bool:
    return isinstance(value, type) and issubclass(value, kind)


def main() -> None:
    logger.set_level("ERROR")
    weights = {
        name for table in tables(PretrainedModel).values() for files in table.values() if files for name in files
    }
    known = {
        name: tokenizer
        for tokenizer, table in tables(PretrainedTokenizer).items()
        for addresses in table.values()
        for name, address in addresses.items()
        if address is not None and f"/models/community/{name}/" in address and name not in weights
    }
    print(json.dumps(known), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
