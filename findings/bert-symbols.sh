#!/usr/bin/env bash
# Two tokenizers named BertTokenizer cut symbols differently with one vocabulary.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1, transformers 4.57.6 with tokenizers 0.22.2.
# Behaviour: PaddleNLP makes each symbol (Unicode categories So, Sc and Sm) a word of its own; transformers, slow and
#            fast, does that with punctuation and ASCII symbols only, so a symbol stays glued to its word.
# Expected:  the same ids from the same vocab.txt, for the same class.
# Why care:  degrees, currencies and marks are everyday text, in Chinese above all; a moved model sees other ids.
# Seen 2026-11-28:
#     5\u2103: PaddleNLP ['5', '\u2103'], transformers slow ['5', '##\u2103'], fast ['5', '##\u2103']
#     5\u20ac: PaddleNLP ['5', '\u20ac'], transformers slow ['5', '##\u20ac'], fast ['5', '##\u20ac']
#     5\xd7: PaddleNLP ['5', '\xd7'], transformers slow ['5', '##\xd7'], fast ['5', '##\xd7']
#     5+: PaddleNLP ['5', '+'], transformers slow ['5', '+'], fast ['5', '+']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import sys

import paddlenlp.transformers
import transformers

folder = os.path.join(os.path.dirname(__file__), "tokenizer")
os.makedirs(folder)
vocabulary = os.path.join(folder, "vocab.txt")
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "5", "+", "##+"]
symbols = ("\u2103", "\u20ac", "\u00d7")
for symbol in symbols:
    words += [symbol, "##" + symbol]
with open(vocabulary, "w", encoding="utf-8") as file:
    file.write("\n".join(words) + "\n")
tokenizers = (
    paddlenlp.transformers.BertTokenizer(vocabulary),
    transformers.BertTokenizer(vocabulary),
    transformers.BertTokenizerFast(vocabulary),
)
texts = ["5" + symbol for symbol in (*symbols, "+")]
seen = {text: [tokenizer.tokenize(text) for tokenizer in tokenizers] for text in texts}
for text, (paddle, slow, fast) in seen.items():
    print(f"{text}: PaddleNLP {paddle}, transformers slow {slow}, fast {fast}".encode("unicode_escape").decode())
expected = {"5" + symbol: [["5", symbol], *[["5", "##" + symbol]] * 2] for symbol in symbols}
if seen != {**expected, "5+": [["5", "+"]] * 3}:
    sys.exit(f"changed: {ascii(seen)}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4 \
    transformers==4.57.6 tokenizers==0.22.2
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
