"""Lets transformers write a small model, and PyTorch its weights in the forms of older files.

Runs as a child process: reads `{"folder": ..., "architecture": ..., "configuration": ...}` and writes
FOLDER/safetensors, FOLDER/legacy (the format before PyTorch 1.6), and FOLDER/views, in which every matrix is a part of
a larger one and training left other things beside the tensors. The weights of the last two are in pytorch_model.bin.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers


def inside(tensor: torch.Tensor) -> torch.Tensor:
    """The same values as a view of a larger tensor, where they do not lie in one piece."""
    larger = torch.zeros(*tensor.shape[:-1], tensor.shape[-1] * 2 + 1, dtype=tensor.dtype)
    view = larger[..., 1::2]
    view.copy_(tensor)
    return view


def main() -> None:
    request = json.load(sys.stdin)
    torch.manual_seed(7)
    folder = Path(request["folder"])
    model_class = getattr(transformers, request["architecture"])
    model = model_class(model_class.config_class(**request["configuration"]))
    model.save_pretrained(folder / "safetensors")
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    for form in ("legacy", "views"):
        (folder / form).mkdir()
        shutil.copy(folder / "safetensors" / "config.json", folder / form)
    torch.save(weights, folder / "legacy" / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    beside = {"shapes": {0: torch.Size([2, 3])}, "step": 5}
    torch.save({name: inside(tensor) for name, tensor in weights.items()} | beside, folder / "views/pytorch_model.bin")
    print("{}")


if __name__ == "__main__":
    main()
