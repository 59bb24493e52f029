#!/usr/bin/env bash
# transformers 5 builds a tokenizer anew from the vocabulary and drops half of the folder's tokenizer.json.
#
# Versions:  transformers 4.57.6 with tokenizers 0.22.2, transformers 5.24.0 with tokenizers 0.23.3.
# Behaviour: with `tokenizer_class: BertTokenizer` or `ElectraTokenizer`, 5.24.0 takes the vocabulary from
#            tokenizer.json, but replaces its normalizer and pre-tokenizer by the stock ones of BERT. Only the class
#            `PreTrainedTokenizerFast` has the file obeyed. 4.57.6 obeys it under each of the names.
# Expected:  a complete tokenizer.json is what decides, as it does in the tokenizers library itself.
# Why care:  a tokenizer with its own rules (PaddleNLP's BERT splits symbols off, for one) changes its ids
#            from one release to the next, without a word.
# Seen 2026-11-28:
#     4.57.6: {'BertTokenizer': ['A-b'], 'ElectraTokenizer': ['A-b'], 'PreTrainedTokenizerFast': ['A-b']}
#     5.24.0: {'BertTokenizer': ['a', '-', 'b'], 'ElectraTokenizer': ['a', '-', 'b'],
#              'PreTrainedTokenizerFast': ['A-b']}
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import json
import os
import sys
import tempfile

import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

version = transformers.__version__
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "-", "b", "A-b"]
tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.normalizer = normalizers.NFC()
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
special = {f"{word[1:-1].lower()}_token": word for word in words[:5]}
seen = {}
for name in ("BertTokenizer", "ElectraTokenizer", "PreTrainedTokenizerFast"):
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
            json.dump({"tokenizer_class": name, **special}, file)
        seen[name] = AutoTokenizer.from_pretrained(folder).tokenize("A-b")
print(f"{version}: {seen}")
stock = ["A-b"] if version.startswith("4.") else ["a", "-", "b"]
if seen != {"BertTokenizer": stock, "ElectraTokenizer": stock, "PreTrainedTokenizerFast": ["A-b"]}:
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
