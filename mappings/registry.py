"""The registered families and pretrained names: every module of this folder is a Family but refused.py and this one,
and has its table of names in names/. Every module of images/ is a Network.

Adding a family is adding a file; nothing here is edited.
"""

from __future__ import annotations

import difflib
import pkgutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigurationError, MappingError, UnknownNameError
from .language.family import Family
from .language.images.network import Network, Sizes
from .language.pretrained import MARK, Community, Pretrained, Reference, read_community, read_names, unlisted
from .language.tokenizers import TokenizerClass, TokenizerFacts
from .refused import REFUSED

FOLDER = Path(__file__).parent

Kind = TypeVar("Kind", Family, Network)


class _Modules(Mapping[str, Kind]):
    """Objects by name, which is that of their module in a folder. A module is imported when its object is asked for:
    what concerns one does not wait for all of them."""

    def __init__(self, kind: type[Kind], folder: str = "", left_out: tuple[str, ...] = ()) -> None:
        self._kind: type[Kind] = kind
        self._package = ".".join(filter(None, (__package__, folder)))
        modules = (module.name for module in pkgutil.iter_modules([str(FOLDER / folder)]) if not module.ispkg)
        self._names = tuple(sorted(name for name in modules if name not in left_out))
        self._loaded: dict[str, Kind] = {}

    def __getitem__(self, name: str) -> Kind:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Kind:
        if name not in self._names:
            raise KeyError(name)
        held = vars(import_module(f"{self._package}.{name}")).values()
        found: Kind | None = next(
            (value for value in held if isinstance(value, self._kind) and value.name == name), None
        )
        if found is None:
            kind = self._kind.__name__.lower()
            raise MappingError(f"{name}.py: holds no {kind} of the name {name}; here every module is a {kind}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


FAMILIES: Mapping[str, Family] = _Modules(Family, left_out=("refused", Path(__file__).stem))

NETWORKS: Mapping[str, Network] = _Modules(Network, "images")
"""The networks that read pictures, which are no models of PaddleNLP's."""

PRETRAINED: dict[str, Pretrained] = {
    entry.name: entry
    for table in sorted((FOLDER / "names").glob("*.csv"))
    # Without its family a name could be neither converted nor checked.
    if table.stem in FAMILIES
    for entry in read_names(table.stem, table.read_text("utf-8"))
}

COMMUNITY: dict[str, Community] = {
    entry.name: entry
    for table in sorted((FOLDER / "names" / "community").glob("*.csv"))
    if table.stem in FAMILIES
    for entry in read_community(table.stem, table.read_text("utf-8"))
}
"""The names that PaddleNLP's tables know by their tokenizers alone, and whose weights the community's address has."""

Published = Pretrained | Community
"""What can be fetched by its name."""


def refuse(name: str) -> None:
    """Raise ConfigurationError, with the reason, for a class, a model type or a pretrained name of PaddleNLP's that is
    known to have no twin in Hugging Face's library."""
    if name in REFUSED:
        raise ConfigurationError(f"{name} is refused: {REFUSED[name]}")
    for family in FAMILIES.values():
        family.refuse(name)


def get_family(name: str) -> Family:
    """The family of this name. Raises UnknownNameError with the near ones, and ConfigurationError for a refused one."""
    if name not in FAMILIES:
        # A model type of PaddleNLP's own.
        if (own := next((one for one in FAMILIES.values() if one.source_type == name), None)) is not None:
            return own
        refuse(name)
        if owner := _owner(name):
            raise UnknownNameError(f"unknown family {name!r}: it is a name of the family {owner}")
        raise UnknownNameError(f"unknown family {name!r}{_near(name, [*FAMILIES, *NETWORKS])}")
    return FAMILIES[name]


def _owner(name: str) -> str | None:
    """The family, or the network, one of whose names this is."""
    if (entry := PRETRAINED.get(name) or COMMUNITY.get(name)) is not None:
        return entry.family
    network = official_networks().get(name)
    return network.name if network is not None else None


def find_network(name: str) -> Network | None:
    """The network of this name, or with this official one."""
    return official_networks().get(name) or NETWORKS.get(name)


def get_network(name: str) -> Network:
    """As `find_network`; raises UnknownNameError with the near ones where that finds nothing."""
    if (found := find_network(name)) is None:
        raise UnknownNameError(f"unknown network {name!r}{_near(name, NETWORKS)}")
    return found


@cache
def official_networks() -> Mapping[str, Network]:
    """The networks by the official names that PaddleOCR and PaddleClas give to their configurations."""
    return {name: network for network in NETWORKS.values() for name in network.official}


@cache
def seeded_networks() -> Mapping[str, tuple[Network, Sizes]]:
    """The networks that can be had with seeded weights, by PaddleOCR's official names, each with its sizes."""
    return {name: (network, sizes) for network in NETWORKS.values() for name, sizes in network.seeded.items()}


def is_network_name(name: str) -> bool:
    """Whether a name is an official one of a network. None of PaddleNLP's is: they need not wait for the networks."""
    return name not in PRETRAINED and name not in COMMUNITY and name in seeded_networks()


def get_pretrained(name: str) -> Pretrained:
    """The pretrained weights of this name. Raises UnknownNameError with the near ones, and ConfigurationError for a
    refused one."""
    if name not in PRETRAINED:
        refuse(name)
        if name.startswith(MARK) or name in COMMUNITY:
            raise UnknownNameError(
                f"{name}: is a name of PaddleNLP's community, whose size is known only when it is there: `paddle2torch "
                "convert` and `verify` take it, `seed` and `gate` do not, but `gate --list` does"
            )
        if name in official_networks():
            raise UnknownNameError(
                f"{name}: is a network that reads pictures, whose published weights this program does not fetch; "
                "convert the folder that your training left, or take seeded weights (`paddle2torch seed`, "
                "`gate --seeded`)"
            )
        near = _near(name, [*PRETRAINED, *COMMUNITY])
        mark = "" if near.endswith("?") else ";"
        raise UnknownNameError(f"unknown pretrained name {name!r}{near}{mark} `paddle2torch list` shows all")
    return PRETRAINED[name]


def find_published(source: str) -> Published | None:
    """The weights that a source names: pretrained ones, or the community's, whose other names than the listed ones
    stand after "community:". None for anything else. Raises UnknownNameError for a mark before no such name, and
    ConfigurationError for a name that is known to have no twin."""
    if not source.startswith(MARK):
        return PRETRAINED.get(source) or COMMUNITY.get(source)
    name = source.removeprefix(MARK)
    if name in PRETRAINED:
        raise UnknownNameError(f"{source}: {name} is a name of PaddleNLP's own tables; leave out {MARK}")
    refuse(name)
    return COMMUNITY.get(name) or unlisted(name)


def get_published(name: str) -> Published:
    """As `find_published`; raises UnknownNameError with the near ones where that finds nothing."""
    if (found := find_published(name)) is not None:
        return found
    try:
        return get_pretrained(name)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}; PaddleNLP's community is asked by {MARK}{name}") from error


def is_published(source: str) -> bool:
    """Whether a source names published weights, unless there is a file or folder of that name."""
    return source.startswith(MARK) or source in PRETRAINED or source in COMMUNITY


def pretrained_of(family: Family) -> tuple[Pretrained, ...]:
    """The pretrained weights of a family, in their order; there may be none."""
    return tuple(entry for entry in PRETRAINED.values() if entry.family == family.name)


def names_of_family(family: str) -> list[str]:
    """The pretrained names of a family; raises UnknownNameError for one that is unknown or has none."""
    if family in NETWORKS:
        return list(NETWORKS[family].seeded)
    names = [entry.name for entry in pretrained_of(get_family(family))]
    if not names:
        raise UnknownNameError(f"family {family} has no pretrained names; known are {families_line()}")
    return names


def families_line() -> str:
    """The families that have pretrained names, each with their number, in one line."""
    counts = Counter(entry.family for entry in PRETRAINED.values())
    return ", ".join(f"{family} ({count})" for family, count in counts.items())


def family_of_class(name: str) -> Family | None:
    """The family that has this class of PaddleNLP's. Of no class but one's own is any refused."""
    # A family's module takes a hundredth of a second to load: the one whose name the class begins with comes first.
    likely = sorted(FAMILIES, key=lambda family: not name.lower().startswith(family.replace("_", "")))
    for family in map(FAMILIES.__getitem__, likely):
        if any(name in (model.source, *model.aliases) for model in family.models):
            return family
    return None


def family_of_architecture(architecture: str) -> Family | None:
    """The family that has this class, by PaddleNLP's name or else by Hugging Face's: several families may end in one
    class of Hugging Face's, which is that of the family whose own name it bears."""
    if (family := family_of_class(architecture)) is not None:
        return family
    owners = [
        family
        for family in FAMILIES.values()
        if any(architecture == model.target_architecture for model in family.models)
    ]
    return next((family for family in owners if family.target_type is None), next(iter(owners), None))


@cache
def tokenizer_classes() -> Mapping[str, TokenizerClass]:
    """PaddleNLP's tokenizer classes of all families, by name."""
    return {
        entry.name: entry
        for family in FAMILIES.values()
        if family.tokenizer is not None
        for entry in family.tokenizer.classes
    }


def target_tokenizers() -> dict[str, str]:
    """The kinds of vocabulary of Hugging Face's tokenizer classes of all families, by the class."""
    return {
        name: kind
        for family in FAMILIES.values()
        if family.tokenizer is not None
        for name, kind in family.tokenizer.target_kinds.items()
    }


def tokenizer_facts(family: str) -> TokenizerFacts:
    """What a family says of its tokenizers. Raises UnknownNameError, and MappingError for one that says nothing."""
    facts = get_family(family).tokenizer
    if facts is None:
        raise MappingError(f"family {family} does not say which tokenizers it has")
    return facts


def published_tokenizers() -> dict[str, Mapping[str, Any]]:
    """PaddleNLP's settings of all published tokenizers, by pretrained name."""
    known = {name: family.tokenizer for name, family in FAMILIES.items() if family.tokenizer is not None}
    return {
        **{name: known[entry.family].settings for name, entry in PRETRAINED.items() if entry.family in known},
        **{name: settings for facts in known.values() for name, settings in facts.published.items()},
    }


def references() -> dict[str, Reference]:
    """What independent sources say that published weights compute, by pretrained name."""
    return {name: reference for family in FAMILIES.values() for name, reference in family.references.items()}


MOST_LISTED = 50
"""Names that fit into a message."""


def meant_name(source: str) -> str:
    """For a message on a file that is not there: the published names that it is much like."""
    near = difflib.get_close_matches(source, [*PRETRAINED, *COMMUNITY], 3, 0.8)
    return f", and no pretrained name either; did you mean {' or '.join(near)}?" if near else ""


def _near(name: str, known: Iterable[str]) -> str:
    """The near names, else all of them where they are few."""
    known = list(known)
    if near := difflib.get_close_matches(name, known, 3, 0.5):
        return f"; did you mean {' or '.join(near)}?"
    return f"; known are {', '.join(known)}" if len(known) <= MOST_LISTED else ""
