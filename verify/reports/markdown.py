"""Reports as Markdown, and as annotations that GitHub Actions shows beside a run."""

from __future__ import annotations

import re

from .faults import count_caught, faults_of, not_injected
from .gate_result import GateResult, ModelResult
from .hints import hint
from .text import beside_checks, headline, left_out, not_run_checks, shown_problems, tally, verdict, where, worst

MARKS = {"passed": "✅", "passed in part": "🟡", "FAILED": "❌", "not run": "⚪"}

MOST_ANNOTATIONS = 10
"""GitHub shows no more of one kind for one step."""


def markdown(result: GateResult) -> str:
    """The result as Markdown: one table, then the problems of what did not pass."""
    lines = [
        f"## paddle2torch: {headline(result)}",
        "",
        "| model | verdict | checks | weights | worst float64 | worst float32 | where |",
        "|---|---|---|---|--:|--:|---|",
        *(_row(model) for model in result.sides),
        "",
    ]
    if not_run := not_run_checks(result):
        lines += [f"**Checks not run:** {_cell(', '.join(not_run))}", ""]
    for model in result.sides:
        lines += _problems(model)
    lines += _declared(result)
    if faults := faults_of(result):
        escaped = [fault for fault in faults if fault.escaped]
        lines += [f"**Faults injected on purpose:** {count_caught(faults)}", ""]
        lines += [f"- ❌ escaped: {_cell(fault.name)}" for fault in escaped] + ([""] if escaped else [])
        for reason, names in not_injected(faults).items():
            lines += [f"Not injected here, because {_cell(reason)}: {_cell(', '.join(names))}", ""]
    said = [f"{model.name}: {line}" for model in result.models if model.report for line in beside_checks(model.report)]
    lines += [f"- {_cell(line)}" for line in said] + ([""] if said else [])
    if result.command:
        lines += ["Repeat it:", "", *_fenced(result.command), ""]
    versions = [model.report.versions for model in result.sides if model.report and model.report.versions]
    each = [", ".join(f"{name} {version}" for name, version in one.items()) for one in versions]
    lines += [_cell("; ".join([f"{result.tool}, {result.date}", *dict.fromkeys(each)]))]
    return "\n".join(lines) + "\n"


def workflow_commands(result: GateResult) -> list[str]:
    """Workflow commands of GitHub Actions: an error per model, and torch environment, that did not pass, a warning for
    what was not run."""
    bad = [model for model in result.sides if not model.passed]
    shown = bad if len(bad) <= MOST_ANNOTATIONS else bad[: MOST_ANNOTATIONS - 1]
    lines = [_command("error", f"{model.name}: {model.verdict}", _annotation_text(model)) for model in shown]
    if rest := [model.name for model in bad[len(shown) :]]:
        lines.append(_command("error", f"{len(rest)} more models", ", ".join(rest)))
    if escaped := [fault for fault in faults_of(result) if fault.escaped]:
        names = "\n".join(fault.name for fault in escaped)
        lines.append(_command("error", f"{len(escaped)} faults escaped every check", names))
    missing = dict.fromkeys(name for model in result.sides if model.report for name in left_out(model.report))
    if missing:
        lines.append(_command("warning", "checks not run", ", ".join(missing)))
    return lines


def _marked(model: ModelResult) -> str:
    return f"{MARKS[verdict(model)]} {verdict(model)}"


def _row(model: ModelResult) -> str:
    report = model.report
    if report is None:
        cells = [model.name, _marked(model), "-", "-", "-", "-", "see below"]
    else:
        cells = [
            model.name,
            _marked(model),
            tally(report),
            report.weights,
            worst(report.worst_check("float64")),
            worst(report.worst_check("float32")),
            where(report),
        ]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _problems(model: ModelResult) -> list[str]:
    if model.passed:
        return []
    lines = [f"### {_marked(model)}: {_cell(model.name)}", ""]
    if model.report is None:
        return [*lines, *_fenced(model.error or ""), ""]
    for name, reason in model.report.accidents.items():
        lines += [f"**{_cell(name)}** could not be run:", "", *_fenced(reason), ""]
    for check in model.report.checks:
        if not check.passed:
            lines += [f"**{_cell(check.name)}**: {_cell(check.where)}", ""]
            lines += [*_fenced("\n".join(problems)), ""] if (problems := shown_problems(check)) else []
            lines += [f"Next: {_cell(text)}", ""] if (text := hint(model.report, check)) else []
    return lines


def _declared(result: GateResult) -> list[str]:
    """Declared differences once each, with the largest size measured in any model."""
    sizes: dict[tuple[str, str], float | None] = {}
    for model in result.sides:
        for seen in model.report.declared_differences if model.report else ():
            key = (seen.name, seen.text)
            sizes[key] = max((size for size in (sizes.get(key), seen.measured) if size is not None), default=None)
    if not sizes:
        return []
    lines = ["<details><summary>Declared differences</summary>", "", "| name | size here | what |", "|---|--:|---|"]
    for (name, text), size in sizes.items():
        shown = "not measured" if size is None else f"{size:.1e}"
        lines.append(f"| {_cell(name)} | {shown} | {_cell(text)} |")
    return [*lines, "", "</details>", ""]


def _cell(text: str) -> str:
    """Text for a table cell or a line: nothing in it is Markdown or HTML."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", flat)


def _fenced(text: str) -> list[str]:
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return [fence, text, fence]


def _annotation_text(model: ModelResult) -> str:
    """One line per failed check: its place, and how many problems it found."""
    if model.report is None:
        return model.error or "not run"
    accidents = [f"{name} could not be run: {reason}" for name, reason in model.report.accidents.items()]
    failed = [
        f"{check.name}: {check.where}" + (f" ({len(check.problems)} problems)" if len(check.problems) > 1 else "")
        for check in model.report.checks
        if not check.passed
    ]
    return "\n".join([*failed, *accidents])


def _command(kind: str, title: str, message: str) -> str:
    title = _data(f"paddle2torch: {title}").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={title}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
