#!/usr/bin/env bash
# One padded position turns every state of PaddleNLP's DeBERTa into NaN.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: a padded position becomes NaN in the first layer, and from the second layer on every position is, as NaN
#            times a weight of zero is NaN still. Without padding the states are finite.
# Expected:  padding costs time and changes nothing else.
# Why care:  a test with a one-layer model passes; a batch of sentences of two lengths is lost.
# Seen 2026-11-28 (three tokens and two of padding):
#     1 layer: NaN at [False, False, False, True, True], without padding False
#     2 layers: NaN at [True, True, True, True, True], without padding False
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import DebertaV2Config, DebertaV2Model

paddle.seed(0)
seen = {}
for layers in (1, 2):
    config = DebertaV2Config(
        vocab_size=32,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    model = DebertaV2Model(config)
    model.eval()
    ids, mask = paddle.to_tensor([[5, 6, 7, 0, 0]]), paddle.to_tensor([[1, 1, 1, 0, 0]])
    padded, plain = (
        result[0] if isinstance(result, (tuple, list)) else result
        for result in (model(ids, attention_mask=mask), model(ids[:, :3]))
    )
    seen[layers] = (padded.isnan().any(axis=-1)[0].tolist(), bool(plain.isnan().any()))
    print(f"{layers} layer{'s'[: layers - 1]}: NaN at {seen[layers][0]}, without padding {seen[layers][1]}")
if seen != {1: ([False] * 3 + [True] * 2, False), 2: ([True] * 5, False)}:
    sys.exit(f"changed: NaN by number of layers: {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
