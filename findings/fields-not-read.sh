#!/usr/bin/env bash
# Some fields in PaddleNLP's configurations are stored, saved and never read by the model.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: ERNIE-M's `intermediate_size` (the feed-forward is always 4 x hidden wide), T5's
#            `relative_attention_max_distance` (always 128) and GPT's `layer_norm_eps` (always 1e-5) change nothing. The
#            configuration keeps the value and writes it into config.json.
# Expected:  the model that the configuration describes, or an error.
# Why care:  whoever rebuilds the model from config.json, in another framework for instance, gets another model.
# Seen 2026-11-28:
#     ERNIE-M hidden 16, intermediate_size 24: width 64
#     T5 max distance 8 and 128, 60 tokens: largest difference 0.0
#     GPT layer_norm_eps 0.001: uses [1e-05]
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import (
    ErnieMConfig,
    ErnieMModel,
    GPTConfig,
    GPTModel,
    T5Config,
    T5EncoderModel,
)

sizes = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
ernie = ErnieMModel(ErnieMConfig(intermediate_size=24, **sizes))
width = next(value.shape[1] for name, value in ernie.state_dict().items() if name.endswith("linear1.weight"))

states = []
for distance in (8, 128):
    paddle.seed(0)
    config = T5Config(
        vocab_size=32,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        relative_attention_max_distance=distance,
    )
    model = T5EncoderModel(config)
    model.eval()
    states.append(model(paddle.to_tensor([list(range(2, 32)) * 2]))[0])
difference = float((states[0] - states[1]).abs().max())

gpt = GPTModel(GPTConfig(intermediate_size=32, layer_norm_eps=1e-3, **sizes))
epsilons = sorted({layer._epsilon for layer in gpt.sublayers() if isinstance(layer, paddle.nn.LayerNorm)})

print(f"ERNIE-M hidden 16, intermediate_size 24: width {width}")
print(f"T5 max distance 8 and 128, 60 tokens: largest difference {difference}")
print(f"GPT layer_norm_eps 0.001: uses {epsilons}")
if (width, difference, epsilons) != (64, 0.0, [1e-5]):
    sys.exit(f"changed: ERNIE-M width {width}, T5 difference {difference}, GPT epsilons {epsilons}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
