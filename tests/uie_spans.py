"""Prints what PaddleNLP's own UIE and UTC make of texts.

Runs as a child process that reads {"uie": folder, "prompt": text, "text": text, "limit": number, "utc": folder,
"inputs": arguments of UTC by name} and prints one JSON line: the spans of token positions with their probabilities, and
the logits.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import paddle
from paddlenlp.transformers import UIE, UTC, ErnieTokenizer
from paddlenlp.utils.log import logger
from paddlenlp.utils.tools import get_bool_ids_greater_than, get_span


def spans(folder: str, prompt: str, text: str, limit: float) -> list[list[Any]]:
    """The spans among the text's tokens, counted in the text, with the product of their probabilities."""
    tokenizer = ErnieTokenizer.from_pretrained(folder)
    model = UIE.from_pretrained(folder)
    model.eval()
    given = tokenizer(prompt, text, return_tensors="pd")
    # The prompt with its special tokens is of the first type; behind the text stands one more special token.
    before = int((given["token_type_ids"] == 0).sum())
    start, end = (one[0].tolist()[before:-1] for one in model(**given))
    starts, ends = (get_bool_ids_greater_than(one, limit=limit, return_prob=True) for one in (start, end))
    found = get_span(starts, ends, with_prob=True)
    return sorted([first[0], last[0], first[1] * last[1]] for first, last in found)


def logits(folder: str, inputs: dict[str, Any]) -> list[list[float]]:
    model = UTC.from_pretrained(folder)
    model.eval()
    return list(model(**{name: paddle.to_tensor(values) for name, values in inputs.items()}).tolist())


def main() -> None:
    logger.set_level("ERROR")
    paddle.set_device("cpu")
    asked = json.load(sys.stdin)
    answer = {
        "spans": spans(asked["uie"], asked["prompt"], asked["text"], asked["limit"]),
        "logits": logits(asked["utc"], asked["inputs"]),
    }
    print(json.dumps(answer), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
