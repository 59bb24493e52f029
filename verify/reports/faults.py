"""Injected faults as reports show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .gate_result import GateResult


@dataclass(frozen=True)
class Fault:
    """A change made on purpose: on which model, the checks that caught it, where it first showed, and whether it
    escaped the checks that can see it."""

    name: str
    model: str
    caught_by: str
    where: str
    escaped: bool


def faults_of(result: GateResult) -> list[Fault]:
    """The faults of the whole result and of each model's report, in this order."""
    found = [_fault(fault, "") for fault in result.faults]
    for model in result.sides:
        if model.report is not None:
            found += [_fault(fault, model.name) for fault in model.report.faults]
    return found


def _fault(fault: Mapping[str, Any], model: str) -> Fault:
    caught = fault.get("caught_by") or ()
    names = [caught] if isinstance(caught, str) else [str(name) for name in caught]
    return Fault(
        str(fault.get("fault", "")),
        str(fault.get("model") or model),
        ", ".join(names),
        str(fault.get("where") or ""),
        not fault.get("caught", bool(names)),
    )
