"""Families whose classes have left transformers: their models run only where the classes still are."""

from __future__ import annotations

from ...errors import WithdrawnError
from ...mappings.language.family import Family
from ..runners.environments import VARIABLES, older_transformers
from ..runners.forward import Runners


def check_classes(family: Family, runners: Runners) -> None:
    """Raise WithdrawnError when transformers in an environment of torch's side no longer has the classes of `family`;
    it says which environment would do, and how to name it. Nothing is started where no classes were withdrawn."""
    if family.withdrawn is None:
        return
    lacking, fitting = [], []
    for runner in runners.torches:
        version = runner.request({"operation": "versions"})["versions"]["transformers"]
        if family.withdrawn.lacks(version):
            lacking.append(f"{runner.python} has transformers {version}")
        else:
            fitting.append(runner.python)
    if not lacking:
        return
    if fitting:
        way_out = f"name {' and '.join(fitting)} alone with --torch-python or in {VARIABLES['torch']}"
    else:
        commands, python = older_transformers(family.withdrawn.last)
        way_out = (
            f"name the Python of an environment that has it with --torch-python or in {VARIABLES['torch']}; this makes "
            f"one, {python}: {' && '.join(commands)}"
        )
    raise WithdrawnError(
        f"nothing was verified: {' and '.join(lacking)}, and {family.withdrawn.text(family.name)}; {way_out}"
    )
