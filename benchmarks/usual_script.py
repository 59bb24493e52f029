"""What people run today: load with Paddle, rename, transpose, save with safetensors. The benchmark's yardstick.

Run as `python usual_script.py MODEL_STATE OUTPUT`. It uses nothing of this package and knows only the ALBERT backbone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import paddle
import torch
from safetensors.torch import save_file


def main(source: str, output: str) -> None:
    """Convert the ALBERT weights of the file `source` into the new folder `output`."""
    converted = {}
    for name, tensor in paddle.load(source).items():
        if name == "embeddings.position_ids":
            continue
        value = tensor.numpy()
        if value.ndim == 2 and not name.startswith("embeddings."):
            value = np.ascontiguousarray(value.T)
        name = name.replace("embeddings.layer_norm", "embeddings.LayerNorm")
        name = name.replace("attention.layer_norm", "attention.LayerNorm")
        converted[name] = torch.from_numpy(value)
    Path(output).mkdir(parents=True)
    save_file(converted, str(Path(output) / "model.safetensors"), metadata={"format": "pt"})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
