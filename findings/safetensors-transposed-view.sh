#!/usr/bin/env bash
# safetensors writes the transpose of a numpy array with its elements in the wrong order.
#
# Versions:  safetensors 0.8.0 (0.7.0 is right), numpy 2.4.6.
# Behaviour: `safetensors.numpy.save_file` states the shape of a transposed view, but writes the elements in
#            the order in which they lie in memory. Nothing is raised. An array that
#            `numpy.asfortranarray` made, which is equal to the original, suffers the same.
# Expected:  what numpy itself, and safetensors one release before, do: the logical order.
# Why care:  a Linear weight is turned between Paddle and torch with `.T`; where the matrix is square no later
#            check of shapes can notice. `numpy.ascontiguousarray(view)` before saving avoids it.
# Seen 2026-11-28:
#     0.7.0: [[0, 1, 2], [3, 4, 5]] transposed comes back as [[0, 3], [1, 4], [2, 5]]
#     0.8.0: [[0, 1, 2], [3, 4, 5]] transposed comes back as [[0, 1], [2, 3], [4, 5]]
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import os
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

file = os.path.join(os.path.dirname(__file__), "weights.safetensors")
matrix = np.arange(6).reshape(2, 3)
save_file({"view": matrix.T, "fortran": np.asfortranarray(matrix)}, file)
back = load_file(file)
print(f"{safetensors.__version__}: {matrix.tolist()} transposed comes back as {back['view'].tolist()}")
right = np.array_equal(back["view"], matrix.T) and np.array_equal(back["fortran"], matrix)
wrong = back["view"].tolist() == [[0, 1], [2, 3], [4, 5]] and not np.array_equal(back["fortran"], matrix)
if not (right if safetensors.__version__ == "0.7.0" else wrong):
    sys.exit(f"changed: safetensors {safetensors.__version__} wrote {back['view'].tolist()}")
PY

python3 -m venv "$work/venv"
for release in 0.7.0 0.8.0; do
    "$work/venv/bin/pip" install --quiet numpy==2.4.6 "safetensors==$release"
    "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
        tail -n 1 "$work/errors" >&2
        exit 1
    }
done
