"""What is supported: what `families` says of the families, and of the classes of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...mappings.language.family import Family
from ...mappings.registry import FAMILIES, get_family, pretrained_of
from ...workers.console import Table


@dataclass(frozen=True)
class Supported:
    """Families; `chosen` is the one whose classes are asked for."""

    families: Sequence[Family]
    chosen: Family | None = None

    def to_json(self) -> dict[str, Any]:
        """The families as plain JSON values."""
        return {
            "families": [
                {
                    "name": family.name,
                    "classes": {model.source: model.target_architecture for model in family.models},
                    "refused": dict(family.refused),
                    "names": _names(family),
                    "withdrawn": None if family.withdrawn is None else family.withdrawn.text(),
                }
                for family in self.families
            ]
        }

    def table(self) -> Table:
        """A row per family, or per class of the one that was chosen."""
        if self.chosen is None:
            rows = [
                [family.name, str(len(family.models)), str(len(_names(family))), family.models[0].source]
                for family in self.families
            ]
            return Table(("family", "classes", "names", "such as"), rows, right=(1, 2))
        return Table(("PaddleNLP", "Hugging Face"), [[m.source, m.target_architecture] for m in self.chosen.models])

    def lines(self) -> list[str]:
        """Below the table: what is refused of the chosen family and why, or how to learn more."""
        if self.chosen is None:
            return [
                "`paddle2torch families FAMILY` lists a family's classes, `paddle2torch list --family FAMILY` its names"
            ]
        withdrawn = [] if self.chosen.withdrawn is None else [self.chosen.withdrawn.text()]
        names = ", ".join(_names(self.chosen)) or "none"
        refused = [f"refused: {name}: {reason}" for name, reason in self.chosen.refused.items()]
        return [*withdrawn, *refused, f"names: {names}"]


def _names(family: Family) -> list[str]:
    return [entry.name for entry in pretrained_of(family)]


def supported(family: str | None = None) -> Supported:
    """All families, or one. Raises UnknownNameError for an unknown one."""
    if family is None:
        return Supported(tuple(FAMILIES.values()))
    chosen = get_family(family)
    return Supported((chosen,), chosen)
