"""Install paddle2torch with both frameworks, each side in an environment of its own, at the versions that are tested.

    python3 CHECKOUT/constraints/install.py [FOLDER]

makes FOLDER/.venv (this package, PyTorch, transformers) and FOLDER/.venv-paddle (PaddleNLP), which `paddle2torch` finds
beside the one it runs in; FOLDER is the current one by default. With --ocr, also what networks of PaddleOCR's and
PaddleClas's take. Needs Python alone. Exit status: 0, or 2 when a side could not be installed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

SIDES = {".venv": ("torch", "torch,report,hub"), ".venv-paddle": ("paddle", "paddle")}
"""Environment -> its file of constraints, and the extras of the package."""

OCR = {".venv": ("torch", "torch,report,hub,ocr"), ".venv-paddle": ("paddle", "paddle-ocr")}
"""The same with networks that read pictures."""

ALONE = {".venv-paddle": ("unstructured-paddleocr", "paddleclas")}
"""What is installed for them without its dependencies: their networks need none of those."""

LOADED = {".venv": CHECKOUT / "constraints" / "torchvision_operators.py"}
"""A script that sees to it that what was installed for them can be imported."""


def main() -> int:
    """Install both sides, one after the other; the exit status."""
    parser = argparse.ArgumentParser(description="Install paddle2torch with both frameworks, each in an environment.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where the environments go: here")
    parser.add_argument("--ocr", action="store_true", help="also what networks that read pictures take")
    given = parser.parse_args()
    folder: Path = given.folder
    for environment, (constraints, extras) in (OCR if given.ocr else SIDES).items():
        place = folder / environment
        print(f"installing {place}: {extras.replace(',', ', ')}", flush=True)
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pinned = CHECKOUT / "constraints" / f"{constraints}.txt"
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--constraint", str(pinned)]
        alone = ALONE.get(environment, ()) if given.ocr else ()
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [*install, f"{CHECKOUT}[{extras}]"],
            *([[*install, "--no-deps", *alone]] if alone else []),
            *([[str(python), str(LOADED[environment])]] if given.ocr and environment in LOADED else []),
        ):
            if status := subprocess.run(command).returncode:
                print(f"Error: {place}: not installed; status {status} of: {' '.join(command)}", file=sys.stderr)
                return 2
    program = folder / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "paddle2torch"
    print(f"installed: {program} environments shows what is there")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Error: interrupted; run it again, it goes on with what is there", file=sys.stderr)
        sys.exit(130)
