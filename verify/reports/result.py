"""The result of a verification: checks, declared differences, and what they were made with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ... import __version__
from ...errors import ParityError

TOOL = f"paddle2torch {__version__}"

NAMING = ("transformers", "torch")
"""The versions by which a torch environment is called."""

TO_TORCH, TO_PADDLE = "PaddleNLP to Hugging Face", "Hugging Face to PaddleNLP"
"""The directions of a conversion."""

TO_TORCH_NETWORKS = "PaddleOCR to Hugging Face"
"""That of a network which reads pictures, PaddleClas's included."""


def utc_now() -> str:
    """The date and time in UTC, to the second, such as 2026-03-01T12:00:00Z."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


OF_NETWORKS = {"float64": "aligned", "float32": "as_shipped"}
"""The checks of networks that read pictures in the places of those of models."""


@dataclass(frozen=True)
class CheckResult:
    """One check that ran. `worst` and `limit` are in the check's own measure, stated in `measure`; `where` names the
    place of the worst value or, when it failed, of the first difference. `problems` lists what failed."""

    name: str
    passed: bool
    worst: float | None
    limit: float | None
    where: str
    measure: str
    problems: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def with_problems(self, more: Sequence[str]) -> CheckResult:
        """The result with further problems, each of which counts one more in its measure."""
        problems = (*self.problems, *more)
        if not more:
            return self
        return replace(self, passed=False, worst=float(len(problems)), where=problems[0], problems=problems)

    def to_json(self) -> dict[str, Any]:
        """The check as plain JSON values; a number that is not finite, which JSON lacks, is its name."""
        document = {
            "name": self.name,
            "passed": self.passed,
            "worst": self.worst,
            "limit": self.limit,
            "where": self.where,
            "measure": self.measure,
            "problems": list(self.problems),
            "details": dict(self.details),
        }
        plain: dict[str, Any] = without_infinities(document)
        return plain


@dataclass(frozen=True)
class DeclaredDifferenceSeen:
    """A declared difference that applies to this checkpoint; `measured` is its size here where it was measured."""

    name: str
    text: str
    measured: float | None = None


@dataclass(frozen=True)
class Report:
    """What was verified and how it went. `weights` is "published", "seeded", "hub" or "local"; `direction` says which
    of the two folders is whose: TO_TORCH or TO_PADDLE. `architecture` is PaddleNLP's in both.

    `memory` is the largest resident size in bytes of each runner; `files` holds sha256 and size by file name, for
    `source` and `output`; `command` repeats the verification; `faults` are faults for injection on purpose: what is
    changed, whether that was possible here, the checks that caught it, whether those could see it, and where or why
    not. `not_run_reasons` says of a check in
    `not_run` why there was nothing to run it on; without a reason, it was not asked for. `accidents` says of one in
    `not_run` why it could not be run. `certificate` is the path of the certificate that was written, `no_certificate`
    says why none was although it was asked for. `foreign` says that this package did not write the converted folder.
    `notes` say what of the source was read otherwise than it stands there, and how a framework got it all the same.
    `not_covered` is what the models of this class could not be given, or asked for, each with the reason.

    Checks, versions and all that follows from running a framework are those of one torch environment. Where there are
    several, `others` are the reports of the others; the verdict is that of all of them.
    """

    source: str
    converted: str
    architecture: str
    weights: str
    parameters: int
    tensors: int
    checks: tuple[CheckResult, ...]
    not_run: tuple[str, ...]
    declared_differences: tuple[DeclaredDifferenceSeen, ...]
    inputs_digest: str | None
    versions: Mapping[str, str]
    seconds: Mapping[str, float]
    memory: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    command: str | None = None
    faults: tuple[Mapping[str, Any], ...] = ()
    tool: str = TOOL
    date: str = field(default_factory=utc_now)
    direction: str = TO_TORCH
    not_run_reasons: Mapping[str, str] = field(default_factory=dict)
    certificate: str | None = None
    no_certificate: str | None = None
    foreign: bool = False
    accidents: Mapping[str, str] = field(default_factory=dict)
    others: tuple[Report, ...] = ()
    notes: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check that was asked for ran and holds, and no injected fault escaped, in every torch
        environment; a report without a check has not passed."""
        ran = bool(self.checks) and not self.accidents
        return ran and not self.failed and all(other.passed for other in self.others)

    @property
    def failed(self) -> bool:
        """Whether a check found a difference or an injected fault escaped, in any torch environment."""
        found = any(not check.passed for check in self.checks) or bool(self.escaped_faults)
        return found or any(other.failed for other in self.others)

    @property
    def sides(self) -> tuple[Report, ...]:
        """The reports of each torch environment."""
        return (replace(self, others=()), *self.others)

    @property
    def environment(self) -> str:
        """The torch environment, by the versions that were found there; nothing where no framework ran."""
        return ", ".join(f"{name} {self.versions[name]}" for name in NAMING if name in self.versions)

    @property
    def proof(self) -> str:
        """Where the certificate is, or why there is none, in words; nothing where it was not asked for."""
        if self.certificate is not None:
            return f"certificate: {self.certificate}"
        return f"no certificate: {self.no_certificate}" if self.no_certificate is not None else ""

    @property
    def escaped_faults(self) -> tuple[str, ...]:
        """Names of the injected faults that no check caught which can see them."""
        return tuple(str(fault["fault"]) for fault in self.faults if fault["injected"] and not fault["caught"])

    def check(self, name: str) -> CheckResult | None:
        """The check of this name, or None when it did not run."""
        return next((check for check in self.checks if check.name == name), None)

    def worst_check(self, dtype: str) -> CheckResult | None:
        """The check that compares what the frameworks compute in a type, float64 or float32, under whatever name."""
        return self.check(dtype) or self.check(OF_NETWORKS[dtype])

    def assert_passed(self) -> Report:
        """Return the report; raise ParityError naming every failed check when one failed."""
        if not self.passed:
            failed = []
            for side in self.sides:
                named = f"with {side.environment}: " if self.others else ""
                failed += [f"{named}{check.name}: {check.where}" for check in side.checks if not check.passed]
                failed += [f"{named}escaped fault: {name}" for name in side.escaped_faults]
            raise ParityError(f"{self.converted} is not the same model as {self.source}: " + "; ".join(failed))
        return self

    def environments(self) -> list[dict[str, Any]]:
        """What was found in each torch environment, as plain JSON values; the checks without their details."""
        return [
            {
                "name": side.environment,
                "passed": side.passed,
                "versions": dict(side.versions),
                "checks": [
                    {name: value for name, value in check.to_json().items() if name != "details"}
                    for check in side.checks
                ],
                "not_run": list(side.not_run),
                "could_not_run": dict(side.accidents),
                "declared_differences": side._declared(),
            }
            for side in self.sides
        ]

    def _declared(self) -> list[dict[str, Any]]:
        return [{"name": seen.name, "text": seen.text, "measured": seen.measured} for seen in self.declared_differences]

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        document = {
            "passed": self.passed,
            "weights": self.weights,
            "source": self.source,
            "converted": self.converted,
            "direction": self.direction,
            "foreign": self.foreign,
            "architecture": self.architecture,
            "parameters": self.parameters,
            "tensors": self.tensors,
            "checks": [check.to_json() for check in self.checks],
            "not_run": list(self.not_run),
            "not_run_reasons": dict(self.not_run_reasons),
            "could_not_run": dict(self.accidents),
            "declared_differences": self._declared(),
            "inputs_digest": self.inputs_digest,
            "versions": dict(self.versions),
            "environments": self.environments(),
            "seconds": dict(self.seconds),
            "peak_memory_bytes": dict(self.memory),
            "files": {side: dict(files) for side, files in self.files.items()},
            "command": self.command,
            "certificate": self.certificate,
            "no_certificate": self.no_certificate,
            "notes": list(self.notes),
            "not_covered": list(self.not_covered),
            "faults": [dict(fault) for fault in self.faults],
            "tool": self.tool,
            "date": self.date,
        }
        plain: dict[str, Any] = without_infinities(document)
        return plain


def without_infinities(value: Any) -> Any:
    """The value with every number that is not finite, which JSON lacks, replaced by its name."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: without_infinities(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_infinities(inner) for inner in value]
    return value
