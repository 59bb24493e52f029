#!/usr/bin/env bash
# Casting a Paddle layer to float64 casts its index buffers too, and the layer can no longer run.
#
# Versions:  paddlepaddle 3.3.1, numpy 2.4.6.
# Behaviour: `layer.to(dtype="float64")` turns every buffer into float64, integers included. A model that keeps its
#            position ids in a buffer (PaddleNLP's ALBERT and others) then fails in the embedding.
#            `paddle.set_default_dtype("float64")` before the layer is built leaves them alone.
# Expected:  only floating tensors change, as with torch's `module.to(torch.float64)`.
# Why care:  the obvious way to double precision is closed for most language models.
# Seen 2026-11-28:
#     to(dtype): buffer float64, forward NotImplementedError; set_default_dtype: buffer int64, forward float64
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import sys

import paddle


class Positions(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.register_buffer("ids", paddle.arange(3))
        self.table = paddle.nn.Embedding(3, 2)

    def forward(self):
        return self.table(self.ids)


def name(dtype):
    return str(dtype).removeprefix("paddle.")


def forward(layer):
    try:
        return name(layer().dtype)
    except NotImplementedError as error:
        return type(error).__name__


cast = Positions()
cast.to(dtype="float64")
paddle.set_default_dtype("float64")
built = Positions()
seen = [name(cast.ids.dtype), forward(cast), name(built.ids.dtype), forward(built)]
print(
    f"to(dtype): buffer {seen[0]}, forward {seen[1]}; set_default_dtype: buffer {seen[2]}, forward {seen[3]}"
)
if seen != ["float64", "NotImplementedError", "int64", "float64"]:
    sys.exit(f"changed: after to(dtype) {seen[:2]}, after set_default_dtype {seen[2:]}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 numpy==2.4.6 safetensors==0.8.0
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
