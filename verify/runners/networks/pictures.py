"""PaddleOCR's and PaddleClas's own preparation of pictures, and PaddleOCR's own reading of texts out of probabilities.

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
    "ResizeTableImage": "ppocr.data.imaug.table_ops",
    "PaddingTableImage": "ppocr.data.imaug.table_ops",
}

CLASSIFIER_STEPS = ("ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage")

_STAND_INS = (
    *("ppocr.data", "ppocr.data.imaug", "ppocr.postprocess"),
    *("ppcls", "ppcls.data", "ppcls.data.preprocess", "ppcls.data.preprocess.ops", "ppcls.utils"),
    *("deploy", "deploy.python"),
)

_DETECTION = "paddleclas.deploy.python.det_preprocess"
"""What PaddleClas's deployed steps import under its installed name, for detectors of objects alone."""

Transforms = Sequence[Callable[[Any], Any]]


def transforms(named: Sequence[Mapping[str, Any]], builder: str = "PaddleOCR") -> Transforms:
    """The transforms of the library `builder` with these names and arguments."""
    modules = MODULES if builder == "PaddleOCR" else dict.fromkeys(CLASSIFIER_STEPS, _steps_of_classifiers())
    made = []
    for one in named:
        ((name, arguments),) = one.items()
        if name not in modules:
            raise protocol.RequestError(f"the transform {name} is none of {', '.join(modules)}")
        made.append(getattr(_module(modules[name]), name)(**(arguments or {})))
    return made


def prepared(steps: Transforms, picture: protocol.Array, builder: str = "PaddleOCR") -> protocol.Array:
    """A picture, [height, width, 3] in red, green and blue, as the transforms leave it. PaddleOCR's training reads
    pictures with OpenCV, as blue, green and red; PaddleClas's turns them into red, green and blue, and hands on the
    picture alone."""
    if builder != "PaddleOCR":
        held: Any = np.ascontiguousarray(picture)
        for step in steps:
            held = step(held)
        return np.asarray(held, np.float32)
    data: dict[str, Any] = {"image": np.ascontiguousarray(picture[:, :, ::-1])}
    for step in steps:
        data = step(data)
    image: protocol.Array = data["image"]
    return image.astype(np.float32)


def reader(dictionary: str | None, space: bool) -> Callable[[protocol.Array], Sequence[tuple[str, float]]]:
    """The library's decoder of CTC, with the dictionary at a path, None for the default one, and a blank behind it if
    there is a `space`."""
    decoder = _module("ppocr.postprocess.rec_postprocess").CTCLabelDecode(dictionary, use_space_char=space)
    made: Callable[[protocol.Array], Sequence[tuple[str, float]]] = decoder
    return made


def _steps_of_classifiers() -> str:
    """The module with PaddleClas's transforms: those that it trains with, which its wheel lacks, else those for
    deployment, which do the same."""
    trained = "ppcls.data.preprocess.ops.operators"
    if any(Path(entry, *trained.split(".")).with_suffix(".py").is_file() for entry in sys.path if entry):
        return trained
    if _DETECTION not in sys.modules:
        stand_in = ModuleType(_DETECTION)
        vars(stand_in).update(dict.fromkeys(("DetNormalizeImage", "DetPadStride", "DetPermute", "DetResize")))
        sys.modules[_DETECTION] = stand_in
    return "deploy.python.preprocess"


def _module(name: str) -> ModuleType:
    for package in _STAND_INS:
        if package not in sys.modules:
            stand_in = ModuleType(package)
            stand_in.__path__ = [str(Path(entry, *package.split("."))) for entry in sys.path if entry]
            sys.modules[package] = stand_in
    try:
        return import_module(name)
    except ImportError as error:
        raise protocol.FrameworkMissingError(f"the library's {name} cannot be imported: {error}") from error
