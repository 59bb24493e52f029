"""What is supported: what `families` says of the families, and of the classes of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...mappings.language.family import Family
from ...mappings.language.images.network import Network
from ...mappings.registry import FAMILIES, NETWORKS, find_network, get_family, pretrained_of
from ...workers.console import Table


@dataclass(frozen=True)
class Supported:
    """Families, and the networks that read pictures; `chosen` is the family whose classes are asked for, without which
    a single network is the one that is asked for."""

    families: Sequence[Family]
    chosen: Family | None = None
    networks: Sequence[Network] = ()

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
            ],
            "networks": [
                {
                    "name": network.name,
                    "title": network.title,
                    "class": network.target,
                    "auto_class": network.auto_class,
                    "official_names": list(network.official),
                    "constants": {one.name: one.text for one in network.constants},
                    "losses": list(network.losses),
                }
                for network in self.networks
            ],
        }

    def table(self) -> Table:
        """A row per family, or per class of the one that was chosen."""
        if not self.families:
            return Table(("network", "Hugging Face"), [[one.title, one.target] for one in self.networks])
        if self.chosen is None:
            rows = [
                [family.name, str(len(family.models)), str(len(_names(family))), family.models[0].source]
                for family in self.families
            ]
            rows += [[one.name, "1", str(len(one.official)), one.official[0]] for one in self.networks]
            return Table(("family", "classes", "names", "such as"), rows, right=(1, 2))
        return Table(("PaddleNLP", "Hugging Face"), [[m.source, m.target_architecture] for m in self.chosen.models])

    def lines(self) -> list[str]:
        """Below the table: what is refused of the chosen family and why, or how to learn more."""
        if not self.families:
            return [
                line
                for network in self.networks
                for line in (
                    *(f"lost: {loss}" for loss in network.losses),
                    *(f"differs in transformers: {one.name}: {one.text}" for one in network.constants),
                    f"official names: {', '.join(network.official)}",
                )
            ]
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
    """All families, or one, or the network with this official name. Raises UnknownNameError for an unknown one."""
    if family is None:
        return Supported(tuple(FAMILIES.values()), networks=tuple(NETWORKS.values()))
    if family not in FAMILIES and (network := find_network(family)) is not None:
        return Supported((), networks=(network,))
    chosen = get_family(family)
    return Supported((chosen,), chosen)
