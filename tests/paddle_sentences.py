"""What PaddleNLP itself makes of texts: the vectors of its own dual encoder, or the mean of a model's last states.

Runs as a child process that reads {"folder", "texts", "how"} and prints the vectors; `how` is "dual encoder" or "mean".
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import paddle
from paddlenlp.transformers import ErnieDualEncoder, ErnieTokenizer, MPNetModel, MPNetTokenizer


def main() -> None:
    paddle.set_device("cpu")
    request: dict[str, Any] = json.load(sys.stdin)
    folder, vectors = request["folder"], []
    dual = request["how"] == "dual encoder"
    tokenizer = (ErnieTokenizer if dual else MPNetTokenizer).from_pretrained(folder)
    if dual:
        model = ErnieDualEncoder(query_model_name_or_path=folder, share_parameters=True)
    else:
        model = MPNetModel.from_pretrained(folder)
    model.eval()
    with paddle.no_grad():
        for text in request["texts"]:
            ids = paddle.to_tensor([tokenizer(text)["input_ids"]])
            vector = model.get_pooled_embedding(ids) if dual else model(ids)[0].mean(axis=1)
            vectors.append(vector[0].numpy().astype("float64").tolist())
    print(json.dumps(vectors), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
