"""The code that a user names with --paddleocr is the one that is compared with: changed in one place, it is another
network, and no verification passes, whatever else is installed or was run before."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from paddle2torch.errors import ConfigurationError, RunnerAccidentError
from paddle2torch.mappings.registry import NETWORKS
from paddle2torch.verify.images.pair import builder_at
from paddle2torch.verify.runners.forward import Runners

from ...conftest import PADDLE_PYTHON, TORCH_PYTHON
from .conftest import Converted, red

SLOPE = {"modeling/backbones/det_mobilenet_v3.py": ("slope=0.2,", "slope=0.1999,")}

WHERE = """
from importlib.util import find_spec
print(next(iter(find_spec("unstructured_paddleocr").submodule_search_locations)))
"""


@pytest.fixture(scope="module")
def installed() -> Path:
    """The installed copy of PaddleOCR."""
    command = [PADDLE_PYTHON, "-c", WHERE]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return Path(found.stdout.strip())


def copy(installed: Path, place: Path, changes: Mapping[str, tuple[str, str]]) -> Path:
    """A copy of PaddleOCR's code with some of its text replaced."""
    shutil.copytree(installed / "ppocr", place / "ppocr", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in changes.items():
        path = place / "ppocr" / name
        text = path.read_text("utf-8")
        assert old in text, name
        path.write_text(text.replace(old, new), "utf-8")
    return place


CHANGES: dict[str, tuple[str, Mapping[str, tuple[str, str]], set[str]]] = {
    "pooling, preparation and reading": (
        "recogniser",
        {
            "modeling/backbones/rec_lcnetv3.py": ("F.avg_pool2d(x, [3, 2])", "F.max_pool2d(x, [3, 2])"),
            "data/imaug/rec_img_aug.py": ("resized_image /= 0.5", "resized_image /= 0.51"),
            "postprocess/rec_postprocess.py": ('["blank"] + dict_character', 'dict_character + ["blank"]'),
        },
        {"aligned", "preprocessing", "decoding"},
    ),
    "the epsilon of the blocks' norms": (
        "recogniser",
        {"modeling/necks/rnn.py": ("epsilon=1e-05", "epsilon=1e-06")},
        {"aligned"},
    ),
    "a layer more": (
        "recogniser",
        {
            "modeling/necks/rnn.py": (
                "self.norm = nn.LayerNorm(",
                "self.more = nn.Linear(2, 2); self.norm = nn.LayerNorm(",
            )
        },
        {"weights", "aligned"},
    ),
}
"""What is changed in whose code, and the checks that have to see it; the others hold."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_does_not_pass(
    change: str, request: pytest.FixtureRequest, installed: Path, runners: Runners, tmp_path: Path
) -> None:
    name, changes, seen_by = CHANGES[change]
    one: Converted = request.getfixturevalue(name)
    place = copy(installed, tmp_path, changes)
    checks = {"weights", "aligned", "preprocessing", *(["decoding"] if name == "recogniser" else [])}
    assert red(one.verify(runners, *checks, paddleocr=place)) == seen_by


@pytest.mark.parametrize("text", ["import no_such_module", "class:"])
def test_a_copy_that_does_not_build_does_not_pass(
    text: str, detector: Converted, installed: Path, runners: Runners, tmp_path: Path
) -> None:
    place = copy(installed, tmp_path, {})
    (place / "ppocr" / "modeling" / "necks" / "db_fpn.py").write_text(text + "\n")
    try:
        report = detector.verify(runners, "files", "aligned", paddleocr=place)
    except RunnerAccidentError:
        # What says nothing of the network, such as a module that is missing.
        assert text.startswith("import")
    else:
        assert red(report) == {"aligned"}


def test_the_copy_that_is_named_comes_before_others(
    detector: Converted, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lie on Python's path, the unchanged one first, as PYTHONPATH may have it."""
    changed = copy(installed, tmp_path / "changed", SLOPE)
    unchanged = copy(installed, tmp_path / "unchanged", {})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (unchanged, changed))))
    with Runners(torch_python=TORCH_PYTHON) as started:
        assert red(detector.verify(started, "aligned", paddleocr=changed)) == {"aligned"}


def test_copies_and_libraries_in_turn(
    detector: Converted, line: Converted, installed: Path, runners: Runners, tmp_path: Path
) -> None:
    """Of what was run before, nothing is left: neither a changed copy nor the other library."""
    changed = copy(installed, tmp_path / "changed", SLOPE)
    unchanged = copy(installed, tmp_path / "unchanged", {})
    assert red(detector.verify(runners, "aligned", paddleocr=changed)) == {"aligned"}
    line.verify(runners, "aligned").assert_passed()
    report = detector.verify(runners, "weights", "aligned", "preprocessing", paddleocr=unchanged).assert_passed()
    assert f"Paddle's side was built by PaddleOCR: the copy at {unchanged}" in report.notes


def test_what_a_copy_is_taken_for(line: Converted, runners: Runners, installed: Path, tmp_path: Path) -> None:
    """A copy of PaddleOCR builds no networks of PaddleClas's, for which the installed library stays; a folder that is
    no copy of either is refused, whoever builds."""
    ocr, clas = NETWORKS["pp_ocrv5_mobile_rec"], NETWORKS["pp_lcnet"]
    place = copy(installed, tmp_path / "ocr", {})
    (tmp_path / "clas" / "ppcls").mkdir(parents=True)
    assert builder_at(ocr, place) == place
    assert builder_at(clas, place) is None
    assert builder_at(clas, tmp_path / "clas") == tmp_path / "clas"
    assert builder_at(ocr, None) is builder_at(clas, None) is None
    for network, folder in ((ocr, tmp_path), (clas, tmp_path), (ocr, tmp_path / "clas"), (ocr, tmp_path / "none")):
        with pytest.raises(ConfigurationError, match="is no copy of PaddleOCR"):
            builder_at(network, folder)
    report = line.verify(runners, "weights", "aligned", paddleocr=place).assert_passed()
    assert "Paddle's side was built by PaddleClas: paddleclas" in report.notes
