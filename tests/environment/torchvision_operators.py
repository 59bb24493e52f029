"""Lets PyPI's torchvision be imported beside a PyTorch built for the CPU alone, in the environment of the tests.

PyPI builds torchvision for CUDA: beside another build of PyTorch its compiled operators do not load, and its import
ends at the first that it describes. Image processors use its resizing, which is PyTorch's own, and none of the
operators: the names of those that the import asks for are declared before it. `make test` puts this file and a line
that imports it at every start of Python into .venv; nothing of the package knows of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
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


sys.meta_path.insert(0, _Declaring())
