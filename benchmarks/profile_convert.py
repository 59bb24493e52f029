"""Where the time of a conversion goes: `python -m paddle2torch.benchmarks.profile_convert SOURCE OUTPUT`.

Prints, for the start and for each stage, wall seconds and the seconds of the processor in the program and in the
system, then the number of reads and writes, counted in a second conversion because counting costs time.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from ..converters import job
from ..converters.formats.safetensors_file import check_safetensors, write_safetensors
from ..workers.console import print_table
from .replacing import replace


def measured(stage: str, function: Callable[..., Any], rows: list[list[str]]) -> Callable[..., Any]:
    """`function`, which adds a row of seconds each time it ran."""

    @wraps(function)
    def run(*arguments: Any, **keywords: Any) -> Any:
        before, began = os.times(), time.perf_counter()
        result = function(*arguments, **keywords)
        wall, after = time.perf_counter() - began, os.times()
        seconds = (wall, after.user - before.user, after.system - before.system)
        rows.append([stage, *(f"{value:.2f}" for value in seconds)])
        return result

    return run


def counted(name: str, counts: Counter[str]) -> None:
    """Let every call of `os.NAME` count, and the bytes that it moved."""
    function = getattr(os, name)

    def call(*arguments: Any) -> int:
        moved: int = function(*arguments)
        counts[name] += 1
        counts[f"{name} bytes"] += moved
        return moved

    setattr(os, name, call)


def main() -> None:
    """Convert twice and print both tables."""
    source, output = sys.argv[1], Path(sys.argv[2])
    rows: list[list[str]] = []
    # The interpreter and the imports, which are behind us.
    times = os.times()
    rows.append(["start of the process", "", f"{times.user:.2f}", f"{times.system:.2f}"])
    stages: list[tuple[str, Callable[..., Any]]] = [("write", write_safetensors), ("read back", check_safetensors)]
    timed = [(plain, measured(stage, plain, rows)) for stage, plain in stages]
    for plain, watched in timed:
        replace(plain, watched)
    measured("conversion", job.convert_checkpoint, rows)(source, output, overwrite=True)
    print_table(["stage", "wall", "program", "system"], rows, right=(1, 2, 3))
    print()
    for plain, watched in timed:
        replace(watched, plain)
    counts: Counter[str] = Counter()
    for name in ("preadv", "pwrite"):
        counted(name, counts)
    job.convert_checkpoint(source, output, overwrite=True)
    headings = ["call", "times", "bytes", "bytes a call"]
    table = [
        [name, f"{counts[name]:,}", f"{counts[f'{name} bytes']:,}", f"{counts[f'{name} bytes'] // counts[name]:,}"]
        for name in ("preadv", "pwrite")
    ]
    print_table(headings, table, right=(1, 2, 3))


if __name__ == "__main__":
    main()
