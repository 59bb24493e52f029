"""Lets Paddle load exports that it once wrote, and run them.

Runs as a child process that reads {"folder": ..., "exports": {NAME: [path without suffix, shape of a picture or null]}}
and writes FOLDER/NAME.npz, the values of the tensors by their names in training, and FOLDER/NAME.run.npz with a
`picture` and what the network makes of it, `output`.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

# Such programs are those of the older of Paddle's two forms.
os.environ["FLAGS_enable_pir_api"] = "0"

import numpy as np
import paddle


def load(prefix: str, shape: list[int] | None, folder: Path, name: str) -> None:
    scope = paddle.static.Scope()
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(scope):
        program, inputs, outputs = paddle.static.load_inference_model(prefix, executor)
        # A file that is known, so that it may be unpickled.
        names: dict[str, Any] = pickle.loads(Path(f"{prefix}.pdiparams.info").read_bytes())
        values = {
            names[variable.name]["structured_name"]: np.array(scope.find_var(variable.name).get_tensor())
            for variable in program.list_vars()
            if variable.persistable and variable.name in names
        }
        np.savez(folder / f"{name}.npz", **values)
        if shape is not None:
            picture = np.random.default_rng(3).standard_normal(shape).astype("float32")
            (output,) = executor.run(program, feed={inputs[0]: picture}, fetch_list=outputs)
            np.savez(folder / f"{name}.run.npz", picture=picture, output=output)


def main() -> None:
    paddle.enable_static()
    request = json.load(sys.stdin)
    for name, (prefix, shape) in request["exports"].items():
        load(prefix, shape, Path(request["folder"]), name)
    print("{}", flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
