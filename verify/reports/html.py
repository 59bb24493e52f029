"""Reports as one HTML page that needs nothing else: no network, no script, no file beside it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import MissingDependencyError
from ..runners.environments import lacking_libraries
from ..states import describe
from .chart import Panel, draw, panels
from .faults import Fault, count_caught, faults_of
from .gate_result import GateResult, ModelResult
from .hints import hint
from .result import CheckResult, Report
from .template import STYLE, TEMPLATE
from .text import headline, said_lines, tally, verdict, worst

ORIGINS = {
    "published": "The published weights.",
    "seeded": "Seeded weights: random values at the true size. The published weights were not part of this run.",
    "hub": "Weights from a repository on the Hugging Face Hub, at the commit that stands with its name.",
    "local": "Weights from a local file.",
}


FIRST_PROBLEMS = 3
"""How many problems of a check are shown; the others are folded."""

COVERAGE_HEADINGS = {"forward": "touched by the forward runs", "check": "touched by this check"}


@dataclass(frozen=True)
class Verdict:
    """A verdict as it is shown: a word and a sign, so that the colour adds nothing that is needed."""

    text: str
    mark: str
    kind: str


PASSED = Verdict("passed", "✓", "passed")
FAILED = Verdict("FAILED", "✕", "failed")
NOT_RUN = Verdict("not run", "○", "notrun")
PART = Verdict("passed in part", "◐", "part")
ESCAPED = Verdict("escaped", "✕", "failed")
NOT_INJECTED = Verdict("not injected", "○", "notrun")


@dataclass(frozen=True)
class Table:
    """A table of a page; `numbers` are the columns that are aligned to the right. A `short` one has only short cells,
    several of which fit on a line of a phone."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: Sequence[int] = ()
    short: bool = False


@dataclass(frozen=True)
class Part:
    """A part that is folded until it is asked for."""

    title: str
    tables: Sequence[Table] = ()
    texts: Sequence[str] = field(default_factory=tuple)


def html_page(result: GateResult) -> str:
    """The page. Everything that comes from outside is escaped. Raises MissingDependencyError."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError(lacking_libraries("report.html", ["jinja2"])) from error
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    badge = environment.from_string('<span class="verdict {{ v.kind }}">{{ v.mark }} {{ v.text }}</span>')

    def shown(verdict: Verdict) -> Markup:
        return Markup(badge.render(v=verdict))

    faults = faults_of(result)
    page = environment.from_string(TEMPLATE).render(
        style=Markup(STYLE),
        headline=_headline(result),
        named=_named(result),
        verdict=_overall(result),
        weights=_weights(result),
        tool=result.tool,
        date=_date(result.date),
        command=result.command,
        caught=count_caught(faults),
        faults=[_fault_row(fault, shown) for fault in faults],
        models=[_model(model, f"m{index}", shown) for index, model in enumerate(result.sides)],
    )
    return page.strip() + "\n"


def _fault_row(fault: Fault, shown: Any) -> list[Any]:
    """An escaped fault may have been caught by checks that cannot see the whole of it."""
    caught_by: Any = fault.caught_by
    if fault.escaped or not fault.injected:
        badge = shown(ESCAPED if fault.escaped else NOT_INJECTED)
        caught_by = badge + f" caught only by {fault.caught_by}" if fault.caught_by else badge
    where = fault.where if fault.injected else f"because {fault.where}"
    return [fault.name, fault.model or "-", caught_by, where or "-"]


def _model(model: ModelResult, identity: str, shown: Any) -> dict[str, Any]:
    from markupsafe import Markup

    report = model.report
    document: dict[str, Any] = {
        "id": identity,
        "name": model.name,
        "verdict": _verdict(model),
        "tally": "nothing was checked",
        "worst64": "-",
        "worst32": "-",
        "seconds": f"{model.seconds:.1f}",
        "error": model.error,
        "report": report is not None,
        **dict.fromkeys(("facts", "said", "problems", "charts", "checks", "coverage", "declared", "parts"), ()),
    }
    if report is None:
        return document
    charts = [
        {
            "title": panel.title,
            "summary": panel.summary,
            "main": panel.main,
            "note": panel.note,
            "wide": Markup(draw(panel, narrow=False, salt=f"{identity}c{index}w")),
            "narrow": Markup(draw(panel, narrow=True, salt=f"{identity}c{index}n")),
        }
        for index, panel in enumerate(panels(report))
    ]
    return {
        **document,
        "tally": tally(report),
        "worst64": worst(report.worst_check("float64")),
        "worst32": worst(report.worst_check("float32")),
        "facts": f"{report.architecture}, {report.parameters:,} parameters in {report.tensors} tensors, "
        f"{report.weights} weights",
        "said": [line[0].upper() + line[1:] for line in said_lines(report)],
        "problems": [
            {
                "check": check.name,
                "where": check.where,
                "first": texts[:FIRST_PROBLEMS],
                "rest": texts[FIRST_PROBLEMS:],
                # Every second piece is a command.
                "next": [] if not (text := hint(report, check)) else text.split("`"),
            }
            for check in report.checks
            if not check.passed
            for texts in [[] if check.problems == (check.where,) else list(check.problems)]
        ],
        "charts": charts,
        "checks": _check_rows(report, shown),
        "coverage": _coverage(report),
        "declared": [
            [seen.name, "not measured" if seen.measured is None else _short(seen.measured), seen.text]
            for seen in report.declared_differences
        ],
        "parts": _parts(report),
    }


def _check_rows(report: Report, shown: Any) -> list[list[Any]]:
    rows: list[list[Any]] = [
        [
            check.name,
            shown(PASSED if check.passed else FAILED),
            _short(check.worst),
            _short(check.limit),
            check.where,
            check.measure,
        ]
        for check in report.checks
    ]
    reasons = {**report.not_run_reasons, **report.accidents}
    return rows + [[name, shown(NOT_RUN), "-", "-", reasons.get(name, "-"), "-"] for name in report.not_run]


def _parts(report: Report) -> list[Part]:
    parts = []
    if states := [_states(panel) for panel in panels(report)]:
        parts.append(Part("Numbers of the charts", states))
    hashes = [
        Table(
            "Source files" if side == "source" else "Converted files",
            ("file", "bytes", "sha256"),
            [[name, _short(facts.get("bytes")), facts.get("sha256", "-")] for name, facts in files.items()],
            (1,),
        )
        for side, files in report.files.items()
    ]
    if report.inputs_digest:
        hashes.append(Table("Inputs of both frameworks", ("what", "sha256"), [["inputs", report.inputs_digest]]))
    if hashes:
        parts.append(Part("Files and their hashes", hashes))
    versions = [*report.versions.items(), ("tool", report.tool), ("date", _date(report.date))]
    paths = [("source", report.source), ("converted", report.converted)]
    if report.proof:
        what, _, text = report.proof.partition(": ")
        paths.append((what, text))
    parts.append(Part("Versions and paths", [Table("Versions", ("what", "version"), versions), _paths(paths)]))
    if report.command:
        parts.append(Part("Command to repeat it", (), [report.command]))
    return parts


def _paths(rows: list[tuple[str, str]]) -> Table:
    return Table("Paths on the machine that ran it", ("what", "path"), rows)


def _states(panel: Panel) -> Table:
    rows = [
        [describe(point.name), dtype, f"{point.difference:.2e}", f"{point.limit:.2e}", "yes" if point.holds else "NO"]
        for dtype, points in panel.series.items()
        for point in points
    ]
    headings = ("state", "precision", "relative difference", "limit", "within")
    return Table(f"{panel.title}: difference over the state's largest value", headings, rows, (2, 3), short=True)


def _coverage(report: Report) -> list[Table]:
    """Coverage rows of any check: a mapping from table to counts, or a list of rows."""
    return [table for check in report.checks if (table := _coverage_table(check)) is not None]


def _coverage_table(check: CheckResult) -> Table | None:
    coverage = check.details.get("coverage")
    if isinstance(coverage, Mapping):
        coverage = [
            {"table": name, **(facts if isinstance(facts, Mapping) else {"value": facts})}
            for name, facts in coverage.items()
        ]
    if not isinstance(coverage, Sequence) or isinstance(coverage, str):
        return None
    rows = [row for row in coverage if isinstance(row, Mapping)]
    keys = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    if not keys:
        return None
    caption = f"Coverage: rows that the check “{check.name}” compared"
    for name, excluded in check.details.items():
        if name.startswith("excluded_") and excluded:
            caption += f"; left out: {name.removeprefix('excluded_').replace('_', ' ')} [{_short(excluded)}]"
    headings = [COVERAGE_HEADINGS.get(key, str(key).replace("_", " ")) for key in keys]
    cells = [[_of_rows(row.get(key), row.get("rows"), key) for key in keys] for row in rows]
    return Table(caption, headings, cells, range(1, len(keys)))


def _of_rows(value: Any, rows: Any, key: str) -> str:
    """A count with its share of all rows."""
    if key != "rows" and isinstance(value, int) and isinstance(rows, int) and rows > 0:
        # Rounded down: only all of them are 100%.
        return f"{value:,} ({math.floor(1000 * value / rows) / 10:g}%)"
    return _short(value)


def _verdict(model: ModelResult) -> Verdict:
    return {shown.text: shown for shown in (PASSED, PART, FAILED, NOT_RUN)}[verdict(model)]


def _overall(result: GateResult) -> Verdict:
    verdicts = [_verdict(model) for model in result.models]
    escaped = any(fault.escaped for fault in faults_of(result))
    if FAILED in verdicts or escaped:
        return FAILED
    if NOT_RUN in verdicts or not verdicts:
        return NOT_RUN
    return PART if PART in verdicts else PASSED


def _headline(result: GateResult) -> str:
    """The model and its verdict, or how many of several passed."""
    if len(result.models) != 1:
        return headline(result, "model")
    model = result.models[0]
    return f"{model.name}: {verdict(model)}"


def _named(result: GateResult) -> list[str]:
    """Of several models, those that did not pass, by verdict."""
    if len(result.models) == 1:
        return []
    names: dict[str, list[str]] = {}
    for model in result.models:
        if not model.passed:
            names.setdefault(verdict(model), []).append(model.name)
    return [f"{what}: {', '.join(models)}" for what, models in names.items()]


def _weights(result: GateResult) -> str:
    origins = dict.fromkeys(model.report.weights for model in result.models if model.report is not None)
    return " ".join(ORIGINS.get(origin, f"Weights: {origin}.") for origin in origins)


def _date(date: str) -> str:
    return date.replace("T", " ").replace("Z", " UTC")


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value == 0 or (value.is_integer() and abs(value) < 1e6):
            return f"{value:.0f}"
        return f"{value:.4g}" if 0.001 <= abs(value) < 1e6 else f"{value:.1e}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_short(item) for item in value)
    return str(value)
