"""One set of framework runners for all tests of the verifier: importing the frameworks takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.verify.runners.forward import Runners

from ..conftest import TORCH_PYTHONS

SMALL: dict[str, dict[str, Any]] = {
    "albert": {
        "vocab_size": 50,
        "embedding_size": 12,
        "hidden_size": 24,
        "num_hidden_layers": 4,
        "num_hidden_groups": 2,
        "inner_group_num": 2,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
        "hidden_act": "gelu_new",
    },
    "bert": {
        "vocab_size": 50,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
        "type_vocab_size": 2,
    },
}
"""A configuration per family that is small and has every repeated part twice or more."""

Seed = Callable[..., Path]


@pytest.fixture(scope="session")
def runners() -> Iterator[Runners]:
    """Runners that live as long as the test session."""
    with Runners() as started:
        yield started


@pytest.fixture(scope="session", params=TORCH_PYTHONS, ids=lambda path: Path(path).parts[-3])
def each_torch(request: pytest.FixtureRequest, runners: Runners) -> Iterator[Runners]:
    """Runners with each environment of torch's side in turn."""
    with Runners(torch_python=request.param) as started:
        started.paddle32 = runners.paddle32
        yield started


@pytest.fixture
def seed_small(runners: Runners, tmp_path: Path) -> Seed:
    """A function that lets PaddleNLP write a small checkpoint: `seed_small(architecture, seed=0, **fields)`."""

    def seed_one(architecture: str, seed: int = 0, folder: str = "source", **fields: Any) -> Path:
        family = "bert" if architecture.startswith("Bert") else "albert"
        request = {
            "operation": "seed",
            "architecture": architecture,
            "configuration": {**SMALL[family], **fields},
            "folder": str(tmp_path / folder),
            "seed": seed,
        }
        runners.paddle32.request(request)
        return tmp_path / folder

    return seed_one
