"""Lets PyPI's torchvision be imported beside a PyTorch built for the CPU alone.

    PYTHON CHECKOUT/constraints/torchvision_operators.py

PyPI builds torchvision for CUDA: beside another build of PyTorch its compiled operators do not load, and its import
ends at the first that it describes. Image processors use its resizing, which is PyTorch's own, and none of the
operators: the names of those that the import asks for are declared before it. Where torchvision cannot be imported,
the command puts this file and a line that imports it at every start of Python into the environment of PYTHON; nothing
of the package knows of it. Exit status: 0, or 2 when torchvision cannot be imported even so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_OPERATORS = ("nms", "qnms")

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[object] = []


class _Declaring:
    """Declares the operators when torchvision is first looked for, and finds nothing itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None, as for a finder that does not know the module."""
        if name == "torchvision" and not _declared:
            import torch

            library = torch.library.Library("torchvision", "DEF")
            for operator in _OPERATORS:
                library.define(operator + _SIGNATURE)
            _declared.append(library)
        return None


def main() -> int:
    """Put this file into the environment if that is needed and helps; the exit status."""
    if not _failure():
        return 0
    folder = Path(sysconfig.get_path("purelib"))
    placed, line = folder / Path(__file__).name, folder / "torchvision_operators.pth"
    shutil.copy(__file__, placed)
    line.write_text(f"import {placed.stem}\n", encoding="utf-8")
    if failure := _failure():
        placed.unlink()
        line.unlink()
        print(f"Error: torchvision cannot be imported with {sys.executable}: {failure}", file=sys.stderr)
        return 2
    print("torchvision was built for another PyTorch: its operators, which nothing here uses, are declared alone")
    return 0


def _failure() -> str:
    """What the import of torchvision ends with, nothing where it succeeds."""
    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True)
    return done.stderr.strip().rpartition("\n")[2] or "nothing is said" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main())

sys.meta_path.insert(0, _Declaring())
