"""What to look at next when a check failed."""

from __future__ import annotations

import shlex
from pathlib import Path

from ...converters.checkpoints.snapshot import is_hub_name
from ..checks import named
from ..images.checks import network_checks
from .result import TO_PADDLE, CheckResult, Report


def hint(report: Report, check: CheckResult) -> str:
    """What to look at after a failed check, a command or a file; nothing for a check of another name than ours."""
    texts = [one.look_at for one in named(check.name)]
    texts += [one.look_at for one in network_checks() if one.name == check.name]
    if not texts:
        return ""
    there = is_hub_name(report.converted) or Path(report.converted).exists()
    paths = [shlex.quote(path) for path in (report.source, report.converted)] if there else ["SOURCE", "CONVERTED"]
    new = "NEW --to paddle" if report.direction == TO_PADDLE else "NEW"
    text = texts[0].format(source=paths[0], converted=paths[1], new=new)
    return text if there else f"{text}; `gate --keep DIR` keeps both folders"
