"""Files under other names, for those who look for them there."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def link(origin: Path, target: Path) -> None:
    """Make `target` a link to the file `origin`; where links cannot be made (Windows lets few users), a second name of
    it, or else a copy. Raises OSError when none of these can be made."""
    with suppress(OSError, NotImplementedError):
        target.symlink_to(origin.resolve())
        return
    share(origin, target)


def share(origin: Path, target: Path) -> None:
    """Give a file a second name, which stays when the first is deleted; a copy where the file system cannot. Raises
    OSError when neither can be made."""
    try:
        os.link(origin.resolve(), target)
    except OSError:
        shutil.copyfile(origin, target)
