"""How pictures are prepared for PaddleClas's classifiers: what its transforms become, and what is refused because the
image processor that is named does not do it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.errors import ConfigurationError
from paddle2torch.mappings.registry import NETWORKS

Step = Mapping[str, Any]

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

DECODE: Step = {"DecodeImage": {"to_rgb": True, "channel_first": False}}
NORMALISE: Step = {"NormalizeImage": {"scale": "1.0/255.0", "mean": MEAN, "std": STD, "order": ""}}

PAGES: tuple[Step, ...] = (DECODE, {"ResizeImage": {"resize_short": 256}}, {"CropImage": {"size": 224}}, NORMALISE)
LINES: tuple[Step, ...] = (DECODE, {"ResizeImage": {"size": [160, 80]}}, NORMALISE)
"""As PaddleClas's own configurations have them."""

prepare = NETWORKS["pp_lcnet"].prepare


def changed(steps: tuple[Step, ...], *others: Step) -> tuple[Step, ...]:
    """The transforms with the arguments of some replaced."""
    given = {name: arguments for one in others for name, arguments in one.items()}
    assert given.keys() <= {name for one in steps for name in one}
    return tuple({name: given.get(name, arguments) for name, arguments in one.items()} for one in steps)


def test_a_page() -> None:
    found = prepare(PAGES)
    assert found.fields == {
        **{"do_convert_rgb": True, "do_resize": True, "resample": 2, "size": {"shortest_edge": 256}},
        **{"do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
        **{"do_rescale": True, "rescale_factor": 1 / 255},
        # Unlike PaddleOCR, PaddleClas normalises red, green and blue.
        **{"do_normalize": True, "image_mean": MEAN, "image_std": STD},
    }
    assert [next(iter(one)) for one in found.transforms] == ["ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage"]
    assert any("rounded down" in note for note in found.notes)


def test_a_line() -> None:
    """Width before height in PaddleClas; nothing is cut off."""
    found = prepare((*LINES, {"ToCHWImage": None}))
    assert found.fields["size"] == {"height": 80, "width": 160}
    assert found.fields["do_center_crop"] is False
    assert "crop_size" not in found.fields
    assert found.transforms[0] == {"ResizeImage": {"size": [160, 80], "interpolation": "bilinear"}}
    assert found.notes == ()


@pytest.mark.parametrize(("name", "steps"), [("pp_lcnet", PAGES), ("pp_lcnet_textline", LINES)])
def test_without_transforms_what_is_taken_for_granted_is_said(name: str, steps: tuple[Step, ...]) -> None:
    found, stated = NETWORKS[name].prepare(()), NETWORKS[name].prepare(steps)
    assert (found.fields, found.transforms) == (stated.fields, stated.transforms)
    (note,) = set(found.notes) - set(stated.notes)
    assert "is taken for granted" in note


def test_one_number_is_width_and_height() -> None:
    resized = ({"ResizeImage": {"size": 96, "interpolation": "bicubic", "backend": "cv2"}}, {"CropImage": {"size": 64}})
    found = prepare((*resized, NORMALISE))
    assert found.fields["size"] == {"height": 96, "width": 96}
    assert found.fields["crop_size"] == {"height": 64, "width": 64}
    assert found.fields["resample"] == 3


REFUSED: dict[str, tuple[tuple[Step, ...], str]] = {
    "unknown": ((*PAGES, {"RandFlipImage": {"flip_code": 1}}), "prepared with RandFlipImage, which PPDocLayoutV2"),
    "another order": ((PAGES[0], PAGES[2], PAGES[1], PAGES[3]), "in the order DecodeImage, CropImage, ResizeImage"),
    "twice": ((*PAGES, NORMALISE), "in the order DecodeImage, ResizeImage, CropImage, NormalizeImage, NormalizeImage"),
    "not resized": ((DECODE, NORMALISE), "ResizeImage is expected among their transforms"),
    "not normalised": (PAGES[:3], "NormalizeImage is expected among their transforms"),
    "blue first": (changed(PAGES, {"DecodeImage": {"to_rgb": False}}), "to_rgb false"),
    "channels first": (changed(PAGES, {"DecodeImage": {"channel_first": True}}), "the channels behind the others"),
    "no array": (changed(PAGES, {"DecodeImage": {"to_np": False}}), "is expected to give arrays"),
    "an unknown argument": (changed(PAGES, {"DecodeImage": {"odd": 1}}), "DecodeImage has odd"),
    "an unknown argument of the resize": (
        changed(PAGES, {"ResizeImage": {"resize_short": 256, "odd": 1}}),
        "ResizeImage has odd",
    ),
    "an unknown argument of the crop": (changed(PAGES, {"CropImage": {"size": 224, "odd": 1}}), "CropImage has odd"),
    "another interpolation": (
        changed(PAGES, {"ResizeImage": {"resize_short": 256, "interpolation": "lanczos"}}),
        "interpolation 'lanczos'; bilinear, bicubic are known",
    ),
    "another library": (
        changed(PAGES, {"ResizeImage": {"resize_short": 256, "backend": "pil"}}),
        "backend 'pil'; PPDocLayoutV2ImageProcessor of transformers resizes as OpenCV does",
    ),
    "no size": (changed(PAGES, {"ResizeImage": None}), "size of ResizeImage is None; a whole number"),
    "half a pixel": (changed(PAGES, {"ResizeImage": {"resize_short": 256.5}}), "is 256.5; a whole number"),
    "a crop of three numbers": (changed(PAGES, {"CropImage": {"size": [1, 2, 3]}}), "size of CropImage is [1, 2, 3]"),
    "a crop beyond the short side": (
        changed(PAGES, {"CropImage": {"size": [224, 300]}}),
        "CropImage has size [224, 300], and ResizeImage makes smaller pictures",
    ),
    "a crop beyond the size": (
        (DECODE, {"ResizeImage": {"size": [160, 80]}}, {"CropImage": {"size": [160, 96]}}, NORMALISE),
        "CropImage has size [160, 96], and ResizeImage makes smaller pictures",
    ),
    # PaddleClas's own default, which fits no picture before ToCHWImage.
    "the default order": (changed(PAGES, {"NormalizeImage": {"mean": MEAN, "std": STD}}), "order 'chw'"),
    "four channels": (
        changed(PAGES, {"NormalizeImage": {"order": "", "channel_num": 4}}),
        "channel_num 4; 3 is expected",
    ),
    "half precision": (
        changed(PAGES, {"NormalizeImage": {"order": "", "output_fp16": True}}),
        "NormalizeImage has output_fp16",
    ),
    "a mean": (changed(PAGES, {"NormalizeImage": {"order": "", "mean": 0.5}}), "mean 0.5; three numbers are expected"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_the_image_processor_does_not_do(what: str) -> None:
    steps, message = REFUSED[what]
    with pytest.raises(ConfigurationError) as caught:
        prepare(steps)
    assert message in str(caught.value)


def test_no_scale_is_run_as_python(tmp_path: Path) -> None:
    """PaddleClas evaluates it."""
    canary = tmp_path / "canary"
    for scale in (f"open('{canary}', 'w')", f"__import__('os').mkdir('{canary}')"):
        with pytest.raises(ConfigurationError, match="a number or a division such as"):
            prepare(changed(PAGES, {"NormalizeImage": {"order": "", "scale": scale}}))
    assert not canary.exists()
    assert prepare(changed(PAGES, {"NormalizeImage": {"order": "", "scale": "1.0/255.0"}})).fields[
        "rescale_factor"
    ] == pytest.approx(1 / 255, abs=0)
