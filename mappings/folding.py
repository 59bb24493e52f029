"""Long lists of tensor names made readable: repeated numbers folded into `layers.{0..11}`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SLOT = re.compile(r"(?<![^.])(\d+|\{[\d.,]+\})(?![^.])")


def fold_names(names: Iterable[str]) -> list[str]:
    """Names that differ in one dotted number only become one, the numbers as `{0..3}` or `{0,2}`; order is kept.

    The last number is folded first, then the one before it, so that six names become
    `groups.{0..1}.layers.{0..2}` when all combinations occur.
    """
    folded = list(dict.fromkeys(names))
    depth = max((len(_SLOT.findall(name)) for name in folded), default=0)
    for place in range(depth):
        groups: dict[tuple[str, str], list[str]] = {}
        for name in folded:
            slots = list(_SLOT.finditer(name))[::-1]
            if place < len(slots):
                slot = slots[place]
                groups.setdefault((name[: slot.start()], name[slot.end() :]), []).append(slot.group())
            else:
                groups[(name, "")] = [""]
        folded = [before + _joined(numbers) + after for (before, after), numbers in groups.items()]
    return folded


def _joined(slots: list[str]) -> str:
    if len(slots) == 1:
        return slots[0]
    numbers = sorted({int(slot) for slot in slots})
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{{{numbers[0]}..{numbers[-1]}}}"
    return f"{{{','.join(map(str, numbers))}}}"
