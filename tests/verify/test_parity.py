"""Every registered architecture, converted from what PaddleNLP wrote and compared in both real frameworks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint, recognise
from paddle2torch.converters.checkpoints.configuration import complete_fields
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ConfigurationError
from paddle2torch.mappings.language.family import Family
from paddle2torch.mappings.language.rows import Tied
from paddle2torch.mappings.language.tables import Table
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.checks.weights import check_weights
from paddle2torch.verify.inputs import make_inputs
from paddle2torch.verify.job import ALL_CHECKS, CHECKS, verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult, Report
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.sides.pair import open_converted

from ..conftest import TARGETS, checks_of, fitting
from .conftest import Seed

ARCHITECTURES = [(name, model.source) for name, family in TARGETS.items() for model in family.models]
"""What is tested here: all of the registry, with every target."""


DECODING = [
    (
        family.name,
        next(
            (model.source for model in family.models if any(isinstance(row, Tied) for row in model.head)), family.base
        ),
    )
    for family in FAMILIES.values()
    if "layer_norm_eps" in {entry.name for entry in family.fields}
]
"""Of each family with an epsilon the first class with a decoder, which has norms of its own, or else the backbone."""


def convert_and_verify(
    source: Path, runners: Runners, checks: Sequence[str] = CHECKS, target: str | None = None
) -> Report:
    converted = source.parent / "converted"
    convert_checkpoint(source, converted, target=target)
    return verify_checkpoint(source, converted, checks=checks, runners=runners)


@pytest.mark.parametrize(("family", "architecture"), ARCHITECTURES)
def test_every_architecture_is_the_same_model(family: str, architecture: str, seed_small: Seed, both: Runners) -> None:
    """By every check, those included that must be asked for, with today's transformers and the older one, or with the
    older one alone where today's has no such class."""
    source, known = seed_small(architecture), TARGETS[family]
    model = known.model(architecture)
    report = convert_and_verify(source, fitting(both, known), ALL_CHECKS, known.target).assert_passed()
    assert len(report.sides) == (2 if known.withdrawn is None else 1)
    # A class that insists on more than a tokenizer gives has no default call.
    left_out = ["as_loaded"] if model.needs else []
    assert report.not_run == ("tokenizer", *left_out)
    assert report.not_run_reasons["tokenizer"] == "the source has no tokenizer"
    assert report.not_run_reasons.keys() == {"tokenizer", *left_out}
    assert report.architecture == architecture
    for side in report.sides:
        checks = {check.name: check for check in side.checks}
        assert list(checks) == [
            name for name in checks_of(architecture, ALL_CHECKS) if name not in ("tokenizer", *left_out)
        ]
        states = {state["name"] for state in checks["float64"].details["states"]}
        layers = known.small["num_hidden_layers"]
        assert {f"hidden_state.{index:02d}" for index in range(layers + 1)} <= states
        shows_maps = "query" in known.roles and known.limits_of(architecture).states is None
        maps = layers * known.small.get("inner_group_num", 1) if shows_maps else 0
        assert {f"attention.{index:02d}" for index in range(maps)} <= states
        stack, behind = ("decoder.", known.small["decoder_layers"]) if known.decodes(architecture) else ("", 0)
        assert {f"{stack}hidden_state.{index:02d}" for index in range(behind + 1)} <= states
        kinds = ("attention", "cross_attention")
        assert {f"{stack}{kind}.{index:02d}" for kind in kinds for index in range(behind)} <= states
        assert ("encoder_last_hidden_state" in states) == known.decodes(architecture)
        pooled = bool(known.pooler) and model.pooler and not model.takes_pooler
        assert ("pooler_output" in states) == pooled
        of_head = {name for name in states if name.endswith("logits")}
        has_head = model.beside is not None or (model.decodes and not known.is_backbone(architecture))
        assert (of_head != set()) == has_head
        assert_every_gradient(checks["gradients"], source.parent / "converted", known, architecture)
        if left_out:
            continue
        loaded = {(state["case"], state["name"]) for state in checks["as_loaded"].details["states"]}
        # T5's class with a head hands its states on without its backbone's forward.
        last = f"{stack}last_hidden_state" if f"{stack}last_hidden_state" in states else f"{stack}mlm_logits"
        cases = {case for case, name in loaded if name == last}
        assert known.defaults is not None
        takes_mask = known.limits_of(architecture).mask is None or known.defaults.masks_padding
        assert cases == {"ids alone", *(["ids with a mask"] if takes_mask else [])}
        assert "text" not in {case for case, _ in loaded}
        assert not of_head or {name for _, name in loaded if not name.endswith("last_hidden_state")}


CANCELLING = {"deberta_v2": "encoder.layer.{layer}.attention.self.pos_key_proj"}
"""What a bias cancels in that is not the key's: keys meet relative positions too, and those meet queries alone."""


def assert_every_gradient(check: CheckResult, converted: Path, family: Family, architecture: str) -> None:
    """Gradients of all that is made of PaddleNLP's tensors were compared, and they are no zeros."""
    assert check.worst is not None
    assert check.worst < 1e-12
    configuration = complete_fields(family, family.small)
    rules = family.rules(architecture, configuration, prefixed=not family.is_bare(architecture))
    # What a chart shows of the worst state is the worst value.
    worst = max(check.details["states"], key=lambda state: state["difference"] / state["limit"])
    assert worst["difference"] / worst["over"] == pytest.approx(check.worst)
    assert worst["limit"] / worst["over"] == pytest.approx(check.limit)
    states = {state["name"]: state["scale"] for state in check.details["states"]}
    made = {name for rule in rules if not rule.sources for name in rule.targets}
    # The bias of an untied decoder is written twice; its gradients add up.
    copies = {target for rule in rules for _, target in rule.copies}
    written = {name for path in converted.glob("*.safetensors") for name in load_file(path)}
    # What neither library trains.
    buffers = set(check.details["buffers"])
    assert buffers <= {"final_logits_bias"}
    assert states.keys() == written - made - copies - buffers
    # A key's bias cancels in the softmax; everything else decides what the model puts out.
    usual = [family.roles.get(role, "no key") for role in ("key", "decoder_key", "cross_key")]
    cancelling = [CANCELLING[family.name]] if family.name in CANCELLING else usual
    key = "|".join(re.sub(r"\\{\w+\\}", r"\\d+", re.escape(one)) for one in cancelling)
    keys = {rule.target for rule in rules if rule.is_single and re.search(rf"(^|\.)({key})\.bias$", rule.source)}
    # Where keys are turned by their position, it does not.
    turned = any(isinstance(row, Table) for row in family.backbone)
    unread = family.limits_of(architecture).unread
    unused = {name for name in states if unread is not None and name.endswith(unread[0])}
    assert {name for name, scale in states.items() if scale < 1e-12} == (set() if turned else keys) | unused
    # Where its row is written as zeros, both read it.
    padding = not family.zero_padding_row and any(difference.padding for difference in family.declared(architecture))
    excluded = check.details["excluded_rows"]
    row = f"word_embeddings.weight[{configuration['pad_token_id']}]"
    assert [name.endswith(row) for name in excluded] == ([True] if padding else [])


@pytest.mark.parametrize(("groups", "inner"), [(1, 1), (1, 3), (3, 1), (2, 2)])
def test_groups_and_inner_groups(groups: int, inner: int, seed_small: Seed, runners: Runners) -> None:
    source = seed_small("AlbertModel", num_hidden_layers=6, num_hidden_groups=groups, inner_group_num=inner)
    convert_and_verify(source, runners).assert_passed()


@pytest.mark.parametrize(
    ("family", "architecture", "activation"),
    [
        (family.name, architecture, name)
        for family in FAMILIES.values()
        for architecture in dict.fromkeys((family.base, *(model for one, model in DECODING if one == family.name)))
        for name in family.activations
        if name != complete_fields(family, family.small).get("hidden_act")
    ],
)
def test_every_permitted_activation(
    family: str, architecture: str, activation: str, seed_small: Seed, both: Runners
) -> None:
    """Of the backbone, and of the head for masked words, which may apply another one than the layers."""
    known, source = FAMILIES[family], seed_small(architecture, hidden_act=activation)
    if refused := known.model(architecture).refusal(complete_fields(known, {**known.small, "hidden_act": activation})):
        with pytest.raises(ConfigurationError, match=re.escape(refused)):
            convert_and_verify(source, both)
        return
    report = convert_and_verify(source, fitting(both, known).sides()[0]).assert_passed()
    config = report.check("config")
    assert config is not None
    assert config.details["activation"] == activation


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
@pytest.mark.parametrize(("family", "architecture"), DECODING)
def test_large_epsilons(family: str, architecture: str, epsilon: float, seed_small: Seed, both: Runners) -> None:
    """Whatever the configuration says, the converted model has the epsilons that PaddleNLP runs."""
    source = seed_small(architecture, layer_norm_eps=epsilon)
    convert_and_verify(source, fitting(both, FAMILIES[family]).sides()[0]).assert_passed()


@pytest.mark.parametrize(("family", "variant"), [(f.name, name) for f in FAMILIES.values() for name in f.variants])
def test_variants(family: str, variant: str, seed_small: Seed, both: Runners) -> None:
    known = FAMILIES[family]
    source = seed_small(known.base, **known.variants[variant])
    report = convert_and_verify(source, fitting(both, known), ALL_CHECKS).assert_passed()
    assert len(report.sides) == (2 if known.withdrawn is None else 1)


@pytest.mark.parametrize("labels", [1, 5])
def test_label_counts(labels: int, seed_small: Seed, runners: Runners) -> None:
    convert_and_verify(seed_small("BertForTokenClassification", num_labels=labels), runners).assert_passed()


def test_declared_differences_are_measured(seed_small: Seed, runners: Runners) -> None:
    report = convert_and_verify(seed_small("AlbertForMaskedLM"), runners).assert_passed()
    seen = {difference.name: difference.measured for difference in report.declared_differences}
    assert set(seen) == {"padding_row", "mlm_head_epsilon", "default_mask", "dropped"}
    assert seen["padding_row"] is not None
    assert seen["padding_row"] > 0.1
    assert seen["mlm_head_epsilon"] is not None
    assert 0 < seen["mlm_head_epsilon"] < 0.4


def test_question_answering_end_logits_are_declared(seed_small: Seed, runners: Runners) -> None:
    report = convert_and_verify(seed_small("AlbertForQuestionAnswering"), runners).assert_passed()
    seen = {difference.name: difference.measured for difference in report.declared_differences}
    assert seen["question_answering_end_logits"] is not None
    assert seen["question_answering_end_logits"] > 1e-3


def test_what_paddlenlp_makes_up_is_a_problem(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """PaddleNLP loads a base model's file into a task model and only logs that the head is new."""
    source = seed_small("AlbertModel")
    report = convert_and_verify(source, runners).assert_passed()
    with open_checkpoint(source) as checkpoint:
        recognised = recognise(checkpoint)
        inputs = make_inputs(recognised.configuration)
        inputs.save(tmp_path / "inputs")
        answer = runners.paddle32.request(
            {
                "operation": "forward",
                "folder": str(source),
                "architecture": "AlbertForSequenceClassification",
                "dtype": "float32",
                "inputs": str(tmp_path / "inputs"),
                "outputs": str(tmp_path / "outputs"),
            }
        )
        loading = {**answer["loading"], "unexpected": ["pooler.weight"], "mismatched": ["pooler.bias"]}
        converted = open_converted(Path(report.converted))
        paddle = {"digests": {}, "loading": loading}
        check = check_weights(checkpoint, recognised.plan, converted, recognised.configuration, paddle)
    assert {
        "classifier.weight is not in the file: initialised anew by PaddleNLP",
        "classifier.bias is not in the file: initialised anew by PaddleNLP",
        "pooler.weight is in the file, but PaddleNLP does not load it",
        "PaddleNLP finds that pooler.bias does not fit its model",
    } <= set(check.problems)
