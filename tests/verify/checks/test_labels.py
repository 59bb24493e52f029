"""Labels give the outputs their meaning: a model whose labels are swapped is another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..conftest import Seed

NAMES = {"0": "negative", "1": "positive", "2": "mixed"}


def write(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **fields}), "utf-8")


@pytest.mark.parametrize("architecture", ["BertForSequenceClassification", "AlbertForTokenClassification"])
@pytest.mark.parametrize(
    "labels",
    [NAMES, {"0": "positive", "1": "negative", "2": "mixed"}, {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}],
)
def test_labels_must_be_the_sources(
    architecture: str, labels: dict[str, str], seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    source = seed_small(architecture, num_labels=3)
    write(source / "config.json", id2label=NAMES, label2id={name: int(key) for key, name in NAMES.items()})
    convert_checkpoint(source, tmp_path / "converted")
    label2id = {name: int(key) for key, name in labels.items()}
    write(tmp_path / "converted" / "config.json", id2label=labels, label2id=label2id)
    report = verify_checkpoint(source, tmp_path / "converted", checks=("weights", "config"), runners=runners)
    check = report.check("config")
    assert check is not None
    assert check.passed is (labels == NAMES)
    if labels != NAMES:
        assert "the labels are {'0': 'negative'" in check.where


def test_labels_that_nobody_named_are_equal(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source = seed_small("BertForSequenceClassification", num_labels=3)
    convert_checkpoint(source, tmp_path / "converted")
    assert verify_checkpoint(source, tmp_path / "converted", checks=("config",), runners=runners).passed
