"""Where a gate's time went, and how much memory its processes took."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

COST_HEADINGS = ("stage", "seconds", "share")
MEMORY_HEADINGS = ("process", "largest memory", "model")

FRAMEWORKS_START = "starting the frameworks"
COMPARING = "comparing"
OWN_PROCESS = "paddle2torch"

BEFORE_RUNNERS = ("fetching", "seeding", "converting", FRAMEWORKS_START)
BEHIND_RUNNERS = (COMPARING, "hashing files", "injecting faults")
TITLES = {"paddle": "Paddle", "torch": "PyTorch"}


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the elapsed seconds of the block to a stage, also when the block fails."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - started


def sum_stages(models: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Elapsed seconds by stage, summed over models, in the order of a verification.

    The frameworks run side by side, and with several jobs so do the models: the stages add up to more than the time
    that passed.
    """
    total: dict[str, float] = {}
    for stages in models:
        for name, seconds in stages.items():
            total[name] = total.get(name, 0.0) + seconds
    runners = sorted(name for name in total if name.partition(" ")[0] in TITLES)
    order = dict.fromkeys((*BEFORE_RUNNERS, *runners, *BEHIND_RUNNERS, *total))
    return {name: total[name] for name in order if name in total}


def largest_memory(models: Iterable[tuple[str, Mapping[str, int]]]) -> dict[str, tuple[int, str]]:
    """The largest resident bytes of each kind of process, and the name of the model it was reached with."""
    peaks: dict[str, tuple[int, str]] = {}
    for name, memory in models:
        for process, size in memory.items():
            if size > peaks.get(process, (0, ""))[0]:
                peaks[process] = (size, name)
    return dict(sorted(peaks.items()))


def cost_rows(stages: Mapping[str, float]) -> list[list[str]]:
    """One row per stage under COST_HEADINGS; the share is that of the sum of all stages."""
    total = sum(stages.values())
    return [[_title(name), f"{seconds:.1f}", f"{seconds / total:.0%}"] for name, seconds in stages.items() if total]


def memory_rows(peaks: Mapping[str, tuple[int, str]]) -> list[list[str]]:
    """One row per kind of process under MEMORY_HEADINGS."""
    return [[_title(process), f"{size / 2**30:.2f} GiB", name] for process, (size, name) in peaks.items()]


def _title(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"{TITLES[first]} {rest}" if first in TITLES else name
