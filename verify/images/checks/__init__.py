"""The checks of networks: one module each, which holds it as CHECK. Adding a check is adding its module."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..check import NetworkCheck


@cache
def network_checks() -> tuple[NetworkCheck, ...]:
    """The checks of all modules in this folder, in the order of a report."""
    found: list[NetworkCheck] = []
    for module in iter_modules(__path__):
        held = getattr(import_module(f"{__name__}.{module.name}"), "CHECK", None)
        # Left out in silence, it would never fail.
        if held is None or held.name != module.name:
            raise LookupError(f"{__name__}.{module.name} holds no CHECK of its name; here every module is a check")
        found.append(held)
    return tuple(sorted(found, key=lambda check: check.order))
