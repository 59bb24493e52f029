#!/usr/bin/env bash
# ALBERT's tokenizer stopped returning token types, which its model needs for pairs.
#
# Versions:  transformers 4.57.6 with tokenizers 0.22.2, transformers 5.24.0 with tokenizers 0.23.3.
# Behaviour: a folder whose tokenizer_config.json says `AlbertTokenizer` and no `model_input_names` returns
#            input_ids and attention_mask alone in 5.24.0, although its template numbers the second text 1. The model
#            then takes type 0 for both texts. 4.57.6 returns token_type_ids.
# Expected:  the names of inputs of a class that was always used with token types stay.
# Why care:  scores of sentence pairs move without an error. Stating `model_input_names` helps in both releases.
# Seen 2026-11-28:
#     4.57.6: {'default': [0, 0, 0, 1, 1], 'stated': [0, 0, 0, 1, 1]}
#     5.24.0: {'default': None, 'stated': [0, 0, 0, 1, 1]}
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import json
import os
import sys
import tempfile

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer

version = transformers.__version__
special = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
pieces = [*((piece, 0.0) for piece in special), ("\u2581a", -1.0), ("\u2581b", -1.0)]
tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1))
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
)
names = ["input_ids", "token_type_ids", "attention_mask"]
seen = {}
for name, extra in {"default": {}, "stated": {"model_input_names": names}}.items():
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
            json.dump({"tokenizer_class": "AlbertTokenizer", **extra}, file)
        seen[name] = AutoTokenizer.from_pretrained(folder)("a", "b").get("token_type_ids")
print(f"{version}: {seen}")
types = [0, 0, 0, 1, 1]
if seen != {"default": types if version.startswith("4.") else None, "stated": types}:
    sys.exit(f"changed: transformers {version} gives {seen}")
PY

python3 -m venv "$work/venv"
# A home of its own: the libraries keep caches in it.
for release in \
    "transformers==4.57.6 tokenizers==0.22.2 huggingface-hub==0.36.2" \
    "transformers==5.24.0 tokenizers==0.23.3 huggingface-hub==2.4.0"; do
    # shellcheck disable=SC2086  # several packages in one string
    "$work/venv/bin/pip" install --quiet numpy==2.4.6 safetensors==0.8.0 $release
    HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
        tail -n 1 "$work/errors" >&2
        exit 1
    }
done
