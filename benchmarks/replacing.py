"""A function of this package put in place of another, wherever it was imported to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def replace(function: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Let every loaded module of the package that knows `function` by its name know `other` by it. A module that
    imports it later gets `other` too. Raises LookupError where only the defining module knows it: whoever calls it
    isn't loaded yet or has another name for it, and a measurement would be one of the untouched program."""
    package, name = __name__.split(".")[0], function.__name__
    places = [
        module
        for path, module in list(sys.modules.items())
        if path.split(".")[0] == package and vars(module).get(name) is function
    ]
    if not [module for module in places if module.__name__ != function.__module__]:
        raise LookupError(f"no loaded module of {package} imports {function.__module__}.{name}")
    for module in places:
        setattr(module, name, other)
