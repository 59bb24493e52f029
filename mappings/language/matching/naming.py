"""The names in a file beside those of the rules: a prefix too many, another one before the backbone, old names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ....errors import UnmatchedTensorsError
from ..family import Family
from ..rules import BACKBONE, pattern_of
from .folding import fold_names

SHOWN = 5
"""How many names are listed that lie beside the others."""


@dataclass(frozen=True)
class Naming:
    """What the rules call the tensors of a file: `names` leads there from the names in the file. `reading` says in
    words which prefix was taken off or replaced, if any. `old` leads from the rules' names to old ones that the file
    has instead."""

    names: Mapping[str, str]
    reading: str | None = None
    old: Mapping[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """One line per old name."""
        stored = {name: stored for stored, name in self.names.items()}
        return tuple(f"{stored[name]} is an old name of {name}, and is read as that" for name in self.old)


Fits = Callable[[Mapping[str, str]], list[str]]
"""The classes that tensors fit which are called so; the names lead from those in the file, of which some may lack."""


def settle_names(
    names: Collection[str], backbone: Collection[str], prefix: str, fits: Fits, fits_named: Fits = lambda names: []
) -> Naming:
    """Find out how the names in a file are to be read.

    `backbone` are the rules' names of the backbone's tensors without the family's `prefix`. Names that fit as they are
    stay. Otherwise, when all fit some class after one prefix is taken off or replaced, that is done. What fits the
    class that is named, in either way, goes before what fits another: a decoder that is the table of words itself
    leaves no tensor in a file by which the backbone alone would be told from it.

    What fits in no way stays, or is read without the prefix that all backbone's tensors have: the plan says what is
    wrong then. Raises UnmatchedTensorsError where a part of the tensors fits, below one prefix or several.
    """
    plain = {name: name for name in names}
    fronts = _fronts(names, backbone)
    readings = list(_readings(names, backbone, prefix, fronts))
    for reading in (Naming(plain), *readings):
        if fits_named(reading.names):
            return reading
    if fits(plain):
        return Naming(plain)
    for reading in readings:
        if fits(reading.names):
            return reading
    _refuse_parts(names, backbone, prefix, fronts, fits)
    if len(fronts) == 1 and fronts[0] not in ("", prefix) and readings:
        return readings[0]
    return Naming(plain)


def with_old_names(family: Family, naming: Naming) -> Naming:
    """The naming in which old names are those of the rules. Raises UnmatchedTensorsError for a tensor that is there
    under both."""
    patterns = [(pattern_of(old), new) for old, new in family.old_names.items()]
    found = {stored: _name_of_old(family, patterns, name) for stored, name in naming.names.items()}
    present = {*naming.names.values()}
    for stored, name in naming.names.items():
        if found[stored] != name and found[stored] in present:
            raise UnmatchedTensorsError(
                f"{stored} is an old name of {found[stored]}, and both are there; keep the one that is meant"
            )
    old = {name: naming.names[stored] for stored, name in found.items() if naming.names[stored] != name}
    return Naming(found, naming.reading, old)


def _name_of_old(family: Family, patterns: Sequence[tuple[re.Pattern[str], str]], name: str) -> str:
    for pattern, new in patterns:
        match = pattern.fullmatch(name)
        if match and match["front"] in ("", family.source_prefix):
            values = {**match.groupdict(), "backbone": match["front"]}
            return ("" if new.startswith(BACKBONE) else match["front"]) + new.format(**values)
    return name


def _fronts(names: Collection[str], backbone: Collection[str]) -> list[str]:
    """What stands before the names of backbones, the most common first; what stands before a few is by chance."""
    found: Counter[str] = Counter()
    for name in names:
        if (front := next((part for part in _parents(name) if name[len(part) :] in backbone), None)) is not None:
            found[front] += 1
    most = max(found.values(), default=0)
    return [front for front, count in found.most_common() if 2 * count >= most]


def _parents(name: str) -> Iterator[str]:
    """The beginnings of a name after which a part of it begins, the empty one first."""
    yield ""
    place = name.find(".")
    while place >= 0:
        yield name[: place + 1]
        place = name.find(".", place + 1)


def _readings(
    names: Collection[str], backbone: Collection[str], prefix: str, fronts: Collection[str]
) -> Iterator[Naming]:
    """The ways to read names that all lie under one more name, or have another prefix before the backbone's; the
    plainest first."""
    for front in fronts:
        above = [parent for parent in _parents(front) if all(name.startswith(parent) for name in names)]
        for wrapper in sorted(above, key=lambda parent: (parent + prefix != front, parent != front)):
            read = {name: _read(name, front, wrapper, backbone, prefix) for name in names}
            yield Naming(read, _in_words(len(names), front, wrapper, prefix))


def _read(name: str, front: str, wrapper: str, backbone: Collection[str], prefix: str) -> str:
    if name.startswith(front) and name[len(front) :] in backbone:
        return prefix + name[len(front) :]
    return name.removeprefix(wrapper)


def _in_words(count: int, front: str, wrapper: str, prefix: str) -> str:
    under = f"all {count} tensors lie under '{wrapper}'"
    if front in (wrapper + prefix, wrapper):
        return under if wrapper else f"the backbone's tensors lack the prefix '{prefix}'"
    instead = f"'{front.removeprefix(wrapper)}' stands for '{prefix}'"
    return f"{under}, and {instead}" if wrapper else instead


def _refuse_parts(
    names: Collection[str], backbone: Collection[str], prefix: str, fronts: Collection[str], fits: Fits
) -> None:
    """Raise UnmatchedTensorsError where all that lies under a name fits, and there is more beside it. The backbone of
    a task model whose head does not fit is no such part."""
    found: dict[str, tuple[int, list[str]]] = {}
    for front in fronts:
        for wrapper in _parents(front):
            part = [name for name in names if name.startswith(wrapper)]
            above = wrapper.removesuffix(prefix)
            if len(part) == len(names) or (above != wrapper and all(name.startswith(above) for name in names)):
                continue
            if classes := fits({name: _read(name, front, wrapper, backbone, prefix) for name in part}):
                found[wrapper] = len(part), classes
                break
    places = " and ".join(f"{count} under '{wrapper}'" for wrapper, (count, _) in found.items())
    fitting = " or ".join(dict.fromkeys(name for _, classes in found.values() for name in classes))
    if len(found) == 1:
        others = fold_names(name for name in names if not name.startswith(tuple(found)))
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        raise UnmatchedTensorsError(
            f"of {len(names)} tensors {places} fit {fitting} once that is taken off; {', '.join(others[:SHOWN])}{more} "
            "beside them have no rule: save a model's own tensors alone"
        )
    if found:
        raise UnmatchedTensorsError(
            f"of {len(names)} tensors {places} each fit {fitting} once that is taken off; save those alone "
            "that are meant"
        )
