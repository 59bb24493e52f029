"""What `inspect` says of a file or folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...workers.console import Table
from .checkpoint import Recognised, open_checkpoint, recognise


@dataclass(frozen=True)
class Inspection:
    """The tensors of a checkpoint as `inspect_checkpoint` describes them."""

    tensors: list[dict[str, Any]]
    with_hash: bool
    recognised: Recognised | None = None

    def to_json(self) -> dict[str, Any]:
        """The tensors, and what they were recognised as, as plain JSON values."""
        document: dict[str, Any] = {"tensors": self.tensors}
        if (found := self.recognised) is not None:
            document["recognised"] = {
                "family": found.family.name,
                "architecture": found.plan.architecture,
                "configuration": found.configuration,
                "renamed": dict(found.plan.renamed),
                "guesses": list(found.guesses),
                "notes": list(found.notes),
            }
        return document

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
        lines = [f"{len(self.tensors)} tensors, {sum(tensor['nbytes'] for tensor in self.tensors):,} bytes"]
        if (found := self.recognised) is not None:
            lines += [
                f"{found.plan.architecture} of {found.family.name}",
                *(f"guessed: {one}" for one in found.guesses),
            ]
            lines += found.notes
        return lines


def recognise_source(
    source: str | Path, family: str | None = None, architecture: str | None = None, config: Path | None = None
) -> Recognised | None:
    """What a source is recognised as with what is given; None, without a look at it, when nothing is. Raises as
    `open_checkpoint` and `recognise`."""
    if family is None and architecture is None and config is None:
        return None
    with open_checkpoint(source, config) as checkpoint:
        return recognise(checkpoint, family, architecture)


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
