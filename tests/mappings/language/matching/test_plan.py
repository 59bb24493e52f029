"""Plans: both sides closed, and errors that name everything that does not fit."""

from __future__ import annotations

import pytest

from paddle2torch.errors import ConfigurationError, UnknownNameError, UnmatchedTensorsError
from paddle2torch.mappings.language.matching.plan import TensorFacts, fitting_architectures, is_prefixed, make_plan
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.registry import FAMILIES

from ....conftest import SMALL

ALBERT, BERT = FAMILIES["albert"], FAMILIES["bert"]
ALBERT_FIELDS = {**SMALL["albert"], "num_labels": 3}
BERT_FIELDS = {**SMALL["bert"], "num_hidden_layers": 12, "num_labels": 3}


def tensors_of(architecture: str) -> dict[str, TensorFacts]:
    """All that a checkpoint can hold, optional tensors left out."""
    family = next(one for one in (ALBERT, BERT) if any(architecture == model.source for model in one.models))
    fields = ALBERT_FIELDS if family is ALBERT else BERT_FIELDS
    rules = family.rules(architecture, fields, prefixed=not family.is_bare(architecture))
    return {
        rule.source: TensorFacts("float32", rule.shape)
        for rule in rules
        if not rule.optional or rule.kind is Kind.DROPPED
    }


def bert_error(architecture: str, tensors: dict[str, TensorFacts]) -> str:
    with pytest.raises(UnmatchedTensorsError) as caught:
        make_plan(BERT, architecture, BERT_FIELDS, tensors)
    return str(caught.value)


def test_a_tensor_without_a_rule_gets_the_nearest() -> None:
    tensors = tensors_of("BertModel")
    tensors["embeddings.layer_norms.bias"] = TensorFacts("float32", (24,))
    tensors["zzz"] = TensorFacts("float32", (24,))
    message = bert_error("BertModel", tensors)
    assert "no rule for embeddings.layer_norms.bias (nearest rule: embeddings.layer_norm.bias), zzz" in message


def test_all_problems_are_listed_together_and_folded() -> None:
    tensors = tensors_of("BertModel")
    for layer in range(12):
        tensors[f"encoder.layers.{layer}.extra.weight"] = TensorFacts("float32", (24,))
        del tensors[f"encoder.layers.{layer}.norm2.bias"]
        tensors[f"encoder.layers.{layer}.linear1.weight"] = TensorFacts("float32", (24, 99))
    for layer in (3, 5):
        tensors[f"encoder.layers.{layer}.norm1.bias"] = TensorFacts("int64", (24,))
    message = bert_error("BertModel", tensors)
    assert "no rule for encoder.layers.{0..11}.extra.weight (nearest rule: encoder.layers.{0..11}." in message
    assert "missing encoder.layers.{0..11}.norm2.bias" in message
    assert "encoder.layers.{0..11}.linear1.weight has shape [24, 99], the configuration says [24, 36]" in message
    assert "encoder.layers.{3,5}.norm1.bias holds int64, a floating-point type is expected" in message
    assert len(message) < 700


def test_long_lists_are_cut_with_a_count() -> None:
    tensors = tensors_of("BertModel")
    tensors.update({f"a{'b' * index}": TensorFacts("float32", (1,)) for index in range(30)})
    assert "and 18 more" in bert_error("BertModel", tensors)


def test_many_different_shapes_are_cut_with_a_count() -> None:
    tensors = {
        name: TensorFacts("float32", (*facts.shape, index + 1))
        for index, (name, facts) in enumerate(tensors_of("BertModel").items())
    }
    message = bert_error("BertModel", tensors)
    assert " more" in message
    assert len(message) < 2500


def test_a_missing_tensor_is_an_error() -> None:
    tensors = tensors_of("BertForTokenClassification")
    del tensors["classifier.bias"]
    assert "missing classifier.bias" in bert_error("BertForTokenClassification", tensors)


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8", "complex64"])
def test_only_floating_point_types_are_weights(dtype: str) -> None:
    tensors = tensors_of("BertModel")
    tensors["pooler.dense.bias"] = TensorFacts(dtype, (24,))
    assert f"pooler.dense.bias holds {dtype}" in bert_error("BertModel", tensors)


def test_another_architecture_that_fits_is_named() -> None:
    tensors = tensors_of("BertForTokenClassification")
    message = bert_error("BertForMaskedLM", tensors)
    assert "they fit BertForSequenceClassification or BertForTokenClassification: choose with --architecture" in message


def test_names_of_a_base_and_a_task_model() -> None:
    assert is_prefixed(ALBERT, tensors_of("AlbertForMaskedLM"))
    assert not is_prefixed(ALBERT, tensors_of("AlbertModel"))
    assert fitting_architectures(ALBERT, ALBERT_FIELDS, tensors_of("AlbertModel")) == ["AlbertModel"]
    assert fitting_architectures(ALBERT, ALBERT_FIELDS, {}) == []


def test_a_base_model_may_carry_the_prefix() -> None:
    tensors = {f"transformer.{name}": facts for name, facts in tensors_of("AlbertModel").items()}
    plan = make_plan(ALBERT, "AlbertModel", ALBERT_FIELDS, tensors)
    assert {move.source.removeprefix("transformer.") for move in plan.moves} == set(tensors_of("AlbertModel"))
    assert all(not move.target.startswith("albert.") for move in plan.moves)


def test_the_pretraining_heads_do_not_fit_a_base_model() -> None:
    with pytest.raises(UnmatchedTensorsError, match="they fit AlbertForPretraining"):
        make_plan(ALBERT, "AlbertModel", {**ALBERT_FIELDS}, tensors_of("AlbertForPretraining"))


@pytest.mark.parametrize(("architecture", "family"), [("AlbertForMaskedLM", ALBERT), ("BertForPretraining", BERT)])
def test_untying_writes_the_decoder(architecture: str, family: object) -> None:
    mapping, fields = (ALBERT, ALBERT_FIELDS) if family is ALBERT else (BERT, BERT_FIELDS)
    rules = mapping.rules(architecture, fields, prefixed=True)
    tensors = {rule.source: TensorFacts("float32", rule.shape) for rule in rules if rule.kind is not Kind.IGNORED}
    plan = make_plan(mapping, architecture, fields, tensors)
    bias, decoder = plan.tied
    assert plan.tie_word_embeddings
    untied = plan.untie(decoder)
    assert not untied.tie_word_embeddings
    assert untied.tied == (bias,)
    weight, copy = (move for move in untied.moves if move not in plan.moves)
    assert weight.target == decoder.target
    # Its bias goes along under both names.
    assert (copy.target, copy.sources) == (bias.spare, (bias.twin,))
    assert untied.parameters == plan.parameters + decoder.size + bias.size
    with pytest.raises(UnmatchedTensorsError, match="holds the two as one tensor"):
        plan.untie(bias)


def test_an_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match="known are BertModel, BertForPretraining"):
        make_plan(BERT, "BertForEverything", BERT_FIELDS, tensors_of("BertModel"))


def test_hugging_faces_name_of_an_architecture_is_understood() -> None:
    tensors = tensors_of("BertForPretraining")
    assert make_plan(BERT, "BertForPreTraining", BERT_FIELDS, tensors).architecture == "BertForPretraining"


@pytest.mark.parametrize("value", [None, 0, -1, 2.5, "12", True, [3]])
def test_impossible_sizes_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="intermediate_size"):
        make_plan(BERT, "BertModel", {**BERT_FIELDS, "intermediate_size": value}, {})
