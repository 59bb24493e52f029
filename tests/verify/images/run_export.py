"""Runs a trained export as its users do: the program beside the weights, in Paddle, with the preparation and the reading
of PP-OCR written out. A child: it reads one JSON document and prints one.

Nothing of the package takes part, and nothing of PaddleOCR's library: what comes out is what the export itself answers.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

# The program is one of Paddle 2's.
os.environ["FLAGS_enable_pir_api"] = "0"


def prepared_line(picture: Any, width: int) -> Any:
    """A line as PP-OCR prepares it: blue, green and red, 48 high, filled up with zeros on the right."""
    import cv2

    height, across = picture.shape[:2]
    width = max(width, round(48 * across / height))
    scaled = cv2.resize(picture[:, :, ::-1], (min(width, int(np.ceil(48 * across / height))), 48))
    values = np.zeros((3, 48, width), np.float32)
    values[:, :, : scaled.shape[1]] = scaled.transpose(2, 0, 1).astype(np.float32) / 255 * 2 - 1
    return values[None]


def read(probabilities: Any, characters: list[str]) -> str:
    """The best path without what is repeated and without blanks."""
    numbers = probabilities.argmax(-1)
    kept = [number for number, before in zip(numbers, [0, *numbers], strict=False) if number and number != before]
    return "".join(characters[number] for number in kept)


def main() -> None:
    request = json.load(sys.stdin)
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, names, outputs = paddle.static.load_inference_model(request["export"], executor)
    answers: dict[str, Any] = {}
    pictures = np.load(request["pictures"])
    characters = request.get("characters")
    for name in pictures.files:
        values = prepared_line(pictures[name], 320) if characters else pictures[name]
        (found,) = executor.run(program, feed={names[0]: values}, fetch_list=outputs)
        answers[name] = read(found[0], characters) if characters else found
    if characters:
        print(json.dumps(answers))
    else:
        np.savez(request["outputs"], **answers)
        print(json.dumps(sorted(answers)))


if __name__ == "__main__":
    main()
