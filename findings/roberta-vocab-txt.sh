#!/usr/bin/env bash
# transformers 5 makes a RoBERTa tokenizer that knows no word out of a WordPiece vocabulary.
#
# Versions:  transformers 4.57.6 with tokenizers 0.22.2, transformers 5.24.0 with tokenizers 0.23.3;
#            protobuf 7.36.2.
# Behaviour: the Chinese RoBERTa models of PaddleNLP come with a WordPiece vocab.txt and model_type `roberta`.
#            AutoTokenizer of 5.24.0 finds neither vocab.json nor merges.txt in such a folder, and returns a
#            tokenizer of five special tokens that encodes every text as nothing. 4.57.6 raises a TypeError (an
#            ImportError where protobuf is missing, which it wants only to name another error).
# Expected:  an error about the missing files.
# Why care:  nothing fails until somebody looks at the ids. `tokenizer_class: BertTokenizer` cures the folder.
# Seen 2026-11-28:
#     4.57.6: TypeError
#     5.24.0: RobertaTokenizer of 5 tokens, 'good day' -> []
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import json
import os
import sys
import tempfile

import transformers
from transformers import AutoTokenizer

version = transformers.__version__
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "day"]
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "vocab.txt"), "w") as file:
        file.write("\n".join(words) + "\n")
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({"model_type": "roberta", "vocab_size": len(words)}, file)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = tokenizer("good day", add_special_tokens=False)["input_ids"]
        seen = f"{type(tokenizer).__name__} of {len(tokenizer)} tokens, 'good day' -> {ids}"
    except TypeError as error:
        seen = type(error).__name__
print(f"{version}: {seen}")
expected = "TypeError" if version.startswith("4.") else "RobertaTokenizer of 5 tokens, 'good day' -> []"
if seen != expected:
    sys.exit(f"changed: transformers {version} gives {seen}")
PY

python3 -m venv "$work/venv"
# A home of its own: the libraries keep caches in it.
for release in \
    "transformers==4.57.6 tokenizers==0.22.2 huggingface-hub==0.36.2" \
    "transformers==5.24.0 tokenizers==0.23.3 huggingface-hub==2.4.0"; do
    # shellcheck disable=SC2086  # several packages in one string
    "$work/venv/bin/pip" install --quiet protobuf==7.36.2 numpy==2.4.6 safetensors==0.8.0 $release
    HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
        tail -n 1 "$work/errors" >&2
        exit 1
    }
done
