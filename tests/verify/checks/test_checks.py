"""A check is one module: README's table is that of the checks, and one more file is one more check."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.checks import all_checks, named
from paddle2torch.verify.job import ALL_CHECKS, CHECKS

from ...conftest import Run
from ..conftest import ROOT, copy_package

ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)

TOY = '''
"""A check of nothing much: how many hidden states Paddle gave in float32."""

from ..check import Check, Context, Needs, Outcome
from ..reports.result import CheckResult


def _run(context: Context) -> Outcome:
    states = sum(name.startswith("hidden_state.") for name in context.paddle("float32").outputs)
    return Outcome(CheckResult("toy", states > 0, float(states), None, f"{states} states", "states"))


CHECK = Check(
    name="toy",
    order=25,
    establishes="there is something to compare",
    limit="at least one",
    needs=Needs(dtypes=("float32",)),
    run=_run,
)
'''


def test_the_readme_shows_the_checks() -> None:
    _, _, section = (ROOT / "README.md").read_text("utf-8").partition('\n## What "verified" means\n')
    rows = ROW.findall(section.partition("\n## ")[0])
    assert rows == [(check.name, check.establishes, check.limit) for check in all_checks()]


def test_the_checks_that_can_be_asked_for() -> None:
    assert (
        *("weights", "files", "config", "float64", "float32", "causal", "unseen", "embeddings", "layers"),
        "tokenizer",
        *("as_loaded", "generation"),
    ) == CHECKS
    assert (*CHECKS, "gradients") == ALL_CHECKS
    assert [check.name for check in all_checks() if check.sees_faults] == [
        *("weights", "files", "config", "float64", "float32", "layers", "as_loaded"),
    ]
    assert [check.name for check in named("layers", "weights", "layers")] == ["weights", "layers"]
    orders = [check.order for check in all_checks()]
    assert orders == sorted(set(orders))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_package(tmp_path / "copy")


def test_a_check_is_added_as_one_file(
    copy: Path, seeded: Callable[..., Path], tmp_path: Path, paddle2torch: Run
) -> None:
    (copy / "verify" / "checks" / "toy.py").write_text(TOY, "utf-8")
    source, converted = seeded("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    alone = paddle2torch("verify", source, converted, "--check", "toy", "--json", cwd=copy.parent)
    assert alone.returncode == 0, alone.stderr
    report = json.loads(alone.stdout)
    assert [(check["name"], check["passed"], check["where"]) for check in report["checks"]] == [
        ("toy", True, "5 states")
    ]
    # Nothing runs that it did not ask for.
    assert "paddle float32 forward" in report["seconds"]
    assert not [stage for stage in report["seconds"] if "float64" in stage]
    assert report["not_run"][:3] == ["weights", "files", "config"]

    full = paddle2torch("verify", source, converted, cwd=copy.parent)
    assert full.returncode == 0, full.stderr
    reported = [line.split()[:2] for line in full.stdout.splitlines()[1:6]]
    assert reported == [[name, "passed:"] for name in ("weights", "files", "config", "toy", "float64")]
    assert "passed (9 of 9 checks passed" in full.stdout
    certificate = json.loads((converted / "parity.json").read_text())
    assert "toy" in [check["name"] for check in certificate["checks"]]

    unknown = paddle2torch("verify", source, converted, "--check", "tea", cwd=copy.parent)
    assert unknown.returncode == 2
    assert "known are weights, files, config, toy, float64, " in unknown.stderr


@pytest.mark.parametrize("text", ["VALUE = 1\n", TOY.replace('name="toy"', 'name="other"')])
def test_a_module_that_is_no_check_is_no_silent_gap(text: str, copy: Path) -> None:
    (copy / "verify" / "checks" / "toy.py").write_text(text, "utf-8")
    command = [sys.executable, "-c", "import paddle2torch.verify.job"]
    child = subprocess.run(command, cwd=copy.parent, capture_output=True, text=True, timeout=60)
    assert child.returncode != 0
    assert "paddle2torch.verify.checks.toy holds no CHECK of its name" in child.stderr
