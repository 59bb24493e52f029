"""docs/why.md, run as it is written, prints what it says: failures of conversions by hand, and `verify` on each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

PAGE = Path(__file__).parents[1] / "docs" / "why.md"
FENCE = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MEASURED = re.compile(r"\d\.\d\de[+-]\d\d")


def test_the_page_prints_what_it_says(tmp_path: Path) -> None:
    blocks = FENCE.findall(PAGE.read_text("utf-8"))
    assert [kind for kind, _ in blocks] == ["sh", "text"] * 4
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PADDLE2TORCH_CACHE": str(tmp_path / "cache"),
        "PPNLP_HOME": str(tmp_path / "paddlenlp"),
        "HF_HUB_OFFLINE": "1",
    }
    for (_, commands), (_, shown) in zip(blocks[::2], blocks[1::2], strict=True):
        done = subprocess.run(
            ["bash", "-euc", commands], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, f"{commands}{done.stderr}"
        printed = f"{done.stdout}\n{done.stderr}"
        for line in shown.splitlines():
            assert re.search(line_as_printed(line), printed, re.MULTILINE), f"{line}\nis not in\n{printed}"
        assert ("FAILED" in shown) == ("FAILED" in done.stdout)
    assert not list(tmp_path.rglob("parity.json"))


def line_as_printed(line: str) -> str:
    """A pattern for a line of the page: other machines may measure other values, and `...` ends a line that is cut."""
    pattern = "[^ ,:]+".join(re.escape(part) for part in MEASURED.split(line.removesuffix("...").rstrip()))
    return f"^{pattern}" if line.endswith("...") else f"^{pattern} *$"
