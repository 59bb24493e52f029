"""Every registered architecture, converted from what PaddleNLP wrote and compared in both real frameworks."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint, recognise
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.mappings.language.rows import Tied
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.checks.weights import check_weights
from paddle2torch.verify.inputs import make_inputs
from paddle2torch.verify.job import CHECKS, verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.sides.pair import open_converted

from .conftest import Seed

ARCHITECTURES = [(family.name, model.source) for family in FAMILIES.values() for model in family.models]
"""What is tested here: all of the registry."""


DECODING = [
    next((model.source for model in family.models if any(isinstance(row, Tied) for row in model.head)), family.base)
    for family in FAMILIES.values()
]
"""Of each family the first class with a decoder, which has norms of its own, or else the backbone."""


def convert_and_verify(source: Path, runners: Runners) -> Report:
    converted = source.parent / "converted"
    convert_checkpoint(source, converted)
    return verify_checkpoint(source, converted, runners=runners)


@pytest.mark.parametrize(("family", "architecture"), ARCHITECTURES)
def test_every_architecture_is_the_same_model(family: str, architecture: str, seed_small: Seed, both: Runners) -> None:
    """With today's transformers and the older one."""
    report = convert_and_verify(seed_small(architecture), both).assert_passed()
    assert len(report.sides) == 2
    for side in report.sides:
        assert [check.name for check in side.checks] == [name for name in CHECKS if name != "tokenizer"]
    assert report.not_run == ("tokenizer", "gradients")
    assert report.not_run_reasons == {"tokenizer": "the source has no tokenizer"}
    assert report.architecture == architecture
    states = {state["name"] for check in report.checks if check.name == "float64" for state in check.details["states"]}
    small = FAMILIES[family].small
    layers = small["num_hidden_layers"]
    assert {f"hidden_state.{index:02d}" for index in range(layers + 1)} <= states
    heads = {"Pretraining": "mlm_logits", "MaskedLM": "mlm_logits", "QuestionAnswering": "qa_logits"}
    head = next((output for name, output in heads.items() if architecture.endswith(name)), "logits")
    assert not FAMILIES[family].model(architecture).head or head in states
    maps = layers * small.get("inner_group_num", 1)
    assert {f"attention.{index:02d}" for index in range(maps)} <= states
    assert ("pooler_output" in states) == FAMILIES[family].model(architecture).pooler


@pytest.mark.parametrize(("groups", "inner"), [(1, 1), (1, 3), (3, 1), (2, 2)])
def test_groups_and_inner_groups(groups: int, inner: int, seed_small: Seed, runners: Runners) -> None:
    source = seed_small("AlbertModel", num_hidden_layers=6, num_hidden_groups=groups, inner_group_num=inner)
    convert_and_verify(source, runners).assert_passed()


@pytest.mark.parametrize(
    ("family", "activation"), [(family.name, name) for family in FAMILIES.values() for name in family.activations]
)
def test_every_permitted_activation(family: str, activation: str, seed_small: Seed, runners: Runners) -> None:
    source = seed_small(FAMILIES[family].base, hidden_act=activation)
    report = convert_and_verify(source, runners).assert_passed()
    config = report.check("config")
    assert config is not None
    assert config.details["activation"] == activation


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
@pytest.mark.parametrize("architecture", DECODING)
def test_large_epsilons(architecture: str, epsilon: float, seed_small: Seed, runners: Runners) -> None:
    """Whatever the configuration says, the converted model has the epsilons that PaddleNLP runs."""
    convert_and_verify(seed_small(architecture, layer_norm_eps=epsilon), runners).assert_passed()


@pytest.mark.parametrize(("family", "variant"), [(f.name, name) for f in FAMILIES.values() for name in f.variants])
def test_variants(family: str, variant: str, seed_small: Seed, runners: Runners) -> None:
    known = FAMILIES[family]
    convert_and_verify(seed_small(known.base, **known.variants[variant]), runners).assert_passed()


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
