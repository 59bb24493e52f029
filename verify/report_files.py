"""Reports as files and as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..mappings.errors import OutputError
from .gate import GateResult
from .report import Check, Report

GATE_HEADINGS = (
    "name",
    "parameters",
    "tensors",
    "worst float64",
    "worst float32",
    "where",
    "seconds",
    "verdict",
)
GATE_RIGHT = (1, 2, 3, 4, 6)


def gate_rows(result: GateResult) -> list[list[str]]:
    """One row per name under GATE_HEADINGS; what did not run is a dash."""
    rows = []
    for model in result.models:
        report = model.report
        if report is None:
            rows.append([model.name, "-", "-", "-", "-", model.error or "", f"{model.seconds:.1f}", model.verdict])
            continue
        rows.append(
            [
                model.name,
                f"{report.parameters:,}",
                str(report.tensors),
                _worst(report.check("float64")),
                _worst(report.check("float32")),
                where(report),
                f"{model.seconds:.1f}",
                model.verdict,
            ]
        )
    return rows


def where(report: Report) -> str:
    """Where the float64 run diverges first or most; the first failed check of another kind is named too."""
    forward = report.check("float64") or report.check("float32")
    failed = next((check for check in report.checks if not check.passed and check is not forward), None)
    parts = [forward.where] if forward is not None else []
    if failed is not None:
        parts.append(f"{failed.name}: {failed.where}")
    return "; ".join(parts)


def report_lines(report: Report) -> list[str]:
    """The report for people, a line per check and per declared difference."""
    lines = [f"{report.converted} against {report.source} ({report.architecture}, {report.weights} weights)"]
    for check in report.checks:
        verdict = "passed" if check.passed else "FAILED"
        numbers = f" worst {check.worst:.2e}, limit {check.limit:.2e}:" if _measured(check) else ""
        lines.append(f"  {check.name:8} {verdict}:{numbers} {check.where}")
        if not check.passed:
            lines += [f"           {problem}" for problem in check.problems[:10]]
            if len(check.problems) > 10:
                lines.append(f"           and {len(check.problems) - 10} more")
    for seen in report.declared_differences:
        size = f" (here {seen.measured:.1e})" if seen.measured is not None else ""
        lines.append(f"  declared difference {seen.name}{size}: {seen.text}")
    if report.not_run:
        lines.append(f"  not run: {', '.join(report.not_run)}")
    lines.append("passed" if report.passed else "FAILED")
    return lines


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a report; its folder is made. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"{path}: the report cannot be written: {error.strerror or error}") from error


def _measured(check: Check) -> bool:
    return check.name.startswith("float") and check.worst is not None and check.limit is not None


def _worst(check: Check | None) -> str:
    return "-" if check is None or check.worst is None else f"{check.worst:.1e}"
