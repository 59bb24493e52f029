"""The pretrained names: what `list` says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...mappings.language.pretrained import Pretrained
from ...mappings.registry import PRETRAINED, get_family
from ...workers.console import Table
from .source import cached_folder

_SIZES = ("num_hidden_layers", "embedding_size", "hidden_size", "num_attention_heads")


@dataclass(frozen=True)
class Catalogue:
    """Pretrained names, in their order."""

    entries: tuple[Pretrained, ...]

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
                    "tokenizer_url": entry.tokenizer_url,
                    "cached": cached_folder(entry.name) is not None,
                }
                for entry in self.entries
            ]
        }

    def table(self) -> Table:
        """A row per name."""
        headings = ("name", "language", "layers / embedding / hidden / heads", "activation", "parameters", "cached")
        rows = [
            [
                entry.name,
                entry.language,
                " / ".join(str(entry.configuration.get(size, "-")) for size in _SIZES),
                str(entry.configuration.get("hidden_act", "-")),
                f"{next(iter(entry.parameters.values())):,}",
                "yes" if cached_folder(entry.name) is not None else "no",
            ]
            for entry in self.entries
        ]
        return Table(headings, rows, right=(4,))


def catalogue(family: str | None = None) -> Catalogue:
    """All pretrained names, or those of a family. Raises UnknownNameError for an unknown family."""
    if family is not None:
        get_family(family)
    return Catalogue(tuple(entry for entry in PRETRAINED.values() if family in (None, entry.family)))
