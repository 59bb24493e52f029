"""How pictures are prepared for a network: what a training configuration says of it, and transformers' words for that.

Values are checked and passed on as plain numbers: PaddleOCR's own code evaluates some of them as Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....errors import ConfigurationError

Transforms = Sequence[Mapping[str, Any]]
"""Transforms of a training configuration in their order, each a name and its arguments."""


@dataclass(frozen=True)
class Preparation:
    """The `fields` of preprocessor_config.json, and PaddleOCR's own `transforms` that do the same. `notes` say what was
    taken for granted."""

    fields: Mapping[str, Any]
    transforms: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


def arguments_of(transforms: Transforms, name: str) -> Mapping[str, Any] | None:
    """The arguments of the transform of this name, None where there is no such one."""
    for one in transforms:
        if name in one:
            return one[name] if isinstance(one[name], Mapping) else {}
    return None


def refuse_others(name: str, arguments: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise ConfigurationError for arguments of a transform that are not understood."""
    if unknown := ", ".join(str(other) for other in arguments if other not in known):
        raise ConfigurationError(
            f"{name} has {unknown}, which no image processor of transformers can express; known are {', '.join(known)}"
        )


def size_of(name: str, value: Any) -> int:
    """A number of pixels. Raises ConfigurationError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise ConfigurationError(f"{name} is {value!r}; a whole number of pixels is expected")
    return value


def check_colours(transforms: Transforms) -> None:
    """Raise ConfigurationError unless pictures are decoded as blue, green and red, or nothing says how."""
    given = arguments_of(transforms, "DecodeImage")
    # The transform's own default is the other order.
    mode = "BGR" if given is None else given.get("img_mode", "RGB")
    if mode != "BGR":
        raise ConfigurationError(
            f"DecodeImage has img_mode {mode!r}; only BGR, as PP-OCR's own configurations have it, is known to be "
            "expressed by transformers' image processors"
        )


def check_steps(transforms: Transforms, known: Sequence[str], needed: Sequence[str]) -> None:
    """Raise ConfigurationError for transforms of pictures that are not among the `known` ones, and for a lack of those
    that are `needed`; where there are none at all, nothing is said."""
    names = [name for one in transforms for name in one]
    if others := [name for name in names if name not in (*known, "KeepKeys") and not name.endswith("LabelEncode")]:
        raise ConfigurationError(
            f"pictures go through {others[0]}, which transformers' image processor does not do; known are "
            f"{', '.join(known)}"
        )
    if names and (missing := [name for name in needed if name not in names]):
        raise ConfigurationError(
            f"pictures do not go through {missing[0]}, which transformers' image processor does: it is expected among "
            "their transforms"
        )


def normalisation(transforms: Transforms, usual: Mapping[str, Any]) -> dict[str, Any]:
    """The scale, means and deviations of NormalizeImage as numbers, those of `usual` where it does not say; channels
    in the order in which pictures are decoded. Raises ConfigurationError."""
    given = arguments_of(transforms, "NormalizeImage") or {}
    refuse_others("NormalizeImage", given, ("scale", "mean", "std", "order", "channel_num"))
    found = {**usual, **{name: given[name] for name in ("mean", "std") if given.get(name) is not None}}
    for name in ("mean", "std"):
        values = found[name]
        if not isinstance(values, list | tuple) or len(values) != 3 or not all(map(_is_number, values)):
            raise ConfigurationError(f"NormalizeImage has {name} {values!r}; three numbers are expected")
        found[name] = [float(value) for value in values]
    return {**found, "scale": _scale(given.get("scale")), "order": str(given.get("order", "hwc"))}


_DIVISION = re.compile(r"\s*{0}\s*/\s*{0}\s*".format(r"([0-9]{1,12}\.?[0-9]{0,12}|\.[0-9]{1,12})"))
"""How configurations write a scale: 1./255., 1/255 and the like."""


def _scale(value: Any) -> float:
    """A scale as a number; configurations write it as a division."""
    if value is None:
        return 1 / 255
    if _is_number(value):
        return float(value)
    match = _DIVISION.fullmatch(value) if isinstance(value, str) else None
    if match is not None and (below := float(match[2])):
        return float(match[1]) / below
    raise ConfigurationError(f"NormalizeImage has scale {value!r}; a number or a division such as 1./255. is expected")


def _is_number(value: Any) -> bool:
    """Whether a value is a number, and a finite one that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _BEYOND


_BEYOND = 1e30
"""More than any scale, mean or deviation."""
