"""The record that this package leaves in the weights it writes: by it, an output is known from a folder of others."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints.source import find_weights
from ..formats.pdparams_writer import HEAD
from ..formats.safetensors_file import open_safetensors
from .alterations import Alterations

RECORD = "paddle2torch"

LAYOUT = "1"
"""Counts up whenever the same source would be written in other bytes, on purpose."""


def metadata_of(alterations: Alterations) -> dict[str, str]:
    """The metadata of a safetensors file: what transformers asks for, the record, and what was altered."""
    return {"format": "pt", RECORD: LAYOUT, **alterations.metadata()}


def is_recorded(converted: Path) -> bool:
    """Whether any file of weights in a Hugging Face folder bears the record; a folder without it is a foreign one.

    Raises UnreadableFileError.
    """
    for path in find_weights(converted):
        opened = open_safetensors(path)
        opened.source.close()
        if RECORD in opened.metadata:
            return True
    return False


def is_written_pdparams(path: Path) -> bool:
    """Whether a `.pdparams` file begins as this package writes them, which Python's own pickler never does."""
    with path.open("rb") as file:
        return file.read(len(HEAD)) == HEAD
