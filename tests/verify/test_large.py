"""What all processes together hold while a model is verified that is too large to be held by several at a time."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path

import pytest

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.verify import admission
from paddle2torch.verify.runners.forward import Runners

from .conftest import Seed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what processes hold is read from /proc")

WORDS, WIDTH = 50_000, 256

CHECKS = ("weights", "float64", "float32", "causal", "unseen", "embeddings", "layers")

BYTES_PER_PARAMETER = 32
"""Paddle's float64 model, the file that holds the table of words three times, and that table in float64 once more,
are 28."""


class Sampled:
    """The memory of processes, files that they map apart, as long as this context lasts: `peak` bytes of all together
    at most."""

    def __init__(self, pids: list[int]) -> None:
        self.pids = pids
        self.peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def held(self) -> int:
        texts = [Path(f"/proc/{pid}/status").read_text("ascii") for pid in self.pids]
        return sum(1024 * int(kib) for text in texts for kib in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+)", text, re.M))

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self.peak = max(self.peak, self.held())

    def __enter__(self) -> Sampled:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()


def test_one_process_at_a_time_holds_a_large_model(
    seed_small: Seed, runners: Runners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vocabulary beside which nothing counts, as that of a model of many languages."""
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "decoder_layers": 1, "max_position_embeddings": 1024}
    source = seed_small("MBartModel", vocab_size=WORDS, **sizes)
    converted = tmp_path / "converted"
    parameters = convert_checkpoint(source, converted).parameters
    assert parameters < 1.2 * WORDS * WIDTH
    monkeypatch.setattr(admission, "TOGETHER_BYTES", 0)
    runners.versions()
    children = [runner.pid for runner in (runners.paddle32, runners.paddle64, runners.torch)]
    for runner in (runners.paddle32, runners.paddle64, runners.torch):
        runner.request({"operation": "release"})
    sampled = Sampled([os.getpid(), *(pid for pid in children if pid is not None)])
    before = sampled.held()
    with sampled:
        report = verify_checkpoint(source, converted, runners=runners, checks=CHECKS)
    assert report.passed
    assert 8 * parameters < sampled.peak - before < BYTES_PER_PARAMETER * parameters
