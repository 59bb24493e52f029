#!/usr/bin/env bash
# A byte-level BPE mask token written as a plain string no longer takes the space before it.
#
# Versions:  transformers 4.57.6 with tokenizers 0.22.2, transformers 5.24.0 with tokenizers 0.23.3.
# Behaviour: tokenizer_config.json may give `mask_token` as a string. RoBERTa's mask swallows the space on its left;
#            4.57.6 adds that to the plain string, 5.24.0 does not, so " <mask>" becomes two tokens. Written as an
#            object with `__type: AddedToken` and `lstrip: true` it works in both.
# Expected:  the class RobertaTokenizer knows its own mask; a string and the stock object mean the same.
# Why care:  one more token in each prompt with a mask: another input than the model was trained with.
# Seen 2026-11-28:
#     4.57.6: {'string': ['a', ' <mask>'], 'object': ['a', ' <mask>']}
#     5.24.0: {'string': ['a', 'Ġ', '<mask>'], 'object': ['a', ' <mask>']}
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
pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "<mask>"]
forms = {
    "string": "<mask>",
    "object": {
        "__type": "AddedToken",
        "content": "<mask>",
        "lstrip": True,
        "rstrip": False,
        "single_word": False,
        "normalized": False,
        "special": True,
    },
}
seen = {}
for name, form in forms.items():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "vocab.json"), "w") as file:
            json.dump({piece: number for number, piece in enumerate(pieces)}, file)
        with open(os.path.join(folder, "merges.txt"), "w") as file:
            file.write("#version: 0.2\n")
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
            json.dump({"tokenizer_class": "RobertaTokenizer", "mask_token": form}, file)
        seen[name] = AutoTokenizer.from_pretrained(folder).tokenize("a <mask>")
print(f"{version}: {seen}")
plain = ["a", " <mask>"] if version.startswith("4.") else ["a", "\u0120", "<mask>"]
if seen != {"string": plain, "object": ["a", " <mask>"]}:
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
