"""The checks: one module each, which holds it as CHECK. Adding a check is adding its module."""

from __future__ import annotations

from functools import cache

from ..check import Check, checks_in


@cache
def all_checks() -> tuple[Check, ...]:
    """The checks of all modules in this folder, in the order of a report."""
    return checks_in(__name__, __path__)


def named(*names: str) -> tuple[Check, ...]:
    """The checks of these names, each once, in the order of a report."""
    return tuple(check for check in all_checks() if check.name in names)
