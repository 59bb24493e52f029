"""What tests of the verifier share: copies of the package, and small checkpoints to verify."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import paddle2torch
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.seeding import seed_request

from ..conftest import small_of

Seed = Callable[..., Path]

ROOT = Path(paddle2torch.__file__).parent


def copy_package(folder: Path) -> Path:
    """A copy of the package, to be changed; with `folder` as working directory it is the one that `-m` runs."""

    def ignore(inside: str, names: list[str]) -> set[str]:
        if Path(inside) != ROOT:
            return {"__pycache__"}
        return {name for name in names if name.startswith(".") or name in ("tests", "reports", "build")}

    copy: Path = shutil.copytree(ROOT, folder / "paddle2torch", ignore=ignore)
    return copy


@pytest.fixture
def seed_small(runners: Runners, tmp_path: Path) -> Seed:
    """A function that lets PaddleNLP write a small checkpoint: `seed_small(architecture, seed=0, **fields)`."""

    def seed_one(architecture: str, seed: int = 0, folder: str = "source", **fields: Any) -> Path:
        configuration = {**small_of(architecture), **fields}
        runners.paddle32.request(seed_request(architecture, configuration, tmp_path / folder, seed))
        return tmp_path / folder

    return seed_one
