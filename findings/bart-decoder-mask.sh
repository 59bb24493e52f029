#!/usr/bin/env bash
# A padding mask for the decoder takes the causal mask away in PaddleNLP's BART.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: `decoder_attention_mask` replaces the causal mask and is added to the scores as it is. With one
#            sentence and a mask of ones the model reads the future without a word; with two sentences it raises,
#            as the shapes do not fit.
# Expected:  what the same argument does in transformers: both masks together.
# Why care:  a mask that says "nothing is padding" should change nothing.
# Seen 2026-11-28:
#     first state moves with the last decoder token: no mask False, mask of ones True; two sentences: ValueError
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import BartConfig, BartModel

paddle.seed(0)
config = BartConfig(
    vocab_size=32,
    d_model=16,
    encoder_layers=1,
    decoder_layers=1,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    encoder_ffn_dim=32,
    decoder_ffn_dim=32,
    max_position_embeddings=32,
)
model = BartModel(config)
model.eval()
source = paddle.to_tensor([[5, 6, 7, 8, 9]])
targets = [paddle.to_tensor([[5, 6, 7, 8, last]]) for last in (9, 10)]


def sees_future(mask):
    first, second = (
        model(source, decoder_input_ids=target, decoder_attention_mask=mask)[0] for target in targets
    )
    return float((first[0, 0] - second[0, 0]).abs().max()) > 1e-5


seen = [sees_future(None), sees_future(paddle.ones([1, 5], dtype="int64"))]
try:
    two = paddle.concat([source, source])
    model(two, decoder_input_ids=two, decoder_attention_mask=paddle.ones([2, 5], dtype="int64"))
    outcome = "no error"
except ValueError as error:
    outcome = type(error).__name__
print(
    f"first state moves with the last decoder token: no mask {seen[0]}, mask of ones {seen[1]}; "
    f"two sentences: {outcome}"
)
if seen != [False, True] or outcome != "ValueError":
    sys.exit(f"changed: sees the future without and with a mask {seen}, two sentences: {outcome}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
