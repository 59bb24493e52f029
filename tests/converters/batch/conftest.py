"""Small checkpoints, and a tree of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .folders import MODEL, put


@pytest.fixture
def one(seeded: Callable[..., Path]) -> Path:
    return seeded(MODEL)


@pytest.fixture
def other(seeded: Callable[..., Path]) -> Path:
    return seeded("BertModel")


@pytest.fixture
def tree(one: Path, other: Path, tmp_path: Path) -> Path:
    """Three sound checkpoints at different depths and one that is none."""
    root = tmp_path / "tree"
    put(one, root / "a" / "final")
    put(other, root / "b")
    put(one, root / "c" / "deep" / "er")
    put(one, root / "bad")
    (root / "bad" / "model_state.pdparams").write_text("<html>not found</html>")
    (root / "notes").mkdir()
    (root / "notes" / "readme.txt").write_text("nothing")
    return root
