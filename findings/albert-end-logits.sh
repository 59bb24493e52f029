#!/usr/bin/env bash
# PaddleNLP's ALBERT answers questions with the start where the end should be.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: AlbertForQuestionAnswering returns the start logits twice. BertForQuestionAnswering of the same release
#            returns two different results.
# Expected:  (start logits, end logits).
# Why care:  an answer of more than one token cannot be expressed, and no shape tells.
# Seen 2026-11-28:
#     start equals end: ALBERT True, BERT False
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import AlbertConfig, AlbertForQuestionAnswering, BertConfig, BertForQuestionAnswering

sizes = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
paddle.seed(0)
seen = []
for model in (
    AlbertForQuestionAnswering(AlbertConfig(embedding_size=8, **sizes)),
    BertForQuestionAnswering(BertConfig(**sizes)),
):
    model.eval()
    start, end = model(paddle.to_tensor([[5, 6, 7, 8]]))
    seen.append(bool((start == end).all()))
print(f"start equals end: ALBERT {seen[0]}, BERT {seen[1]}")
if seen != [True, False]:
    sys.exit(f"changed: start equals end: ALBERT {seen[0]}, BERT {seen[1]}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
