"""Prints what PaddleNLP says of tokenizers, or what transformers converts slow ones into; lets transformers save one
again.

Runs as a child process: `{"tables": true}`, `{"convert": {family: folder}}` or `{"save": folder, "to": folder}` in, one
JSON line out.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


def tables(classes: list[str]) -> dict[str, Any]:
    import paddlenlp.transformers

    settings: dict[str, Any] = {}
    lengths: dict[str, Any] = {}
    names: dict[str, list[str]] = {}
    # Those that PaddleNLP does not export, an exported one of the same table picks from.
    for tokenizer in (
        getattr(paddlenlp.transformers, name) for name in classes if hasattr(paddlenlp.transformers, name)
    ):
        settings.update(tokenizer.pretrained_init_configuration)
        lengths.update(tokenizer.max_model_input_sizes)
        names[tokenizer.__name__] = list(tokenizer.pretrained_init_configuration)
    return {"settings": settings, "lengths": lengths, "names": names}


def converted(folder: str, family: str) -> Any:
    """tokenizer.json that transformers makes of a folder's other files."""
    from transformers import AlbertTokenizerFast, BertTokenizerFast

    with tempfile.TemporaryDirectory() as copy:
        for path in Path(folder).iterdir():
            if path.name != "tokenizer.json":
                shutil.copyfile(path, Path(copy) / path.name)
        tokenizer = {"albert": AlbertTokenizerFast, "bert": BertTokenizerFast}[family].from_pretrained(copy)
        return json.loads(tokenizer.backend_tokenizer.to_str())


def saved(folder: str, to: str) -> dict[str, str]:
    """Load a tokenizer and save it again: the class that it was loaded as."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(to)
    return {"class": type(tokenizer).__name__}


def main() -> None:
    request = json.load(sys.stdin)
    if request.get("tables"):
        print(json.dumps(tables(request["tables"])))
    elif "save" in request:
        print(json.dumps(saved(request["save"], request["to"])))
    else:
        found = {family: converted(folder, family) for family, folder in request["convert"].items()}
        print(json.dumps({"converted": found}))


if __name__ == "__main__":
    main()
