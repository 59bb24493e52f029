#!/usr/bin/env bash
# T5Config turns `tie_word_embeddings=False` into True, and loading a state dict then spoils the embeddings.
#
# Versions:  transformers 4.57.6 and 5.24.0, torch 2.13.0.
# Behaviour: T5 v1.1 has an output matrix of its own. In 5.24.0 the configuration that says so reads True at once,
#            and remembers the request only as `scale_decoder_outputs: false`. The model that is built from it shares
#            lm_head with the embeddings, so `load_state_dict` of a complete v1.1 state dict, which reports that every
#            key matched, leaves the output matrix in the place of the embeddings.
# Expected:  False stays False, as in 4.57.6; the two matrices stay two.
# Why care:  the report of the load is clean and the model computes nonsense. (`from_pretrained` of a file
#            that holds both matrices unties them again.)
# Seen 2026-11-28:
#     4.57.6: tie False, embeddings 0.0, output matrix 1.0
#     5.24.0: tie True, embeddings 1.0, output matrix 1.0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import torch
import transformers
from transformers import T5Config, T5ForConditionalGeneration

version = transformers.__version__
config = T5Config(
    vocab_size=32, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, tie_word_embeddings=False
)
model = T5ForConditionalGeneration(config)
weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
for name in weights:
    if name in ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        weights[name] = torch.zeros(32, 16)
weights["lm_head.weight"] = torch.ones(32, 16)
model.load_state_dict(weights, strict=True)
tie = config.tie_word_embeddings
embedded, output = float(model.shared.weight.mean()), float(model.lm_head.weight.mean())
print(f"{version}: tie {tie}, embeddings {embedded}, output matrix {output}")
if (tie, embedded, output) != ((False, 0.0, 1.0) if version.startswith("4.") else (True, 1.0, 1.0)):
    sys.exit(f"changed: transformers {version} has tie {tie}, embeddings {embedded}, output matrix {output}")
PY

python3 -m venv "$work/venv"
# A home of its own: the libraries keep caches in it.
for release in \
    "transformers==4.57.6 tokenizers==0.22.2 huggingface-hub==0.36.2" \
    "transformers==5.24.0 tokenizers==0.23.3 huggingface-hub==2.4.0"; do
    # shellcheck disable=SC2086  # several packages in one string
    "$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 safetensors==0.8.0 $release
    HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
        tail -n 1 "$work/errors" >&2
        exit 1
    }
done
