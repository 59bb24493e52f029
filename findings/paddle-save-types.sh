#!/usr/bin/env bash
# Paddle saves float8 as int8, loads it as int8, and takes every uint16 for bfloat16.
#
# Versions:  paddlepaddle 3.3.1, numpy 2.4.6.
# Behaviour: `paddle.save` stores bfloat16 as uint16 and float8 as int8, both as bit patterns. Loading turns each
#            uint16 into bfloat16, integers too: `paddle.to_tensor` of a uint16 array is a bfloat16 tensor already.
#            Nothing turns int8 into float8: those weights come back as whole numbers.
# Expected:  the type that was saved, or an error.
# Why care:  a float8 checkpoint is lost without an error, and no reader can tell its weights from real int8.
# Seen 2026-11-28:
#     in the file: bfloat16 is uint16, float8 is int8
#     loaded: bfloat16 is bfloat16, float8 is int8 with the values [60, -64] for [1.5, -2.0]
#     a tensor made of uint16 numbers is bfloat16
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import pickle
import sys

import numpy as np
import paddle

path = os.path.join(os.path.dirname(__file__), "state.pdparams")
values = paddle.to_tensor([1.5, -2.0])
paddle.save({"bfloat16": values.astype("bfloat16"), "float8": values.astype("float8_e4m3fn")}, path)
with open(path, "rb") as file:  # written three lines above
    raw = pickle.load(file)
loaded = paddle.load(path)


def name(tensor):
    return str(tensor.dtype).removeprefix("paddle.")


stored = [str(raw[key].dtype) for key in ("bfloat16", "float8")]
back = [name(loaded[key]) for key in ("bfloat16", "float8")]
numbers = loaded["float8"].tolist()
unsigned = name(paddle.to_tensor(np.array([1, 2], dtype=np.uint16)))
print(f"in the file: bfloat16 is {stored[0]}, float8 is {stored[1]}")
print(f"loaded: bfloat16 is {back[0]}, float8 is {back[1]} with the values {numbers} for [1.5, -2.0]")
print(f"a tensor made of uint16 numbers is {unsigned}")
if (stored, back, numbers, unsigned) != (["uint16", "int8"], ["bfloat16", "int8"], [60, -64], "bfloat16"):
    sys.exit(f"changed: stored {stored}, loaded {back}, values {numbers}, uint16 becomes {unsigned}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 numpy==2.4.6 safetensors==0.8.0
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
