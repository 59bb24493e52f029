"""A training configuration must describe the network that the tensors show: what no tensor tells must be what
transformers' class does, and what is not understood is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from paddle2torch.converters.images.architecture import check_architecture
from paddle2torch.errors import ConfigurationError

from ...networks import CASES, SMALL, Case

FILE = "config.yml"

DETECTOR, RECOGNISER = SMALL["small pp_ocrv5_mobile_det"], SMALL["small pp_ocrv5_mobile_rec"]
CLASSIFIER, OF_LINES = CASES["PP-LCNet_x0_25"], CASES["PP-LCNet_x0_25_textline_ori"]


def section_of(case: Case, **changed: Any) -> dict[str, Any]:
    """The section that builds a network; the arguments are paths with two underscores between their parts, and None
    leaves one out."""
    section = copy.deepcopy(dict(case.network.architecture(case.sizes)))
    for path, value in changed.items():
        *above, last = path.split("__")
        place = section
        for name in above:
            place = place[name]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return section


def check(case: Case, section: dict[str, Any]) -> None:
    check_architecture(case.network, case.sizes, section, FILE)


def refusal(case: Case, section: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check(case, section)
    assert str(caught.value).startswith(f"{FILE}: ")
    return str(caught.value)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_networks_own_configuration_describes_it(case: Case) -> None:
    if not case.sizes.get("fused"):
        check(case, section_of(case))


OF_NO_EFFECT = ("k", "in_channels", "loc_reg_num")
"""What changes nothing that is written: of the boxes, which are not, their number."""


@pytest.mark.parametrize("case", SMALL.values(), ids=list(SMALL))
def test_no_argument_that_tensors_tell_may_be_another(case: Case) -> None:
    """Numbers one by one, in every section."""
    changed = 0
    for section, place in places_of(section_of(case)):
        for name, value in list(place.items()):
            if isinstance(value, int | float) and not isinstance(value, bool) and name not in OF_NO_EFFECT:
                place[name] = value + 1
                message = refusal(case, section)
                assert f"{name} is {value + 1}, but the tensors are those of a network with {value}" in message
                place[name] = value
                changed += 1
    assert changed or case.network.name.startswith("pp_ocrv5_server")


def places_of(section: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The section once for each of the mappings of arguments in it that are looked at, with that one."""
    parts = [section[name] for name in ("Backbone", "Neck") if name in section]
    found = parts or [section]
    head = section.get("Head", {})
    inner = next((one["CTCHead"] for one in head.get("head_list", []) if "CTCHead" in one), None)
    found.append(head if inner is None else inner["Neck"])
    return [(section, place) for place in found]


@pytest.mark.parametrize(
    ("case", "changed", "message"),
    [
        (DETECTOR, {"Backbone__det": None}, "Backbone.det is False by default, but the tensors are those of a network"),
        (DETECTOR, {"Backbone__det": False}, "Backbone.det is False, but the tensors are those of a network with True"),
        (RECOGNISER, {"Backbone__det": True}, "Backbone.det is True, of which it is not known that PPOCRV5MobileRec"),
        (DETECTOR, {"Neck__shortcut": False}, "Neck.shortcut is False"),
        (DETECTOR, {"Neck__name": "DBFPN"}, "Neck.name is 'DBFPN', but the tensors are those of a network with 'RSEF"),
        (DETECTOR, {"Backbone__scale": 0.5}, "Backbone.scale is 0.5, but the tensors are those of a network with 0.25"),
        (DETECTOR, {"Neck__intracl": True}, "Neck.intracl is True, of which it is not known"),
        (DETECTOR, {"Backbone__odd": 1}, "Backbone.odd is 1, of which it is not known that PPOCRV5MobileDetForObject"),
        (DETECTOR, {"Head__mode": "large"}, "Head.mode is 'large', of which it is not known"),
        (DETECTOR, {"model_type": "rec"}, "the configuration of a network of the kind 'rec' (model_type), the tensors"),
        (DETECTOR, {"Transform": {"name": "TPS"}}, "Architecture.Transform is given; PPOCRV5MobileDetForObjectDetect"),
        (DETECTOR, {"Backbone": "PPLCNetV3"}, "Backbone is 'PPLCNetV3', of which it is not known"),
        (RECOGNISER, {"Head__name": "CTCHead"}, "Head.name is 'CTCHead'"),
        (RECOGNISER, {"Neck": {"name": "SequenceEncoder", "encoder_type": "rnn"}}, "Neck.encoder_type is 'rnn'"),
        (SMALL["small pp_ocrv5_server_rec"], {"Backbone__text_rec": None}, "Backbone.text_rec is False by default"),
        (SMALL["small pp_ocrv5_server_rec"], {"Backbone__det": True}, "Backbone.det is True"),
        (SMALL["small pp_ocrv5_server_det"], {"Head__mode": None}, "Head.mode is 'small' by default"),
        (SMALL["small pp_ocrv5_server_det"], {"Neck__mode": "lite"}, "Neck.mode is 'lite'"),
        (SMALL["small pp_ocrv5_server_det"], {"Backbone__name": "PPHGNetV2_B6"}, "Backbone.name is 'PPHGNetV2_B6'"),
        (SMALL["small slanet"], {"Head__use_attn": True}, "Head.use_attn is True"),
        (SMALL["small slanet"], {"Head__max_text_length": 300}, "Head.max_text_length is 300"),
        (SMALL["small slanet"], {"Neck__use_depthwise": False}, "Neck.use_depthwise is False"),
        (SMALL["small slanext"], {"Backbone__encoder_global_attn_indexes": [0]}, "encoder_global_attn_indexes is [0]"),
        (CLASSIFIER, {"stride_list": [2, [2, 1], [2, 1], [2, 1], [2, 1]]}, "Arch.stride_list is [2, [2, 1],"),
        (OF_LINES, {"stride_list": None}, "Arch.stride_list is [2, 2, 2, 2, 2] by default"),
        (CLASSIFIER, {"class_num": None, "scale": 1.0}, "Arch.scale is 1.0, but the tensors are those of a network"),
        (CLASSIFIER, {"use_last_conv": False}, "Arch.use_last_conv is False"),
        (CLASSIFIER, {"dropout_prob": 0.5}, "Arch.dropout_prob is 0.5"),
        (CLASSIFIER, {"act": "relu"}, "Arch.act is 'relu'"),
        (CLASSIFIER, {"name": "PPLCNetV2_base"}, "Arch.name is 'PPLCNetV2_base'"),
        (CLASSIFIER, {"name": "PPLCNet_x0_5"}, "Arch.scale is 0.5"),
        (CLASSIFIER, {"class_num": 4}, "Arch.class_num is 4, but the tensors are those of a network with 1000"),
    ],
)
def test_what_is_another_network(case: Case, changed: dict[str, Any], message: str) -> None:
    assert message in refusal(case, section_of(case, **changed))


def test_an_argument_of_a_head_that_is_run() -> None:
    section = section_of(RECOGNISER)
    head = section["Head"]["head_list"][0]["CTCHead"]
    head["Neck"]["dims"] = 64
    message = refusal(RECOGNISER, section)
    assert "Head.CTCHead.Neck.dims is 64, but the tensors are those of a network with 16" in message
    head["Neck"] = "svtr"
    assert "Head.CTCHead.Neck is 'svtr'" in refusal(RECOGNISER, section)


def test_a_head_that_guides_the_training_may_be_any() -> None:
    section = section_of(RECOGNISER)
    section["Head"]["head_list"][1:] = [{"SARHead": {"enc_dim": 512}}, {"OddHead": None}]
    check(RECOGNISER, section)
    section["Head"]["head_list"].reverse()
    check(RECOGNISER, section)


@pytest.mark.parametrize(
    ("case", "changed"),
    [
        (DETECTOR, {"Backbone__pretrained": True, "Backbone__use_ssld": True, "Head__k": 10, "Head__fix_nan": True}),
        (DETECTOR, {"Backbone__lr_mult_list": [1, 0.5], "Backbone__lab_lr": 0.1, "Neck__in_channels": [3]}),
        (DETECTOR, {"Neck__intracl": False, "Backbone__odd": None}),
        (RECOGNISER, {"Backbone__det": False, "Head__out_channels_list": {"CTCLabelDecode": 99}}),
        (SMALL["small slanext"], {"Backbone__encoder_global_attn_indexes": (1,)}),
        (CLASSIFIER, {"name": "PPLCNet_x0_25", "scale": None, "pretrained": True, "use_ssld": False}),
        (CLASSIFIER, {"class_num": None, "stride_list": None, "dropout_prob": None, "act": None, "class_expand": None}),
        (OF_LINES, {"stride_list": (2, [2, 1], [2, 1], [2, 1], [2, 1])}),
    ],
)
def test_what_changes_nothing_once_a_network_is_trained(case: Case, changed: dict[str, Any]) -> None:
    section = section_of(case)
    changed = {path: value for path, value in changed.items() if value is not None or has(section, path)}
    check(case, section_of(case, **changed))


def has(section: dict[str, Any], path: str) -> bool:
    *above, last = path.split("__")
    for name in above:
        section = section[name]
    return last in section


def test_of_what_is_not_said_tensors_tell() -> None:
    """PaddleOCR's own configurations leave most arguments out."""
    check(DETECTOR, section_of(DETECTOR, Backbone__scale=None, Backbone__conv_kxk_num=None, Neck=None))
    check(RECOGNISER, {})
    check(SMALL["small slanet"], {"Head": {"name": "SLAHead"}, "Neck": None})
