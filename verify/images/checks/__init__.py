"""The checks of networks: one module each, which holds it as CHECK. Adding a check is adding its module."""

from __future__ import annotations

from functools import cache

from ...check import checks_in
from ..check import NetworkCheck


@cache
def network_checks() -> tuple[NetworkCheck, ...]:
    """The checks of all modules in this folder, in the order of a report."""
    return checks_in(__name__, __path__)
