"""ALBERT: the rows that lead from PaddleNLP's state dict to Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language.checks import check_heads
from .language.schema import (
    BACKBONE,
    DeclaredDifference,
    Embedding,
    Family,
    Field,
    Ignored,
    Linear,
    Model,
    Norm,
    Parameter,
    Row,
    Tied,
)

LAYER = "encoder.albert_layer_groups.{group}.albert_layers.{inner}"


def _mlm_head(decoder_optional: bool) -> tuple[Row, ...]:
    """The masked language model's head.

    PaddleNLP ties the decoder to the word embeddings in AlbertForMaskedLM, not in AlbertForPretraining. Its decoder
    is stored like an embedding, [vocabulary, embedding], and does not flip.
    """
    return (
        Linear("predictions.dense", "hidden_size", "embedding_size"),
        Norm("predictions.layer_norm", "embedding_size", "predictions.LayerNorm"),
        Parameter("predictions.bias", ("vocab_size",)),
        Tied(
            "predictions.decoder.bias",
            "predictions.bias",
            ("vocab_size",),
            optional=True,
            repeated="predictions.decoder.bias",
        ),
        Tied(
            "predictions.decoder.weight",
            BACKBONE + "embeddings.word_embeddings.weight",
            ("vocab_size", "embedding_size"),
            untied="predictions.decoder.weight",
            optional=decoder_optional,
        ),
    )


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    layers, groups = configuration["num_hidden_layers"], configuration["num_hidden_groups"]
    inner = configuration["inner_group_num"]
    if inner > layers // groups:
        raise ConfigurationError(
            f"inner_group_num {inner} exceeds num_hidden_layers / num_hidden_groups = {layers} / {groups}; "
            "both frameworks fail to run such a model"
        )


ALBERT = Family(
    name="albert",
    base="AlbertModel",
    source_prefix="transformer.",
    target_prefix="albert.",
    repeat={"group": "num_hidden_groups", "inner": "inner_group_num"},
    backbone=(
        Ignored("embeddings.position_ids", (1, "max_position_embeddings"), stored=True),
        Embedding("embeddings.word_embeddings", "vocab_size", "embedding_size"),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", "embedding_size"),
        Embedding("embeddings.token_type_embeddings", "type_vocab_size", "embedding_size"),
        Norm("embeddings.layer_norm", "embedding_size", "embeddings.LayerNorm"),
        Linear("encoder.embedding_hidden_mapping_in", "embedding_size", "hidden_size"),
        Linear(f"{LAYER}.attention.query", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.key", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.value", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.dense", "hidden_size", "hidden_size"),
        Norm(f"{LAYER}.attention.layer_norm", "hidden_size", f"{LAYER}.attention.LayerNorm"),
        Linear(f"{LAYER}.ffn", "hidden_size", "intermediate_size"),
        Linear(f"{LAYER}.ffn_output", "intermediate_size", "hidden_size"),
        Norm(f"{LAYER}.full_layer_layer_norm", "hidden_size"),
    ),
    pooler=(Linear("pooler", "hidden_size", "hidden_size"),),
    models=(
        Model("AlbertModel"),
        Model(
            "AlbertForPretraining",
            "AlbertForPreTraining",
            head=(
                *_mlm_head(decoder_optional=False),
                Linear("sop_classifier.classifier", "hidden_size", "num_labels"),
            ),
            auto_class="AutoModelForPreTraining",
        ),
        Model(
            "AlbertForMaskedLM",
            pooler=False,
            head=_mlm_head(decoder_optional=True),
            auto_class="AutoModelForMaskedLM",
        ),
        Model(
            "AlbertForSequenceClassification",
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForSequenceClassification",
        ),
        Model(
            "AlbertForTokenClassification",
            pooler=False,
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForTokenClassification",
        ),
        Model(
            "AlbertForQuestionAnswering",
            pooler=False,
            head=(Linear("qa_outputs", "hidden_size", 2),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
        ),
        Model(
            "AlbertForMultipleChoice",
            head=(Linear("classifier", "hidden_size", 1),),
            auto_class="AutoModelForMultipleChoice",
        ),
    ),
    fields=(
        Field("vocab_size", 30000),
        Field("embedding_size", 128),
        Field("hidden_size", 768, 4096),
        Field("num_hidden_layers", 12),
        Field("num_hidden_groups", 1),
        Field("num_attention_heads", 12, 64),
        Field("intermediate_size", 3072, 16384),
        Field("inner_group_num", 1),
        Field("hidden_act", "gelu", "gelu_new"),
        Field("hidden_dropout_prob", 0),
        Field("attention_probs_dropout_prob", 0),
        Field("max_position_embeddings", 512),
        Field("type_vocab_size", 2),
        Field("initializer_range", 0.02),
        Field("layer_norm_eps", 1e-12),
        Field("classifier_dropout_prob", 0.1),
        Field("pad_token_id", 0),
        Field("bos_token_id", 2),
        Field("eos_token_id", 3),
    ),
    constants={"position_embedding_type": "absolute"},
    left_out=("add_pooling_layer",),
    pooler_field="add_pooling_layer",
    activations=("gelu", "gelu_new", "relu"),
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "query": f"{LAYER}.attention.query",
        "key": f"{LAYER}.attention.key",
        "value": f"{LAYER}.attention.value",
        "attention_out": f"{LAYER}.attention.dense",
        "attention_norm": f"{LAYER}.attention.layer_norm",
        "feed_forward_in": f"{LAYER}.ffn",
        "feed_forward_out": f"{LAYER}.ffn_output",
        "feed_forward_norm": f"{LAYER}.full_layer_layer_norm",
        "pooler": "pooler",
        "decoder": "predictions.decoder",
    },
    check_configuration=_check,
    declared_differences=(
        DeclaredDifference(
            "padding_row",
            "PaddleNLP makes the embedding of the padding id zero, PyTorch reads the stored row: the row is kept, "
            "and hidden states are compared at attended positions",
            padding=True,
        ),
        DeclaredDifference(
            "mlm_head_epsilon",
            "PaddleNLP's AlbertMLMHead normalises with epsilon 1e-5, Hugging Face (and the original) with the "
            "configured layer_norm_eps",
            ("AlbertForPretraining", "AlbertForMaskedLM"),
            epsilon=("predictions.layer_norm", 1e-5),
        ),
        DeclaredDifference(
            "question_answering_end_logits",
            "PaddleNLP's AlbertForQuestionAnswering returns the start logits as end logits; the output of its linear "
            "layer is compared instead",
            ("AlbertForQuestionAnswering",),
            outputs=("end_logits",),
        ),
    ),
)
