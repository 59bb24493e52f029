"""Folders under way: their hidden names say who makes them, so that what a killed process left can be told from what
a live one is making.

A folder is removed only when its maker ran on this very system (the same boot and the same namespace of process ids)
and is gone. What another machine, another container or the time before a restart left on a shared disk is never
touched: nothing here can know whether its maker still lives.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from functools import lru_cache
from pathlib import Path

PARTIAL, OLD = "partial", "old"
"""Endings of a folder that is being written, and of one that is being replaced."""

_NAME = re.compile(r"\.(.+)\.([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{6}\.(partial|old)", re.DOTALL)


def unfinished(output: Path, ending: str) -> Path:
    """A new hidden name beside `output`, marked as this process's."""
    started = _started(os.getpid()) or 0
    return output.parent / f".{output.name}.{_system()}-{os.getpid()}-{started}-{secrets.token_hex(3)}.{ending}"


def remove_abandoned(parent: Path) -> None:
    """Remove from `parent` what processes that are gone left: folders they were writing, and replaced ones whose
    successor is in place. A replaced folder without a successor stays: it is the only copy."""
    try:
        entries = os.listdir(parent)
    except OSError:
        # Not there yet, or not readable: nothing that could be removed.
        return
    for entry in entries:
        match = _NAME.fullmatch(entry)
        if match is None or _system() == _UNKNOWN or match[2] != _system():
            continue
        if match[5] == OLD and not os.path.lexists(parent / match[1]):
            continue
        if _is_gone(int(match[3]), int(match[4])):
            shutil.rmtree(parent / entry, ignore_errors=True)


_UNKNOWN = "0" * 8


@lru_cache(maxsize=1)
def _system() -> str:
    """What tells apart systems whose process ids mean different processes; zeros where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        return hashlib.sha256((boot + os.readlink("/proc/self/ns/pid")).encode()).hexdigest()[:8]
    except (OSError, ValueError):
        return _UNKNOWN


def _is_gone(pid: int, started: int) -> bool:
    """Whether the process has ended, even if its number went to another one; what is not certain counts as alive."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    now = _started(pid)
    return now is not None and now != started


def _started(pid: int) -> int | None:
    """When a process started, in the system's clock ticks; -1 for one that ended and waits for its parent; None where
    that cannot be read."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold anything.
    fields = status[status.rindex(b")") + 1 :].split()
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])
