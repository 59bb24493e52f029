"""Install paddle2torch with both frameworks, each side in an environment of its own, at the versions that are tested.

    python3 CHECKOUT/constraints/install.py [FOLDER]

makes FOLDER/.venv (this package, PyTorch, transformers) and FOLDER/.venv-paddle (PaddleNLP), which `paddle2torch` finds
beside the one it runs in; FOLDER is the current one by default. Needs Python alone. Exit status: 0, or 2 when a side
could not be installed.
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


def main() -> int:
    """Install both sides, one after the other; the exit status."""
    parser = argparse.ArgumentParser(description="Install paddle2torch with both frameworks, each in an environment.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where the environments go: here")
    folder: Path = parser.parse_args().folder
    for environment, (constraints, extras) in SIDES.items():
        place = folder / environment
        print(f"installing {place}: {extras.replace(',', ', ')}", flush=True)
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pinned = CHECKOUT / "constraints" / f"{constraints}.txt"
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [*install, "--constraint", str(pinned), f"{CHECKOUT}[{extras}]"],
        ):
            if status := subprocess.run(command).returncode:
                print(f"Error: {place}: not installed; status {status} of: {' '.join(command)}", file=sys.stderr)
                return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Error: interrupted; run it again, it goes on with what is there", file=sys.stderr)
        sys.exit(130)
