"""The folder that a command runs in, with a checkpoint to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .outcomes import Seeded


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that a command runs in; nothing but what a test puts there may be in it afterwards."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def source(work: Path, seeded: Seeded) -> Path:
    """A copy, to be spoiled, of a small BertModel that PaddleNLP wrote."""
    shutil.copytree(seeded("BertModel"), work / "source")
    return work / "source"
