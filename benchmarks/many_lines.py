"""Run the command line with so many made lines for the tokenizers in place of its own number, in this build or an
earlier one: `python many_lines.py LINES verify ...`."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module

if __name__ == "__main__":
    lines = int(sys.argv.pop(1))
    # Where they are counted now, and where they were.
    places = []
    for name in ("paddle2torch.verify.checks.tokenizer", "paddle2torch.verify.tokenizer"):
        with suppress(ModuleNotFoundError):
            places.append(vars(import_module(name)))
    if not any("LINES" in place for place in places):
        raise SystemExit("no module of this build has LINES: its own number of lines would be measured")
    for place in places:
        place["LINES"] = lines
    import_module("paddle2torch.cli").main()
