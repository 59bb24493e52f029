"""Checkpoints' folders as tests read and change them: documents, and PaddleNLP's weights."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint

Arrays = dict[str, np.ndarray[Any, Any]]
"""Arrays by the names of tensors."""


def document(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A document of a folder."""
    read: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
    return read


def change(folder: Path, **fields: Any) -> None:
    """Change fields of a configuration."""
    (folder / "config.json").write_text(json.dumps({**document(folder), **fields}), "utf-8")


def state(folder: Path, **fields: Any) -> None:
    """Change fields of a configuration; one that becomes None is not stated any more, and no other that is."""
    state_in(folder / "config.json", **fields)


def state_in(path: Path, **fields: Any) -> None:
    """The same of another document."""
    stated = {**document(path.parent, path.name), **fields}
    path.write_text(json.dumps({field: one for field, one in stated.items() if one is not None}), "utf-8")


def arrays_of(folder: Path) -> Arrays:
    """The tensors of a checkpoint, which may be changed."""
    with open_checkpoint(folder) as opened:
        return {name: np.array(tensor.read()) for name, tensor in opened.tensors.items()}


def rewrite(folder: Path, edit: Callable[[Arrays], object]) -> None:
    """Write PaddleNLP's weights anew with a change."""
    arrays = arrays_of(folder)
    edit(arrays)
    (folder / "model_state.pdparams").write_bytes(pickle.dumps(arrays, protocol=4))


def enlarge(folder: Path, *ends: str, by: float = 30) -> None:
    """Make weights large whose names end so. Attention of seeded weights is small beside what it is added to, so that
    one word would follow on any text."""

    def edit(arrays: Arrays) -> None:
        for name in arrays:
            if name.endswith(ends):
                arrays[name] *= arrays[name].dtype.type(by)

    rewrite(folder, edit)
