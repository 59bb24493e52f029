"""Run the command line with the reload left out, to measure the rest. Never do this with real weights."""

from __future__ import annotations

from typing import Any

from ..__main__ import main
from ..workers.process import load_numpy


def _check_nothing(*arguments: Any) -> None:
    pass


if __name__ == "__main__":
    # As the command itself does.
    load_numpy()
    from ..converters import job  # noqa: F401 - what is loaded is what is replaced
    from ..converters.formats.safetensors_file import check_safetensors
    from .replacing import replace

    replace(check_safetensors, _check_nothing)
    main()
