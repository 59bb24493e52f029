"""The HTML page in a real browser, at the width of a desk and of a phone."""

from __future__ import annotations

import html
import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.verify.reports.gate_result import GateResult, ModelResult
from paddle2torch.verify.reports.html import html_page
from paddle2torch.verify.reports.result import CheckResult, DeclaredDifferenceSeen, Report

LONG = "encoder.albert_layer_groups.0.albert_layers.0.attention." * 3 + "weight"

MEASURE = """
onload = () => {
  const page = frame.contentDocument, width = frame.contentWindow.innerWidth;
  const seen = element => element.getClientRects().length > 0;
  for (const part of page.querySelectorAll("details")) part.open = true;
  const root = page.documentElement;
  const result = {
    width,
    scrollWidth: root.scrollWidth,
    wide: [...page.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth + 1)
      .map(e => e.textContent.slice(0, 80)),
    rows: [...page.querySelectorAll("#verdicts tbody tr")].map(row => row.innerText.replace(/\\s+/g, " ")),
    sections: [...page.querySelectorAll("section.model")].map(section => ({
      name: section.querySelector("h2").innerText,
      charts: [...section.querySelectorAll("svg")].filter(seen).map(svg => ({
        label: svg.getAttribute("aria-label"),
        lines: svg.querySelectorAll("path").length,
        text: Math.min(...[...svg.querySelectorAll("text")].map(e =>
          parseFloat(e.style.fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)),
      })),
    })),
    requests: frame.contentWindow.performance.getEntriesByType("resource").length,
  };
  document.getElementById("result").textContent = JSON.stringify(result);
};
"""


def chromium() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not found:
        reason = "no Chromium is installed (Debian's package chromium): the page was not looked at"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def make_result() -> GateResult:
    def states(layers: int, difference: float) -> list[dict[str, Any]]:
        names = [f"hidden_state.{n:02d}" for n in range(layers + 1)] + ["last_hidden_state", "pooler_output"]
        return [{"name": name, "difference": difference, "scale": 1.0, "limit": 1e-9} for name in names]

    def report(layers: int, difference: float, **fields: Any) -> Report:
        listed = states(layers, difference)
        passed = difference < 1e-9
        check = CheckResult(
            "float64", passed, difference, 1e-9, LONG, "size", () if passed else (LONG,) * 6, {"states": listed}
        )
        fed = [{**state, "dtype": dtype} for dtype in ("float64", "float32") for state in listed]
        others = (
            CheckResult("layers", True, 0.0, 1e-12, "here", "size", (), {"states": fed}),
            CheckResult(
                "embeddings", True, 0.0, 0.0, "", "", (), {"coverage": {LONG: {"rows": 5, "forward": 1, "check": 5}}}
            ),
        )
        files = {"source": {LONG: {"sha256": "a" * 64, "bytes": 10**10}}, "output": {"x": {"sha256": "b" * 64}}}
        values: dict[str, Any] = {
            "source": "/a/" + "long/" * 30,
            "converted": "out",
            "architecture": "AlbertModel",
            "weights": "seeded",
            "parameters": 10**9,
            "tensors": 25,
            "checks": (check, *others),
            "not_run": ("float32", "gradients"),
            "declared_differences": (DeclaredDifferenceSeen("padding_row", "text " * 40, 6.5),),
            "inputs_digest": "c" * 64,
            "versions": {"paddlepaddle": "3.3.1"},
            "seconds": {},
            "files": files,
            "command": "paddle2torch verify /" + "x" * 90,
        }
        return Report(**{**values, **fields})

    models = (
        ModelResult("albert-chinese-tiny", report(4, 1e-15), None, 1.0),
        ModelResult("albert-xxlarge-v2-" + "x" * 60, report(48, 1e-3), None, 1000.0),
        ModelResult("zeros", report(2, 0.0), None, 1.0),
        ModelResult("strange", report(2, math.nan), None, 1.0),
        ModelResult("absent", None, "Paddle was killed: " + "x" * 90, 1.0),
    )
    faults = ({"fault": LONG, "caught_by": ["weights"], "where": LONG},)
    return GateResult(models, "paddle2torch gate --all --seeded", faults)


def look_at(page: str, width: int, folder: Path) -> dict[str, Any]:
    """What the browser makes of the page in a frame of this width; a window cannot be as narrow as a phone."""
    wrapper = folder / "wrapper.html"
    wrapper.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><iframe id="frame" width="{width}" height="800" '
        f'style="border:0" srcdoc="{html.escape(page)}"></iframe><pre id="result"></pre><script>{MEASURE}</script>',
        "utf-8",
    )
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    options += "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=5000 --dump-dom"
    finished = subprocess.run(
        [chromium(), *options.split(), f"--user-data-dir={folder / 'profile'}", wrapper.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(folder)},
    )
    found = re.search(r'<pre id="result">(.+?)</pre>', finished.stdout, re.DOTALL)
    assert found, finished.stderr[-3000:]
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


@pytest.mark.parametrize("width", [1280, 390])
def test_every_row_and_chart_is_there_and_fits(width: int, tmp_path: Path) -> None:
    result = make_result()
    seen = look_at(html_page(result), width, tmp_path)
    assert seen["width"] == width
    assert seen["scrollWidth"] <= width
    assert seen["wide"] == []
    verdicts = ["passed in part", "FAILED", "passed in part", "FAILED", "not run"]
    assert len(seen["rows"]) == len(result.models)
    for row, model, verdict in zip(seen["rows"], result.models, verdicts, strict=True):
        assert model.name in row
        assert verdict in row
    assert [section["name"] for section in seen["sections"]] == [model.name for model in result.models]
    for section, model in zip(seen["sections"], result.models, strict=True):
        assert len(section["charts"]) == (0 if model.report is None else 2)
        for chart in section["charts"]:
            assert "float64:" in chart["label"]
            assert chart["lines"] > 5
            assert chart["text"] >= 11
    assert seen["requests"] == 0


def test_nothing_is_asked_of_the_network(tmp_path: Path) -> None:
    """Without its own policy, so that nothing is held back; a page that does ask is noticed."""
    page = html_page(make_result())
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert free != page
    assert look_at(free, 800, tmp_path)["requests"] == 0
    asking = free.replace("<main>", '<main><img alt="" src="http://127.0.0.1:9/x.png">')
    assert look_at(asking, 800, tmp_path)["requests"] == 1
