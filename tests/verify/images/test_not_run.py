"""What could not be run is neither passed nor different: the command ends with status 2 and one line that says what to
do, and a check that was not run is no part of what passed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import RunnerAccidentError, UnknownNameError
from paddle2torch.verify.images.job import NETWORK_CHECKS
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.text import report_lines, report_verdict, tally
from paddle2torch.verify.runners.environments import find_interpreters
from paddle2torch.verify.runners.forward import Runners

from ...cli.outcomes import error_line
from ...conftest import OLDER_TORCH_PYTHON, PADDLE_PYTHON, TORCH_PYTHON, Run
from .conftest import Converted, configured_folder

STAND_INS = {
    "cv2": ("cv2.py", "raise ImportError('there is no OpenCV here')"),
    "torchvision": ("torchvision/__init__.py", "raise ImportError('there is no torchvision here')"),
    "operators": ("torchvision/__init__.py", "raise RuntimeError('operator torchvision::nms does not exist')"),
    # A module without a folder, in which nothing can be found.
    "unstructured_paddleocr": ("unstructured_paddleocr.py", ""),
}


@pytest.fixture
def without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`without(module)`: every process that is started from now on lacks a module."""

    def hide(module: str) -> None:
        name, text = STAND_INS[module]
        path = tmp_path / "stand-ins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
        rest = filter(None, [os.environ.get("PYTHONPATH")])
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "stand-ins"), *rest]))

    return hide


def refused(paddle2torch: Run, one: Converted, *options: str | Path) -> str:
    """The line of a verification that could not be run, with which no certificate was written."""
    dictionary = ["--dict", one.dictionary] if one.dictionary is not None else []
    before = sorted(one.folder.iterdir())
    line = error_line(paddle2torch("verify", one.source, one.folder, *dictionary, "--quiet", *options))
    assert sorted(one.folder.iterdir()) == before
    return line


@pytest.mark.parametrize("module", ["cv2", "torchvision"])
def test_without_what_one_check_needs(module: str, without: Any, paddle2torch: Run, line: Converted) -> None:
    """The other checks find no difference, and that is no proof."""
    without(module)
    text = refused(paddle2torch, line)
    assert module in text or "OpenCV" in text
    python, packages = {
        "cv2": (PADDLE_PYTHON, "opencv-python-headless"),
        "torchvision": (find_interpreters().torch[0].python, "torchvision"),
    }[module]
    assert f"{shlex.quote(python)} -m pip install" in text
    assert packages in text


def test_with_a_torchvision_for_another_torch(without: Any, paddle2torch: Run, line: Converted) -> None:
    """That of PyPI beside a PyTorch for the CPU: the same versions once more would change nothing."""
    without("operators")
    text = refused(paddle2torch, line)
    assert "operator torchvision::nms does not exist; it was built for another PyTorch than the one here" in text
    assert "take both from one index" in text
    assert "pip install" not in text


def test_a_difference_is_told_where_another_check_could_not_be_run(
    without: Any, line: Converted, tmp_path: Path
) -> None:
    without("cv2")
    folder = configured_folder(line, tmp_path / "changed", hidden_act="relu")
    with Runners(torch_python=TORCH_PYTHON) as started:
        report = line.verify(started, folder=folder, certificate=True)
        assert report.failed
        assert list(report.accidents) == ["preprocessing"]
        assert report_verdict(report) == "FAILED"
        assert report.no_certificate == "not every check could be run"
        assert any("could not be run" in text or "not run: preprocessing (" in text for text in report_lines(report))
        # The check that needs nothing of it runs.
        line.verify(started, "aligned").assert_passed()
        with pytest.raises(RunnerAccidentError, match="opencv-python-headless"):
            line.verify(started, "aligned", "preprocessing")


def test_without_the_library_of_the_network(without: Any, paddle2torch: Run, detector: Converted) -> None:
    without("unstructured_paddleocr")
    text = refused(paddle2torch, detector, "--check", "aligned")
    assert "no module named 'unstructured_paddleocr'" in text
    assert "-m pip install --no-deps unstructured-paddleocr==2.10.0 paddleclas==2.6.0" in text


@pytest.fixture(scope="module")
def older() -> Iterator[Runners]:
    """Today's transformers, and beside it one that has no such networks."""
    with Runners(torch_python=[TORCH_PYTHON, OLDER_TORCH_PYTHON]) as started:
        yield started


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("recogniser", "AutoModelForTextRecognition"),
        # The class that loads it is there, and knows no such network.
        ("detector", "PPOCRV5MobileDetForObjectDetection"),
        ("line", "PPLCNetForImageClassification"),
    ],
)
def test_a_transformers_without_the_network(
    name: str, missing: str, request: pytest.FixtureRequest, older: Runners
) -> None:
    """What holds in one environment proves nothing of the other."""
    one: Converted = request.getfixturevalue(name)
    with pytest.raises(RunnerAccidentError) as told:
        one.verify(older, "files", "weights")
    assert f"has no {missing})" in str(told.value)
    assert f"{shlex.quote(OLDER_TORCH_PYTHON)} -m pip install torch==" in str(told.value)
    assert "transformers==5." in str(told.value)


def test_a_transformers_without_the_network_on_the_command_line(paddle2torch: Run, detector: Converted) -> None:
    text = refused(paddle2torch, detector, "--torch-python", OLDER_TORCH_PYTHON)
    assert "has no PPOCRV5MobileDetForObjectDetection" in text


@pytest.mark.parametrize("command", ["verify", "seed", "gate"])
def test_a_folder_that_is_no_copy_of_paddleocr(
    command: str, paddle2torch: Run, detector: Converted, tmp_path: Path
) -> None:
    place = tmp_path / "nothing"
    place.mkdir()
    expected = (
        f"Error: {place}: is no copy of PaddleOCR, whose folder ppocr is expected there; name one with --paddleocr"
    )
    if command == "verify":
        assert refused(paddle2torch, detector, "--paddleocr", place).startswith(expected)
    elif command == "seed":
        finished = paddle2torch("seed", "PP-OCRv5_mobile_det", tmp_path / "seeded", "--paddleocr", place)
        assert error_line(finished).startswith(expected)
        assert not (tmp_path / "seeded").exists()
    else:
        finished = paddle2torch("gate", "PP-OCRv5_mobile_det", "--seeded", "--paddleocr", place)
        assert finished.returncode == 2
        assert expected.removeprefix("Error: ") in finished.stdout
        assert finished.stderr.endswith("Error: 1 of 1 did not pass: PP-OCRv5_mobile_det (not run)\n")


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ("anything", "unknown check 'anything'; known are"),
        ("aligned,anything", "unknown check 'anything'; known are"),
        ("float64", "unknown check 'float64' of a network that reads pictures; known are files, weights, aligned"),
        (",", "--check names no check"),
        ("decoding", "pp_ocrv5_mobile_det reads no text, nothing was verified"),
    ],
)
def test_checks_that_are_none_of_a_network(checks: str, told: str, paddle2torch: Run, detector: Converted) -> None:
    assert told in refused(paddle2torch, detector, "--check", checks)


@pytest.mark.parametrize("check", sorted(set(NETWORK_CHECKS) - {"files", "weights"}))
def test_checks_of_networks_are_none_of_a_language_model(check: str, tmp_path: Path) -> None:
    (tmp_path / "model_state.pdparams").touch()
    with pytest.raises(UnknownNameError, match=f"'{check}' is one of networks that read pictures"):
        verify_checkpoint(tmp_path, tmp_path / "converted", checks=[check, "weights"])


def test_a_folder_without_an_image_processor_says_so(recogniser: Converted, runners: Runners, tmp_path: Path) -> None:
    folder = tmp_path / "converted"
    bare = Converted(recogniser.source, folder, convert_checkpoint(recogniser.source, folder, no_tokenizer=True))
    report = bare.verify(runners, "files", "weights", "preprocessing", "decoding").assert_passed()
    weights = report.check("weights")
    assert weights is not None
    # The numbers are the source's own, and lead back to it.
    assert weights.where == "all 884 tensors bit-equal, 234 of the source's come back bit-equal"
    assert report.not_run_reasons == {
        "preprocessing": "the folder was converted without an image processor, as asked for",
        "decoding": "the folder was converted without characters, as asked for",
    }
    # The lines that use it prepare no picture either.
    assert not any("AutoImageProcessor" in text for text in bare.conversion.loading_lines())


@pytest.mark.parametrize(
    ("name", "asked"), [("detector", ("files", "weights")), ("recogniser", ("files", "preprocessing", "decoding"))]
)
def test_checks_that_were_left_out_are_no_full_run(
    name: str, asked: tuple[str, ...], request: pytest.FixtureRequest, runners: Runners
) -> None:
    """Every check of networks belongs to a full run, whatever it is called, and there is no certificate without it."""
    one: Converted = request.getfixturevalue(name)
    report = one.verify(runners, *asked, certificate=True).assert_passed()
    every = len(NETWORK_CHECKS) - (name == "detector")
    assert report_verdict(report) == "passed in part"
    assert tally(report) == f"{len(asked)} of {every} checks passed, {every - len(asked)} not run"
    assert len(report.not_run) == every - len(asked)
    assert report.certificate is None
    assert report.no_certificate == "it is written when no default check is left out"
