"""Injected faults as reports show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .gate_result import GateResult
from .result import Report


@dataclass(frozen=True)
class Fault:
    """A change made on purpose: on which model, the checks that caught it, where it first showed or why it was not
    injected, whether it was, and whether it then escaped the checks that can see it."""

    name: str
    model: str
    caught_by: str
    where: str
    injected: bool
    escaped: bool


def count_caught(faults: Sequence[Fault]) -> str:
    """How many of the injected faults were caught, in words."""
    injected = [fault for fault in faults if fault.injected]
    return f"{sum(not fault.escaped for fault in injected)} of {len(injected)} caught"


def not_injected(faults: Sequence[Fault]) -> dict[str, list[str]]:
    """The names of the faults that were not injected, each once, by the reason."""
    found: dict[str, list[str]] = {}
    for fault in faults:
        if not fault.injected and fault.name not in found.setdefault(fault.where, []):
            found[fault.where].append(fault.name)
    return found


def faults_of(result: GateResult) -> list[Fault]:
    """The faults of the whole result and of each model's report, in this order."""
    found = [_fault(fault, "") for fault in result.faults]
    for model in result.sides:
        if model.report is not None:
            found += faults_in(model.report, model.name)
    return found


def faults_in(report: Report, model: str = "") -> list[Fault]:
    """The faults of one report."""
    return [_fault(fault, model) for fault in report.faults]


def _fault(fault: Mapping[str, Any], model: str) -> Fault:
    caught = fault.get("caught_by") or ()
    names = [caught] if isinstance(caught, str) else [str(name) for name in caught]
    injected = bool(fault.get("injected", True))
    return Fault(
        str(fault.get("fault", "")),
        str(fault.get("model") or model),
        ", ".join(names),
        str(fault.get("where") or ""),
        injected,
        injected and not fault.get("caught", bool(names)),
    )
