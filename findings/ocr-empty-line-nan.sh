#!/usr/bin/env bash
# transformers scores a line in which nothing is read with NaN, where PaddleOCR scores it with 0.
#
# Versions:  transformers 5.24.0, torch 2.13.0, torchvision 0.28.0; unstructured-paddleocr 2.10.0 (PaddleOCR 2.10 as a
#            package), paddlepaddle 3.3.1.
# Behaviour: `post_process_text_recognition` of PP-OCR's image processors takes the mean of the characters' scores, of
#            which there are none when every place is the blank: the text is empty and its score NaN.
# Expected:  0.0, as PaddleOCR's decoder gives for the same answer of the network.
# Why care:  detectors find such places too. NaN is not below any limit, so that `if score < limit: continue` keeps the
#            line; the mean of a page becomes NaN; and `json.dumps` writes a word that is not JSON.
# Seen 2026-11-29:
#     PaddleOCR: '' 0.0
#     PPOCRV5ServerRecImageProcessor: '' nan, below 0.5 False, in JSON NaN
#     PPOCRV6SmallRecImageProcessor: '' nan, below 0.5 False, in JSON NaN
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import json
import math
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
# The package imports at once what all decoders need: one module is imported singly.
for name in ("ppocr", "ppocr.postprocess"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")))]
from ppocr.postprocess.rec_postprocess import CTCLabelDecode

decoder = CTCLabelDecode()
nothing = np.full((1, 40, len(decoder.character)), 1e-3, np.float32)
nothing[:, :, 0] = 0.96  # the blank
text, score = decoder(nothing)[0]
print(f"PaddleOCR: {text!r} {score}")

seen = [(text, score)]
for kind in (PPOCRV5ServerRecImageProcessor, PPOCRV6SmallRecImageProcessor):
    given = SimpleNamespace(last_hidden_state=torch.from_numpy(nothing))
    read = kind(character_list=decoder.character).post_process_text_recognition(given)[0]
    below = read["score"] < 0.5
    print(f"{kind.__name__}: {read['text']!r} {read['score']}, below 0.5 {below}, in JSON {json.dumps(read['score'])}")
    seen.append((read["text"], "nan" if math.isnan(read["score"]) else read["score"]))
if seen != [("", 0.0), ("", "nan"), ("", "nan")]:
    sys.exit(f"changed: texts and scores {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 transformers==5.24.0 tokenizers==0.23.3 \
    huggingface-hub==2.4.0 safetensors==0.8.0 numpy==2.4.6 pillow==13.0.0 paddlepaddle==3.3.1
"$work/venv/bin/pip" install --quiet --no-deps unstructured-paddleocr==2.10.0
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
