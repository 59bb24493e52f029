#!/usr/bin/env bash
# transformers 5 no longer looks at the word that says which framework a safetensors file came from.
#
# Versions:  transformers 4.57.6 and 5.24.0, safetensors 0.8.0, torch 2.13.0.
# Behaviour: PaddleNLP marks its files with the metadata `format: np` (or `pd`), whose Linear weights are
#            [in, out], the transpose of torch's. 4.57.6 refuses both words, 5.24.0 loads the file as if it said
#            `pt`. A file without metadata, as `paddle.save(..., safetensors=True)` writes it, is taken by both.
# Expected:  a refusal, or at least a warning, for a word that is not torch's, in every release.
# Why care:  where names agree, a square matrix has the right shape and the wrong values.
# Seen 2026-11-28:
#     4.57.6: {None: 'loads', 'pt': 'loads', 'np': 'ValueError', 'pd': 'ValueError'}
#     5.24.0: {None: 'loads', 'pt': 'loads', 'np': 'loads', 'pd': 'loads'}
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import sys
import tempfile

import transformers
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

version = transformers.__version__
model = BertModel(
    BertConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
)
seen = {}
for word in (None, "pt", "np", "pd"):
    with tempfile.TemporaryDirectory() as folder:
        model.config.save_pretrained(folder)
        metadata = None if word is None else {"format": word}
        save_file(model.state_dict(), os.path.join(folder, "model.safetensors"), metadata=metadata)
        try:
            BertModel.from_pretrained(folder)
            seen[word] = "loads"
        except ValueError as error:
            seen[word] = type(error).__name__
print(f"{version}: {seen}")
foreign = "ValueError" if version.startswith("4.") else "loads"
if seen != {None: "loads", "pt": "loads", "np": foreign, "pd": foreign}:
    sys.exit(f"changed: transformers {version} answers {seen}")
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
