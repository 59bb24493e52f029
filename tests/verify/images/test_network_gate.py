"""The gate, `seed`, and trees of trainings, as people call them; and what their reports hold."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from paddle2torch import validate_certificate
from paddle2torch.mappings.registry import NETWORKS
from paddle2torch.verify.images.job import NETWORK_CHECKS

from ...cli.outcomes import error_line
from ...conftest import Run
from .conftest import LINE, TURNED, Converted, Seeded, configured_folder

DETECTOR = "PP-OCRv5_mobile_det"

CHECKS = [name for name in NETWORK_CHECKS if name != "decoding"]
"""Those of networks that read no text."""


@dataclass(frozen=True)
class Gate:
    """What became of a gate, and its reports."""

    finished: subprocess.CompletedProcess[str]
    reports: Path

    def model(self, name: str) -> dict[str, Any]:
        """What the report in JSON says of a name."""
        document = json.loads((self.reports / "gate.json").read_text("utf-8"))
        found: dict[str, Any] = next(model for model in document["models"] if model["name"] == name)
        return found


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """The gate over a network of each of the two libraries, with faults."""
    folder = tmp_path_factory.mktemp("gate")
    command = ["gate", LINE, DETECTOR, "--seeded", "--faults", "--report-dir", "reports", "--keep", "kept"]
    finished = subprocess.run(
        [sys.executable, "-m", "paddle2torch", *command], cwd=folder, capture_output=True, text=True, timeout=300
    )
    return Gate(finished, folder / "reports")


def test_the_gate_passes_over_networks_of_both_libraries(gate: Gate) -> None:
    assert gate.finished.returncode == 0, gate.finished.stdout + gate.finished.stderr
    assert gate.finished.stdout.rstrip().endswith("2 of 2 passed (seeded weights)")
    for name in (LINE, DETECTOR):
        (row,) = [line for line in gate.finished.stdout.splitlines() if line.startswith(f"{name} ")]
        assert row.endswith("passed")
        kept = gate.reports.with_name("kept") / name
        assert validate_certificate(kept / "converted") == []


@pytest.mark.parametrize("name", [LINE, DETECTOR])
def test_the_report_holds_every_check(name: str, gate: Gate) -> None:
    model = gate.model(name)
    assert model["passed"] is True
    report = model["report"]
    assert [check["name"] for check in report["checks"]] == CHECKS
    assert all(check["passed"] for check in report["checks"])
    assert report["direction"] == "PaddleOCR to Hugging Face"
    assert report["architecture"] == name
    assert report["weights"] == "seeded"
    assert report["not_run"] == []
    assert report["inputs_digest"]
    assert {"paddlepaddle", "torch", "transformers"} <= set(report["versions"])
    assert report["command"] == f"paddle2torch gate {name} --seeded --faults"
    assert set(report["files"]["source"]) == {"best_accuracy.pdparams", "config.yml"}
    assert set(report["files"]["output"]) == {"model.safetensors", "config.json", "preprocessor_config.json"}
    network = next(one for one in NETWORKS.values() if name in one.official)
    declared = {one["name"]: one["measured"] for one in report["declared_differences"]}
    measured = [one.name for one in network.constants if one.when is None]
    assert list(declared) == [*measured, "resizing"]
    assert all(cost > 0 for cost in declared.values())
    # Of several names, faults are injected into the first.
    assert bool(report["faults"]) is (name == LINE)
    assert all(fault["caught"] for fault in report["faults"] if fault["injected"])


def cases(text: str) -> list[ElementTree.Element]:
    """The checks in a report for CI."""
    return list(ElementTree.fromstring(text).iter("testcase"))


@pytest.mark.parametrize("file", ["summary.md", "report.html", "junit.xml"])
def test_every_report_names_every_check(file: str, gate: Gate) -> None:
    text = (gate.reports / file).read_text("utf-8")
    for name in (LINE, DETECTOR):
        assert name.replace("_", "\\_" if file == "summary.md" else "_") in text
    assert "decoding" not in text
    if file == "junit.xml":
        for name in (LINE, DETECTOR):
            found = [case.get("name") for case in cases(text) if case.get("classname") == f"paddle2torch.{name}"]
            assert found == CHECKS
        assert not any(case.find("failure") is not None for case in cases(text))
        return
    assert text.count("5 of 5 checks passed") >= 2
    assert "resizing" in text
    if file == "report.html":
        assert all(f">{check}<" in text for check in CHECKS)


def test_a_difference_is_in_every_report(line: Converted, paddle2torch: Run, tmp_path: Path) -> None:
    folder = configured_folder(line, tmp_path / "converted", hidden_act="relu")
    finished = paddle2torch("verify", line.source, folder, "--report-dir", tmp_path / "reports")
    assert finished.returncode == 1
    for check in ("files", "aligned", "as_shipped"):
        assert any(one.split()[:2] == [check, "FAILED:"] for one in finished.stdout.splitlines())
    assert "FAILED (2 of 5 checks passed, 3 FAILED)" in finished.stdout
    # Each says what to look at next, those included that models of PaddleNLP's do not have.
    assert finished.stdout.count("next: ") == 3
    reports = {path.suffix: path.read_text("utf-8") for path in (tmp_path / "reports").iterdir()}
    document = json.loads(reports[".json"])
    assert [check["name"] for check in document["checks"] if not check["passed"]] == ["files", "aligned", "as_shipped"]
    assert "FAILED" in reports[".md"]
    assert "FAILED" in reports[".html"]
    failures = [case.get("name") for case in cases(reports[".xml"]) if case.find("failure") is not None]
    assert failures == ["files", "aligned", "as_shipped"]
    # A failed proof is written too, and is none.
    assert validate_certificate(folder)


def test_published_weights_of_networks_are_not_fetched(paddle2torch: Run) -> None:
    line = error_line(paddle2torch("gate", LINE))
    assert line.startswith(
        f"Error: not run: {LINE} are networks of PaddleOCR's or PaddleClas's, whose published weights"
    )
    assert "--seeded takes seeded weights, and --tree the folders that your trainings left" in line


def test_a_seeded_training_is_verified(paddle2torch: Run, tmp_path: Path) -> None:
    seeded, converted = tmp_path / "seeded", tmp_path / "converted"
    finished = paddle2torch("seed", LINE, seeded, "--seed", "3")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == f"{seeded}: {LINE}, 245,498 seeded parameters (seed 3)\n"
    assert {path.name for path in seeded.iterdir()} == {"best_accuracy.pdparams", "config.yml", "seeded_weights.json"}
    assert paddle2torch("convert", seeded, converted).returncode == 0
    finished = paddle2torch("verify", seeded, converted, "--faults")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.rstrip().endswith("passed (5 of 5 checks passed)")
    assert "faults injected on purpose: " in finished.stdout
    assert validate_certificate(converted) == []
    # It is seeded again to the same bytes, and not over what is there.
    assert "exists already" in error_line(paddle2torch("seed", LINE, seeded))


@pytest.fixture(scope="module")
def trainings(seeded: Seeded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with two folders that trainings left, each with what lies beside the best weights."""
    tree = tmp_path_factory.mktemp("trainings")
    for place, name in (("lines/small", LINE), ("lines/large", TURNED)):
        shutil.copytree(seeded(name).source, tree / place)
        (tree / place / "seeded_weights.json").unlink()
        (tree / place / "best_accuracy.pdopt").write_bytes(b"of the optimizer")
        (tree / place / "train.log").write_text("of the training\n")
    return tree


def test_trees_of_trainings(trainings: Path, paddle2torch: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    finished = paddle2torch("gate", trainings, "--tree", "--keep", kept)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.rstrip().endswith("2 of 2 passed (local weights)")
    for name in ("lines/small", "lines/large"):
        assert validate_certificate(kept / name) == []
        assert {path.name for path in (kept / name).iterdir()} == {
            *("config.json", "model.safetensors", "preprocessor_config.json", "parity.json")
        }
    # One of them is changed, the other is not there.
    path = kept / "lines" / "small" / "config.json"
    path.write_text(path.read_text().replace('"hardswish"', '"relu"'))
    shutil.rmtree(kept / "lines" / "large")
    finished = paddle2torch("verify", trainings, kept, "--tree", "--check", "files,aligned")
    assert finished.returncode == 1
    assert finished.stderr.endswith("Error: 2 of 2 did not pass: lines/large (not run), lines/small (FAILED)\n")
