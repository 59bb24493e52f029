"""Prints what PaddleNLP's tokenizers and models make of texts: probabilities of labels, or of tokens for a mask.

Runs as a child process that reads {"requests": [[folder, tokenizer class, model class, texts], ...]}, where texts are a
text and its pair, or what stands before and behind a mask, and prints one JSON line: for each request the probabilities
by label, or the ids and probabilities of the likeliest tokens.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import paddle
import paddlenlp.transformers
from paddlenlp.utils.log import logger

LIKELIEST = 5


def probabilities(folder: str, tokenizer_class: str, model_class: str, texts: list[str]) -> Any:
    found = getattr(paddlenlp.transformers, tokenizer_class)
    # AlbertTokenizer asks for the files of both kinds of vocabulary.
    absent = {
        name: None
        for name, file in found.resource_files_names.items()
        if not os.path.isfile(os.path.join(folder, file))
    }
    tokenizer = found.from_pretrained(folder, **absent)
    model = getattr(paddlenlp.transformers, model_class).from_pretrained(folder)
    model.eval()
    if not model_class.endswith("ForMaskedLM"):
        logits = model(**tokenizer(*texts, return_tensors="pd"))
        values = paddle.nn.functional.softmax(logits, axis=-1)[0].tolist()
        return {model.config.id2label[index]: value for index, value in enumerate(values)}
    before, behind = (tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text)) for text in texts)
    ids = tokenizer.build_inputs_with_special_tokens([*before, tokenizer.mask_token_id, *behind])
    logits = model(paddle.to_tensor([ids]))[0, ids.index(tokenizer.mask_token_id)]
    values, tokens = paddle.topk(paddle.nn.functional.softmax(logits, axis=-1), LIKELIEST)
    return [tokens.tolist(), values.tolist()]


def main() -> None:
    logger.set_level("ERROR")
    paddle.set_device("cpu")
    print(json.dumps([probabilities(*request) for request in json.load(sys.stdin)["requests"]]), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
