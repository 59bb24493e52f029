#!/usr/bin/env bash
# An untied masked-language head needs its bias under two names, one for each line of transformers.
#
# Versions:  transformers 4.57.6 and 5.24.0, torch 2.13.0.
# Behaviour: with `tie_word_embeddings: false`, 4.57.6 shares `cls.predictions.bias` with
#            `cls.predictions.decoder.bias`, so a file needs either. 5.24.0 unties the biases together with the
#            matrices: a file with only `cls.predictions.bias` loads, and the bias that the logits use is zero.
# Expected:  the option is about the embeddings; the bias, which has no twin there, stays one parameter.
# Why care:  the logits are wrong by the whole bias, and only a line of the load report says so. Writing both
#            names is right in both releases.
# Seen 2026-11-28:
#     4.57.6: missing [], largest bias in use 2.0
#     5.24.0: missing ['cls.predictions.decoder.bias'], largest bias in use 0.0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import sys
import tempfile

import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM

version = transformers.__version__
config = BertConfig(
    vocab_size=32,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    tie_word_embeddings=False,
)
weights = {name: tensor.clone() for name, tensor in BertForMaskedLM(config).state_dict().items()}
del weights["cls.predictions.decoder.bias"]
weights["cls.predictions.bias"] = torch.full((32,), 2.0)
with tempfile.TemporaryDirectory() as folder:
    config.save_pretrained(folder)
    save_file(weights, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    model, report = BertForMaskedLM.from_pretrained(folder, output_loading_info=True)
missing = sorted(report["missing_keys"])
largest = float(model.get_output_embeddings().bias.abs().max())
print(f"{version}: missing {missing}, largest bias in use {largest}")
expected = ([], 2.0) if version.startswith("4.") else (["cls.predictions.decoder.bias"], 0.0)
if (missing, largest) != expected:
    sys.exit(f"changed: transformers {version} misses {missing} and uses a bias of {largest}")
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
