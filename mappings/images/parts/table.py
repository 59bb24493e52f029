"""How pictures of tables are prepared (SLANeXtImageProcessor of transformers, which SLANet shares; PaddleOCR's
transforms are those of ppocr/data/imaug/table_ops.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....errors import ConfigurationError
from ...language.images.network import Sizes
from ...language.images.preparation import (
    Preparation,
    Transforms,
    arguments_of,
    check_colours,
    normalisation,
    refuse_others,
    size_of,
)

PROCESSOR = "SLANeXtImageProcessor"

USUAL = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
"""PaddleOCR's means and deviations, which it applies to blue, green and red in this order."""

OF_PICTURES = ("DecodeImage", "ResizeTableImage", "NormalizeImage", "PaddingTableImage", "ToCHWImage")
"""The order in which transformers' image processor does it too: what is filled up is zero behind the normalisation."""

ALWAYS = ("ResizeTableImage", "NormalizeImage", "PaddingTableImage")
"""What transformers' image processor is told to do in any case."""

OF_LABELS = ("TableLabelEncode", "TableBoxEncode", "KeepKeys")

NOTES = (
    "the network was trained with blue, green and red, and transformers' image processor for tables gives red, green "
    "and blue: the inputs of the first convolution are written in that order",
    "where the shorter side of a resized picture is no whole number, PaddleOCR cuts the fraction off and transformers' "
    "image processor rounds it: the picture may be one pixel longer",
)

TOKENS = 50
"""What transformers' image processor reads, whatever a network was trained with: those of PaddleOCR's
table_structure_dict_ch.txt with merge_no_span_structure."""


def cautions(sizes: Sizes) -> tuple[str, ...]:
    """That the tokens of a network with another number of them would be read wrongly."""
    if sizes["classes"] == TOKENS:
        return ()
    return (
        f"the network has {sizes['classes']} tokens, and post_process_table_recognition of transformers' image "
        f"processor knows {TOKENS} alone: read its outputs by your own dictionary",
    )


def prepare(transforms: Transforms, side: int, square: bool = False) -> Preparation:
    """As the transforms say, else as PaddleOCR's own configurations have it with pictures of this `side`; `square` says
    that the network takes no others than square ones. Raises ConfigurationError for what the image processor cannot
    do."""
    _check_order(transforms)
    check_colours(transforms)
    _check_tokens(transforms)
    resized = arguments_of(transforms, "ResizeTableImage") or {}
    refuse_others("ResizeTableImage", resized, ("max_len", "resize_bboxes", "infer_mode"))
    longest = size_of("max_len of ResizeTableImage", resized.get("max_len", side))
    height, width = _filled(arguments_of(transforms, "PaddingTableImage"), longest)
    if min(height, width) < longest or (square and height != width):
        raise ConfigurationError(
            f"PaddingTableImage fills pictures up to {height} x {width} that are up to {longest} long; "
            f"{'a square no smaller' if square else 'no less'} is expected"
        )
    normal = normalisation(transforms, USUAL)
    if normal["order"] != "hwc":
        raise ConfigurationError(f"NormalizeImage has order {normal['order']!r} before ToCHWImage; hwc is expected")
    return Preparation(
        {
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"height": longest, "width": longest},
            "do_rescale": True,
            "rescale_factor": normal["scale"],
            "do_normalize": True,
            "image_mean": normal["mean"][::-1],
            "image_std": normal["std"][::-1],
            "do_pad": True,
            "pad_size": {"height": height, "width": width},
        },
        (
            {"ResizeTableImage": {"max_len": longest}},
            {"NormalizeImage": normal},
            {"PaddingTableImage": {"size": [height, width]}},
            {"ToCHWImage": {}},
        ),
        NOTES,
    )


def _check_order(transforms: Transforms) -> None:
    names = [name for one in transforms for name in one]
    if others := [name for name in names if name not in (*OF_PICTURES, *OF_LABELS)]:
        raise ConfigurationError(
            f"pictures go through {others[0]}, which transformers' image processor for tables does not do; known are "
            f"{', '.join(OF_PICTURES)}"
        )
    found = [name for name in names if name in OF_PICTURES]
    wanted = [name for name in OF_PICTURES if name in found or name in ALWAYS]
    if names and found != wanted:
        raise ConfigurationError(
            f"pictures go through {', '.join(found) or 'nothing'}; {', '.join(wanted)} is what transformers' image "
            "processor for tables does, in this order"
        )


def _check_tokens(transforms: Transforms) -> None:
    encoded = arguments_of(transforms, "TableLabelEncode")
    if encoded is not None and encoded.get("merge_no_span_structure", False) is not True:
        raise ConfigurationError(
            "TableLabelEncode is without merge_no_span_structure: <td> and </td> are tokens of their own, of which "
            "transformers' image processor would read others"
        )


def _filled(given: Mapping[str, Any] | None, longest: int) -> tuple[int, int]:
    """Height and width of what a picture is filled up to. Raises ConfigurationError."""
    given = given or {}
    refuse_others("PaddingTableImage", given, ("size",))
    size = given.get("size", [longest, longest])
    if not isinstance(size, list | tuple) or len(size) != 2:
        raise ConfigurationError(f"PaddingTableImage has size {size!r}; a height and a width are expected")
    height, width = (size_of("size of PaddingTableImage", one) for one in size)
    return height, width
