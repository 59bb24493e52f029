#!/usr/bin/env bash
# PaddleNLP loads an older RoBERTa classifier with another random head each time.
#
# Versions:  paddlenlp 2.8.1, paddlepaddle 3.3.1.
# Behaviour: up to 2.4 the class had a pooler and a classifier of one layer; now it has a head of two layers under other
#            names. `from_pretrained` of the old form goes through with warnings: the trained classifier is left
#            aside, the new head drawn at random, so that two loads of one file give two different models.
# Expected:  the same class name and a file of its own make: the same model, or an error.
# Why care:  a fine-tuned model turns into noise under an upgrade, and whatever is proven against it is proven against
#            noise.
# Seen 2026-11-28:
#     two loads of one file: logits differ
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys
import tempfile

import paddle
from paddlenlp.transformers import RobertaConfig, RobertaForSequenceClassification
from paddlenlp.utils.log import logger

logger.set_level("ERROR")
sizes = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
model = RobertaForSequenceClassification(RobertaConfig(num_labels=3, **sizes))
ids = paddle.to_tensor([[5, 6, 7]])
with tempfile.TemporaryDirectory() as folder:
    model.save_pretrained(folder)
    # The form of PaddleNLP 2.4: a pooler in the backbone, and a classifier of one layer.
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("classifier")}
    for name, shape in {
        "roberta.pooler.dense.weight": [16, 16],
        "roberta.pooler.dense.bias": [16],
        "classifier.weight": [16, 3],
        "classifier.bias": [3],
    }.items():
        state[name] = paddle.full(shape, 0.1)
    paddle.save(state, f"{folder}/model_state.pdparams")
    logits = []
    for _ in range(2):
        loaded = RobertaForSequenceClassification.from_pretrained(folder)
        loaded.eval()
        logits.append(loaded(ids))
apart = float((logits[0] - logits[1]).abs().max())
print(f"two loads of one file: logits {'differ' if apart > 1e-4 else 'agree'}")
if apart <= 1e-4:
    sys.exit(f"changed: two loads give logits {apart} apart")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 paddlenlp==2.8.1 aistudio-sdk==0.2.6 pyarrow==21.0.0 \
    datasets==5.0.1 huggingface-hub==0.36.2 safetensors==0.8.0 numpy==1.26.4
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
