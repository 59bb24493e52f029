"""Where the outputs of many checkpoints go: below one folder, each at a place of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

from ...errors import OutputError
from ...mappings.registry import is_published
from ..checkpoints.snapshot import is_hub_name
from .finding import Found, Item, name_of

Sources = Found | Iterable[Item | tuple[str | Path, str] | str | Path]
"""What was found, or sources, each alone or with the name of its output below the folder of all outputs."""


def items_of(sources: Iterable[Item | tuple[str | Path, str] | str | Path]) -> tuple[Item, ...]:
    """Sources as items; those without a name are named as in a list file."""
    return tuple(map(_item, sources))


def _item(source: Item | tuple[str | Path, str] | str | Path) -> Item:
    if isinstance(source, Item):
        return source
    if isinstance(source, tuple):
        return Item(str(source[0]), str(source[1]))
    return Item(str(source), name_of(str(source)))


def absolute_source(source: str) -> str:
    """A source as a worker elsewhere finds it: a pretrained name, or one on the Hub, as it is, any other as an
    absolute path."""
    known = (is_published(source) or is_hub_name(source)) and not os.path.exists(source)
    return source if known else os.path.abspath(source)


def output_places(items: Sequence[Item], output: Path) -> list[Path]:
    """The absolute paths of the outputs of `items` below `output`.

    Raises OutputError when `output` is a file, when a name leads out of it, when two are the same or one lies inside
    the other, and when one is, or holds, a source.
    """
    root = Path(os.path.abspath(output))
    real_root = os.path.realpath(root)
    if os.path.lexists(root) and not root.is_dir():
        raise OutputError(f"{output}: is not a folder; the outputs go into folders below it")
    places: dict[Path, Item] = {}
    inside: dict[Path, bool] = {}
    for item in items:
        name = PurePath(item.name)
        if not item.name or "\0" in item.name or name.is_absolute() or any(part.startswith(".") for part in name.parts):
            raise OutputError(
                f"{item.source}: its output cannot be called {item.name!r}: a relative path without hidden folders or "
                ".. is expected; in a list file, a name may follow the source after a tab"
            )
        place = root / name
        if place.parent not in inside:
            inside[place.parent] = place == root or _is_inside(os.path.realpath(place.parent), real_root)
        if not inside[place.parent]:
            raise OutputError(f"{place}: a link leads out of {output}; choose another name for {item.source}")
        if place in places:
            raise OutputError(
                f"{place}: is the output of both {places[place].source} and {item.source}; name them in a list file"
            )
        places[place] = item
    origins = {path: item for item in items for path in _with_parents(absolute_source(item.source))}
    for place, item in places.items():
        if holder := next((parent for parent in place.parents if parent in places), None):
            raise OutputError(
                f"{place}: the output of {item.source} would lie inside that of {places[holder].source}; choose "
                "another name"
            )
        if origin := origins.get(os.path.realpath(place)):
            raise OutputError(f"{place}: is or contains the source {origin.source}; choose another name or folder")
    return list(places)


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _with_parents(source: str) -> Iterator[str]:
    if os.path.isabs(source):
        path = Path(os.path.realpath(source))
        yield str(path)
        yield from map(str, path.parents)
