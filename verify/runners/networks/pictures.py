"""PaddleOCR's own preparation of pictures, and its own reading of texts out of probabilities.

Its packages import at once what hundreds of transforms need; the modules that are wanted are imported alone, under
packages that stand in for theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .. import protocol
else:
    import protocol

MODULES = {
    "RecResizeImg": "ppocr.data.imaug.rec_img_aug",
    "DetResizeForTest": "ppocr.data.imaug.operators",
    "NormalizeImage": "ppocr.data.imaug.operators",
    "ToCHWImage": "ppocr.data.imaug.operators",
    "ResizeTableImage": "ppocr.data.imaug.gen_table_mask",
    "PaddingTableImage": "ppocr.data.imaug.gen_table_mask",
}

_STAND_INS = ("ppocr.data", "ppocr.data.imaug", "ppocr.postprocess")

Transforms = Sequence[Callable[[dict[str, Any]], Any]]


def transforms(named: Sequence[Mapping[str, Any]]) -> Transforms:
    """The library's transforms with these names and arguments."""
    made = []
    for one in named:
        ((name, arguments),) = one.items()
        if name not in MODULES:
            raise protocol.RequestError(f"the transform {name} is none of {', '.join(MODULES)}")
        made.append(getattr(_module(MODULES[name]), name)(**(arguments or {})))
    return made


def prepared(steps: Transforms, picture: protocol.Array) -> protocol.Array:
    """A picture, [height, width, 3] in red, green and blue, as the transforms leave it. PaddleOCR's training reads
    pictures with OpenCV, as blue, green and red."""
    data: dict[str, Any] = {"image": np.ascontiguousarray(picture[:, :, ::-1])}
    for step in steps:
        data = step(data)
    image: protocol.Array = data["image"]
    return image.astype(np.float32)


def reader(dictionary: str, space: bool) -> Callable[[protocol.Array], Sequence[tuple[str, float]]]:
    """The library's decoder of CTC, with the dictionary at a path, and a blank behind it if there is a `space`."""
    decoder = _module("ppocr.postprocess.rec_postprocess").CTCLabelDecode(dictionary, use_space_char=space)
    made: Callable[[protocol.Array], Sequence[tuple[str, float]]] = decoder
    return made


def _module(name: str) -> ModuleType:
    for package in _STAND_INS:
        if package not in sys.modules:
            stand_in = ModuleType(package)
            stand_in.__path__ = [str(Path(entry, *package.split("."))) for entry in sys.path if entry]
            sys.modules[package] = stand_in
    try:
        return import_module(name)
    except ImportError as error:
        raise protocol.FrameworkMissingError(f"PaddleOCR's {name} cannot be imported: {error}") from error
