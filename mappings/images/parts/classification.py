"""How pictures are prepared for PaddleClas's classifiers (ppcls/data/preprocess/ops/operators.py).

PaddleClas trains with red, green and blue. PPLCNetImageProcessor, which transformers has for PP-LCNet, turns pictures
into blue, green and red whatever its fields say, so that a network would see its channels the wrong way round; and it
smooths what it makes smaller, which OpenCV does not. PPDocLayoutV2ImageProcessor does the same steps, keeps the order,
and resizes as OpenCV does but for a grey level, so that it is the one that is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....errors import ConfigurationError
from ...language.images.preparation import (
    Preparation,
    Transforms,
    arguments_of,
    normalisation,
    refuse_others,
    size_of,
)

PROCESSOR = "PPDocLayoutV2ImageProcessor"

USUAL = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
"""PaddleClas's means and deviations of red, green and blue."""

ORDER = ("DecodeImage", "ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage")
"""The steps that transformers' image processor does, in its order."""

RESAMPLE = {"bilinear": 2, "bicubic": 3}
"""The kinds of interpolation that both have, and Pillow's numbers for them."""

ROUNDED_DOWN = (
    "the longer side of a resized picture is rounded down by transformers' image processor, where PaddleClas takes the "
    "nearest whole number: it may have a pixel less"
)

TAKEN_FOR_GRANTED = (
    "no training configuration says how pictures are prepared: as PaddleClas's own configurations of such networks "
    "have it, {how}, is taken for granted"
)


def prepare(transforms: Transforms, usual: Transforms, how: str) -> Preparation:
    """As the transforms say; where there are none, as `usual` ones do, which `how` puts into words. Raises
    ConfigurationError for what the image processor cannot do."""
    notes: tuple[str, ...] = () if transforms else (TAKEN_FOR_GRANTED.format(how=how),)
    transforms = transforms or usual
    _check_order(transforms)
    _check_decoding(transforms)
    resize, interpolation = _resize(transforms)
    crop = _crop(transforms, resize)
    normal = _normalisation(transforms)
    steps: list[Mapping[str, Any]] = [{"ResizeImage": {**resize, "interpolation": interpolation}}]
    fields: dict[str, Any] = {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": RESAMPLE[interpolation],
        "size": _size(resize),
        "do_center_crop": crop is not None,
        "do_rescale": True,
        "rescale_factor": normal["scale"],
        "do_normalize": True,
        "image_mean": normal["mean"],
        "image_std": normal["std"],
    }
    if crop is not None:
        width, height = crop
        fields["crop_size"] = {"height": height, "width": width}
        steps.append({"CropImage": {"size": [width, height]}})
    # Any other order than chw is PaddleClas's word for the channels behind the others.
    steps += [{"NormalizeImage": {**normal, "order": ""}}, {"ToCHWImage": {}}]
    if "resize_short" in resize:
        notes += (ROUNDED_DOWN,)
    return Preparation(fields, tuple(steps), notes)


def _check_order(transforms: Transforms) -> None:
    """Raise ConfigurationError for transforms that are not known, repeated, or in another order."""
    names = [name for one in transforms for name in one]
    if unknown := [name for name in names if name not in ORDER]:
        raise ConfigurationError(
            f"pictures are prepared with {unknown[0]}, which {PROCESSOR} of transformers does not do; it does "
            f"{', '.join(ORDER)}"
        )
    places = [ORDER.index(name) for name in names]
    if sorted(set(places)) != places:
        raise ConfigurationError(
            f"pictures are prepared in the order {', '.join(names)}; {PROCESSOR} of transformers knows the order "
            f"{', '.join(ORDER)} alone"
        )
    if "ResizeImage" not in names:
        raise ConfigurationError("pictures are not resized: ResizeImage is expected among their transforms")
    if "NormalizeImage" not in names:
        raise ConfigurationError("pictures are not normalised: NormalizeImage is expected among their transforms")


def _check_decoding(transforms: Transforms) -> None:
    """Raise ConfigurationError unless pictures are decoded as red, green and blue, which is PaddleClas's default."""
    given = arguments_of(transforms, "DecodeImage") or {}
    refuse_others("DecodeImage", given, ("to_np", "to_rgb", "channel_first", "backend"))
    if given.get("to_rgb", True) is not True:
        raise ConfigurationError(
            "DecodeImage has to_rgb false: pictures are blue, green and red then, and only red, green and blue are "
            f"known to be expressed by {PROCESSOR} of transformers"
        )
    if given.get("channel_first", False) is not False or given.get("to_np", True) is not True:
        raise ConfigurationError("DecodeImage is expected to give arrays with the channels behind the others")


def _resize(transforms: Transforms) -> tuple[dict[str, Any], str]:
    """The arguments of ResizeImage that say how large pictures become, as it understands them, and the kind of
    interpolation."""
    given = arguments_of(transforms, "ResizeImage") or {}
    refuse_others("ResizeImage", given, ("size", "resize_short", "interpolation", "backend", "return_numpy"))
    interpolation = str(given.get("interpolation") or "bilinear").lower()
    if interpolation not in RESAMPLE:
        raise ConfigurationError(
            f"ResizeImage has interpolation {interpolation!r}; {', '.join(RESAMPLE)} are known to be expressed"
        )
    if str(given.get("backend") or "cv2").lower() != "cv2":
        raise ConfigurationError(
            f"ResizeImage has backend {given['backend']!r}; {PROCESSOR} of transformers resizes as OpenCV does, cv2"
        )
    if (short := given.get("resize_short")) is not None:
        return {"resize_short": size_of("resize_short of ResizeImage", short)}, interpolation
    width, height = _pair("size of ResizeImage", given.get("size"))
    return {"size": [width, height]}, interpolation


def _size(resize: Mapping[str, Any]) -> dict[str, int]:
    """The field size of transformers."""
    if "resize_short" in resize:
        return {"shortest_edge": resize["resize_short"]}
    width, height = resize["size"]
    return {"height": height, "width": width}


def _crop(transforms: Transforms, resize: Mapping[str, Any]) -> tuple[int, int] | None:
    """The width and height of the middle that is left, None where nothing is cut off."""
    given = arguments_of(transforms, "CropImage")
    if given is None:
        return None
    refuse_others("CropImage", given, ("size",))
    width, height = _pair("size of CropImage", given.get("size"))
    short = resize.get("resize_short")
    least_width, least_height = (short, short) if short is not None else resize["size"]
    if width > least_width or height > least_height:
        # PaddleClas cuts nonsense out of such pictures, or fails; transformers fills them up.
        raise ConfigurationError(f"CropImage has size [{width}, {height}], and ResizeImage makes smaller pictures")
    return width, height


def _pair(name: str, value: Any) -> tuple[int, int]:
    """Width and height; PaddleClas takes one number for both."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return size_of(name, value[0]), size_of(name, value[1])
    one = size_of(name, value)
    return one, one


def _normalisation(transforms: Transforms) -> dict[str, Any]:
    """The scale, means and deviations of NormalizeImage."""
    given = arguments_of(transforms, "NormalizeImage") or {}
    # PaddleClas's default is chw, which fits no picture before ToCHWImage.
    if given.get("order", "chw") == "chw":
        raise ConfigurationError("NormalizeImage has order 'chw' before ToCHWImage; an empty one is expected")
    if given.get("channel_num", 3) != 3:
        raise ConfigurationError(f"NormalizeImage has channel_num {given['channel_num']!r}; 3 is expected")
    return normalisation(transforms, USUAL)
