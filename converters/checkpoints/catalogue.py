"""The pretrained names: what `list` says of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ...mappings.language.images.network import Network
from ...mappings.language.pretrained import ADDRESS, Community, Pretrained
from ...mappings.registry import COMMUNITY, FAMILIES, NETWORKS, PRETRAINED, find_network, get_family
from ...workers.console import Table
from .source import cached_folder


@dataclass(frozen=True)
class Catalogue:
    """Pretrained names, in their order, names of PaddleNLP's community, of which less is known, and the official names
    of networks that read pictures, which are not fetched."""

    entries: tuple[Pretrained, ...]
    community: tuple[Community, ...] = ()
    networks: tuple[Network, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The names as plain JSON values, with whether a cache holds them."""
        return {
            "models": [
                {
                    "name": entry.name,
                    "family": entry.family,
                    "language": entry.language,
                    "configuration": dict(entry.configuration),
                    "parameters": dict(entry.parameters),
                    "weights_url": entry.weights_url,
                    "tokenizer_url": entry.tokenizer_urls[0],
                    "tokenizer_urls": list(entry.tokenizer_urls),
                    "cached": cached_folder(entry.name) is not None,
                }
                for entry in self.entries
            ],
            "community": [
                {
                    "name": entry.name,
                    "family": entry.family,
                    "language": entry.language,
                    "folder_url": f"{ADDRESS}/{entry.name}",
                    "cached": cached_folder(entry.key) is not None,
                }
                for entry in self.community
            ],
            "networks": [
                {"name": name, "family": network.name, "title": network.title, "seeded": name in network.seeded}
                for network in self.networks
                for name in network.official
            ],
        }

    def table(self) -> Table:
        """Below a row for each family, a row per name; narrow enough for a terminal of 80 columns."""
        rows = []
        for family, names in groupby(self.entries, lambda entry: entry.family):
            entries = list(names)
            languages = ", ".join(dict.fromkeys(entry.language for entry in entries))
            rows += [[f"{family} ({len(entries)}; {languages})", "", "", ""], *map(_row, entries)]
        for network in self.networks:
            rows.append([f"{network.name} ({len(network.official)}; {network.builder})", "", "", ""])
            rows += [[f"  {name}", "-", "-", "no"] for name in network.official]
        return Table(("name", "size", "parameters", "cached"), rows, right=(1, 2))

    def lines(self) -> list[str]:
        """Below the table: a line per name of the community, and what holds of networks."""
        community = ["PaddleNLP's community; what such a name is shows when it is fetched:"] if self.community else []
        return [*community, *map(_community_line, self.community), *([NOT_FETCHED] if self.networks else [])]


NOT_FETCHED = "Networks of PaddleOCR's and PaddleClas's are not fetched: convert the folder that your training left."


def _row(entry: Pretrained) -> list[str]:
    sizes = (entry.configuration.get(size, "-") for size in ("num_hidden_layers", "hidden_size"))
    parameters = f"{next(iter(entry.parameters.values())):,}"
    cached = "yes" if cached_folder(entry.name) is not None else "no"
    return [f"  {entry.name}", " x ".join(map(str, sizes)), parameters, cached]


def _community_line(entry: Community) -> str:
    cached = ", cached" if cached_folder(entry.key) is not None else ""
    return f"  {entry.name} ({entry.family}, {entry.language}{cached})"


def catalogue(family: str | None = None) -> Catalogue:
    """All pretrained names, or those of a family, or of the network that has this official name. Raises
    UnknownNameError for an unknown family."""
    if family is not None and family not in FAMILIES and (network := find_network(family)) is not None:
        return Catalogue((), networks=(network,))
    if family is not None:
        get_family(family)
    return Catalogue(
        tuple(entry for entry in PRETRAINED.values() if family in (None, entry.family)),
        tuple(entry for entry in COMMUNITY.values() if family in (None, entry.family)),
        tuple(NETWORKS.values()) if family is None else (),
    )
