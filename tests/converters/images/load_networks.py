"""Lets transformers load converted networks and run each on a picture.

Runs as a child process that reads {"networks": [[folder, auto class, shape of a picture, with a processor], ...]} and
prints one JSON line with what was loaded.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import transformers


def load(folder: str, auto_class: str, shape: list[int], with_processor: bool) -> dict[str, Any]:
    loaded, facts = getattr(transformers, auto_class).from_pretrained(folder, output_loading_info=True)
    model = loaded.eval()
    picture = torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float32)
    with torch.no_grad():
        outputs = model(picture.to(model.dtype))
    found = {
        "class": type(model).__name__,
        "dtype": str(model.dtype),
        "problems": {name: sorted(map(str, keys)) for name, keys in facts.items() if keys},
        "shape": list(outputs[0].shape),
        "finite": bool(torch.isfinite(outputs[0].float()).all()),
    }
    if with_processor:
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        found |= {"processor": type(processor).__name__, "fields": processor.to_dict()}
    return found


def main() -> None:
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    request = json.load(sys.stdin)
    print(json.dumps([load(*one) for one in request["networks"]], default=str), flush=True)


if __name__ == "__main__":
    main()
