#!/usr/bin/env bash
# PaddleNLP's NeZha hands out attention scores where attention maps are asked for.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: asked for `output_attentions`, NeZha returns what goes into the softmax, not what comes out of it: the rows
#            do not add up to 1, and values are negative. BERT, asked alike, returns the maps.
# Expected:  the field `attentions` means the same in all models of one library.
# Why care:  pictures of attention, pruning of heads and distillation of maps take the numbers for probabilities; and
#            who compares a moved NeZha with its original sees a difference where there is none.
# Seen 2026-11-28:
#     BERT: rows add up to 1 True, some values are negative False
#     NeZha: rows add up to 1 False, some values are negative True
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import BertConfig, BertModel, NeZhaConfig, NeZhaModel

sizes = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
paddle.seed(0)
models = {
    "BERT": BertModel(BertConfig(**sizes)),
    "NeZha": NeZhaModel(NeZhaConfig(use_relative_position=True, **sizes)),
}
seen = {}
for name, model in models.items():
    model.eval()
    maps = model(paddle.to_tensor([[5, 6, 7, 8]]), output_attentions=True, return_dict=True).attentions[0]
    sums = maps.sum(axis=-1)
    seen[name] = [bool((sums - 1).abs().max() < 1e-5), bool((maps < 0).any())]
    print(f"{name}: rows add up to 1 {seen[name][0]}, some values are negative {seen[name][1]}")
if seen != {"BERT": [True, False], "NeZha": [False, True]}:
    sys.exit(f"changed: rows that add up to 1, negative values: {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
