"""What the shapes of tensors tell: sizes that transformers' classes cannot have are refused with the reason, and of
odd shapes none makes a failure of another kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from paddle2torch.errors import ConfigurationError, UnknownNameError
from paddle2torch.mappings.images.parts import lcnet, lcnet_v3
from paddle2torch.mappings.language.images.network import count, divisible, scale_of
from paddle2torch.mappings.registry import get_network

from ...networks import CASES, SMALL, Case

Shapes = dict[str, tuple[int, ...]]

NECK = "neck."
TOWER = "backbone.vision_tower_high"


def without(case: Case, *prefixes: str) -> Shapes:
    return {name: shape for name, shape in case.shapes.items() if not name.startswith(prefixes)}


def measure(case: Case, shapes: Shapes) -> Mapping[str, Any] | None:
    return case.network.measured(shapes)


REFUSED: dict[str, tuple[str, Shapes, tuple[str, ...], str]] = {
    "no last convolution": ("small pp_lcnet", {}, ("last_conv.",), "use_last_conv false"),
    "unlike blocks": (
        *("small pp_lcnet", {"blocks3.1.pw_conv.conv.weight": (24, 16, 1, 1)}, ()),
        "blocks3.1.pw_conv has 24 channels, where blocks like it have 16",
    ),
    "channels of no scale": (
        *("small pp_lcnet", {"conv1.conv.weight": (1000, 3, 3, 3)}, ()),
        "no scale makes these channels of the usual ones: 1000 for 16",
    ),
    "channels of no scale of V3": (
        *("small pp_ocrv5_mobile_det", {"backbone.conv1.conv.weight": (1000, 3, 3, 3)}, ()),
        "no scale of PPLCNetV3 makes these channels: 1000 in place of 16",
    ),
    "unlike blocks of V3": (
        "small pp_ocrv5_mobile_rec",
        {"backbone.blocks3.1.pw_conv.conv_kxk.0.conv.weight": (48, 16, 1, 1)},
        (),
        "backbone.blocks3.1.pw_conv has 48 channels, where blocks like it have 16",
    ),
    "two widths": (
        *("small pp_ocrv5_mobile_rec", {"head.ctc_head.fc.weight": (24, 38)}, ()),
        "dims 24 and hidden_dims 16; transformers has one hidden_size for both",
    ),
    "two widths of the server's": (
        *("small pp_ocrv5_server_rec", {"head.ctc_head.fc.weight": (24, 38)}, ()),
        "dims 24 and hidden_dims 16",
    ),
    "a head for another backbone": (
        *("small pp_ocrv5_server_rec", {"head.ctc_encoder.encoder.conv1.conv.weight": (64, 512, 1, 3)}, ()),
        "the head takes 512 channels, where the backbone gives 2048",
    ),
    "another PP-HGNetV2": (
        *("small pp_ocrv5_server_det", {"backbone.stem.stem1.conv.weight": (24, 3, 3, 3)}, ()),
        "another PP-HGNetV2 than B4",
    ),
    "fewer stages": (
        *("small pp_ocrv5_server_rec", {}, ("backbone.stages.3.",)),
        "it has 3 stages in place of 4",
    ),
    "a small LKPAN": ("small pp_ocrv5_server_det", {}, ("neck.inp_conv.",), "no LKPAN of mode large"),
    "no intracl": ("small pp_ocrv5_server_det", {}, ("neck.incl",), "an LKPAN without intracl"),
    "a plain head": ("small pp_ocrv5_server_det", {}, ("head.cbn_layer.",), "no PFHeadLocal"),
    "a small head": (
        *("small pp_ocrv5_server_det", {"head.cbn_layer.last_3.conv.weight": (4, 9, 3, 3)}, ()),
        "made of 4 channels, as PFHeadLocal of mode small does",
    ),
    "an even kernel": (
        *("small slanet", {"neck.downsamples.0.dwconv.weight": (16, 1, 4, 4)}, ()),
        "no depthwise convolutions with an odd kernel",
    ),
    "three levels": ("small slanet", {}, ("neck.conv_t.convs.3.",), "the neck has 3 levels"),
    "attention to the picture": (
        *("small slanet", {"head.cross_atten.0.weight": (3, 3)}, ()),
        "head.cross_atten.0.weight: the head was trained with use_attn",
    ),
    "no squares": ("small slanext", {f"{TOWER}.pos_embed": (1, 8, 4, 24)}, (), "8 x 4 patches of 8 x 8 points"),
    "no width of heads": (
        *("small slanext", {f"{TOWER}.blocks.0.attn.rel_pos_h": (27, 7)}, ()),
        "the width 24 is no multiple of 7",
    ),
    "other windows": (
        *("small slanext", {f"{TOWER}.blocks.2.attn.rel_pos_h": (13, 12)}, ()),
        "blocks.2.attn.rel_pos_h has 13 relative places; 27 are those of a window and 15",
    ),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_sizes_that_transformers_cannot_have(what: str) -> None:
    name, changed, left_out, message = REFUSED[what]
    case = SMALL[name]
    assert measure(case, case.shapes) is not None
    with pytest.raises(ConfigurationError) as caught:
        measure(case, {**without(case, *left_out), **changed})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("small pp_lcnet", "fc."),
        ("small pp_lcnet", "conv1."),
        ("small pp_lcnet", "blocks4.1.dw_conv."),
        ("small pp_ocrv5_mobile_det", "backbone.blocks6.3."),
        ("small pp_ocrv5_mobile_det", "neck.ins_conv.3."),
        ("small pp_ocrv5_mobile_det fused", "head.binarize."),
        ("small pp_ocrv5_mobile_rec", "head.ctc_head."),
        ("small pp_ocrv5_server_rec", "head.ctc_encoder."),
        ("small pp_ocrv5_server_rec", "backbone.stem."),
        ("small pp_ocrv5_server_det", "head.binarize."),
        ("small slanet", "head.structure_generator."),
        ("small slanet", "backbone.conv1."),
        ("small slanext", f"{TOWER}.pos_embed"),
        ("small slanext", "head."),
    ],
)
def test_without_a_part_it_is_another_network(name: str, left_out: str) -> None:
    case = SMALL[name]
    assert measure(case, without(case, left_out)) is None


class Watched(dict[str, tuple[int, ...]]):
    """Shapes that remember which of them were asked for by name."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.asked = set[str]()

    def __getitem__(self, name: str) -> tuple[int, ...]:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("name", list(SMALL))
def test_shapes_of_another_rank_are_those_of_another_network(name: str) -> None:
    """Whatever the shapes are: it is another network, or refused, or its rules say what does not fit."""
    case = SMALL[name]
    watched = Watched(case.shapes)
    assert case.network.measured(watched) == case.sizes
    asked = sorted(watched.asked & case.shapes.keys())
    assert asked
    for one in asked:
        for odd in ((), (3,), (0,), (0, 0), (1, 1), (0, 0, 0, 0), (5, 5, 5, 5), (2, 2, 2, 2, 2)):
            try:
                sizes = case.network.measured({**case.shapes, one: odd})
            except ConfigurationError:
                continue
            if sizes is not None:
                case.network.rules(sizes)


@pytest.mark.parametrize("number", ["999999999", "9" * 5000])
@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("small slanext", f"{TOWER}.blocks."),
        ("small slanet", "neck.top_down_blocks.0.blocks."),
        ("small pp_ocrv5_server_rec", "backbone.stages."),
    ],
)
def test_a_number_out_of_all_order_costs_nothing(name: str, before: str, number: str) -> None:
    """A name must not make the program count for minutes."""
    case = SMALL[name]
    assert measure(case, {**case.shapes, f"{before}{number}.odd": (1,)}) == case.sizes


def test_numbers_are_counted_from_0_on_without_a_gap() -> None:
    names = ["blocks.0.a", "blocks.1.a", "blocks.1.b", "blocks.3.a", "blocks.x.2.a", "blocks.02.a", "others.2.a"]
    assert count(names, "blocks.") == 2
    assert count([*names, "blocks.2.a"], "blocks.") == 4
    assert count(names, "nothing.") == 0


@pytest.mark.parametrize(
    ("value", "divisor", "channels"),
    # make_divisible of PaddleOCR: the nearest multiple, but never less than nine tenths.
    [(16, 8, 16), (12, 8, 16), (11, 8, 16), (4, 8, 8), (0.5, 16, 16), (17, 16, 16), (24, 16, 32), (23, 16, 32)],
)
def test_channels_are_made_divisible(value: float, divisor: int, channels: int) -> None:
    assert divisible(value, divisor) == channels


@pytest.mark.parametrize("scale", lcnet.SCALES[:8])
def test_every_scale_that_paddleclas_has_a_name_for_is_found(scale: float) -> None:
    plain = [lcnet.STEM, *{outputs for blocks in lcnet.STAGES.values() for _, _, outputs, _ in blocks}]
    found = scale_of({one: divisible(one * scale, lcnet.DIVISOR) for one in plain}, lcnet.DIVISOR, lcnet.SCALES)
    assert found == scale


def test_the_scale_of_the_mobile_networks_is_one_that_makes_their_channels() -> None:
    for case in CASES.values():
        if case.network.name.startswith("pp_ocrv5_mobile"):
            assert lcnet_v3.channels(case.sizes, 512) == divisible(512 * case.sizes["scale"], 16)


def test_an_unknown_network_is_refused_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean pp_ocrv5_mobile_rec"):
        get_network("pp_ocrv4_mobile_rec")
