"""Reports as JUnit XML: a suite per model, a case per check."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ...errors import MissingDependencyError
from ..runners.environments import lacking_libraries
from .faults import Fault, faults_of
from .gate_result import GateResult, ModelResult
from .result import CheckResult, Report
from .text import next_lines

if TYPE_CHECKING:
    from junitparser import TestCase, TestSuite

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(result: GateResult) -> str:
    """The result as JUnit XML, a suite per model and torch environment: failures carry the problems, checks that were
    not run are skipped, and what could not be run is an error. Raises MissingDependencyError."""
    try:
        from junitparser import JUnitXml, TestSuite
    except ImportError as error:
        raise MissingDependencyError(lacking_libraries("junit.xml", ["junitparser"])) from error
    document: Any = JUnitXml("paddle2torch")
    suites = []
    for model in result.sides:
        suites.append(TestSuite(_text(model.name)))
        suites[-1].timestamp = result.date.removesuffix("Z")
        _add_cases(suites[-1], model)
    if faults := faults_of(result):
        suites.append(TestSuite("faults"))
        for fault in faults:
            suites[-1].add_testcase(_fault_case(fault))
    for suite in suites:
        document.add_testsuite(suite)
    document.update_statistics()
    # The cases of a model run together: only the suite has a time of its own, which the sums above do not know.
    for suite, model in zip(document, result.sides, strict=False):
        suite.time = round(model.seconds, 3)
    document.time = round(sum(model.seconds for model in result.models), 3)
    element = ElementTree.fromstring(document.tostring())
    ElementTree.indent(element)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(element, encoding="unicode") + "\n"


def _add_cases(suite: TestSuite, model: ModelResult) -> None:
    class_name = _text(f"paddle2torch.{model.name}")
    if model.report is None:
        suite.add_testcase(_error_case("verification", class_name, model.error or ""))
        return
    for name, value in _properties(model.report).items():
        suite.add_property(name, _text(value))
    for check in model.report.checks:
        suite.add_testcase(_check_case(check, class_name, next_lines(model.report, check)))
    for name in model.report.not_run:
        if name in model.report.accidents:
            suite.add_testcase(_error_case(name, class_name, model.report.accidents[name]))
        else:
            suite.add_testcase(_skipped_case(name, class_name, model.report.not_run_reasons.get(name)))


def _check_case(check: CheckResult, class_name: str, following: Sequence[str]) -> TestCase:
    from junitparser import Failure, TestCase

    case = TestCase(_text(check.name), class_name)
    if not check.passed:
        failure = Failure(_text(check.where), "difference")
        failure.text = _text("\n".join([*(check.problems or (check.where,)), *following]))
        case.result = [failure]
    case.system_out = _text(f"worst {check.worst}, limit {check.limit} ({check.measure}); {check.where}")
    return case


def _error_case(name: str, class_name: str, reason: str) -> TestCase:
    from junitparser import Error, TestCase

    case = TestCase(_text(name), class_name)
    problem = Error(_text(f"not run: {reason}"), "not run")
    problem.text = _text(reason)
    case.result = [problem]
    return case


def _skipped_case(name: str, class_name: str, reason: str | None) -> TestCase:
    from junitparser import Skipped, TestCase

    case = TestCase(_text(name), class_name)
    case.result = [Skipped(_text(f"not run: {reason}" if reason else "not run"), "not run")]
    return case


def _fault_case(fault: Fault) -> TestCase:
    from junitparser import Failure, Skipped, TestCase

    case = TestCase(_text(fault.name), "paddle2torch.faults")
    if fault.escaped:
        case.result = [Failure("escaped: no check caught it", "escaped")]
    elif not fault.injected:
        case.result = [Skipped(_text(f"not injected here, because {fault.where}"), "not injected")]
    return case


def _properties(report: Report) -> dict[str, str]:
    return {
        "architecture": report.architecture,
        "weights": report.weights,
        "tool": report.tool,
        **{f"version of {name}": version for name, version in report.versions.items()},
        **{f"note {number}": note for number, note in enumerate(report.notes, start=1)},
        **{f"not covered {number}": what for number, what in enumerate(report.not_covered, start=1)},
    }


def _text(value: str) -> str:
    """The text with characters that XML cannot hold replaced."""
    return _NOT_IN_XML.sub("\ufffd", value)
