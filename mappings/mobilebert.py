"""MobileBERT: from PaddleNLP's models to Hugging Face's, whose attention is divided into more modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.family import Defaults, Family, Model
from .language.fields import Field
from .language.rows import Embedding, Following, Linear, Norm, Parameter, Row, Tied, When, is_set
from .language.rules import BACKBONE
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts
from .language.transforms import TRANSPOSE

PADDLE, TORCH = encoders.PADDLE, encoders.TORCH
HIDDEN, NARROW, INNER = "hidden_size", "intra_bottleneck_size", "intermediate_size"

ONLY = {
    "trigram_input": True,
    "use_bottleneck": True,
    "use_bottleneck_attention": False,
    "key_query_shared_bottleneck": True,
    "normalization_type": "no_norm",
}
"""The form of the published model, the only one whose equality is established; PaddleNLP cannot make `layer_norm`."""


def _check(configuration: Mapping[str, Any]) -> None:
    for name, value in ONLY.items():
        if configuration[name] != value:
            raise ConfigurationError(
                f"{name} is {configuration[name]!r}; only {value!r} is known to be equal in both frameworks"
            )
    narrow, heads = configuration[NARROW], configuration["num_attention_heads"]
    if narrow % heads:
        raise ConfigurationError(f"{NARROW} {narrow} is not a multiple of num_attention_heads {heads}")
    if configuration["embedding_size"] >= configuration[HIDDEN]:
        raise ConfigurationError("embedding_size is not smaller than hidden_size, which the decoder of words needs")


def _narrow(configuration: Mapping[str, Any]) -> int:
    """The width of the bottleneck, in which the layers compute."""
    return int(configuration[NARROW])


def _trigram(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """What leads a token and its two neighbours to the width of the layers."""
    return (Linear("embeddings.embedding_transformation", 3 * int(configuration["embedding_size"]), HIDDEN),)


def _rest_of_decoder(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    rest = int(configuration[HIDDEN]) - int(configuration["embedding_size"])
    return (Parameter("cls.predictions.dense.weight", ("vocab_size", rest), transform=TRANSPOSE),)


def _norm(source: str, size: str, target: str) -> Row:
    """A gain and a bias, without a normalisation."""
    return Norm(f"{PADDLE}.{source}.layer_norm", size, f"{TORCH}.{target}.LayerNorm")


def _linear(source: str, inputs: str, outputs: str, target: str) -> Row:
    return Linear(f"{PADDLE}.{source}", inputs, outputs, f"{TORCH}.{target}")


def _further(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """The feed-forward networks before the last."""
    names = [f"ffn.{number}" for number in range(int(configuration["num_feedforward_networks"]) - 1)]
    return tuple(
        row
        for name in names
        for row in (
            _linear(f"{name}.intermediate.dense", NARROW, INNER, f"{name}.intermediate.dense"),
            _linear(f"{name}.output.dense", INNER, NARROW, f"{name}.output.dense"),
            _norm(f"{name}.output", NARROW, f"{name}.output"),
        )
    )


MLM_HEAD: tuple[Row, ...] = (
    Linear("cls.predictions.transform.dense", HIDDEN, HIDDEN),
    Norm("cls.predictions.transform.layer_norm", HIDDEN, "cls.predictions.transform.LayerNorm"),
    Following("cls.predictions.dense", _rest_of_decoder),
    Parameter("cls.predictions.decoder.bias", ("vocab_size",), "cls.predictions.bias"),
    Tied(
        "cls.predictions.bias",
        "cls.predictions.decoder.bias",
        ("vocab_size",),
        optional=True,
        repeated="cls.predictions.decoder.bias",
        foreign=True,
    ),
    # PaddleNLP never ties it.
    Tied(
        "cls.predictions.decoder.weight",
        BACKBONE + "embeddings.word_embeddings.weight",
        ("embedding_size", "vocab_size"),
        untied="cls.predictions.decoder.weight",
        transform=TRANSPOSE,
        copies=(("cls.predictions.decoder.bias", "cls.predictions.decoder.bias"),),
    ),
)

MOBILEBERT = Family(
    name="mobilebert",
    base="MobileBertModel",
    source_prefix="mobilebert.",
    target_prefix="mobilebert.",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.STORED_POSITION_IDS,
        Embedding("embeddings.word_embeddings", "vocab_size", "embedding_size"),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", HIDDEN),
        encoders.TYPES,
        Following("embeddings.embedding_transformation", _trigram),
        Norm("embeddings.layer_norm", HIDDEN, "embeddings.LayerNorm"),
        _linear("attention.query", NARROW, NARROW, "attention.self.query"),
        _linear("attention.key", NARROW, NARROW, "attention.self.key"),
        _linear("attention.value", HIDDEN, NARROW, "attention.self.value"),
        _linear("attention.dense", NARROW, NARROW, "attention.output.dense"),
        _norm("attention", NARROW, "attention.output"),
        _linear("intermediate.dense", NARROW, INNER, "intermediate.dense"),
        _linear("output.dense", INNER, NARROW, "output.dense"),
        _norm("output", NARROW, "output"),
        _linear("output.bottleneck.dense", NARROW, HIDDEN, "output.bottleneck.dense"),
        _norm("output.bottleneck", HIDDEN, "output.bottleneck"),
        _linear("bottleneck.input.dense", HIDDEN, NARROW, "bottleneck.input.dense"),
        _norm("bottleneck.input", NARROW, "bottleneck.input"),
        _linear("bottleneck.attention.dense", HIDDEN, NARROW, "bottleneck.attention.dense"),
        _norm("bottleneck.attention", NARROW, "bottleneck.attention"),
        Following("ffn", _further),
    ),
    pooler=(When(is_set("classifier_activation"), encoders.POOLER),),
    models=(
        Model("MobileBertModel"),
        Model(
            "MobileBertForPreTraining",
            head=(*MLM_HEAD, Linear("cls.seq_relationship", HIDDEN, 2)),
            auto_class="AutoModelForPreTraining",
        ),
        encoders.sequence_classification("MobileBert", "MobileBert"),
        Model(
            "MobileBertForQuestionAnswering",
            pooler=False,
            head=(Linear("qa_outputs", HIDDEN, 2),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
        ),
    ),
    fields=(
        Field("vocab_size", 30522),
        Field("hidden_size", 512),
        Field("num_hidden_layers", 24),
        Field("num_attention_heads", 4),
        Field("intermediate_size", 512),
        Field("hidden_act", "relu"),
        Field("hidden_dropout_prob", 0.0, counts=False),
        Field("attention_probs_dropout_prob", 0.1, counts=False),
        Field("max_position_embeddings", 512),
        Field("type_vocab_size", 2),
        Field("initializer_range", 0.02, counts=False),
        Field("layer_norm_eps", 1e-12),
        Field("pad_token_id", 0),
        Field("embedding_size", 128),
        # Both libraries overwrite it.
        Field("true_hidden_size", 128, runs=_narrow),
        Field("intra_bottleneck_size", 128),
        Field("num_feedforward_networks", 4),
        *(Field(name, value) for name, value in ONLY.items()),
        Field("classifier_activation", False, True),
        Field("classifier_dropout", None, counts=False),
    ),
    constants={},
    activations=encoders.ACTIVATIONS,
    pooler_field="add_pooling_layer",
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "query": f"{PADDLE}.attention.query",
        "key": f"{PADDLE}.attention.key",
        "value": f"{PADDLE}.attention.value",
        "attention_out": f"{PADDLE}.attention.dense",
        "attention_norm": f"{PADDLE}.attention.layer_norm",
        "feed_forward_in": f"{PADDLE}.intermediate.dense",
        "feed_forward_out": f"{PADDLE}.output.dense",
        "feed_forward_norm": f"{PADDLE}.output.layer_norm",
        "pooler": "pooler.dense",
    },
    check_configuration=_check,
    declared_differences=(encoders.ZEROED_PADDING_ROW,),
    defaults=Defaults(masks_padding=False),
    zero_padding_row=True,
    tokenizer=TokenizerFacts(
        (TokenizerClass("MobileBertTokenizer", (WORDPIECE,)),),
        "MobileBertTokenizer",
        settings={"do_lower_case": True},
    ),
    small={
        "vocab_size": 50,
        "embedding_size": 12,
        "hidden_size": 24,
        "intra_bottleneck_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "num_feedforward_networks": 3,
        "max_position_embeddings": 30,
        "type_vocab_size": 2,
        "classifier_activation": True,
        "hidden_act": "gelu",
    },
    variants={
        "first token as it is": {"classifier_activation": False, "num_labels": 5},
        "one feed-forward network": {"num_feedforward_networks": 1, "num_hidden_layers": 1, "hidden_act": "relu"},
    },
    citation=(
        "@inproceedings{sun2020mobilebert,",
        "  title     = {{MobileBERT}: a Compact Task-Agnostic {BERT} for Resource-Limited Devices},",
        "  author    = {Sun, Zhiqing and Yu, Hongkun and Song, Xiaodan and Liu, Renjie and Yang, Yiming and Zhou,",
        "               Denny},",
        "  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},",
        "  pages     = {2158--2170},",
        "  year      = {2020},",
        "  doi       = {10.18653/v1/2020.acl-main.195}",
        "}",
    ),
)
