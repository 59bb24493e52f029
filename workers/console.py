"""Tables and progress for people: rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import Any, NamedTuple

_quiet = False


def be_quiet(quiet: bool) -> None:
    """Whether results and progress are left out from now on, for a caller who wants the exit status alone."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """What `be_quiet` said last."""
    return _quiet


class Table(NamedTuple):
    """What `print_table` prints."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()


def printable(text: str) -> str:
    """A text from a file made safe to print: control characters, line breaks and the like as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table on standard output; columns in `right` (indices) are aligned to the right."""
    safe = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print_plain([list(headings), *safe], right)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if _width(headings, safe) > (columns := get_terminal_size().columns):
        print("\n".join(_narrow(headings, safe, columns)))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index in right else "left", overflow="fold")
    for row in safe:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False, soft_wrap=False).print(table)


def _width(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """What a table takes when no cell is folded: two blanks between columns."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return sum(widths) + 2 * (len(widths) - 1)


def _narrow(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """A few lines for each row: its first cell, and the others behind their headings, broken between two of these."""
    lines = []
    for first, *others in rows:
        lines.append(first)
        line = ""
        for heading, cell in zip(headings[1:], others, strict=True):
            part = f"{heading} {cell}".strip()
            if not cell:
                continue
            if line and len(line) + len(part) + 4 > columns:
                lines.append(f"  {line}")
                line = ""
            line = f"{line}, {part}" if line else part
        if line:
            lines.append(f"  {line}")
    return lines


def show(as_json: bool, document: Mapping[str, Any], lines: Iterable[str] = (), table: Table | None = None) -> None:
    """Print a result on standard output: the document for a program, or the table and the lines for people."""
    if as_json:
        print_json(document)
        return
    if _quiet:
        return
    if table is not None:
        print_table(*table)
    for line in lines:
        print(line)


def print_json(document: Mapping[str, Any]) -> None:
    """Print a document on standard output as the only thing there."""
    print(json.dumps(document, indent=2, allow_nan=False))


def _print_plain(rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    """One line per row, columns two spaces apart; nothing is folded, so that lines stay lines for other programs."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


@contextmanager
def byte_progress(quiet: bool, line_seconds: float | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """A function (stage, bytes done, bytes in all, or 0 while unknown) that moves a bar on a terminal.

    Elsewhere it is silent, or notes a line when `line_seconds` have passed since the last one.
    """
    if quiet or not sys.stderr.isatty():
        yield (lambda stage, done, total: None) if quiet or line_seconds is None else _line_progress(line_seconds)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description:8}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield update


def _line_progress(line_seconds: float) -> Callable[[str, int, int], None]:
    last = time.monotonic()

    def update(stage: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= line_seconds:
            last = time.monotonic()
            note(f"{stage}: {done:,}{f' of {total:,}' if total else ''} bytes")

    return update


def note(text: str) -> None:
    """Print a line about work under way on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def outcome_notes(total: int) -> Callable[[str, str, float], None]:
    """A function (name, verdict, seconds) that notes each of `total` outcomes, with its number, as it comes."""
    count = 0

    def tell(name: str, verdict: str, seconds: float) -> None:
        nonlocal count
        count += 1
        note(f"[{count}/{total}] {name}: {verdict} ({seconds:.1f} s)")

    return tell
