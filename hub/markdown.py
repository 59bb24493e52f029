"""Markdown with texts that others chose: file names, folder names, what a certificate says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..workers.console import printable

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&@$^]|:(?=\S)|(?i:(?<=www)\.)")


def plain(text: str) -> str:
    """A text of one line in which nothing is Markdown, HTML, mathematics or a link."""
    return _SPECIAL.sub(r"\\\g<0>", printable(" ".join(text.split())))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """The lines of a table, a blank one after it; cells are Markdown already, columns in `right` (indices) are
    aligned to the right. No lines without rows."""
    if not rows:
        return []
    rule = ["--:" if index in right else "---" for index in range(len(headings))]
    return [*(f"| {' | '.join(row)} |" for row in (headings, rule, *rows)), ""]


def fenced(lines: Sequence[str], language: str) -> list[str]:
    """Lines of code, with a fence that none of them can close and a blank line after it."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + language, *lines, fence, ""]
