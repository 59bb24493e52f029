"""Names with wildcards as patterns that the names of tensors are matched with."""

from __future__ import annotations

import re
import string
from functools import cache

from .rules import BACKBONE


@cache
def pattern_of(name: str) -> re.Pattern[str]:
    """The pattern of a row's name: a number for each wildcard, whole parts of a name, or nothing, as `front` before it.

    `{backbone}`, which may only stand at the beginning, is part of the front.
    """
    text, seen = "", set()
    for literal, field, _, _ in string.Formatter().parse(name.removeprefix(BACKBONE)):
        text += re.escape(literal)
        if field is not None:
            text += f"(?P={field})" if field in seen else f"(?P<{field}>0|[1-9][0-9]{{0,8}})"
            seen.add(field)
    return re.compile(rf"(?P<front>(?:.*\.)?){text}", re.DOTALL)
