"""What `inspect` says of a file or folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...workers.console import Table
from .checkpoint import open_checkpoint
from .lookalikes import lookalike


@dataclass(frozen=True)
class Inspection:
    """The tensors of a checkpoint, as `inspect_checkpoint` describes them, and the notes on how they were read."""

    tensors: list[dict[str, Any]]
    with_hash: bool
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The tensors and notes as plain JSON values."""
        return {"tensors": self.tensors, "notes": list(self.notes)}

    def table(self) -> Table:
        """A row per tensor."""
        headings = ["name", "dtype", "shape", "bytes", *(["sha256"] if self.with_hash else [])]
        rows = [
            [
                tensor["name"],
                tensor["dtype"],
                "x".join(map(str, tensor["shape"])) or "scalar",
                f"{tensor['nbytes']:,}",
                *([tensor["sha256"]] if self.with_hash else []),
            ]
            for tensor in self.tensors
        ]
        return Table(headings, rows, right=(3,))

    def lines(self) -> list[str]:
        """What to say under the table."""
        return [
            f"{len(self.tensors)} tensors, {sum(tensor['nbytes'] for tensor in self.tensors):,} bytes",
            *self.notes,
        ]


def inspect_checkpoint(path: str | Path, with_hash: bool = False) -> Inspection:
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
        # Of what is no model, it is said what it is.
        odd = lookalike(list(checkpoint.tensors))
        return Inspection(tensors, with_hash, (*checkpoint.notes, *([odd] if odd is not None else [])))
