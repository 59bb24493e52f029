"""What families share whose models are PaddleNLP's `nn.TransformerEncoder` and, behind it, its `nn.TransformerDecoder`,
each with a table of positions of its own and both with one table of words: rows, roles, fields, and the usual heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError
from . import encoders
from .family import Model
from .fields import Field, Generation
from .rows import Embedding, Following, Linear, Norm, Parameter, Row, Tied
from .rules import BACKBONE

FIRST = 2
"""Rows before that of the first position, which neither library reads."""

REPEAT: Mapping[str, str] = {"layer": "num_hidden_layers", "decoder_layer": "decoder_layers"}

ENCODER = "encoder.encoder.layers.{layer}"
DECODER = "decoder.decoder.layers.{decoder_layer}"

WORDS = "shared"

_TABLE = ("vocab_size", "hidden_size")


def _attention(source: str, target: str) -> tuple[Row, ...]:
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    return tuple(Linear(f"{source}.{name}", "hidden_size", "hidden_size", f"{target}.{name}") for name in names)


def _feed_forward(source: str, size: str, target: str) -> tuple[Row, ...]:
    return (
        Linear(f"{source}.linear1", "hidden_size", size, f"{target}.fc1"),
        Linear(f"{source}.linear2", size, "hidden_size", f"{target}.fc2"),
    )


def _norms(source: str, target: str, *names: str) -> tuple[Row, ...]:
    """The norms of a layer, which PaddleNLP numbers."""
    return tuple(
        Norm(f"{source}.norm{number}", "hidden_size", f"{target}.{name}_layer_norm")
        for number, name in enumerate(names, 1)
    )


def _same_words(stack: str) -> Row:
    """The table of words under the name that a stack has for it: one parameter in both libraries."""
    name = f"{stack}.embed_tokens.weight"
    return Tied(name, f"{BACKBONE}{WORDS}.weight", _TABLE, optional=True, repeated=name, one=True)


def _positions(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    rows = int(configuration["max_position_embeddings"]) + FIRST
    return tuple(
        Embedding(f"{stack}.{stack}_embed_positions", rows, "hidden_size", f"{stack}.embed_positions")
        for stack in ("encoder", "decoder")
    )


def backbone(last_norms: bool) -> tuple[Row, ...]:
    """The tables and the layers; with `last_norms`, one more norm behind the layers of either stack."""
    encoder, decoder = "encoder.layers.{layer}", "decoder.layers.{decoder_layer}"
    stacks = ("encoder", "decoder")
    return (
        Embedding(WORDS, *_TABLE),
        *(_same_words(stack) for stack in stacks),
        Following("encoder_embed_positions", _positions),
        *(Norm(f"{one}.{one}_layernorm_embedding", "hidden_size", f"{one}.layernorm_embedding") for one in stacks),
        *_attention(f"{ENCODER}.self_attn", f"{encoder}.self_attn"),
        *_norms(ENCODER, encoder, "self_attn", "final"),
        *_feed_forward(ENCODER, "intermediate_size", encoder),
        *_attention(f"{DECODER}.self_attn", f"{decoder}.self_attn"),
        *_attention(f"{DECODER}.cross_attn", f"{decoder}.encoder_attn"),
        *_norms(DECODER, decoder, "self_attn", "encoder_attn", "final"),
        *_feed_forward(DECODER, "decoder_ffn_dim", decoder),
        *(Norm(f"{one}.{one}.norm", "hidden_size", f"{one}.layer_norm") for one in (stacks if last_norms else ())),
    )


ROLES: Mapping[str, str] = {
    "words": WORDS,
    "positions": "encoder.encoder_embed_positions",
    **{role: f"{ENCODER}.{module}" for role, module in encoders.LAYER_ROLES.items()},
    "decoder_positions": "decoder.decoder_embed_positions",
    "decoder_query": f"{DECODER}.self_attn.q_proj",
    "decoder_key": f"{DECODER}.self_attn.k_proj",
    "decoder_value": f"{DECODER}.self_attn.v_proj",
    "decoder_attention_out": f"{DECODER}.self_attn.out_proj",
    "cross_query": f"{DECODER}.cross_attn.q_proj",
    "cross_key": f"{DECODER}.cross_attn.k_proj",
    "cross_value": f"{DECODER}.cross_attn.v_proj",
    "cross_attention_out": f"{DECODER}.cross_attn.out_proj",
    "cross_attention_norm": f"{DECODER}.norm2",
    "decoder_feed_forward_in": f"{DECODER}.linear1",
    "decoder_feed_forward_norm": f"{DECODER}.norm3",
}


ARGUMENTS = ("input_ids", "attention_mask", "decoder_input_ids")
"""A mask for the decoder would take the place of the one that hides what comes later, in PaddleNLP."""


def _classifier_dropout(configuration: Mapping[str, Any]) -> Any:
    """PaddleNLP's classifier takes that of the layers where none is stated; Hugging Face's needs a number."""
    stated = configuration.get("classifier_dropout")
    return configuration["hidden_dropout_prob"] if stated is None else stated


def is_stated(field: str) -> Any:
    """The condition that a configuration has the field, and not as null."""
    return lambda configuration: configuration.get(field) is not None


_FIELDS = (
    Field("vocab_size", 50265),
    Field("hidden_size", 768, 1024, target="d_model", stored="d_model"),
    Field("num_hidden_layers", 12, target="encoder_layers", stored="encoder_layers", also="num_encoder_layers"),
    Field("decoder_layers", 12, also="num_decoder_layers"),
    Field("num_attention_heads", 16, target="encoder_attention_heads", stored="encoder_attention_heads"),
    Field("decoder_attention_heads", 16, compared=True),
    Field("intermediate_size", 4096, target="encoder_ffn_dim", stored="encoder_ffn_dim"),
    Field("decoder_ffn_dim", 4096),
    Field("hidden_act", "gelu", target="activation_function", stored="activation_function"),
    Field("hidden_dropout_prob", 0.1, target="dropout", stored="dropout", counts=False),
    Field("attention_dropout", 0.0, counts=False),
    Field("activation_dropout", 0.0, counts=False),
    Field("classifier_dropout", None, 0.0, runs=_classifier_dropout, counts=False),
    Field("max_position_embeddings", 1024),
    Field("scale_embedding", False, compared=True),
    Field("initializer_range", 0.02, target="init_std", stored="init_std", counts=False),
    Field("pad_token_id", 1),
    Field("bos_token_id", 0, counts=False),
    Field("eos_token_id", 2),
    Field("decoder_start_token_id", None, counts=False),
    # Of generating alone.
    Field("forced_bos_token_id", None, when=is_stated("forced_bos_token_id"), counts=False),
    Field("forced_eos_token_id", 2, counts=False),
)

CONSTANTS: Mapping[str, Any] = {
    "use_cache": True,
    "is_encoder_decoder": True,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
}

SOURCE_CONSTANTS: Mapping[str, Any] = {"is_encoder_decoder": True}


def fields(*own: Field) -> tuple[Field, ...]:
    """The fields of all of them, with a family's `own` in place of those of the same name."""
    return tuple({entry.name: entry for entry in (*_FIELDS, *own)}.values())


def check(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for numbers of heads that do not divide the width, and for ids outside the
    vocabulary."""
    hidden = configuration["hidden_size"]
    for field in ("num_attention_heads", "decoder_attention_heads"):
        heads = configuration[field]
        if not isinstance(heads, int) or heads < 1 or hidden % heads:
            raise ConfigurationError(f"hidden_size {hidden} is not a multiple of {field} {heads!r}")
    for field in ("eos_token_id", "decoder_start_token_id"):
        if (token := configuration[field]) is not None and token >= configuration["vocab_size"]:
            raise ConfigurationError(f"{field} {token} is not below vocab_size {configuration['vocab_size']}")


def start(configuration: Mapping[str, Any]) -> int:
    """The first id that a decoder is given; that of the end of a text where none is stated."""
    token = configuration["decoder_start_token_id"]
    return int(configuration["eos_token_id"] if token is None else token)


def models(name: str) -> tuple[Model, ...]:
    """The classes of a family whose names begin so."""
    return (
        Model(f"{name}Model"),
        Model(
            f"{name}ForConditionalGeneration",
            head=(
                Parameter("final_logits_bias", (1, "vocab_size")),
                # A parameter of its own in PaddleNLP's class. Without a tie, Hugging Face's ties none of the three to
                # the table of words, and starts those that a file does not hold at random.
                Tied(
                    "lm_head_weight",
                    f"{BACKBONE}{WORDS}.weight",
                    _TABLE,
                    untied="lm_head.weight",
                    copies=tuple(
                        (f"{BACKBONE}{WORDS}.weight", f"model.{stack}.embed_tokens.weight")
                        for stack in ("encoder", "decoder")
                    ),
                ),
            ),
            auto_class="AutoModelForSeq2SeqLM",
            generation=Generation(
                (
                    *("bos_token_id", "eos_token_id", "pad_token_id"),
                    *("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id"),
                )
            ),
        ),
        Model(
            f"{name}ForSequenceClassification",
            head=(
                Linear("classifier.dense", "hidden_size", "hidden_size", "classification_head.dense"),
                Linear("classifier.out_proj", "hidden_size", "num_labels", "classification_head.out_proj"),
            ),
            auto_class="AutoModelForSequenceClassification",
            read_at="eos_token_id",
        ),
        Model(
            f"{name}ForQuestionAnswering",
            head=(Linear("classifier", "hidden_size", 2, "qa_outputs"),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
        ),
    )


SMALL: Mapping[str, int] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "decoder_layers": 2,
    "num_attention_heads": 4,
    "decoder_attention_heads": 2,
    "intermediate_size": 36,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 30,
}

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "deeper decoder": {
        **{"num_hidden_layers": 1, "decoder_layers": 4, "decoder_attention_heads": 6},
        **{"hidden_act": "relu", "scale_embedding": True, "num_labels": 1},
    },
    "unscaled": {"num_hidden_layers": 2, "decoder_layers": 1, "scale_embedding": False, "num_labels": 5},
    "another start": {"decoder_start_token_id": 7, "eos_token_id": 3, "pad_token_id": 0, "bos_token_id": 1},
}
