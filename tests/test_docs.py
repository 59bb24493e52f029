"""The documents say what is so: commands as they are, links that lead somewhere, Python that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from paddle2torch.mappings.language.family import DeclaredDifference, Defaults, Family, Model
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.faults.known import all_faults

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_reference_of_commands_is_that_of_the_command_line() -> None:
    code = "import runpy, sys; sys.stdout.write(runpy.run_path(sys.argv[1])['reference']())"
    script = str(ROOT / "docs" / "write_commands.py")
    child = subprocess.run([sys.executable, "-c", code, script], capture_output=True, text=True, timeout=60, check=True)
    assert (ROOT / "docs" / "commands.md").read_text() == child.stdout, "run `make docs`"
    assert child.stdout.count("\n## paddle2torch ") >= 8


def test_the_page_of_families_is_that_of_the_family_files() -> None:
    code = "import runpy, sys; sys.stdout.write(runpy.run_path(sys.argv[1])['families']())"
    script = str(ROOT / "docs" / "write_families.py")
    child = subprocess.run([sys.executable, "-c", code, script], capture_output=True, text=True, timeout=60, check=True)
    assert (ROOT / "docs" / "families.md").read_text("utf-8") == child.stdout, "run `make docs`"
    for family in FAMILIES.values():
        assert all(f"| `{model.source}` | `{model.target_architecture}` |" in child.stdout for model in family.models)
        assert all(f"| `{name}` | refused |" in child.stdout for name in family.refused)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_to_files_of_the_project(path: Path) -> None:
    links = [link.split("#")[0] for link in LINK.findall(path.read_text()) if not link.startswith(("http", "#"))]
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_document_is_linked_from_the_readme(path: Path) -> None:
    assert path == ROOT / "README.md" or f"docs/{path.name}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["docs/mappings.md"])
def test_python_in_the_documents_runs(name: str, tmp_path: Path) -> None:
    blocks = FENCE.findall((ROOT / name).read_text())
    assert len(blocks) >= 2
    for block in blocks:
        command = [sys.executable, "-c", block]
        child = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert child.returncode == 0, child.stderr
    assert "encoder.embedding_hidden_mapping_in.weight -> encoder.embedding_hidden_mapping_in.weight transpose" in (
        child.stdout
    )


def test_what_a_family_can_say_is_explained() -> None:
    """Every field of the declarations that a family file is made of stands in the page about them."""
    page = (ROOT / "docs" / "mappings.md").read_text("utf-8")
    made = (Family, Model, DeclaredDifference, Defaults)
    # What the names of the classes say, what is set by the package, and what stands in the classes' own docstrings.
    plain = {"source", "target", "head", "name", "text"}
    missing = {
        f"{kind.__name__}.{entry.name}"
        for kind in made
        for entry in fields(kind)
        if entry.name not in plain
        and not entry.name.startswith("_")
        and f"`{entry.name}" not in page
        and f"{entry.name}=" not in page
    }
    assert missing == set()


def test_the_number_of_faults_is_stated() -> None:
    assert f"injects {len(all_faults())} known faults" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "findings").glob("*.sh")), ids=lambda path: path.stem)
def test_a_finding_is_listed_as_it_calls_itself(path: Path) -> None:
    lines = [line.removeprefix("#").strip() for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
    title = lines[1].removesuffix(".")
    row = next(
        line for line in (ROOT / "findings" / "README.md").read_text("utf-8").splitlines() if f"[{path.stem}]" in line
    )
    assert title in row
