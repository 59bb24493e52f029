"""Long lists of tensor names made readable: repeated numbers folded into `layers.{0..11}`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")

_Parts = tuple[str | tuple[int, ...], ...]
"""The dotted parts of a name; a part that is a number is the set of numbers folded there, sorted."""


def fold_names(names: Iterable[str]) -> list[str]:
    """Names that differ in one dotted number only become one, the numbers as `{0..3}` or `{0,2}`; order is kept.

    The last number is folded first, then the one before it, so that six names become
    `groups.{0..1}.layers.{0..2}` when all combinations occur. Any text is a name: nothing in it is an error.
    """
    folded = list(dict.fromkeys(_split(name) for name in names))
    depth = max((len(_slots(parts)) for parts in folded), default=0)
    for place in range(1, depth + 1):
        # The name without the number in this place -> the numbers; None for a name without such a place.
        groups: dict[tuple[_Parts, _Parts | None], set[int]] = {}
        for parts in folded:
            slots = _slots(parts)
            if place > len(slots):
                groups[parts, None] = set()
            else:
                at = slots[-place]
                groups.setdefault((parts[:at], parts[at + 1 :]), set()).update(parts[at])  # type: ignore[arg-type]
        folded = [
            before if after is None else (*before, tuple(sorted(numbers)), *after)
            for (before, after), numbers in groups.items()
        ]
    return [".".join(part if isinstance(part, str) else _joined(part) for part in parts) for parts in folded]


def _split(name: str) -> _Parts:
    return tuple((int(part),) if _NUMBER.fullmatch(part) else part for part in name.split("."))


def _slots(parts: _Parts) -> list[int]:
    return [index for index, part in enumerate(parts) if isinstance(part, tuple)]


def _joined(numbers: tuple[int, ...]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    if numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        return f"{{{numbers[0]}..{numbers[-1]}}}"
    return f"{{{','.join(map(str, numbers))}}}"
