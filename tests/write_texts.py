"""Lets a folder write behind texts, in the few lines that a user of its library writes: PaddleNLP's where that is
installed, transformers' otherwise.

Runs as a child process that reads {"folder": ..., "auto_class": ..., "texts": [...], "count": ...} and prints one JSON
line with what was written behind each text. A text may be a list of ids, where there is no tokenizer: then ids are
written.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any


def with_paddlenlp(folder: str, auto_class: str, text: str | list[int], count: int) -> str:
    """`count` tokens behind a text; the tokenizer's token types are not for the model."""
    import paddle
    from paddlenlp import transformers

    model = getattr(transformers, auto_class).from_pretrained(folder)
    # Otherwise it drops out.
    model.eval()
    asked = {"max_new_tokens": count, "max_length": count}
    if isinstance(text, list):
        return str(model.generate(paddle.to_tensor([text]), **asked)[0][0].tolist())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(text, return_tensors="pd", return_token_type_ids=False)
    return str(tokenizer.decode(model.generate(**inputs, **asked)[0][0].tolist()))


def with_transformers(folder: str, auto_class: str, text: str | list[int], count: int) -> str:
    """`count` tokens behind a text, or behind the one that a decoder begins with."""
    import torch
    import transformers

    model = getattr(transformers, auto_class).from_pretrained(folder)
    if isinstance(text, list):
        return str(model.generate(torch.tensor([text]), max_new_tokens=count)[0, 1:].tolist())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(text, return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=count)[0]
    return str(tokenizer.decode(written[1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1] :]))


def main() -> None:
    request: dict[str, Any] = json.load(sys.stdin)
    write = with_transformers if importlib.util.find_spec("paddlenlp") is None else with_paddlenlp
    folder, auto_class, count = request["folder"], request["auto_class"], request["count"]
    print(json.dumps([write(folder, auto_class, text, count) for text in request["texts"]]), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
