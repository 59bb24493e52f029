"""Reports as text for a terminal or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from shutil import get_terminal_size

from ...workers.console import print_table
from ..costs import COST_HEADINGS, MEMORY_HEADINGS, cost_rows, memory_rows
from ..images.job import NETWORK_CHECKS
from ..job import CHECKS
from .faults import count_caught, faults_in, not_injected
from .gate_result import GateResult, ModelResult
from .hints import hint
from .result import TO_TORCH, TO_TORCH_NETWORKS, CheckResult, Report

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

SHOWN_PROBLEMS = 10
"""How many problems of a check are listed; the rest is counted."""


def gate_rows(result: GateResult) -> list[list[str]]:
    """One row per name, and torch environment, under GATE_HEADINGS; what did not run is a dash."""
    rows = []
    for model in result.sides:
        report = model.report
        if report is None:
            rows.append([model.name, "-", "-", "-", "-", model.error or "", f"{model.seconds:.1f}", model.verdict])
            continue
        rows.append(
            [
                model.name,
                f"{report.parameters:,}",
                str(report.tensors),
                worst(report.worst_check("float64")),
                worst(report.worst_check("float32")),
                where(report),
                f"{model.seconds:.1f}",
                verdict(model),
            ]
        )
    return rows


def verdict(model: ModelResult) -> str:
    """The verdict in words: "passed", "passed in part" when checks were left out, "FAILED" or "not run"."""
    return model.verdict if model.report is None else report_verdict(model.report)


def report_verdict(report: Report) -> str:
    """The verdict of a report in words; optional checks may be left out without a word in it."""
    if not report.passed:
        return "FAILED" if report.failed else "not run"
    return "passed in part" if any(map(left_out, report.sides)) else "passed"


def left_out(report: Report) -> list[str]:
    """The checks that were not run although they belong to every full run, and there was something to run them on."""
    full = _full_run(report)
    return [name for name in report.not_run if name in full and name not in report.not_run_reasons]


def _full_run(report: Report) -> Sequence[str]:
    """The checks that belong to every full run of what a report is about."""
    return NETWORK_CHECKS if report.direction == TO_TORCH_NETWORKS else CHECKS


def tally(report: Report) -> str:
    """How many of the checks passed, failed and were not run, in words."""
    passed = sum(check.passed for check in report.checks)
    missing = left_out(report)
    parts = [f"{passed} of {len(report.checks) + len(missing)} checks passed"]
    if failed := len(report.checks) - passed:
        parts.append(f"{failed} FAILED")
    if missing:
        parts.append(f"{len(missing)} not run")
    parts += [f"{name} not run: {reason}" for name, reason in report.not_run_reasons.items()]
    if optional := [name for name in report.not_run if name not in (*missing, *report.not_run_reasons)]:
        parts.append(f"{' and '.join(optional)} (optional) not run")
    return ", ".join(parts)


def print_gate(result: GateResult) -> None:
    """Print the gate's table on standard output; a terminal that is too narrow for it gets a few lines per name."""
    rows = gate_rows(result)
    if sys.stdout.isatty() and get_terminal_size().columns < _table_width(rows):
        for line in _narrow_lines(result):
            print(line)
    else:
        print_table(GATE_HEADINGS, rows, GATE_RIGHT)
    for headings, costs, right in (
        (COST_HEADINGS, cost_rows(result.stages), (1, 2)),
        (MEMORY_HEADINGS, memory_rows(result.memory), (1,)),
    ):
        if costs:
            print()
            print_table(headings, costs, right)
    for line in gate_footer(result):
        print(line)


def gate_footer(result: GateResult) -> list[str]:
    """The lines under the tables: what was not run, and how many passed."""
    lines = []
    if not_run := not_run_checks(result):
        lines.append(f"checks not run: {', '.join(not_run)}")
    origins = sorted({model.report.weights for model in result.models if model.report is not None})
    weights = f" ({' and '.join(origins)} weights)" if origins else ""
    lines += [line for model in result.sides if model.report is not None for line in fault_lines(model.report)]
    for model in result.sides:
        if model.report is not None and (failed := [check for check in model.report.checks if not check.passed]):
            # The first in the order of the checks is nearest to the cause.
            lines += [f"{model.name}: {failed[0].name} failed, {text}" for text in next_lines(model.report, failed[0])]
    return [*lines, f"{headline(result)}{weights}"]


def fault_lines(report: Report) -> list[str]:
    """How many injected faults were caught, each that escaped, and what was not injected, and why; nothing when faults
    were not asked for."""
    if not (faults := faults_in(report)):
        return []
    lines = [f"faults injected on purpose: {count_caught(faults)}"]
    lines += [f"ESCAPED: {fault.name}" for fault in faults if fault.escaped]
    groups = not_injected(faults).items()
    return lines + [f"not injected here, because {reason}: {', '.join(names)}" for reason, names in groups]


def headline(result: GateResult, noun: str = "") -> str:
    """How many models passed, and how many of these only in part; with a `noun`, of what."""
    verdicts = [verdict(model) for model in result.models]
    part = verdicts.count("passed in part")
    total = f"{len(verdicts)} {noun}{'' if len(verdicts) == 1 else 's'}" if noun else str(len(verdicts))
    passed = f"{verdicts.count('passed') + part} of {total} passed"
    return f"{passed}, {part} of them in part" if part else passed


def not_run_checks(result: GateResult) -> list[str]:
    """The checks that at least one model's report names as not run, optional ones marked as such."""
    reports = [model.report for model in result.sides if model.report is not None]
    return list(dict.fromkeys(not_run_label(report, name) for report in reports for name in report.not_run))


def not_run_label(report: Report, name: str) -> str:
    """A check that was not run, with why where that is known."""
    reason = "could not be run" if name in report.accidents else report.not_run_reasons.get(name)
    reason = reason or ("" if name in _full_run(report) else "optional")
    return f"{name} ({reason})" if reason else name


def where(report: Report) -> str:
    """Where the float64 run diverges first or most; the first failed check of another kind is named too, and what the
    check of the layers found."""
    forward = report.worst_check("float64") or report.worst_check("float32")
    failed = [check for check in report.checks if not check.passed and check is not forward]
    named = [check for check in failed if check is failed[0] or check.name == "layers"]
    return "; ".join([*([forward.where] if forward else []), *(f"{check.name}: {check.where}" for check in named)])


def report_lines(report: Report) -> list[str]:
    """The report for people, a line per check and per declared difference."""
    back = f", {report.direction}" if report.direction != TO_TORCH else ""
    foreign = ", a foreign folder" if report.foreign else ""
    facts = f"{report.architecture}, {report.weights} weights{back}{foreign}"
    lines = [f"{report.converted} against {report.source} ({facts})", *(f"  {line}" for line in said_lines(report))]
    end = [f"  {report.proof}"] if report.proof else []
    if not report.others:
        return [*lines, *_side_lines(report), *end, f"{report_verdict(report)} ({tally(report)})"]
    for side in report.sides:
        lines += [f"with {side.environment}: {report_verdict(side)} ({tally(side)})", *_side_lines(side)]
    passed = sum(side.passed for side in report.sides)
    return [*lines, *end, f"{report_verdict(report)} ({passed} of {len(report.sides)} torch environments passed)"]


def beside_checks(report: Report) -> list[str]:
    """What a report says beside its checks: how the source was read, what is not covered, and where its certificate is
    or why not."""
    return [*said_lines(report), *([report.proof] if report.proof else [])]


def said_lines(report: Report) -> list[str]:
    """How the source was read, and what no check covers."""
    return [*(f"note: {note}" for note in report.notes), *(f"not covered: {what}" for what in report.not_covered)]


def _side_lines(report: Report) -> list[str]:
    """A line per check and per declared difference, of one torch environment."""
    lines = []
    width = max((len(check.name) for check in report.checks), default=0)
    causes: dict[str, str] = {}
    for check in report.checks:
        outcome = "passed" if check.passed else "FAILED"
        unmeasured = not check.passed and not measured(check)
        if unmeasured and (first := causes.setdefault(check.where, check.name)) != check.name:
            # What no check gets beyond, such as a model that cannot be loaded, is said once.
            lines.append(f"  {check.name:{width}} {outcome}: as {first}")
            continue
        numbers = f" worst {check.worst:.2e}, limit {check.limit:.2e}:" if measured(check) else ""
        lines.append(f"  {check.name:{width}} {outcome}:{numbers} {check.where}")
        if not check.passed:
            lines += [f"  {'':{width}} {text}" for text in (*shown_problems(check), *next_lines(report, check))]
    for seen in report.declared_differences:
        size = f" (here {seen.measured:.1e})" if seen.measured is not None else ""
        lines.append(f"  declared difference {seen.name}{size}: {seen.text}")
    reasons = {**report.not_run_reasons, **report.accidents}
    if report.not_run:
        # What keeps several from running is said once.
        together: dict[str | None, list[str]] = {}
        for name in report.not_run:
            together.setdefault(reasons.get(name), []).append(name)
        named = (f"{', '.join(names)}{f' ({reason})' if reason else ''}" for reason, names in together.items())
        lines.append(f"  not run: {', '.join(named)}")
    return lines + [f"  {line}" for line in fault_lines(report)]


def certificate_lines(check: CheckResult) -> list[str]:
    """What comparing the certificate with the files found, a line per problem."""
    return [
        f"certificate {'passed' if check.passed else 'FAILED'}: {line}"
        for line in ((check.where,) if check.passed else check.problems)
    ]


def next_lines(report: Report, check: CheckResult) -> list[str]:
    """What to look at next after a failed check, as a line, if there is something."""
    text = hint(report, check)
    return [f"next: {text}"] if text else []


def shown_problems(check: CheckResult) -> list[str]:
    """The first problems of a check but for the one that its place says already; the rest is counted in a last line."""
    others = [problem for problem in check.problems if not _is_said(problem, check.where)]
    shown = others[:SHOWN_PROBLEMS]
    if len(others) > SHOWN_PROBLEMS:
        shown.append(f"and {len(others) - SHOWN_PROBLEMS} more")
    return shown


def _is_said(problem: str, where: str) -> bool:
    place, measure, _ = problem.partition(": relative difference ")
    return problem == where or bool(measure and place in where)


def measured(check: CheckResult) -> bool:
    """Whether worst and limit of a check are measured differences, not counts of problems."""
    return bool(check.worst is not None and check.limit)


def worst(check: CheckResult | None) -> str:
    """The worst value of a check for a table; a dash when there is none."""
    return "-" if check is None or check.worst is None else f"{check.worst:.1e}"


def _narrow_lines(result: GateResult) -> list[str]:
    lines = []
    for model in result.sides:
        lines.append(f"{model.name}: {verdict(model)}")
        if model.report is None:
            lines.append(f"  {model.error}")
            continue
        lines.append(f"  {tally(model.report)}, {model.seconds:.1f} s")
        lines.append(
            f"  float64 {worst(model.report.worst_check('float64'))}, "
            f"float32 {worst(model.report.worst_check('float32'))}"
        )
        if not model.passed:
            lines.append(f"  {where(model.report)}")
    return lines


def _table_width(rows: Sequence[Sequence[str]]) -> int:
    """What the table takes when no cell is folded: two blanks between columns. Failures may be long: they may fold."""
    widths = [len(heading) for heading in GATE_HEADINGS]
    for row in rows:
        widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    where_column = GATE_HEADINGS.index("where")
    widths[where_column] = min(widths[where_column], 40)
    return sum(widths) + 2 * (len(widths) - 1)
