#!/usr/bin/env bash
# A float64 network of Paddle computes with constants that have float32's precision, or six digits.
#
# Versions:  paddlepaddle 3.3.1, numpy 2.4.6.
# Behaviour: some numbers that are given to a layer reach the kernel as float32, the epsilon of LayerNorm and
#            BatchNorm among them (1e-5 becomes 9.99999974738e-06); the beta of softplus and the factor of
#            `paddle.scale` stay double. The default slope of hardsigmoid is not 1/6 but 0.1666667, and float32 too.
# Expected:  Python floats stay doubles when the tensors are doubles.
# Why care:  equal weights in float64 differ from torch by 1e-10 to 1e-6: that looks like a fault, and is none.
# Seen 2026-11-28:
#     LayerNorm epsilon in use 9.99999974738e-06, BatchNorm epsilon in use 9.9999997e-06
#     hardsigmoid slope in use 0.1666667014, softplus beta exact True, scale by 0.1 exact True
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import math
import sys

import numpy as np
import paddle
from paddle.nn import functional

paddle.set_default_dtype("float64")
tiny = paddle.to_tensor([[1e-3, -1e-3]])  # mean 0, variance 1e-6
normed = float(paddle.nn.LayerNorm(2, epsilon=1e-5)(tiny)[0, 0])
layer_epsilon = (1e-3 / normed) ** 2 - 1e-6
batch = paddle.nn.BatchNorm1D(2, epsilon=1e-5)  # mean 0, variance 1 at the start
batch.eval()
batch_epsilon = float(batch(paddle.ones([1, 2]))[0, 0]) ** -2 - 1
one = paddle.ones([1])
slope = functional.hardsigmoid(one).item() - 0.5
softplus = functional.softplus(one, beta=0.1).item()
beta_exact = abs(softplus - math.log1p(math.exp(0.1)) / 0.1) < 1e-13
scale_exact = paddle.scale(one, 0.1).item() == 0.1
print(f"LayerNorm epsilon in use {layer_epsilon:.12g}, BatchNorm epsilon in use {batch_epsilon:.8g}")
print(f"hardsigmoid slope in use {slope:.10g}, softplus beta exact {beta_exact}, scale by 0.1 exact {scale_exact}")
single = float(np.float32(1e-5))
near = abs(layer_epsilon - single) < 1e-15 and abs(batch_epsilon - single) < 1e-14
if not (near and abs(slope - float(np.float32(0.1666667))) < 1e-12 and beta_exact and scale_exact):
    sys.exit(
        f"changed: epsilons {layer_epsilon!r} and {batch_epsilon!r}, slope {slope!r}, "
        f"softplus exact {beta_exact}, scale exact {scale_exact}"
    )
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 numpy==2.4.6 safetensors==0.8.0
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
