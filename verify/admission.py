"""How much memory verifying a model takes, how much there is, and who has to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

BASE_BYTES = 1_900_000_000
"""What the three runners hold without a model, frameworks imported: measured 0.55, 0.55 and 0.37 GiB with a margin."""

BYTES_PER_PARAMETER = 44
"""What the runners together add per parameter at their peaks; measured 39 with albert-xxlarge-v2 (2.9 GiB Paddle in
float32, 3.5 in float64, 3.0 PyTorch)."""

TOGETHER_BYTES = 16 << 30
"""A model with which the runners would take more than this together is held by one of them at a time."""

BYTES_ALONE = 20
"""What that one adds per parameter at its peak; measured 19 with mbart-large-cc25, whose table of words PaddleNLP saves
three times (10.7 GiB to write it, 9.4 to load it in float64)."""

PADDLE_BYTES, SEEDING_BYTES = 700_000_000, 14
"""What a Paddle runner holds without a model, and what it adds per parameter of one that it writes; measured 0.55 GiB,
and 12 with albert-xxlarge-v2 (3.0 GiB)."""

SIDE_BYTES = 500_000_000
"""What one more torch runner holds without a model; only one of them holds a model at a time."""


def one_at_a_time(parameters: int) -> bool:
    """Whether a model of so many parameters is held by one runner at a time."""
    return BASE_BYTES + BYTES_PER_PARAMETER * parameters > TOGETHER_BYTES


def memory_needed(parameters: int, sides: int = 1) -> int:
    """Bytes that verifying a model of so many parameters takes at most, with so many torch environments, all processes
    together."""
    per_parameter = BYTES_ALONE if one_at_a_time(parameters) else BYTES_PER_PARAMETER
    return BASE_BYTES + SIDE_BYTES * (sides - 1) + per_parameter * parameters


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that processes started now can use: the least of the system's available memory and what the control
    groups of this process (version 2 or 1) leave; None where the system does not say. `root` holds `proc` and `sys`.
    """
    found = [_of_system(root), *_of_groups(root)]
    return min((value for value in found if value is not None), default=None)


def seeding_fits_beside(verified: int, written: int) -> bool:
    """Whether a model of so many parameters can be verified, and seeded weights of so many written by a process of its
    own beside it, in the memory that there is."""
    if one_at_a_time(verified) or one_at_a_time(written):
        return False
    available = available_memory()
    return available is None or memory_needed(verified) + PADDLE_BYTES + SEEDING_BYTES * written <= available


class MemoryBudget:
    """A number of bytes that is shared by jobs; a job waits until its own fit. One job always may run."""

    def __init__(self, total: int | None) -> None:
        """`total` in bytes; None sets no bound."""
        self.total = total
        self._changed = Condition()
        self._held = 0
        self._jobs = 0
        self._stopped = False

    def stop(self) -> None:
        """Let nobody wait any more. Safe from any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @contextmanager
    def hold(self, needed: int, on_wait: Callable[[int], None] | None = None) -> Iterator[None]:
        """Hold `needed` bytes; where they are not left, `on_wait(bytes left)` is called once before waiting."""
        with self._changed:
            if not self._fits(needed) and on_wait is not None and self.total is not None:
                on_wait(max(self.total - self._held, 0))
            self._changed.wait_for(lambda: self._stopped or self._fits(needed))
            self._held += needed
            self._jobs += 1
        try:
            yield
        finally:
            with self._changed:
                self._held -= needed
                self._jobs -= 1
                self._changed.notify_all()

    def _fits(self, needed: int) -> bool:
        return self.total is None or self._jobs == 0 or self._held + needed <= self.total


def _of_system(root: Path) -> int | None:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_groups(root: Path) -> Iterator[int | None]:
    """What each control group of this process and each group above it leaves."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, usage, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            usage, cache = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        folder = base / path.lstrip("/")
        # Inside a container the path may be that of the host: the container's own group is the root then.
        for group in (folder, *folder.parents):
            if group == base or base in group.parents:
                yield _left(group, limit, usage, cache)


def _left(group: Path, limit: str, usage: str, cache: str) -> int | None:
    """Limit less usage; file pages that the system can drop at once count as free."""
    most, used = _number(group / limit), _number(group / usage)
    if most is None or used is None:
        return None
    dropped = sum(int(line.split()[1]) for line in _lines(group / "memory.stat") if line.split(" ", 1)[0] == cache)
    return max(most - used + dropped, 0)


def _number(path: Path) -> int | None:
    """The number in a file; None where there is no such file or it says "max"."""
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    """The lines of a file of the system, none where it cannot be read: then it sets no bound."""
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
