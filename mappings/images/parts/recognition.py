"""How lines of text are prepared (RecResizeImg in ppocr/data/imaug/rec_img_aug.py).

PPOCRV5ServerRecImageProcessor, which transformers has for PP-OCRv5, hands the network red, green and blue, where
PaddleOCR trains with blue, green and red, and smooths what it makes smaller, which OpenCV does not. The class for
PP-OCRv6 does the same steps, turns the channels around and does not smooth: it is the one that is named.
"""

from __future__ import annotations

from ....errors import ConfigurationError
from ...language.images.preparation import (
    Preparation,
    Transforms,
    arguments_of,
    check_colours,
    check_steps,
    refuse_others,
    size_of,
)

PROCESSOR = "PPOCRV6SmallRecImageProcessor"

HEIGHT, WIDTH, MOST = 48, 320, 3200
"""The usual height of a line, the width up to which narrower ones are filled, and the widest that is not squeezed."""


def prepare(transforms: Transforms) -> Preparation:
    """As RecResizeImg says, else as PP-OCR's own configurations have it. Raises ConfigurationError for what the image
    processor cannot do."""
    check_colours(transforms)
    given = arguments_of(transforms, "RecResizeImg")
    if given is None:
        others = [name for one in transforms for name in one if name.endswith("RecResizeImg")]
        if others:
            raise ConfigurationError(f"pictures are resized by {others[0]}; only RecResizeImg is known")
    check_steps(transforms, ("DecodeImage", "RecResizeImg"), ("RecResizeImg",))
    given = given or {}
    refuse_others(
        "RecResizeImg",
        given,
        ("image_shape", "padding", "infer_mode", "eval_mode", "character_dict_path"),
    )
    if given.get("padding", True) is not True:
        raise ConfigurationError(
            "RecResizeImg has padding false: every line is squeezed to one width, which transformers' image processor "
            "does not do"
        )
    shape = given.get("image_shape", [3, HEIGHT, WIDTH])
    if not isinstance(shape, list | tuple) or len(shape) != 3 or shape[0] != 3:
        raise ConfigurationError(f"RecResizeImg has image_shape {shape!r}; 3, a height and a width are expected")
    height, width = (size_of("image_shape of RecResizeImg", one) for one in shape[1:])
    if not HEIGHT <= height < 2 * HEIGHT:
        raise ConfigurationError(
            f"RecResizeImg has image_shape {shape!r}: of lines {height} pixels high, these networks make no single row "
            f"of characters; {HEIGHT} is expected"
        )
    size = {"height": height, "width": width}
    return Preparation(
        {
            "do_convert_rgb": True,
            "do_resize": True,
            "resample": 2,
            "size": size,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "do_pad": True,
            "pad_size": size,
            "max_image_width": MOST,
        },
        # As PaddleOCR reads lines once it is trained: a wide one is not squeezed.
        ({"RecResizeImg": {"image_shape": [3, height, width], "infer_mode": True}},),
    )
