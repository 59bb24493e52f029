"""Runs the Python of a model card and downloads the repository again, as a user of the hub would.

Runs as a child process that reads {"repo_id", "code", "folder"} and prints what it found: the tensors of the state
dict by their bytes, and the folder of the downloaded files.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any


def main() -> None:
    request = json.load(sys.stdin)
    from huggingface_hub import snapshot_download
    from transformers import AutoModel

    folder = snapshot_download(request["repo_id"], local_dir=request["folder"])
    found: dict[str, Any] = {"folder": folder, "loaded": {}}
    space: dict[str, Any] = {}
    exec(compile(request["code"], "model card", "exec"), space)
    for how, model in (("card", space["model"]), ("folder", AutoModel.from_pretrained(folder))):
        found["loaded"][how] = {
            name: [
                str(tensor.dtype),
                list(tensor.shape),
                hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest(),
            ]
            for name, tensor in model.state_dict().items()
        }
    if "tokenizer" in space:
        found["ids"] = space["tokenizer"]("今天[MASK]情很好")["input_ids"]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
