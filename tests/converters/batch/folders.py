"""Folders copied, compared and spoiled."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from paddle2torch import convert_checkpoint

MODEL = "AlbertForMaskedLM"


def put(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


def names(found: Any) -> list[str]:
    return [item.name for item in found.items]


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def plain(source: Path, folder: Path) -> dict[str, bytes]:
    """What the conversion of one checkpoint by itself writes."""
    convert_checkpoint(source, folder)
    return content(folder)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
