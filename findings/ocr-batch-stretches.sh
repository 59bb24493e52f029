#!/usr/bin/env bash
# transformers stretches or squeezes every line of a batch to the shape of the one with the most pixels across.
#
# Versions:  transformers 5.24.0, torch 2.13.0, torchvision 0.28.0; unstructured-paddleocr 2.10.0 (PaddleOCR 2.10 as a
#            package), paddlepaddle 3.3.1, opencv-python-headless 4.11.0.86.
# Behaviour: the image processors for PP-OCR's readers of lines (PPOCRV5ServerRecImageProcessor and its sibling for
#            PP-OCRv6) work out one size for a batch, from the picture that is widest in pixels, and resize all of them
#            to it. A short line beside a long one is drawn out; a long line beside a large, squarer picture is pressed
#            together.
# Expected:  what PaddleOCR's own TextRecognizer does: each line keeps its proportions, and the rest is filled with
#            zeros.
# Why care:  what is read from a line depends on which others are read with it; evaluated one by one, a model is as
#            good as it was. Give lines one at a time, or only lines of one shape together.
# Seen 2026-11-29:
#     PPOCRV5ServerRecImageProcessor
#       a line of 192 x 48 alone: 192 columns wide; beside 960 x 48: 960, PaddleOCR: 192
#       a line of 300 x 30 alone: 480 columns wide; beside 400 x 200: 96, PaddleOCR: 480
#     PPOCRV6SmallRecImageProcessor
#       (the same)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import paddle
import torch

try:
    import torchvision
except RuntimeError:
    # A CPU build of torch lacks two operators that torchvision describes and nothing here calls: to declare them is
    # enough for the import.
    operators = torch.library.Library("torchvision", "DEF")
    operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from transformers import PPOCRV5ServerRecImageProcessor, PPOCRV6SmallRecImageProcessor

root = Path(paddle.__file__).parents[1] / "unstructured_paddleocr"
sys.path.insert(0, str(root))
# Only the preparation of pictures is wanted of the recogniser, not the packages that read its answers.
sys.modules["ppocr.postprocess"] = ModuleType("ppocr.postprocess")
sys.modules["ppocr.postprocess"].build_post_process = None
from tools.infer.predict_rec import TextRecognizer

HEIGHT, LEAST = 48, 320


def white(width, height):
    """A white picture: what is drawn is 1 when prepared, and what is filled up is 0."""
    return np.full((height, width, 3), 255, np.uint8)


def drawn(prepared):
    """How many columns the line fills."""
    return int((prepared[0, HEIGHT // 2] > 0.5).sum())


def original(pictures):
    """The width of the first picture in a batch of PaddleOCR's recogniser, as its __call__ makes one."""
    settings = SimpleNamespace(rec_image_shape=(3, HEIGHT, LEAST), rec_algorithm="SVTR_LCNet", use_onnx=False)
    ratio = max(LEAST / HEIGHT, *(one.shape[1] / one.shape[0] for one in pictures))
    return drawn(TextRecognizer.resize_norm_img(settings, pictures[0], ratio))


seen = {}
for kind in (PPOCRV5ServerRecImageProcessor, PPOCRV6SmallRecImageProcessor):
    print(kind.__name__)
    for line, other in (((192, 48), (960, 48)), ((300, 30), (400, 200))):
        pictures = [white(*line), white(*other)]
        alone = drawn(kind()(images=pictures[:1], return_tensors="np")["pixel_values"][0])
        beside = drawn(kind()(images=pictures, return_tensors="np")["pixel_values"][0])
        wanted = original(pictures)
        print(
            f"  a line of {line[0]} x {line[1]} alone: {alone} columns wide; "
            f"beside {other[0]} x {other[1]}: {beside}, PaddleOCR: {wanted}"
        )
        seen.setdefault(kind.__name__, []).append((alone, beside, wanted))
if set(map(tuple, seen.values())) != {((192, 960, 192), (480, 96, 480))}:
    sys.exit(f"changed: columns alone, in a batch, and in PaddleOCR's: {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 transformers==5.24.0 tokenizers==0.23.3 \
    huggingface-hub==2.4.0 safetensors==0.8.0 numpy==2.4.6 pillow==13.0.0 paddlepaddle==3.3.1 \
    opencv-python-headless==4.11.0.86
"$work/venv/bin/pip" install --quiet --no-deps unstructured-paddleocr==2.10.0
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
