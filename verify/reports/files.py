"""Reports as files in a folder, and as what GitHub Actions shows of a run."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import MissingDependencyError, OutputError, Paddle2TorchError
from ...workers.console import outcome_notes
from ..runners.environments import lacking_libraries
from .gate_result import GateResult, ModelResult
from .html import html_page
from .junit import junit_xml
from .markdown import markdown, workflow_commands
from .text import verdict

HTML, JUNIT, MARKDOWN = "report.html", "junit.xml", "summary.md"

LIBRARIES = ("jinja2", "junitparser", "matplotlib")
"""What the report files are made with."""

MOST_SUMMARY_BYTES = 1_000_000
"""GitHub drops a step's summary beyond this size."""


class Reports:
    """The reports of one run: JSON, JUnit XML, Markdown and HTML in a folder where one is given, and summary and
    annotations where GitHub Actions runs it. A run that ends in an error leaves reports that say "not run"."""

    def __init__(
        self, folder: Path | None, names: Sequence[str], command: str, *, gate: bool = False, quiet: bool = False
    ) -> None:
        """`names` are the models, `command` repeats the run, `quiet` keeps standard output free. The JSON files are
        report.json, or for a `gate` gate.json and one per name.

        Removes the reports of an earlier run, which would be mistaken for this one's. Raises MissingDependencyError and
        OutputError.
        """
        self._folder = folder
        self._document = "gate.json" if gate else "report.json"
        self._names = tuple(names)
        self._command = command
        self._quiet = quiet
        self._started = time.perf_counter()
        self._note = outcome_notes(len(self._names))
        if folder is not None:
            each = [f"{name}.json" for name in self._names if _is_inside(name)] if gate else []
            for name in (self._document, HTML, JUNIT, MARKDOWN, *each):
                with _report_errors(folder / name):
                    (folder / name).unlink(missing_ok=True)
            if missing := [name for name in LIBRARIES if find_spec(name) is None]:
                raise MissingDependencyError(lacking_libraries("--report-dir", missing))

    @contextmanager
    def guard(self) -> Iterator[None]:
        """An error inside becomes reports in which every model is not run, and goes on."""
        try:
            yield
        except Paddle2TorchError as error:
            seconds = time.perf_counter() - self._started
            models = tuple(ModelResult(name, None, str(error), seconds) for name in self._names)
            result = GateResult(models, self._command)
            # The first error is the one to show, even when the reports cannot be written either.
            with suppress(Paddle2TorchError):
                self.finish(result, {**result.to_json(), "error": str(error)})
            raise

    def model(self, result: ModelResult) -> None:
        """Note how one model went, and write its report as NAME.json, as soon as it is there."""
        self._note(result.name, verdict(result), result.seconds)
        if self._folder is not None and result.report is not None:
            write_json(self._folder / f"{result.name}.json", result.report.to_json())

    def finish(self, result: GateResult, document: Mapping[str, Any]) -> None:
        """Write all reports of the run. Raises OutputError and MissingDependencyError."""
        if self._folder is not None:
            write_json(self._folder / self._document, document)
            _write(self._folder / JUNIT, junit_xml(result))
            _write(self._folder / MARKDOWN, markdown(result))
            _write(self._folder / HTML, html_page(result))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            _append(Path(summary), markdown(result))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in workflow_commands(result):
                print(line, file=sys.stderr if self._quiet else sys.stdout, flush=True)


def command_line(arguments: Sequence[str], options: Mapping[str, Any]) -> str:
    """A `paddle2torch` command, quoted for a shell; an option that is None or False is left out, one with several
    values is repeated. The names of options are those of the arguments, with underscores."""
    words = ["paddle2torch", *arguments]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            for one in value if isinstance(value, tuple) else (value,):
                words += [option, str(one)]
    return shlex.join(words)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a report; its folder is made. Raises OutputError."""
    _write(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def _write(path: Path, text: str) -> None:
    with _report_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", errors="backslashreplace")


def _append(path: Path, text: str) -> None:
    content = text.encode("utf-8", "backslashreplace")
    if len(content) > MOST_SUMMARY_BYTES:
        content = content[:MOST_SUMMARY_BYTES] + b"\n\n(cut: too long)\n"
    with _report_errors(path), path.open("ab") as file:
        file.write(content)


@contextmanager
def _report_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: the report cannot be written: {error.strerror or error}") from error


def _is_inside(name: str) -> bool:
    """Whether a name, which may have slashes, leads into the folder, whatever else a user typed."""
    path = Path(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
