#!/usr/bin/env bash
# transformers 5 puts RoBERTa's two separators between two texts for DeBERTa, and calls both texts the first one.
#
# Versions:  transformers 4.57.6 with tokenizers 0.22.2, transformers 5.24.0 with tokenizers 0.23.3.
# Behaviour: DebertaTokenizer of 4.57.6 makes `[CLS] A [SEP] B [SEP]` of a pair, the second text and its end with the
#            token type 1. Made of the same vocabulary, that of 5.24.0 makes `[CLS] A [SEP] [SEP] B [SEP]`, all of it with
#            the token type 0.
# Expected:  the layout that the model was trained with, as before.
# Why care:  every pair (a question and a text, two sentences to compare) is one token longer and reads differently, and
#            what was trained on pairs answers otherwise, without a word, after an upgrade.
# Seen 2026-11-28:
#     4.57.6: ['[CLS] a [SEP] b [SEP]', [0, 0, 0, 1, 1]]
#     5.24.0: ['[CLS] a [SEP] [SEP] b [SEP]', [0, 0, 0, 0, 0, 0]]
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import json
import os
import sys
import tempfile

import transformers
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

version = transformers.__version__
pieces = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *sorted(pre_tokenizers.ByteLevel.alphabet()), "[MASK]"]
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "vocab.json"), "w") as file:
        json.dump({piece: number for number, piece in enumerate(pieces)}, file)
    with open(os.path.join(folder, "merges.txt"), "w") as file:
        file.write("#version: 0.2\n")
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "DebertaTokenizer"}, file)
    tokenizer = AutoTokenizer.from_pretrained(folder)
pair = tokenizer("a", "b", return_token_type_ids=True)
seen = [" ".join(tokenizer.convert_ids_to_tokens(pair["input_ids"])), pair["token_type_ids"]]
print(f"{version}: {seen}")
known = {
    "4": ["[CLS] a [SEP] b [SEP]", [0, 0, 0, 1, 1]],
    "5": ["[CLS] a [SEP] [SEP] b [SEP]", [0, 0, 0, 0, 0, 0]],
}
if seen != known[version[0]]:
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
