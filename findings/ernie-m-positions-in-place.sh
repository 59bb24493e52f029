#!/usr/bin/env bash
# transformers' ERNIE-M adds 2 to the position ids of the caller.
#
# Versions:  transformers 4.57.6, torch 2.13.0 (the class is gone in transformers 5).
# Behaviour: ErnieMModel shifts `position_ids` by 2 in place. The tensor that was passed in has other values after
#            the call, and a second call with it gives another result.
# Expected:  a forward pass leaves its arguments alone.
# Why care:  passing the same inputs twice, as each comparison of models does, compares two different inputs.
# Seen 2026-11-28:
#     [0, 1, 2, 3, 4] is [2, 3, 4, 5, 6] after the call; the second call agrees with the first: False
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import torch
from transformers import ErnieMConfig, ErnieMModel

torch.manual_seed(0)
config = ErnieMConfig(
    vocab_size=32,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=32,
)
model = ErnieMModel(config).eval()
ids, positions = torch.tensor([[3, 4, 5, 6, 7]]), torch.arange(5)[None]
before = positions[0].tolist()
first = model(ids, position_ids=positions).last_hidden_state
after = positions[0].tolist()
agrees = torch.allclose(first, model(ids, position_ids=positions).last_hidden_state, atol=1e-3)
print(f"{before} is {after} after the call; the second call agrees with the first: {agrees}")
if after != [2, 3, 4, 5, 6] or agrees:
    sys.exit(f"changed: the position ids are {after} after the call, second call agrees: {agrees}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 safetensors==0.8.0 \
    transformers==4.57.6 tokenizers==0.22.2 huggingface-hub==0.36.2
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
