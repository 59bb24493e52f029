#!/usr/bin/env bash
# PaddleNLP's FNet lets the examples of a batch talk to each other.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: the Fourier transform that replaces attention is taken over all axes, the batch axis included. The
#            result for a sentence depends on which other sentences are in the batch.
# Expected:  a transform over tokens and features; a batch is a convenience and changes nothing.
# Why care:  predictions are not repeatable in service, and only a batch of one can be compared with anything.
# Seen 2026-11-28:
#     one sentence alone and in a batch of two: largest difference 2.2, same sentence twice alone: 0.0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import FNetConfig, FNetModel

paddle.seed(0)
config = FNetConfig(
    vocab_size=32, hidden_size=16, num_hidden_layers=2, intermediate_size=32, max_position_embeddings=32
)
model = FNetModel(config)
model.eval()
sentence, other = [5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 15, 16]
alone, again = (model(paddle.to_tensor([sentence]))[0] for _ in range(2))
together = model(paddle.to_tensor([sentence, other]))[0][:1]
mixed = float((alone - together).abs().max())
noise = float((alone - again).abs().max())
print(f"one sentence alone and in a batch of two: largest difference {mixed:.1f}, same sentence twice alone: {noise}")
if mixed < 0.05 or noise != 0.0:
    sys.exit(f"changed: the batch moves a sentence by {mixed:.1e}, a repetition by {noise:.1e}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
