"""Several torch environments in one verification, and what could not be run in one: no report hides either."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.cli import cli
from paddle2torch.errors import ParityError, RunnerAccidentError, RunnerAnswerError
from paddle2torch.verify.reports.gate_result import GateResult, ModelResult
from paddle2torch.verify.reports.html import html_page
from paddle2torch.verify.reports.junit import junit_xml
from paddle2torch.verify.reports.markdown import markdown, workflow_commands
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.reports.text import gate_rows, report_lines
from paddle2torch.verify.runners import client
from paddle2torch.verify.runners.client import RunnerProcess
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.runners.protocol import is_accident

from ..checkpoint_files import change
from ..conftest import TORCH_PYTHON
from .conftest import Seed

CHANGES = """
import os
if os.environ.get("BROKEN") == "attribute":
    TorchRunner.forward = lambda self, request: request.no_such_attribute
if os.environ.get("BROKEN") == "drift":
    usual = TorchRunner.to_array
    TorchRunner.to_array = lambda self, tensor: usual(self, tensor) + (1e-3 if tensor.ndim == 3 else 0)

"""
"""What BROKEN does to the torch runner: a library lacks an attribute, or it computes something else."""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the runners whose torch runner can be broken."""
    folder = tmp_path_factory.mktemp("scripts") / "runners"
    shutil.copytree(client.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    script = folder / "torch_runner.py"
    script.write_text(script.read_text().replace("def main()", f"{CHANGES}\ndef main()"))
    return folder


@pytest.fixture
def broken(scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`broken(*ways)`: runners with one torch side for each way, "" for one that works."""
    monkeypatch.setattr(client, "SCRIPTS", scripts)
    made: list[Runners] = []

    def make(*ways: str) -> Runners:
        made.append(Runners(torch_python=[python_of(tmp_path, way) for way in ways]))
        return made[-1]

    yield make
    for runners in made:
        runners.close()


def python_of(folder: Path, way: str) -> str:
    python = folder / f"python {way}"
    python.write_text(f'#!/bin/sh\nBROKEN={way} exec "{TORCH_PYTHON}" "$@"\n')
    python.chmod(0o755)
    return str(python)


@pytest.fixture
def pair(seed_small: Seed, tmp_path: Path) -> tuple[Path, Path]:
    source = seed_small("BertForSequenceClassification")
    convert_checkpoint(source, tmp_path / "converted")
    return source, tmp_path / "converted"


def forms(report: Report) -> dict[str, str]:
    """Every form of a report that people or CI systems read."""
    result = GateResult((ModelResult("m", report, None, 1.0),))
    return {
        "html": html_page(result),
        "junit": junit_xml(result),
        "markdown": markdown(result),
        "table": "\n".join(" ".join(row) for row in gate_rows(result)),
        "text": "\n".join(report_lines(report)),
        "json": json.dumps(report.to_json()),
    }


def flip(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)


def test_every_environment_is_named_in_every_form_and_the_certificate(
    pair: tuple[Path, Path], both: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    request = RunnerProcess.request

    def counted(self: RunnerProcess, payload: dict[str, Any]) -> dict[str, Any]:
        asked.append((self.kind, payload["operation"]))
        return request(self, payload)

    monkeypatch.setattr(RunnerProcess, "request", counted)
    report = verify_checkpoint(*pair, runners=both, certificate=True).assert_passed()
    for operation, times in {"forward": 2, "embeddings": 1}.items():
        assert asked.count(("paddle", operation)) == times, "PaddleNLP runs once"
        assert asked.count(("torch", operation)) == 2 * times
    names = [side.environment for side in report.sides]
    assert len(set(names)) == 2
    assert all("transformers" in name and "torch" in name for name in names)
    for form, text in forms(report).items():
        assert all(name in text for name in names), form
    certificate = json.loads((pair[1] / "parity.json").read_text())
    assert certificate["passed"] is True
    assert [one["name"] for one in certificate["environments"]] == names
    assert [one["versions"] for one in certificate["environments"]] == [side.versions for side in report.sides]
    assert all(len(one["checks"]) == len(report.checks) and one["passed"] for one in certificate["environments"])
    # Today's fields are those of the first.
    assert certificate["versions"] == report.versions == report.sides[0].versions
    assert report.to_json()["checks"] == [check.to_json() for check in report.sides[0].checks]


@pytest.mark.parametrize("ways", [("", "drift"), ("drift", "")])
def test_no_environment_hides_the_failure_of_another(
    ways: tuple[str, str], pair: tuple[Path, Path], broken: Any
) -> None:
    report = verify_checkpoint(*pair, runners=broken(*ways), certificate=True)
    assert [side.passed for side in report.sides] == [way == "" for way in ways]
    assert not report.passed
    with pytest.raises(ParityError, match=r"with transformers .*float64"):
        report.assert_passed()
    shown = forms(report)
    for form in ("html", "markdown", "table", "text"):
        assert "FAILED" in shown[form], form
    assert shown["text"].splitlines()[-1] == "FAILED (1 of 2 torch environments passed)"
    suites = list(ElementTree.fromstring(shown["junit"]).iter("testsuite"))
    assert [suite.get("failures") == "0" for suite in suites] == [way == "" for way in ways]
    result = GateResult((ModelResult("m", report, None, 1.0),))
    assert result.exit_status == 1
    assert sum(line.startswith("::error") for line in workflow_commands(result)) == 1
    assert json.loads((pair[1] / "parity.json").read_text())["passed"] is False


@pytest.mark.parametrize("ways", [("attribute",), ("", "attribute"), ("attribute", "")])
def test_what_could_not_be_run_is_no_difference(ways: tuple[str, ...], pair: tuple[Path, Path], broken: Any) -> None:
    with pytest.raises(RunnerAccidentError, match=r"could not run it: AttributeError: .*no_such_attribute") as caught:
        verify_checkpoint(*pair, runners=broken(*ways), certificate=True)
    assert "paddle2torch environments" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (pair[1] / "parity.json").exists()


@pytest.mark.parametrize("ways", [("attribute",), ("attribute", "")])
def test_it_hides_no_difference_either(ways: tuple[str, ...], pair: tuple[Path, Path], broken: Any) -> None:
    flip(pair[1] / "model.safetensors")
    report = verify_checkpoint(*pair, runners=broken(*ways), certificate=True)
    first = report.sides[0]
    assert [check.name for check in first.checks if not check.passed] == ["weights"]
    assert [check.name for check in first.checks] == ["weights", "files"]
    assert {"float64", "float32", "layers", "embeddings", "config", "as_loaded"} == set(first.accidents)
    assert set(first.accidents) <= set(first.not_run)
    assert report.failed
    assert not (pair[1] / "parity.json").exists(), "never in a certificate"
    shown = forms(report)
    for form, text in shown.items():
        assert "no_such_attribute" in text or form == "table", form
    errors = [
        case.get("name")
        for case in ElementTree.fromstring(shown["junit"]).iter("testcase")
        if case.find("error") is not None
    ]
    assert set(errors) == set(first.accidents)


def test_an_accident_of_one_side_alone_is_shown_as_not_run(pair: tuple[Path, Path], broken: Any) -> None:
    report = verify_checkpoint(*pair, runners=broken("attribute", "drift"))
    first, second = report.sides
    assert (first.passed, first.failed, second.failed) == (False, False, True)
    rows = gate_rows(GateResult((ModelResult("m", report, None, 1.0),)))
    assert [row[-1] for row in rows] == ["not run", "FAILED"]
    assert "with transformers" in report_lines(report)[1]
    assert ": not run (" in report_lines(report)[1]


def test_the_command_ends_with_status_2(
    pair: tuple[Path, Path], broken: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken()
    arguments = ["verify", *map(str, pair), "--report-dir", str(tmp_path / "reports")]
    # `main` turns every error of the package into one line and this status.
    with pytest.raises(RunnerAccidentError):
        cli.main([*arguments, "--torch-python", python_of(tmp_path, "attribute")], "p", standalone_mode=False)
    summary = (tmp_path / "reports" / "summary.md").read_text("utf-8")
    assert "not run" in summary
    assert "FAILED" not in summary
    junit = ElementTree.parse(tmp_path / "reports" / "junit.xml")
    assert [len(list(junit.iter(kind))) for kind in ("error", "failure")] == [1, 0]


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"nothing"), "deserializing header"),
        (lambda folder: change(folder, hidden_size=16), "mismatched"),
        (lambda folder: change(folder, model_type="no_such_type"), "no_such_type"),
    ],
)
def test_a_folder_that_torch_cannot_load_is_a_finding(
    damage: Any, where: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Asked of the real runner: the answer is about the folder, so that it makes a check fail."""
    damage(pair[1])
    request = {
        "operation": "forward",
        "folder": str(pair[1]),
        "architecture": "BertForSequenceClassification",
        "auto_class": "AutoModelForSequenceClassification",
        "dtype": "float32",
        "inputs": str(tmp_path / "inputs"),
        "outputs": str(tmp_path / "outputs"),
    }
    with RunnerProcess("torch") as runner, pytest.raises(RunnerAnswerError, match=where):
        runner.request(request)


@pytest.mark.parametrize(
    ("error", "accident"),
    [
        (AttributeError("'Tokenizer' object has no attribute 'additional_special_tokens'"), True),
        (ImportError("cannot import name 'x'"), True),
        (ModuleNotFoundError("No module named 'sentencepiece'"), True),
        (NameError("name 'x' is not defined"), True),
        (TypeError("got an unexpected keyword argument 'x'"), True),
        (NotImplementedError(), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError("no file named model.safetensors"), False),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (ValueError("Unrecognized model"), False),
        (KeyError("hidden_size"), False),
        (RuntimeError("size mismatch for weight"), False),
        (Exception("data did not match any variant of untagged enum"), False),
    ],
)
def test_what_says_something_of_a_folder_and_what_does_not(error: Exception, accident: bool) -> None:
    assert is_accident(error) is accident
