#!/usr/bin/env bash
# Two causal language models of PaddleNLP read the words that they are to predict.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: RobertaForCausalLM and RoFormerForCausalLM put no causal mask on the attention: a change of the last
#            token moves the logits at the first. GPTLMHeadModel, for comparison, is causal.
# Expected:  what the name says: logits at a position depend on that position and those before it.
# Why care:  losses look splendid; and the twin in transformers must have `is_decoder` false to compute the same.
# Seen 2026-11-28:
#     first logits move with the last token: RoBERTa True, RoFormer True, GPT False
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle
from paddlenlp.transformers import (
    GPTConfig,
    GPTLMHeadModel,
    RobertaConfig,
    RobertaForCausalLM,
    RoFormerConfig,
    RoFormerForCausalLM,
)

sizes = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}


def sees_future(model):
    model.eval()
    results = [model(paddle.to_tensor([[5, 6, 7, 8, last]])) for last in (9, 10)]
    first, second = (result[0] if isinstance(result, tuple) else result for result in results)
    return bool((first[0, 0] != second[0, 0]).any())


paddle.seed(0)
seen = [
    sees_future(RobertaForCausalLM(RobertaConfig(**sizes))),
    sees_future(RoFormerForCausalLM(RoFormerConfig(embedding_size=16, **sizes))),
    sees_future(GPTLMHeadModel(GPTConfig(**sizes))),
]
print(f"first logits move with the last token: RoBERTa {seen[0]}, RoFormer {seen[1]}, GPT {seen[2]}")
if seen != [True, True, False]:
    sys.exit(f"changed: first logits move with the last token: RoBERTa, RoFormer, GPT {seen}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
