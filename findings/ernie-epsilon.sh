#!/usr/bin/env bash
# PaddleNLP's ERNIE has two LayerNorm epsilons, and neither is the one in its configuration.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: ErnieModel computes with 1e-12 whatever `layer_norm_eps` says. The same folder loaded with
#            `low_cpu_mem_usage=True` computes with Paddle's default of 1e-5, as the hook that sets the epsilon is
#            skipped. BertModel of the same release obeys its configuration.
# Expected:  the configured value, however the weights get into memory.
# Why care:  an option that is about memory changes the numbers, and a conversion that trusts config.json is wrong.
# Seen 2026-11-28:
#     configured 0.001: ERNIE uses [1e-12], with low_cpu_mem_usage [1e-05]; BERT uses [0.001]
#     largest difference between the two loads of one ERNIE folder: 2.1e-05
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import sys

import paddle
from paddlenlp.transformers import BertConfig, BertModel, ErnieConfig, ErnieModel

sizes = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "layer_norm_eps": 1e-3,
}


def epsilons(model):
    return sorted({layer._epsilon for layer in model.sublayers() if isinstance(layer, paddle.nn.LayerNorm)})


paddle.seed(0)
folder = os.path.join(os.path.dirname(__file__), "ernie")
ErnieModel(ErnieConfig(**sizes)).save_pretrained(folder)
plain = ErnieModel.from_pretrained(folder)
frugal = ErnieModel.from_pretrained(folder, low_cpu_mem_usage=True)
plain.eval()
frugal.eval()
seen = (epsilons(plain), epsilons(frugal), epsilons(BertModel(BertConfig(**sizes))))
ids = paddle.to_tensor([[5, 6, 7, 8]])
difference = float((plain(ids)[0] - frugal(ids)[0]).abs().max())
print(f"configured 0.001: ERNIE uses {seen[0]}, with low_cpu_mem_usage {seen[1]}; BERT uses {seen[2]}")
print(f"largest difference between the two loads of one ERNIE folder: {difference:.1e}")
if seen != ([1e-12], [1e-5], [1e-3]) or difference < 5e-6:
    sys.exit(f"changed: epsilons {seen}, the two loads differ by {difference:.1e}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
