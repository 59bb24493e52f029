#!/usr/bin/env bash
# transformers reads a table's structure with 50 built-in tokens, whatever the network's are, and only the first table.
#
# Versions:  transformers 5.24.0, torch 2.13.0, torchvision 0.28.0; unstructured-paddleocr 2.10.0 (PaddleOCR 2.10 as a
#            package), paddlepaddle 3.3.1.
# Behaviour: `SLANeXtImageProcessor.post_process_table_recognition`, which SLANet has too, holds one list of tokens in
#            its code; no field sets it, and the number of the network's classes is not looked at. The answer of a
#            network with PaddleOCR's English dictionary (30 tokens; SLANetConfig's `out_channels` takes any number)
#            comes out as another table. Of a batch, the first table is given and the others are left out.
# Expected:  tokens that are saved beside the model, as those of readers of lines are (`character_list`), or an error;
#            one answer for each picture.
# Why care:  the network is right to the last bit, and the HTML that is made of it is wrong. Read the answers with the
#            dictionary of the training instead, one picture at a time.
# Seen 2026-11-29:
#     30 tokens, PaddleOCR: <tbody><tr><td></td><td colspan="2"></td></tr></tbody>
#     30 tokens, transformers: </tr></thead> colspan="20"> colspan="3" colspan="2"<tbody></tbody><td rowspan="2"
#     answers for 2 tables: PaddleOCR 2, transformers 1
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
from transformers import SLANeXtImageProcessor

root = Path(paddle.__file__).parents[1] / "unstructured_paddleocr"
# The package imports at once what all decoders need: one module is imported singly.
for name in ("ppocr", "ppocr.postprocess"):
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")))]
from ppocr.postprocess.table_postprocess import TableLabelDecode

TABLE = ["<tbody>", "<tr>", "<td></td>", "<td", ' colspan="2"', ">", "</td>", "</tr>", "</tbody>"]

dictionary = root / "ppocr" / "utils" / "dict" / "table_structure_dict.txt"
decoder = TableLabelDecode(str(dictionary), merge_no_span_structure=True)
classes = len(decoder.character)
# Two tables, as a network answers that is certain of each token; the second is the first one without its body.
tables = [[*TABLE, "eos"], [*TABLE[1:-1], "eos", "eos", "eos"]]
places = [[decoder.dict[token] for token in tokens] for tokens in tables]
certain = np.eye(classes, dtype=np.float32)[places]
answers = {"structure_probs": certain, "loc_preds": np.zeros((*certain.shape[:2], 4), np.float32)}
read = ["".join(tokens) for tokens, _ in decoder(answers, [np.ones((2, 6), np.float32)])["structure_batch_list"]]

given = SimpleNamespace(last_hidden_state=torch.from_numpy(certain))
answer = SLANeXtImageProcessor().post_process_table_recognition(given)
if not isinstance(answer, dict) or not isinstance(answer["structure"][0], str):
    sys.exit(f"changed: transformers answers {answer}")
other = "".join(answer["structure"][3:-3])  # it puts <html><body><table> around
print(f"{classes} tokens, PaddleOCR: {read[0]}")
print(f"{classes} tokens, transformers: {other}")
print(f"answers for 2 tables: PaddleOCR {len(read)}, transformers 1")
known = '</tr></thead> colspan="20"> colspan="3" colspan="2"<tbody></tbody><td rowspan="2"'
if (classes, len(read), read[0], other) != (30, 2, "".join(TABLE), known):
    sys.exit(f"changed: {classes} tokens, PaddleOCR {read}, transformers {other}")
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
