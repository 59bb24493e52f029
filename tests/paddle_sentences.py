"""What PaddleNLP itself makes of texts.

Runs as a child process that reads {"folder", "texts", "how"} and prints the vectors; `how` is "dual encoder", a class
of PaddleNLP's, "mean" of a model's last states, "pooled output", or "similarity task": that output as the task of that
name takes it of SimBERT, for which PaddleNLP loads the model with another activation of the pooler.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import paddle
from paddlenlp.transformers import (
    BertModel,
    BertTokenizer,
    ErnieDualEncoder,
    ErnieTokenizer,
    MPNetModel,
    MPNetTokenizer,
)


def main() -> None:
    paddle.set_device("cpu")
    request: dict[str, Any] = json.load(sys.stdin)
    folder, vectors = request["folder"], []
    how = request["how"]
    if how == "dual encoder":
        tokenizer = ErnieTokenizer.from_pretrained(folder)
        model = ErnieDualEncoder(query_model_name_or_path=folder, share_parameters=True)
    elif how == "mean":
        tokenizer, model = MPNetTokenizer.from_pretrained(folder), MPNetModel.from_pretrained(folder)
    else:
        options = {"pool_act": "linear"} if how == "similarity task" else {}
        tokenizer, model = BertTokenizer.from_pretrained(folder), BertModel.from_pretrained(folder, **options)
    model.eval()
    with paddle.no_grad():
        for text in request["texts"]:
            ids = paddle.to_tensor([tokenizer(text)["input_ids"]])
            if how == "dual encoder":
                vector = model.get_pooled_embedding(ids)
            else:
                states, pooled = model(ids)
                vector = states.mean(axis=1) if how == "mean" else pooled
            vectors.append(vector[0].numpy().astype("float64").tolist())
    print(json.dumps(vectors), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
