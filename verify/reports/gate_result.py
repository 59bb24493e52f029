"""The result of a gate: one outcome per name, each a report or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..costs import largest_memory, sum_stages
from .result import TOOL, Report, utc_now, without_infinities


@dataclass(frozen=True)
class ModelResult:
    """One name's outcome: a report, or the error that kept it from being run; `seconds` from start to end.

    `stages` are the elapsed seconds of each stage, some of which run side by side; `memory` is the largest resident
    size in bytes of each process.
    """

    name: str
    report: Report | None
    error: str | None
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it ran and every check holds."""
        return self.report is not None and self.report.passed

    @property
    def verdict(self) -> str:
        """Say "passed", "FAILED" or "not run"."""
        if self.report is None:
            return "not run"
        return "passed" if self.report.passed else "FAILED" if self.report.failed else "not run"

    @property
    def sides(self) -> tuple[ModelResult, ...]:
        """This outcome once for each torch environment, named after it where there are several."""
        if self.report is None or not self.report.others:
            return (self,)
        names = [f"{self.name} ({side.environment})" for side in self.report.sides]
        return tuple(
            # Two environments of the same versions are still two.
            replace(self, name=name if name not in names[:index] else f"{name} {index + 1}", report=side)
            for index, (name, side) in enumerate(zip(names, self.report.sides, strict=True))
        )

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain JSON values."""
        return {
            "name": self.name,
            "passed": self.passed,
            "verdict": self.verdict,
            "error": self.error,
            "seconds": self.seconds,
            "stages": dict(self.stages),
            "peak_memory_bytes": dict(self.memory),
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
    def sides(self) -> tuple[ModelResult, ...]:
        """All outcomes, each once for each torch environment."""
        return tuple(side for model in self.models for side in model.sides)

    @property
    def passed(self) -> bool:
        """Whether there was something to run, and all of it ran and holds."""
        return bool(self.models) and all(model.passed for model in self.models)

    @property
    def stages(self) -> dict[str, float]:
        """Elapsed seconds by stage, over all names."""
        return sum_stages(model.stages for model in self.models)

    @property
    def memory(self) -> dict[str, tuple[int, str]]:
        """The largest resident bytes of each kind of process, with the name of the model."""
        return largest_memory((model.name, model.memory) for model in self.models)

    @property
    def exit_status(self) -> int:
        """0: all hold; 1: a check found a difference; 2: something could not be run."""
        if any(model.verdict == "FAILED" for model in self.models):
            return 1
        return 0 if self.passed else 2

    @property
    def failures(self) -> str:
        """How many did not pass, and which, on one line."""
        failed = [f"{model.name} ({model.verdict})" for model in self.models if not model.passed]
        more = ", ..." if failed[5:] else ""
        return f"{len(failed)} of {len(self.models)} did not pass: {', '.join(failed[:5])}{more}"

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        document = {
            "passed": self.passed,
            "models": [model.to_json() for model in self.models],
            "command": self.command,
            "faults": [dict(fault) for fault in self.faults],
            "stages": self.stages,
            "peak_memory_bytes": {process: size for process, (size, _) in self.memory.items()},
            "tool": self.tool,
            "date": self.date,
        }
        plain: dict[str, Any] = without_infinities(document)
        return plain
