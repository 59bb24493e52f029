#!/usr/bin/env bash
# Three image processors of transformers give networks of PaddleOCR and PaddleClas the colours in the wrong order.
#
# Versions:  transformers 5.24.0, torch 2.13.0, torchvision 0.28.0; unstructured-paddleocr 2.10.0 (PaddleOCR 2.10 as a
#            package), paddleclas 2.6.0, paddlepaddle 3.3.1, opencv-python-headless 4.11.0.86.
# Behaviour: PaddleOCR trains its readers of lines and of tables with blue, green, red (img_mode BGR in its
#            configurations), PaddleClas its classifiers with red, green, blue (to_rgb True). The processors that
#            transformers chooses for PP-OCRv5's lines and for SLANet's tables give red, green, blue; that of PP-LCNet's
#            classifiers gives blue, green, red. The sibling for PP-OCRv6's lines gives blue, green, red; it does not
#            smooth what it shrinks either, as OpenCV does not, and the one for PP-OCRv5 does. No field of theirs tells.
# Expected:  the order and the resizing that the network was trained with, or a field that chooses them.
# Why care:  black text on white is the same in both orders, so that a first test passes; a network that was trained on
#            coloured pictures, and moved to transformers, is given others, and nothing is said.
# Seen 2026-11-29:
#     a red picture is in channel (of 0, 1, 2):
#       lines: PaddleOCR 2, PPOCRV5ServerRecImageProcessor 0, PPOCRV6SmallRecImageProcessor 2
#       tables: PaddleOCR 2, SLANeXtImageProcessor 0
#       classes: PaddleClas 0, PPLCNetImageProcessor 2
#     one column in four white, shrunk to a quarter, brightest number:
#       lines: PaddleOCR -1.00, PPOCRV5ServerRecImageProcessor -0.43, PPOCRV6SmallRecImageProcessor -1.00
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import cv2
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
from transformers import AutoImageProcessor, PPOCRV6SmallRecImageProcessor

# The packages import at once what hundreds of transforms need: their modules are imported singly.
packages = Path(paddle.__file__).parents[1]
for root, names in {
    packages / "unstructured_paddleocr": ("ppocr", "ppocr.data", "ppocr.data.imaug"),
    packages: ("paddleclas", "paddleclas.deploy", "paddleclas.deploy.python"),
}.items():
    for name in names:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")))]
from paddleclas.deploy.python import preprocess as of_classes
from ppocr.data.imaug import operators as of_all
from ppocr.data.imaug import rec_img_aug as of_lines
from ppocr.data.imaug import table_ops as of_tables


def chosen(model_type):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps({"model_type": model_type}))
        Path(folder, "preprocessor_config.json").write_text("{}")
        return AutoImageProcessor.from_pretrained(folder)


def through(steps):
    def prepare(picture):
        held = {"image": cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()}
        for step in (of_all.DecodeImage(img_mode="BGR"), *steps):
            held = step(held)
        return held["image"]

    return prepare


def classes(picture):
    data = cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()
    return of_classes.DecodeImage()(data).transpose(2, 0, 1)


def by(processor):
    return lambda picture: processor(images=picture, return_tensors="np")["pixel_values"][0]


lines = {"PaddleOCR": through([of_lines.RecResizeImg(image_shape=[3, 48, 320])])}
lines |= {type(one).__name__: by(one) for one in (chosen("pp_ocrv5_mobile_rec"), PPOCRV6SmallRecImageProcessor())}
steps = [
    of_tables.ResizeTableImage(max_len=64),
    of_all.NormalizeImage(scale="1./255.", order="hwc"),
    of_tables.PaddingTableImage(size=[64, 64]),
    of_all.ToCHWImage(),
]
table, classifier = chosen("slanet"), chosen("pp_lcnet")
readers = {
    "lines": lines,
    "tables": {"PaddleOCR": through(steps), type(table).__name__: by(table)},
    "classes": {"PaddleClas": classes, type(classifier).__name__: by(classifier)},
}
red = np.zeros((48, 96, 3), np.uint8)
red[:, :, 0] = 255
striped = np.zeros((192, 384, 3), np.uint8)
striped[:, ::4] = 255
places = {
    what: {name: int(prepare(red).max(axis=(1, 2)).argmax()) for name, prepare in ways.items()}
    for what, ways in readers.items()
}
bright = {name: float(prepare(striped)[:, :, :96].max()) for name, prepare in lines.items()}
print("a red picture is in channel (of 0, 1, 2):")
for what, found in places.items():
    print(f"  {what}: {', '.join(f'{name} {place}' for name, place in found.items())}")
print("one column in four white, shrunk to a quarter, brightest number:")
print(f"  lines: {', '.join(f'{name} {number:.2f}' for name, number in bright.items())}")
known = {
    "lines": {"PaddleOCR": 2, "PPOCRV5ServerRecImageProcessor": 0, "PPOCRV6SmallRecImageProcessor": 2},
    "tables": {"PaddleOCR": 2, "SLANeXtImageProcessor": 0},
    "classes": {"PaddleClas": 0, "PPLCNetImageProcessor": 2},
}
smooth = [name for name, number in bright.items() if number > -0.9]
if places != known or smooth != ["PPOCRV5ServerRecImageProcessor"]:
    sys.exit(f"changed: red is in {places}, smoothed by {smooth}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 transformers==5.24.0 tokenizers==0.23.3 \
    huggingface-hub==2.4.0 safetensors==0.8.0 numpy==2.4.6 pillow==13.0.0 paddlepaddle==3.3.1 \
    opencv-python-headless==4.11.0.86 six==1.17.0
"$work/venv/bin/pip" install --quiet --no-deps unstructured-paddleocr==2.10.0 paddleclas==2.6.0
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
