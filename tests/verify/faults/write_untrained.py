"""Writes models as PaddleNLP itself initialises them: norms 1 and 0, biases 0. Reads one JSON document, a list of
[architecture, configuration, folder]. Run in a process of its own."""

from __future__ import annotations

import json
import sys


def main() -> None:
    import paddle
    from paddlenlp import transformers

    paddle.seed(7)
    for architecture, configuration, folder in json.load(sys.stdin):
        made = getattr(transformers, architecture)
        made(made.config_class(**configuration)).save_pretrained(folder)
    print("\nnull")


if __name__ == "__main__":
    main()
