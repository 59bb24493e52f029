#!/usr/bin/env bash
# An attention mask of ones and zeros does not mask in two families of PaddleNLP.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: MegatronBERT adds a two-dimensional mask of 0 and 1 to the scores, whatever its type: padding gets one
#            point less and is attended to. ELECTRA does the same with a floating mask, while an integer mask works.
#            Without any mask both hide the padding.
# Expected:  1 keeps and 0 hides, as the tokenizers return it; the type of the mask is of no account.
# Why care:  handing over the right mask, which looks like the careful way, is what makes the result wrong.
# Seen 2026-11-28:
#     MegatronBERT: hidden without a mask True, int64 mask False, float32 mask False
#     ELECTRA: hidden without a mask True, int64 mask True, float32 mask False
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import ElectraConfig, ElectraModel, MegatronBertConfig, MegatronBertModel

sizes = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
paddle.seed(0)
models = {
    "MegatronBERT": MegatronBertModel(MegatronBertConfig(**sizes)),
    "ELECTRA": ElectraModel(ElectraConfig(embedding_size=16, **sizes)),
}
seen = {}
for name, model in models.items():
    model.eval()

    def states(ids, mask=None, model=model):
        result = model(paddle.to_tensor([ids]), attention_mask=mask)
        return (result[0] if isinstance(result, tuple) else result)[:, :3]

    text, padded, mask = [5, 6, 7], [5, 6, 7, 0, 0], paddle.to_tensor([[1, 1, 1, 0, 0]])
    masks = (None, mask, mask.astype("float32"))
    seen[name] = [bool((states(padded, each) - states(text)).abs().max() < 1e-5) for each in masks]
    print(
        f"{name}: hidden without a mask {seen[name][0]}, int64 mask {seen[name][1]}, float32 mask {seen[name][2]}"
    )
if seen != {"MegatronBERT": [True, False, False], "ELECTRA": [True, True, False]}:
    sys.exit(f"changed: hidden without a mask, with int64, with float32: {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
