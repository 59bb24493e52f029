"""What the runners hold while they load, and that the float64 model holds what the float32 model does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.verify.runners.forward import Run, Runners, Session

NAME = "albert-xlarge-v2"
PARAMETERS = 58_724_864

Seed = Callable[..., Path]


@pytest.fixture(scope="module")
def xlarge(runners: Runners, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memory") / "source"
    request = {"operation": "seed", "architecture": "AlbertModel", "name": NAME, "folder": str(folder), "seed": 3}
    runners.paddle32.request(request)
    return folder


@pytest.fixture
def one_token(tmp_path: Path) -> Path:
    arrays = {name: np.ones((1, 1), dtype=np.int64) for name in ("input_ids", "attention_mask")}
    arrays.update({name: np.zeros((1, 1), dtype=np.int64) for name in ("token_type_ids", "position_ids")})
    save_file(arrays, tmp_path / "inputs.safetensors")
    return tmp_path / "inputs.safetensors"


def test_a_float64_model_is_never_in_memory_twice(runners: Runners, xlarge: Path, one_token: Path) -> None:
    """The file as float32 and the model as float64 are 12 bytes per parameter; the largest tensor comes on top."""
    runners.paddle64.request({"operation": "release"})
    before = runners.paddle64.request({"operation": "versions"})["peak_memory_bytes"]
    request = {
        "operation": "forward",
        "folder": str(xlarge),
        "architecture": "AlbertModel",
        "dtype": "float64",
        "inputs": str(one_token),
        "outputs": str(one_token.with_name("outputs.safetensors")),
        "digests": True,
    }
    answer = runners.paddle64.request(request)
    assert 8 * PARAMETERS < answer["peak_memory_bytes"] - before < 15.5 * PARAMETERS
    plain = runners.paddle32.request({**request, "dtype": "float32"})
    # 34 tensors in several parts: each came into its place, and none was left out.
    assert answer["digests"] == plain["digests"]
    assert answer["loading"] == {"missing": [], "unexpected": [], "mismatched": []}


def test_memory_goes_back_when_the_model_is_dropped(runners: Runners, xlarge: Path, one_token: Path) -> None:
    request = {
        "operation": "forward",
        "folder": str(xlarge),
        "architecture": "AlbertModel",
        "dtype": "float64",
        "session": "kept",
        "inputs": str(one_token),
        "outputs": str(one_token.with_name("outputs.safetensors")),
    }
    runners.paddle64.request(request)
    kept = runners.paddle64.request({"operation": "versions"})["peak_memory_bytes"]
    runners.paddle64.request({"operation": "release"})
    left = runners.paddle64.request({"operation": "versions"})["peak_memory_bytes"]
    assert kept - left > 8 * PARAMETERS


def test_seeding_keeps_nothing(runners: Runners, tmp_path: Path) -> None:
    before = runners.paddle32.request({"operation": "versions"})["peak_memory_bytes"]
    request = {"operation": "seed", "architecture": "AlbertModel", "name": "albert-large-v2", "seed": 0}
    runners.paddle32.request({**request, "folder": str(tmp_path / "source")})
    after = runners.paddle32.request({"operation": "versions"})["peak_memory_bytes"]
    assert after - before < 2 * 17_683_968


def test_other_weights_in_float64_are_found(
    runners: Runners, seed_small: Seed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A float64 model that holds other numbers than the float32 model proves nothing about the source."""
    source = seed_small("AlbertModel")
    other = seed_small("AlbertModel", seed=1, folder="other")
    convert_checkpoint(source, tmp_path / "converted")
    assert verify_checkpoint(source, tmp_path / "converted", runners=runners, checks=("weights", "float64")).passed
    ask = Session.paddle

    def swapped(session: Session, dtype: str, operation: str, **fields: Any) -> Run:
        if dtype == "float64":
            session = copy.copy(session)
            session.folder = other
        return ask(session, dtype, operation, **fields)

    monkeypatch.setattr(Session, "paddle", swapped)
    report = verify_checkpoint(source, tmp_path / "converted", runners=runners, checks=("weights", "float64"))
    check = report.check("weights")
    assert check is not None
    assert not check.passed
    assert any("is not the same in Paddle's live models of float32 and float64" in line for line in check.problems)
