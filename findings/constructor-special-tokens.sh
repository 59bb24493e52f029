#!/usr/bin/env bash
# How a PaddleNLP tokenizer was made decides whether it finds [MASK] in a text.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: ErnieTokenizer(vocab_file) cuts a "[MASK]" in the text into brackets and letters;
#            ErnieTokenizer.from_pretrained of the folder that this very object saved keeps it whole.
# Expected:  saving and loading gives the same tokenizer.
# Why care:  a cloze prompt has no mask token in one of them, and nothing is raised.
# Seen 2026-11-28:
#     constructor ['a', '[', 'm', '##ask', ']'], from_pretrained ['a', '[MASK]']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import sys

from paddlenlp.transformers import ErnieTokenizer

folder = os.path.join(os.path.dirname(__file__), "tokenizer")
os.makedirs(folder)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "[", "]", "m", "##ask"]
with open(os.path.join(folder, "vocab.txt"), "w") as file:
    file.write("\n".join(words) + "\n")
made = ErnieTokenizer(os.path.join(folder, "vocab.txt"))
made.save_pretrained(folder)
loaded = ErnieTokenizer.from_pretrained(folder)
seen = [tokenizer.tokenize("a [MASK]") for tokenizer in (made, loaded)]
print(f"constructor {seen[0]}, from_pretrained {seen[1]}")
if seen != [["a", "[", "m", "##ask", "]"], ["a", "[MASK]"]]:
    sys.exit(f"changed: constructor {seen[0]}, from_pretrained {seen[1]}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
