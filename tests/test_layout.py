"""The house rules: folders of few modules, modules of few lines, and every folder of the package is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import paddle2torch
from paddle2torch.mappings.registry import FAMILIES

ROOT = Path(paddle2torch.__file__).parent

FOLDERS = sorted(
    path.parent
    for path in ROOT.rglob("__init__.py")
    # `pip install .` leaves a copy of the package in the folder build.
    if not path.relative_to(ROOT).parts[0].startswith(".") and path.relative_to(ROOT).parts[0] != "build"
)
"""The folders of the package; those of the tests are none."""

MODULES = sorted(path for folder in FOLDERS for path in folder.glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MOST_MODULES = 15
MOST_LINES = 450
MOST_LINES_OF_TESTS = 500
MOST_LINES_OF_COMMANDS = 540
"""cli.py alone holds all commands."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_there_is_something_to_look_at() -> None:
    assert {"converters/formats", "verify/runners", "mappings"} <= {relative(folder) for folder in FOLDERS}
    assert ROOT / "cli.py" in MODULES
    assert ROOT / "tests" / "test_layout.py" in TESTS


@pytest.mark.parametrize("folder", FOLDERS, ids=relative)
def test_a_folder_holds_few_modules(folder: Path) -> None:
    """Families are what there is to convert: one module each in one place, however many there are."""
    families = {ROOT / "mappings" / f"{name}.py" for name in FAMILIES}
    others = set(folder.glob("*.py")) - families
    assert len(others) <= MOST_MODULES
    # Beside families stands what finds them, and what is refused.
    assert folder != ROOT / "mappings" or {path.stem for path in others} == {"__init__", "refused", "registry"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_is_short(path: Path) -> None:
    assert lines_of(path) <= (MOST_LINES_OF_COMMANDS if path == ROOT / "cli.py" else MOST_LINES)


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_a_file_of_tests_is_short(path: Path) -> None:
    assert lines_of(path) <= MOST_LINES_OF_TESTS


def test_every_folder_of_the_package_is_installed() -> None:
    """setuptools cannot find the packages itself: their folders lie at the top, without one that has their name."""
    (listed,) = re.findall(r"(?ms)^packages = \[$(.*?)^\]$", (ROOT / "pyproject.toml").read_text())
    expected = [".".join(["paddle2torch", *folder.relative_to(ROOT).parts]) for folder in FOLDERS]
    assert sorted(re.findall(r'"([\w.]+)"', listed)) == sorted(expected)
