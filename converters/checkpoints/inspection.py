"""What `inspect` says of a file or folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .checkpoint import open_checkpoint


def inspect_checkpoint(path: str | Path, with_hash: bool = False) -> list[dict[str, Any]]:
    """Name, dtype, shape and bytes of every tensor in the order of the file; with `with_hash` also the sha256 of its
    elements in C order. Raises as `open_checkpoint`."""
    tensors = []
    with open_checkpoint(path) as checkpoint:
        for name, tensor in checkpoint.tensors.items():
            facts = {"name": name, "dtype": tensor.dtype.name, "shape": list(tensor.shape), "nbytes": tensor.nbytes}
            if with_hash:
                digest = hashlib.sha256()
                for chunk in tensor.chunks():
                    digest.update(chunk.view(np.uint8).data)
                facts["sha256"] = digest.hexdigest()
            tensors.append(facts)
        checkpoint.check_unchanged()
    return tensors
