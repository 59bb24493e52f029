"""What every network must answer, asked of all of them alike, and compared with transformers' own classes: rows that
expand, sizes that come back from shapes, and both sides closed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.mappings.language.images.network import Network
from paddle2torch.mappings.language.images.preparation import Transforms
from paddle2torch.mappings.language.matching.plan import TensorFacts
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.registry import (
    FAMILIES,
    NETWORKS,
    get_network,
    is_network_name,
    names_of_family,
    seeded_networks,
)

from ...conftest import TORCH_PYTHON, run_child
from ...networks import CASES, Case

networks = pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
cases = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))

ALIKE = {"pp_lcnet", "pp_lcnet_textline"}
"""The networks whose tensors are the same, as their modules say."""

NONE: Transforms = ()


def facts_of(case: Case, dtype: str = "float32") -> dict[str, TensorFacts]:
    return {name: TensorFacts(dtype, shape) for name, shape in case.shapes.items()}


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    """What transformers says: `models` by case, `auto_classes` by network, and what image processors take."""
    processors = sorted({network.processor_class for network in NETWORKS.values()})
    made_up = {"reduction": 4, "made_up": 1, "backbone_config": {"model_type": "pp_lcnet_v3", "scales": 2}}
    request = {
        "models": [
            *([case.network.target, case.network.configuration(case.sizes)] for case in CASES.values()),
            ["PPOCRV5MobileDetForObjectDetection", made_up],
        ],
        "auto_classes": [[network.auto_class, network.target] for network in NETWORKS.values()],
        "processors": processors,
    }
    answer = run_child(Path(__file__).with_name("torch_facts_of_networks.py"), request, python=TORCH_PYTHON)
    return {
        "models": dict(zip([*CASES, "made up"], answer["models"], strict=True)),
        "auto_classes": dict(zip(NETWORKS, answer["auto_classes"], strict=True)),
        "processors": dict(zip(processors, answer["processors"], strict=True)),
    }


@cases
def test_the_sizes_come_back_from_the_shapes(case: Case) -> None:
    assert case.network.measure(case.shapes) == case.sizes
    assert case.network.problems(case.sizes, facts_of(case)) == []


@cases
def test_no_other_network_takes_the_tensors(case: Case) -> None:
    takes = {name for name, network in NETWORKS.items() if network.measure(case.shapes) is not None}
    assert takes == (ALIKE if case.network.name in ALIKE else {case.network.name})


@cases
def test_both_sides_are_closed(case: Case, real: dict[str, Any]) -> None:
    """What the moves write is just what the state of transformers' class holds; it counts batches by itself."""
    state = real["models"][case.name]["state"]
    wanted = {name: tuple(shape) for name, shape in state.items() if not name.endswith(".num_batches_tracked")}
    moves = [move for rule in case.network.rules(case.sizes) if rule.kind is Kind.MAPPED for move in rule.moves()]
    assert {move.target: move.target_shape for move in moves} == wanted
    assert len(moves) == len(wanted)


@cases
def test_every_drop_has_a_reason_that_is_a_sentence(case: Case) -> None:
    for rule in case.network.rules(case.sizes):
        if rule.kind is Kind.DROPPED:
            assert len(str(rule.reason).split()) > 5, rule.sources
            assert rule.moves() == ()
        else:
            assert rule.kind is Kind.MAPPED
            assert rule.targets


def test_there_are_drops_to_look_at() -> None:
    dropped = {
        case.network.name
        for case in CASES.values()
        for rule in case.network.rules(case.sizes)
        if rule.kind is Kind.DROPPED
    }
    assert dropped == set(NETWORKS) - ALIKE


@cases
def test_a_missing_tensor_a_spare_one_and_a_wrong_shape_are_problems(case: Case) -> None:
    facts = facts_of(case)
    required = [name for rule in case.network.rules(case.sizes) if rule.kind is Kind.MAPPED for name in rule.sources]
    first, last = required[0], required[-1]
    without = {name: one for name, one in facts.items() if name != first}
    assert any("missing" in problem for problem in case.network.problems(case.sizes, without))
    (spare,) = case.network.problems(case.sizes, {**facts, "head.odd.weight": TensorFacts("float32", (1,))})
    assert "no rule for head.odd.weight" in spare
    (wrong,) = case.network.problems(case.sizes, {**facts, last: TensorFacts("float32", (*facts[last].shape, 2))})
    assert last in wrong
    (whole,) = case.network.problems(case.sizes, {**facts, last: TensorFacts("int64", facts[last].shape)})
    assert "holds int64, a floating-point type is expected" in whole


@cases
def test_what_is_dropped_may_be_missing(case: Case) -> None:
    dropped = {name for rule in case.network.rules(case.sizes) if rule.kind is Kind.DROPPED for name in rule.sources}
    facts = {name: one for name, one in facts_of(case).items() if name not in dropped}
    assert case.network.problems(case.sizes, facts) == []


@cases
def test_constants_concern_modules_of_the_class(case: Case, real: dict[str, Any]) -> None:
    """Or else aligning the two would change nothing."""
    modules = real["models"][case.name]["modules"]
    for constant in case.network.constants:
        found = [one for one in modules if re.compile(constant.where).search(one)]
        if constant.applies(case.sizes):
            assert found, constant.name
            if constant.kind == "epsilon":
                assert all("Norm" in one.rpartition("(")[2] for one in found), constant.name


@cases
def test_the_logits_are_a_module_of_either_side(case: Case, real: dict[str, Any]) -> None:
    network = case.network
    assert network.logits is not None
    assert network.source_logits is not None
    names = {one.partition(" ")[0] for one in real["models"][case.name]["modules"]}
    assert network.logits in names
    assert any(name.startswith(f"{network.source_logits}.") for name in case.shapes)


@cases
def test_every_field_of_the_configuration_is_one_that_the_class_reads(case: Case, real: dict[str, Any]) -> None:
    facts = real["models"][case.name]
    assert facts["unknown"] == []
    assert facts["model_type"] == (case.network.model_type or case.network.name)


def test_a_field_that_no_class_reads_would_be_seen(real: dict[str, Any]) -> None:
    assert real["models"]["made up"]["unknown"] == [
        "PPOCRV5MobileDetConfig.made_up",
        "PPLCNetV3Config.scales",
    ]


@networks
def test_the_auto_class_loads_the_class(network: Network, real: dict[str, Any]) -> None:
    assert real["auto_classes"][network.name] == network.target


@networks
def test_every_field_of_the_preparation_is_one_that_the_image_processor_takes(
    network: Network, real: dict[str, Any]
) -> None:
    fields = set(network.prepare(NONE).fields)
    if network.task == "recognition":
        fields.add("character_list")
    assert fields <= set(real["processors"][network.processor_class])


@networks
def test_constants_say_what_they_are(network: Network) -> None:
    assert network.constants
    assert len({constant.name for constant in network.constants}) == len(network.constants)
    for constant in network.constants:
        re.compile(constant.where)
        assert len(constant.text.split()) > 5
        if constant.kind in ("slope", "factor"):
            assert constant.value
        if constant.kind == "factor":
            # The two are one number, once as a float32.
            (own,) = constant.own
            assert 0 < abs(own - constant.value) < 1e-7
        assert constant.to_json()["where"] == constant.where


@networks
def test_a_network_says_everything(network: Network) -> None:
    assert network.title
    assert network.seeded
    assert set(network.seeded) <= set(network.official)
    assert network.builder in ("PaddleOCR", "PaddleClas")
    assert (network.builder == "PaddleClas") == (network.task == "classification")
    assert all(len(shape) == 4 and shape[1] == 3 for shape in network.inputs)
    sizes = next(iter(network.seeded.values()))
    if network.square is None:
        assert network.pictures(sizes) == network.inputs
    else:
        assert {shape[2:] for shape in network.pictures(sizes)} == {(sizes[network.square],) * 2}
    reasons = {str(rule.reason) for case in CASES.values() for rule in case.network.rules(case.sizes)}
    assert set(network.losses) <= reasons


@networks
def test_what_is_never_read_is_dropped(network: Network) -> None:
    """Paddle's side need not have these tensors: none of them may be written."""
    mapped = [
        name
        for case in CASES.values()
        if case.network is network
        for rule in case.network.rules(case.sizes)
        if rule.kind is Kind.MAPPED
        for name in rule.sources
    ]
    assert mapped
    assert [name for name in mapped if network.unread and name.startswith(network.unread)] == []


def test_official_names_are_those_of_one_network() -> None:
    names = [name for network in NETWORKS.values() for name in network.official]
    assert len(set(names)) == len(names)
    assert not set(NETWORKS) & set(FAMILIES)


def test_networks_are_found_by_name() -> None:
    found = {name: network.name for name, (network, _) in seeded_networks().items()}
    assert found["PP-OCRv4_mobile_rec"] == "pp_ocrv5_mobile_rec"
    assert len(found) == sum(len(network.seeded) for network in NETWORKS.values())
    assert all(map(is_network_name, found))
    assert not is_network_name("bert-base-chinese")
    assert names_of_family("slanet") == ["SLANet_plus", "SLANet"]
    assert get_network("slanext").target == "SLANeXtForTableRecognition"
