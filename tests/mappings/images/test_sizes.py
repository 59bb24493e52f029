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


REFUSED: dict[str, tuple[str, Mapping[str, tuple[int, ...]], tuple[str, ...], str]] = {
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


@pytest.mark.parametrize(
    ("name", "changed", "field", "value"),
    [
        ("small pp_ocrv5_mobile_rec", {"head.ctc_head.fc.weight": (16, 500)}, "head_out_channels", 500),
        ("small pp_ocrv5_server_rec", {"head.ctc_head.fc.weight": (16, 18385)}, "head_out_channels", 18385),
        ("small slanet", {"head.structure_generator.1.weight": (12, 50)}, "out_channels", 50),
        ("small slanext", {"head.structure_generator.1.weight": (12, 50)}, "out_channels", 50),
        ("small pp_lcnet", {"fc.weight": (24, 2)}, "id2label", {"0": "LABEL_0", "1": "LABEL_1"}),
        ("small pp_lcnet_textline", {"fc.weight": (16, 1)}, "label2id", {"LABEL_0": 0}),
    ],
)
def test_the_number_of_classes_is_that_of_the_tensors(name: str, changed: Shapes, field: str, value: Any) -> None:
    """Never that of an official configuration."""
    case = SMALL[name]
    sizes = measure(case, {**case.shapes, **changed})
    assert sizes is not None
    assert sizes["classes"] == (len(value) if isinstance(value, dict) else value)
    assert case.network.configuration(sizes)[field] == value


UNTOLD: dict[str, dict[str, Any]] = {
    # PaddleOCR's blocks have 1e-5 and the norm behind them 1e-6: of the two, this one is nearer.
    "small pp_ocrv5_mobile_rec": {"layer_norm_eps": 1e-5, "num_attention_heads": 8, "mlp_ratio": 2.0, "qkv_bias": True},
    "small pp_ocrv5_server_rec": {"layer_norm_eps": 1e-5, "num_attention_heads": 8, "hidden_act": "silu"},
    "small pp_ocrv5_mobile_det": {"kernel_list": [3, 2, 2], "reduction": 4, "interpolate_mode": "nearest"},
    "small pp_ocrv5_server_det": {"kernel_list": [3, 2, 2], "scale_factor": 2, "scale_factor_list": [1, 2, 4, 8]},
    "small pp_lcnet": {"hidden_dropout_prob": 0.2, "stem_stride": 2, "hidden_act": "hardswish"},
    "small slanet": {"max_text_length": 500, "hidden_act": "hardswish"},
    "small slanext": {"max_text_length": 500},
}
"""What PaddleOCR's and PaddleClas's code has, and no tensor tells."""

STRIDES: dict[str, list[list[Any]]] = {
    "small pp_ocrv5_mobile_rec": [[1], [1, 1], [[2, 1], 1], [[1, 2], 1, 1, 1, 1], [[2, 1], 1, [2, 1], 1]],
    "small pp_ocrv5_mobile_det": [[1], [2, 1], [2, 1], [2, 1, 1, 1, 1], [2, 1, 1, 1]],
    "small pp_lcnet": [[1], [2, 1], [2, 1], [2, 1, 1, 1, 1, 1], [2, 1]],
    "small pp_lcnet_textline": [[1], [[2, 1], 1], [[2, 1], 1], [[2, 1], 1, 1, 1, 1, 1], [[2, 1], 1]],
    "small slanet": [[1], [2, 1], [2, 1], [2, 1, 1, 1, 1, 1], [2, 1]],
}


@pytest.mark.parametrize("name", list(UNTOLD))
def test_what_no_tensor_tells_is_what_the_library_has(name: str) -> None:
    found = SMALL[name].network.configuration(SMALL[name].sizes)
    assert {field: found[field] for field in UNTOLD[name]} == UNTOLD[name]


@pytest.mark.parametrize("name", list(STRIDES))
def test_the_strides_are_those_of_the_library(name: str) -> None:
    configuration = SMALL[name].network.configuration(SMALL[name].sizes)
    blocks = configuration.get("backbone_config", configuration)["block_configs"]
    assert [[block[3] for block in stage] for stage in blocks] == STRIDES[name]


@pytest.mark.parametrize(
    ("name", "stem", "downsample", "strides"),
    [
        ("small pp_ocrv5_server_rec", [2, 1, 1, 1, 1], [True] * 4, [[2, 1], [1, 2], [2, 1], [2, 1]]),
        # The stride of a stage that has none is not read.
        ("small pp_ocrv5_server_det", [2, 1, 1, 2, 1], [False, True, True, True], [2, 2, 2, 2]),
    ],
)
def test_the_strides_of_the_server_networks(name: str, stem: list[int], downsample: list[bool], strides: Any) -> None:
    found = SMALL[name].network.configuration(SMALL[name].sizes)["backbone_config"]
    assert found["stem_strides"] == stem
    assert found["stage_downsample"] == downsample
    assert found["stage_downsample_strides"] == strides


def test_an_unknown_network_is_refused_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean pp_ocrv5_mobile_rec"):
        get_network("pp_ocrv4_mobile_rec")
