#!/usr/bin/env bash
# PaddleNLP's ERNIE-M, called without a mask, hides token 0 and attends to the padding.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: ERNIE-M's padding id is 1, but the mask that the model makes when none is given marks the positions of
#            id 0. So id 0 is never attended to, and the padding always is. `pad_token_id` is not looked at.
# Expected:  a mask from the configured padding id, as PaddleNLP's RoBERTa makes it.
# Why care:  this family's tokenizer returns no mask, so the plain call is what everybody runs: the result for a
#            sentence depends on how far it was padded.
# Seen 2026-11-28:
#     token 0 in the text: as with a mask that hides it True, as with a mask that keeps it False
#     padding id 1 at the end: as with a mask that hides it False, as with a mask that keeps it True
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import ErnieMConfig, ErnieMModel

paddle.seed(0)
config = ErnieMConfig(
    vocab_size=32,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=32,
    pad_token_id=1,
)
model = ErnieMModel(config)
model.eval()


def as_with(ids, mask):
    ids, mask = paddle.to_tensor([ids]), paddle.to_tensor([mask])
    difference = (model(ids)[0] - model(ids, attention_mask=mask)[0]).abs()
    return bool(difference[:, 1:4].max() < 1e-6)


zero, padded = [0, 6, 7, 8, 9, 2], [3, 6, 7, 2, 1, 1]
seen = [
    as_with(zero, [0, 1, 1, 1, 1, 1]),
    as_with(zero, [1] * 6),
    as_with(padded, [1, 1, 1, 1, 0, 0]),
    as_with(padded, [1] * 6),
]
print(f"token 0 in the text: as with a mask that hides it {seen[0]}, as with a mask that keeps it {seen[1]}")
print(f"padding id 1 at the end: as with a mask that hides it {seen[2]}, as with a mask that keeps it {seen[3]}")
if seen != [True, False, False, True]:
    sys.exit(f"changed: token 0 hidden, kept, padding hidden, kept: {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
