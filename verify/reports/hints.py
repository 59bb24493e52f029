"""What to look at next when a check failed."""

from __future__ import annotations

import shlex
from pathlib import Path

from ...converters.checkpoints.snapshot import is_hub_name
from ..checks import named
from .result import TO_PADDLE, CheckResult, Report


def hint(report: Report, check: CheckResult) -> str:
    """What to look at after a failed check, a command or a file; nothing for a check of another name than ours."""
    found = named(check.name)
    if not found:
        return ""
    there = is_hub_name(report.converted) or Path(report.converted).exists()
    paths = [shlex.quote(path) for path in (report.source, report.converted)] if there else ["SOURCE", "CONVERTED"]
    new = "NEW --to paddle" if report.direction == TO_PADDLE else "NEW"
    text = found[0].look_at.format(source=paths[0], converted=paths[1], new=new)
    return text if there else f"{text}; `gate --keep DIR` keeps both folders"
