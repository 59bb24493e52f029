"""The names of a network's tensors: what stands before them, and whether they look like those of one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from ...errors import UnmatchedTensorsError

TWO_NETWORKS = ("Student", "Student2", "Teacher")
"""What a distillation calls its networks."""

_FIRST = re.compile(r"(?:backbone|neck|head|conv1|blocks[2-6]|last_conv|fc)\.")
"""How the names of a network's tensors begin, behind a prefix."""

_SURE = re.compile(r"(?:^|\.)(?:backbone|neck|head)\.|(?:^|\.)blocks[2-6]\.[0-9]+\.")
"""What no model of PaddleNLP's has in the names of its tensors."""


def looks_like_network(names: Collection[str]) -> bool:
    """Whether nearly all names are those of a network's tensors: some may be of another kind."""
    sure = sum(_SURE.search(name) is not None for name in names)
    return sure > len(names) * 9 // 10


def without_prefix(names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The prefix of a network's tensors, and their names without it with those in the file. Of the networks of a
    distillation, the student. Raises UnmatchedTensorsError for several others."""
    prefixes: dict[str, dict[str, str]] = {}
    for name in names:
        match = _FIRST.search(name)
        # Of a name that begins in none of these ways, nothing is known: the rules will say so.
        start = match.start() if match is not None and (match.start() == 0 or name[match.start() - 1] == ".") else 0
        prefixes.setdefault(name[:start], {})[name[start:]] = name
    if len(prefixes) == 1:
        return next(iter(prefixes.items()))
    for prefix in (f"{one}." for one in TWO_NETWORKS):
        if prefix in prefixes and all(other.rstrip(".") in TWO_NETWORKS for other in prefixes):
            return prefix, prefixes[prefix]
    listed = ", ".join(sorted(repr(prefix) for prefix in prefixes)[:5])
    raise UnmatchedTensorsError(
        f"the tensors have the prefixes {listed}: one network is expected, or a distillation with {TWO_NETWORKS[0]}"
    )
