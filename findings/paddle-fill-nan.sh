#!/usr/bin/env bash
# One of Paddle's ways to fill a tensor refuses NaN, which the others take.
#
# Versions:  paddlepaddle 3.3.1, numpy 2.4.6.
# Behaviour: `Tensor.fill_(nan)` raises ValueError in float32 and float64. Infinity it takes, and NaN is taken by
#            `paddle.full`, `full_like`, `masked_fill`, `fill_diagonal_`, an assignment to all elements, and the
#            initializer Constant, which fills in place as well.
# Expected:  what torch's `fill_` does: any value that the element type has.
# Why care:  NaN is how one marks what a loader must not leave as it was; code ported from torch fails at that line, and a
#            number in its place can pass for a weight.
# Seen 2026-11-29:
#     Tensor.fill_(nan): ValueError
#     Tensor.fill_(inf): inf
#     full nan, full_like nan, masked_fill nan, fill_diagonal_ nan, assignment nan, Constant nan
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.py" <<'PY'
import math
import sys

import paddle


def filled_in_place(value):
    try:
        return str(paddle.zeros([1]).fill_(value).item())
    except ValueError as error:
        return type(error).__name__


zeros = paddle.zeros([1])
assigned = paddle.zeros([1])
assigned[:] = math.nan
constant = paddle.nn.initializer.Constant(math.nan)
ways = {
    "full": paddle.full([1], math.nan),
    "full_like": paddle.full_like(zeros, math.nan),
    "masked_fill": paddle.masked_fill(zeros, zeros == 0, math.nan),
    "fill_diagonal_": paddle.zeros([1, 1]).fill_diagonal_(math.nan),
    "assignment": assigned,
    "Constant": paddle.nn.Linear(1, 1, weight_attr=constant).weight,
}
refused, taken = filled_in_place(math.nan), filled_in_place(math.inf)
others = ", ".join(f"{name} {tensor.item()}" for name, tensor in ways.items())
print(f"Tensor.fill_(nan): {refused}")
print(f"Tensor.fill_(inf): {taken}")
print(others)
if (refused, taken) != ("ValueError", "inf") or others != ", ".join(f"{name} nan" for name in ways):
    sys.exit(f"changed: {refused}, {taken}, {others}")
PY

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet paddlepaddle==3.3.1 numpy==2.4.6
# A home of its own: the libraries keep caches in it.
HOME="$work" "$work/venv/bin/python" "$work/probe.py" 2>"$work/errors" || {
    tail -n 1 "$work/errors" >&2
    exit 1
}
