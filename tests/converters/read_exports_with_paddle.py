"""Lets Paddle load exports of its own.

Runs as a child process that reads {"folder": ..., "exports": {NAME: path without suffix, ...}} and writes
FOLDER/NAME.npz, the values of the tensors by their names in training.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

# The programs are some of Paddle 2's.
os.environ.update(FLAGS_enable_pir_api="0")

import numpy as np
import paddle


def values_of(prefix: str) -> dict[str, Any]:
    scope = paddle.static.Scope()
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(scope):
        program, _, _ = paddle.static.load_inference_model(prefix, executor)
        # A file that is known, so that it may be unpickled.
        names: dict[str, Any] = pickle.loads(Path(f"{prefix}.pdiparams.info").read_bytes())
        return {
            names[variable.name]["structured_name"]: np.array(scope.find_var(variable.name).get_tensor())
            for variable in program.list_vars()
            if variable.persistable and variable.name in names
        }


def main() -> None:
    paddle.enable_static()
    request = json.load(sys.stdin)
    for name, prefix in request["exports"].items():
        np.savez(Path(request["folder"], f"{name}.npz"), **values_of(prefix))
    print("{}", flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
