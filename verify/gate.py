"""The gate: for each pretrained name get the checkpoint, convert it, verify it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from ..converters.cache import own_cache, paddlenlp_cache
from ..converters.job import convert_checkpoint
from ..converters.source import cached_folder
from ..mappings.errors import MissingDependencyError, Paddle2TorchError, UnreadableFileError
from ..mappings.registry import get_pretrained
from .fault_runs import with_faults
from .forward import Runners
from .job import CHECKS, verify_checkpoint
from .provenance import with_files
from .report import TOOL, Report, utc_now, without_infinities
from .seeding import seed_checkpoint


@dataclass(frozen=True)
class ModelResult:
    """One name's outcome: a report, or the error that kept it from being run; `seconds` from start to end."""

    name: str
    report: Report | None
    error: str | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it ran and every check holds."""
        return self.report is not None and self.report.passed

    @property
    def verdict(self) -> str:
        """Say "passed", "FAILED" or "not run"."""
        if self.report is None:
            return "not run"
        return "passed" if self.report.passed else "FAILED"

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain JSON values."""
        return {
            "name": self.name,
            "passed": self.passed,
            "verdict": self.verdict,
            "error": self.error,
            "seconds": self.seconds,
            "report": self.report.to_json() if self.report is not None else None,
        }


@dataclass(frozen=True)
class GateResult:
    """All outcomes, in the order of the names. `command` repeats the run; `faults` are as in a report."""

    models: tuple[ModelResult, ...]
    command: str | None = None
    faults: tuple[Mapping[str, Any], ...] = ()
    tool: str = TOOL
    date: str = field(default_factory=utc_now)

    @property
    def passed(self) -> bool:
        """Whether there was something to run, and all of it ran and holds."""
        return bool(self.models) and all(model.passed for model in self.models)

    @property
    def exit_status(self) -> int:
        """0: all hold; 1: a check found a difference; 2: something could not be run."""
        if any(model.verdict == "FAILED" for model in self.models):
            return 1
        return 0 if self.passed else 2

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        document = {
            "passed": self.passed,
            "models": [model.to_json() for model in self.models],
            "command": self.command,
            "faults": [dict(fault) for fault in self.faults],
            "tool": self.tool,
            "date": self.date,
        }
        plain: dict[str, Any] = without_infinities(document)
        return plain


def run_gate(
    names: Sequence[str],
    *,
    seeded: bool,
    seed: int = 0,
    checks: Sequence[str] = CHECKS,
    jobs: int = 1,
    keep: str | Path | None = None,
    faults: bool = False,
    paddle_python: str | None = None,
    torch_python: str | None = None,
    obtain: Callable[[str], None] | None = None,
    repeat: Callable[[Sequence[str]], str] | None = None,
    on_stage: Callable[[str, str], None] | None = None,
    on_result: Callable[[ModelResult], None] | None = None,
) -> GateResult:
    """Run the gate over pretrained `names`, `jobs` at a time.

    `seeded` takes seeded weights, otherwise the published ones are looked up in the caches. `obtain(name)` puts them
    there beforehand; a name for which it raises a Paddle2TorchError is not run. `keep` is a folder that keeps source
    and converted weights of each name; without it they go to a temporary folder and are deleted.
    `faults` also injects every fault into the smallest of the models, where a check must catch each.
    `repeat(names)` gives the command that repeats the run for these names, for the reports.
    `on_stage(name, stage)` and `on_result` are called as work goes on. Raises UnknownNameError for an unknown name and
    UnreadableFileError when published weights are absent; later errors are outcomes of their name.
    """
    sizes = {name: max(get_pretrained(name).parameters.values()) for name in names}
    injected = min(names, key=lambda name: sizes[name]) if faults and names else None
    failures: dict[str, ModelResult] = {}
    if not seeded and obtain is not None:
        failures = _obtain_all(names, obtain, on_stage)
    elif not seeded and (absent := [name for name in names if cached_folder(name) is None]):
        raise UnreadableFileError(
            f"not run: the published weights of {', '.join(absent)} are neither in the cache {own_cache()} nor in "
            f"PaddleNLP's cache {paddlenlp_cache()}; `paddle2torch fetch` downloads them where there is a network, "
            "--seeded takes seeded weights of the same size"
        )

    interrupted = Event()
    started: list[Runners] = []

    def run_some(assigned: Sequence[str]) -> list[ModelResult]:
        results: list[ModelResult] = []
        with Runners(paddle_python, torch_python) as runners:
            started.append(runners)
            for name in assigned:
                if interrupted.is_set():
                    break
                command = repeat([name]) if repeat is not None else None
                tell = on_stage or (lambda n, s: None)
                inject = name == injected
                failed = failures.get(name)
                results.append(failed or _run_one(name, runners, seeded, seed, checks, keep, inject, command, tell))
                if on_result is not None:
                    on_result(results[-1])
        return results

    command = repeat(names) if repeat is not None else None
    if jobs <= 1:
        return GateResult(tuple(run_some(names)), command)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            shares = list(pool.map(run_some, [names[start::jobs] for start in range(jobs)]))
        except KeyboardInterrupt:
            # Leaving the pool waits for its threads, which wait for their runners.
            interrupted.set()
            for runners in started:
                runners.stop()
            raise
    by_name = {result.name: result for share in shares for result in share}
    return GateResult(tuple(by_name[name] for name in names), command)


def _obtain_all(
    names: Sequence[str], obtain: Callable[[str], None], on_stage: Callable[[str, str], None] | None
) -> dict[str, ModelResult]:
    """Obtain the weights of all names, in the main thread, where an interrupt ends it at once; the failures."""
    failures = {}
    for name in names:
        started = time.perf_counter()
        try:
            if on_stage is not None:
                on_stage(name, "fetching")
            obtain(name)
        except MissingDependencyError:
            raise
        except Paddle2TorchError as error:
            failures[name] = ModelResult(name, None, str(error), time.perf_counter() - started)
    return failures


def _run_one(
    name: str,
    runners: Runners,
    seeded: bool,
    seed: int,
    checks: Sequence[str],
    keep: str | Path | None,
    inject: bool,
    command: str | None,
    on_stage: Callable[[str, str], None],
) -> ModelResult:
    started = time.perf_counter()
    report, error = None, None
    with tempfile.TemporaryDirectory(prefix="paddle2torch-gate-") as temporary:
        folder = Path(keep or temporary) / name
        try:
            source: str | Path = name
            if seeded:
                on_stage(name, "seeding")
                source = folder / "source"
                seed_checkpoint(name, source, seed=seed, overwrite=True, runner=runners.paddle32)
            on_stage(name, "converting")
            convert_checkpoint(source, folder / "converted", overwrite=True)
            on_stage(name, "verifying")
            report = verify_checkpoint(
                source, folder / "converted", checks=checks, runners=runners, certificate=keep is not None
            )
            report = with_files(report, source, folder / "converted", command)
            if inject and report.passed:
                on_stage(name, "injecting faults")
                report = with_faults(report, source, folder / "converted", runners=runners)
        except MissingDependencyError:
            # The same for every name: one error, not one per name.
            raise
        except Paddle2TorchError as caught:
            error = str(caught)
    return ModelResult(name, report, error, time.perf_counter() - started)
