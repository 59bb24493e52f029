"""Fresh processes, their seconds and peak memory, and the machine they ran on."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..verify.runners.environments import interpreter_of

MIB = 1 << 20


@dataclass(frozen=True)
class Run:
    """One process: wall seconds from start to end, peak resident memory in MiB, what it printed, and the processor's
    seconds. Its own children count, where it waited for them."""

    seconds: float
    peak_mib: float
    output: str
    cpu_seconds: float = 0.0


def run_process(command: Sequence[str], variables: Mapping[str, str] | None = None, folder: Path | None = None) -> Run:
    """Run `command` to its end, with other environment variables or in another folder where they are given. Raises
    RuntimeError with its standard error when it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=variables, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        printed, complaint = output.read(), errors.read()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {complaint.strip()[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_maxrss * unit / MIB, printed, usage.ru_utime + usage.ru_stime)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, smallest and largest of `values`, and the values in the order they were measured."""
    return {
        "median": round(statistics.median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
        "all": [round(value, 4) for value in values],
    }


def facts_of(runs: Sequence[Run]) -> dict[str, Any]:
    """What is kept of the runs of one contestant."""
    return {
        "seconds": spread([run.seconds for run in runs]),
        "cpu_seconds": spread([run.cpu_seconds for run in runs]),
        "peak_mib": spread([run.peak_mib for run in runs]),
    }


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and versions; nothing that tells which machine it is."""
    return {
        "processor": _first_match("/proc/cpuinfo", r"model name\s*:\s*(.+)") or platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "memory_gib": round(int(_first_match("/proc/meminfo", r"MemTotal:\s*(\d+)") or 0) / MIB, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("numpy", "safetensors")},
        **_versions_in(interpreter_of("paddle"), ("paddlepaddle", "torch")),
    }


def _versions_in(python: str, packages: Sequence[str]) -> dict[str, str]:
    """Versions of packages where both frameworks are; one that is not there is left out."""
    script = (
        "import json, sys; from importlib.metadata import distributions;"
        "print(json.dumps({found.name: found.version for found in distributions() if found.name in sys.argv}))"
    )
    found = json.loads(run_process([python, "-c", script, *packages]).output)
    return {package: found[package] for package in packages if package in found}


def _first_match(path: str, pattern: str) -> str | None:
    file = Path(path)
    found = re.search(pattern, file.read_text()) if file.exists() else None
    return found.group(1).strip() if found else None
