"""How pages are prepared for the detection of text (PPOCRV5ServerDetImageProcessor of transformers, which the mobile
networks share)."""

from __future__ import annotations

from ....errors import ConfigurationError
from ...language.images.preparation import (
    Preparation,
    Transforms,
    arguments_of,
    check_colours,
    check_steps,
    normalisation,
    refuse_others,
    size_of,
)

PROCESSOR = "PPOCRV5ServerDetImageProcessor"

STEPS = ("DecodeImage", "DetResizeForTest", "NormalizeImage", "ToCHWImage")

LIMITS = ("min", "max", "resize_long")

USUAL = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
"""PaddleOCR's means and deviations, which it applies to blue, green and red in this order."""

SIDE, KIND, MOST = 736, "min", 4000
"""PaddleOCR's default of DetResizeForTest, and the largest side that transformers' image processor leaves."""

NOTES = (
    f"a page of which a side is longer than {MOST:,} pixels once it is resized is made smaller by transformers' image "
    "processor (max_side_limit), and not by PaddleOCR's training code",
)


def prepare(transforms: Transforms) -> Preparation:
    """As DetResizeForTest and NormalizeImage say, else as they do by default. Raises ConfigurationError for what the
    image processor cannot do."""
    check_steps(transforms, STEPS, ("DetResizeForTest", "NormalizeImage"))
    check_colours(transforms)
    given = arguments_of(transforms, "DetResizeForTest") or {}
    refuse_others("DetResizeForTest", given, ("limit_side_len", "limit_type", "max_side_limit"))
    side = size_of("limit_side_len of DetResizeForTest", given.get("limit_side_len") or SIDE)
    # Without a length, PaddleOCR does not read the kind.
    kind = (given.get("limit_type") if "limit_side_len" in given else None) or KIND
    if kind not in LIMITS:
        raise ConfigurationError(f"DetResizeForTest has limit_type {kind!r}; {', '.join(LIMITS)} are known")
    normal = normalisation(transforms, USUAL)
    if normal["order"] != "hwc":
        raise ConfigurationError(f"NormalizeImage has order {normal['order']!r} before ToCHWImage; hwc is expected")
    return Preparation(
        {
            "do_resize": True,
            "resample": 2,
            "size": {"height": side, "width": side},
            "do_rescale": True,
            "rescale_factor": normal["scale"],
            "do_normalize": True,
            # PaddleOCR normalises blue, green and red; transformers' class red, green and blue, which it turns then.
            "image_mean": normal["mean"][::-1],
            "image_std": normal["std"][::-1],
            "limit_side_len": side,
            "limit_type": kind,
            "max_side_limit": MOST,
        },
        (
            {"DetResizeForTest": {"limit_side_len": side, "limit_type": kind}},
            {"NormalizeImage": normal},
            {"ToCHWImage": {}},
        ),
        NOTES,
    )
