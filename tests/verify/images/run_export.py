"""Runs a trained export as its users do: the program beside the weights, in Paddle. A child: it reads one JSON
document with `export`, `pictures` and `outputs`, and prints one.

Nothing of the package takes part, and nothing of PaddleOCR's library: what comes out is what the export itself answers.
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np

# The programs are some of Paddle 2's, which has another form of them.
os.environ.update(FLAGS_enable_pir_api="0")


def main() -> None:
    """Give each prepared picture of one file to the program, and write what it answers to another."""
    request = json.load(sys.stdin)
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, (name,), outputs = paddle.static.load_inference_model(request["export"], executor)
    pictures = np.load(request["pictures"])
    answers = {key: executor.run(program, feed={name: pictures[key]}, fetch_list=outputs)[0] for key in pictures.files}
    np.savez(request["outputs"], **answers)
    print(json.dumps(sorted(answers)))


if __name__ == "__main__":
    main()
