#!/usr/bin/env bash
# PaddleNLP's GPT calls the tanh approximation "gelu".
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: with `hidden_activation: gelu`, the default, the feed-forward layers compute the approximation by tanh.
#            In PaddleNLP's BERT the same word means the exact function.
# Expected:  one word, one function, within one library.
# Why care:  transformers' "gelu" is the exact one; a copied word gives small differences that look like rounding.
# Seen 2026-11-28:
#     GPT gelu: off the approximation by 0.0e+00, off the exact function by 4.7e-04
#     BERT gelu: off the approximation by 4.7e-04, off the exact function by 0.0e+00
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddle.nn.functional import gelu
from paddlenlp.transformers import BertConfig, BertModel, GPTConfig, GPTModel

sizes = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
paddle.seed(0)


def distances(model, layer):
    """How far the activation between `linear1` and `linear2` is from both functions."""
    model.eval()
    layer.linear1.weight.set_value(paddle.randn(layer.linear1.weight.shape))
    seen = {}
    layer.linear1.register_forward_post_hook(lambda _, inputs, output: seen.update(before=output))
    layer.linear2.register_forward_pre_hook(lambda _, inputs: seen.update(after=inputs[0]))
    model(paddle.to_tensor([list(range(2, 32))]))
    return [
        float((seen["after"] - gelu(seen["before"], approximate=approximate)).abs().max())
        for approximate in (True, False)
    ]


gpt = GPTModel(GPTConfig(hidden_activation="gelu", **sizes))
bert = BertModel(BertConfig(hidden_act="gelu", **sizes))
seen = {"GPT": distances(gpt, gpt.decoder.layers[0]), "BERT": distances(bert, bert.encoder.layers[0])}
for name, (approximate, exact) in seen.items():
    print(f"{name} gelu: off the approximation by {approximate:.1e}, off the exact function by {exact:.1e}")
(near, far), (far_too, near_too) = seen["GPT"], seen["BERT"]
if max(near, near_too) > 1e-6 or min(far, far_too) < 1e-4:
    sys.exit(f"changed: distances from the approximation and the exact function {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
