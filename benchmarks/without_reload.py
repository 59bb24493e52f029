"""Run the command line with the reload-and-compare left out, to measure the rest. Never do this with real weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..cli import main
from ..converters import job
from ..converters.formats.piecewise import Entry


def _compare_nothing(path: Path, entries: Sequence[Entry], progress: Callable[[int], None]) -> None:
    pass


if __name__ == "__main__":
    vars(job)["compare_safetensors"] = _compare_nothing
    main()
