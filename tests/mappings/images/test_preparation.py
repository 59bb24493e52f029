"""How pictures are prepared for lines, pages and tables: what transforms of a training configuration become, what is
refused because no image processor of transformers does it, and that nothing of it is ever run as Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.errors import ConfigurationError
from paddle2torch.mappings.images.parts import detection, recognition, table
from paddle2torch.mappings.language.images.preparation import Preparation
from paddle2torch.mappings.registry import NETWORKS

Step = Mapping[str, Any]

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

DECODE: Step = {"DecodeImage": {"img_mode": "BGR", "channel_first": False}}
NORMALISE: Step = {"NormalizeImage": {"scale": "1./255.", "mean": MEAN, "std": STD, "order": "hwc"}}
TURN: Step = {"ToCHWImage": None}
KEEP: Step = {"KeepKeys": {"keep_keys": ["image", "shape"]}}

LINES: tuple[Step, ...] = (
    DECODE,
    {"MultiLabelEncode": {"gtc_encode": "NRTRLabelEncode"}},
    {"RecResizeImg": {"image_shape": [3, 48, 320]}},
    KEEP,
)
PAGES: tuple[Step, ...] = (DECODE, {"DetLabelEncode": None}, {"DetResizeForTest": None}, NORMALISE, TURN, KEEP)
TABLES: tuple[Step, ...] = (
    DECODE,
    {"TableLabelEncode": {"learn_empty_box": False, "merge_no_span_structure": True, "max_text_length": 500}},
    {"TableBoxEncode": {"in_box_format": "xyxyxyxy", "out_box_format": "xyxyxyxy"}},
    {"ResizeTableImage": {"max_len": 488}},
    NORMALISE,
    {"PaddingTableImage": {"size": [488, 488]}},
    TURN,
    KEEP,
)
"""As PaddleOCR's own configurations have them under Eval."""


def changed(steps: tuple[Step, ...], *others: Step) -> tuple[Step, ...]:
    """The transforms with the arguments of some replaced."""
    given = {name: arguments for one in others for name, arguments in one.items()}
    assert given.keys() <= {name for one in steps for name in one}
    return tuple({name: given.get(name, arguments) for name, arguments in one.items()} for one in steps)


def without(steps: tuple[Step, ...], *names: str) -> tuple[Step, ...]:
    return tuple(one for one in steps if not set(names) & one.keys())


def prepare(kind: str, steps: tuple[Step, ...]) -> Preparation:
    """The preparation of one kind; pictures of tables have the side 488 where nothing says another."""
    if kind == "table":
        return table.prepare(steps, 488)
    return recognition.prepare(steps) if kind == "line" else detection.prepare(steps)


def test_a_line() -> None:
    found = prepare("line", changed(LINES, {"RecResizeImg": {"image_shape": [3, 48, 640], "eval_mode": True}}))
    size = {"height": 48, "width": 640}
    assert found.fields == {
        **{"do_convert_rgb": True, "do_resize": True, "resample": 2, "size": size},
        **{"do_rescale": True, "rescale_factor": 1 / 255},
        **{"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        **{"do_pad": True, "pad_size": size, "max_image_width": 3200},
    }
    assert found.transforms == ({"RecResizeImg": {"image_shape": [3, 48, 640], "infer_mode": True}},)


def test_a_page() -> None:
    """Means and deviations are turned with the channels: PaddleOCR's are those of blue, green and red."""
    resize = {"limit_side_len": 960, "limit_type": "max"}
    found = prepare("page", changed(PAGES, {"DetResizeForTest": resize}))
    assert found.fields == {
        **{"do_resize": True, "resample": 2, "size": {"height": 960, "width": 960}},
        **{"do_rescale": True, "rescale_factor": 1 / 255},
        **{"do_normalize": True, "image_mean": MEAN[::-1], "image_std": STD[::-1]},
        **{"limit_side_len": 960, "limit_type": "max", "max_side_limit": 4000},
    }
    normal = {"scale": 1 / 255, "mean": MEAN, "std": STD, "order": "hwc"}
    assert found.transforms == ({"DetResizeForTest": resize}, {"NormalizeImage": normal}, {"ToCHWImage": {}})


def test_a_table() -> None:
    found = prepare("table", changed(TABLES, {"PaddingTableImage": {"size": [500, 600]}}))
    assert found.fields["size"] == {"height": 488, "width": 488}
    assert found.fields["pad_size"] == {"height": 500, "width": 600}
    assert found.fields["rescale_factor"] == 1 / 255
    # Red, green and blue for transformers, blue, green and red for PaddleOCR.
    assert (found.fields["image_mean"], found.fields["image_std"]) == (MEAN[::-1], STD[::-1])
    assert {"NormalizeImage": {"scale": 1 / 255, "mean": MEAN, "std": STD, "order": "hwc"}} in found.transforms
    assert found.fields["do_pad"] is found.fields["do_normalize"] is found.fields["do_resize"] is True
    assert [next(iter(one)) for one in found.transforms] == [
        *("ResizeTableImage", "NormalizeImage", "PaddingTableImage", "ToCHWImage")
    ]
    assert found.notes


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network.task != "classification"])
def test_without_transforms_it_is_as_paddleocrs_own_configurations_have_it(name: str) -> None:
    network = NETWORKS[name]
    steps = {"recognition": LINES, "detection": PAGES, "table": TABLES}[network.task]
    if name == "slanext":
        sides = {"ResizeTableImage": {"max_len": 512}}, {"PaddingTableImage": {"size": [512, 512]}}
        steps = changed(steps, *sides)
    assert network.prepare(()) == network.prepare(steps)


def test_what_detresizefortest_does_by_default() -> None:
    assert prepare("page", PAGES).fields["limit_side_len"] == 736
    # Without a length, PaddleOCR does not read the kind of limit either.
    alone = prepare("page", changed(PAGES, {"DetResizeForTest": {"limit_type": "max"}}))
    assert alone == prepare("page", PAGES)
    by_itself = prepare("page", changed(PAGES, {"DetResizeForTest": {"limit_side_len": 640}}))
    assert (by_itself.fields["limit_side_len"], by_itself.fields["limit_type"]) == (640, "min")


REFUSED: dict[str, tuple[str, tuple[Step, ...], str]] = {
    "colours": ("line", changed(LINES, {"DecodeImage": {"img_mode": "RGB"}}), "img_mode 'RGB'; only BGR"),
    # PaddleOCR's DecodeImage gives red, green and blue unless it is told otherwise.
    "colours by default": ("page", changed(PAGES, {"DecodeImage": {"channel_first": False}}), "img_mode 'RGB'"),
    "no arguments at all": ("table", changed(TABLES, {"DecodeImage": None}), "img_mode 'RGB'"),
    "grey": ("table", changed(TABLES, {"DecodeImage": {"img_mode": "GRAY"}}), "img_mode 'GRAY'; only BGR"),
    "another resize": (
        *("line", (DECODE, {"SVTRRecResizeImg": {"image_shape": [3, 64, 256]}})),
        "resized by SVTRRecResizeImg; only RecResizeImg is known",
    ),
    "a squeezed line": (
        *("line", changed(LINES, {"RecResizeImg": {"image_shape": [3, 48, 320], "padding": False}})),
        "padding false",
    ),
    "an unknown argument of a line": (
        *("line", changed(LINES, {"RecResizeImg": {"image_shape": [3, 48, 320], "odd": 1}})),
        "RecResizeImg has odd, which no image processor of transformers can express; known are image_shape,",
    ),
    "a line of one channel": (
        *("line", changed(LINES, {"RecResizeImg": {"image_shape": [1, 32, 100]}})),
        "image_shape [1, 32, 100]; 3, a height and a width are expected",
    ),
    "no shape": ("line", changed(LINES, {"RecResizeImg": {"image_shape": "3"}}), "image_shape '3'"),
    "a low line": (
        *("line", changed(LINES, {"RecResizeImg": {"image_shape": [3, 32, 320]}})),
        "of lines 32 pixels high, these networks make no single row of characters; 48 is expected",
    ),
    "a high line": ("line", changed(LINES, {"RecResizeImg": {"image_shape": [3, 96, 320]}}), "of lines 96 pixels"),
    "half a pixel": (
        *("line", changed(LINES, {"RecResizeImg": {"image_shape": [3, 48, 320.5]}})),
        "image_shape of RecResizeImg is 320.5; a whole number of pixels is expected",
    ),
    "no pixel": ("page", changed(PAGES, {"DetResizeForTest": {"limit_side_len": -1}}), "is -1; a whole number"),
    "true": ("page", changed(PAGES, {"DetResizeForTest": {"limit_side_len": True}}), "is True; a whole number"),
    "too many pixels": ("page", changed(PAGES, {"DetResizeForTest": {"limit_side_len": 10**6}}), "is 1000000;"),
    "a limit that is none": (
        *("page", changed(PAGES, {"DetResizeForTest": {"limit_side_len": 64, "limit_type": "most"}})),
        "limit_type 'most'; min, max, resize_long are known",
    ),
    "a fixed size of pages": (
        *("page", changed(PAGES, {"DetResizeForTest": {"image_shape": [736, 1280]}})),
        "DetResizeForTest has image_shape, which no image processor",
    ),
    "arguments without a name": (
        *("page", changed(PAGES, {"DetResizeForTest": {3: 4, "b": 5}})),
        "DetResizeForTest has 3, b, which",
    ),
    "the order of a page": (
        *("page", changed(PAGES, {"NormalizeImage": {"order": "chw"}})),
        "order 'chw' before ToCHWImage; hwc is expected",
    ),
    "the order of a table": (
        *("table", changed(TABLES, {"NormalizeImage": {"order": "chw"}})),
        "order 'chw' before ToCHWImage; hwc is expected",
    ),
    "two means": (
        *("page", changed(PAGES, {"NormalizeImage": {"mean": [0.5, 0.5], "order": "hwc"}})),
        "mean [0.5, 0.5]; three numbers are expected",
    ),
    "a word for a deviation": (
        *("table", changed(TABLES, {"NormalizeImage": {"std": [0.5, 0.5, "x"], "order": "hwc"}})),
        "std [0.5, 0.5, 'x']; three numbers are expected",
    ),
    "a mean that is no number": (
        *("page", changed(PAGES, {"NormalizeImage": {"mean": [0.5, 0.5, float("nan")], "order": "hwc"}})),
        "three numbers are expected",
    ),
    "a mean beyond all numbers": (
        *("page", changed(PAGES, {"NormalizeImage": {"mean": [0.5, 0.5, 10**400], "order": "hwc"}})),
        "three numbers are expected",
    ),
    "an unknown argument of the normalisation": (
        *("page", changed(PAGES, {"NormalizeImage": {"output_fp16": True, "order": "hwc"}})),
        "NormalizeImage has output_fp16",
    ),
    "a page that is made grey": ("page", (*PAGES[:4], {"GrayImageChannelFormat": None}, *PAGES[4:]), "go through Gray"),
    "a page that is not resized": ("page", without(PAGES, "DetResizeForTest"), "do not go through DetResizeForTest"),
    "a page that is not normalised": ("page", without(PAGES, "NormalizeImage"), "do not go through NormalizeImage"),
    "a line that is turned": ("line", (*LINES, {"RecAug": None}), "go through RecAug"),
    "a line that is not resized": ("line", without(LINES, "RecResizeImg"), "do not go through RecResizeImg"),
    "a table that is turned": (
        *("table", (*TABLES, {"RandomRotate": None})),
        "go through RandomRotate, which transformers' image processor for tables does not do",
    ),
    "a table in another order": ("table", (*TABLES[:4], TABLES[5], TABLES[4], *TABLES[6:]), "in this order"),
    "a table that is not filled up": ("table", without(TABLES, "PaddingTableImage"), "PaddingTableImage"),
    "a table of which labels alone are made": (
        *("table", (TABLES[1], TABLES[2])),
        "pictures go through nothing; ResizeTableImage, NormalizeImage, PaddingTableImage is what",
    ),
    "cells of two tokens": (
        *("table", changed(TABLES, {"TableLabelEncode": {"learn_empty_box": False}})),
        "without merge_no_span_structure",
    ),
    "an unknown argument of a table": (
        *("table", changed(TABLES, {"ResizeTableImage": {"max_len": 488, "odd": 1}})),
        "ResizeTableImage has odd",
    ),
    "an unknown argument of filling up": (
        *("table", changed(TABLES, {"PaddingTableImage": {"size": [488, 488], "odd": 1}})),
        "PaddingTableImage has odd",
    ),
    "filled up to less": (
        *("table", changed(TABLES, {"PaddingTableImage": {"size": [400, 488]}})),
        "fills pictures up to 400 x 488 that are up to 488 long; no less is expected",
    ),
    "filled up to one number": (
        *("table", changed(TABLES, {"PaddingTableImage": {"size": 488}})),
        "size 488; a height and a width are expected",
    ),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_no_image_processor_does(what: str) -> None:
    kind, steps, message = REFUSED[what]
    with pytest.raises(ConfigurationError) as caught:
        prepare(kind, steps)
    assert message in str(caught.value)


def test_a_network_of_squares_takes_no_other_tables() -> None:
    sides = {"ResizeTableImage": {"max_len": 488}}, {"PaddingTableImage": {"size": [488, 512]}}
    assert NETWORKS["slanet"].prepare(changed(TABLES, *sides)).fields["pad_size"] == {"height": 488, "width": 512}
    with pytest.raises(ConfigurationError, match="up to 488 x 512 that are up to 488 long; a square no smaller"):
        NETWORKS["slanext"].prepare(changed(TABLES, *sides))


@pytest.mark.parametrize(
    ("scale", "number"),
    [
        ("1./255.", 1 / 255),
        ("1/255", 1 / 255),
        (" 1.0 / 127.5 ", 1 / 127.5),
        (0.5, 0.5),
        (1, 1.0),
        (None, 1 / 255),
        (0.00392156862745098, 0.00392156862745098),
    ],
)
@pytest.mark.parametrize("kind", ["page", "table"])
def test_a_scale_is_a_number_or_a_division(kind: str, scale: Any, number: float) -> None:
    steps = {"page": PAGES, "table": TABLES}[kind]
    found = prepare(kind, changed(steps, {"NormalizeImage": {"scale": scale, "order": "hwc"}}))
    assert found.fields["rescale_factor"] == number
    assert isinstance(found.fields["rescale_factor"], float)


@pytest.mark.parametrize(
    "scale",
    [
        "__import__('os').mkdir('{canary}')",
        "open('{canary}', 'w')",
        "1./255. or open('{canary}', 'w')",
        "1/0",
        "1/./2",
        "1.2.3/4",
        "2**10",
        "1/2/3",
        "",
        True,
        [1, 255],
        10**400,
    ],
)
@pytest.mark.parametrize("kind", ["page", "table"])
def test_no_scale_is_run_as_python(kind: str, scale: Any, tmp_path: Path) -> None:
    """PaddleOCR evaluates it."""
    canary = tmp_path / "canary"
    given = scale.replace("{canary}", str(canary)) if isinstance(scale, str) else scale
    steps = {"page": PAGES, "table": TABLES}[kind]
    with pytest.raises(ConfigurationError, match=r"a number or a division such as 1\./255\. is expected"):
        prepare(kind, changed(steps, {"NormalizeImage": {"scale": given, "order": "hwc"}}))
    assert not canary.exists()
