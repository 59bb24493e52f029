"""DeBERTa of the versions 2 and 3: from PaddleNLP's models to Hugging Face's. Far relative positions share buckets, and
a convolution may follow the first layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .deberta import (
    ATTENTION,
    EMBEDDINGS,
    LIMITS,
    REST_OF_LAYER,
    ROLES,
    attends,
    cannot_be_made,
    check,
    classes,
    fields,
    pooler_size,
    reach,
    relative_table,
)
from .language import encoders
from .language.family import Defaults, Family
from .language.fields import Field, never
from .language.limits import LayerForm
from .language.rows import Following, Linear, Norm, Parameter, Row, When, is_set
from .language.tokenizers import TokenizerClass, TokenizerFacts

CONVOLUTION = "encoder.conv"


def _head_size(configuration: Mapping[str, Any]) -> Any:
    stated, hidden, heads = (
        configuration[name] for name in ("attention_head_size", "hidden_size", "num_attention_heads")
    )
    # What is no such number is refused by its own name.
    possible = isinstance(hidden, int) and isinstance(heads, int) and heads > 0
    return hidden // heads if stated is None and possible else stated


def _pooler_hidden_size(configuration: Mapping[str, Any]) -> Any:
    stated = configuration["pooler_hidden_size"]
    return configuration["hidden_size"] if stated is None else stated


def _activation(configuration: Mapping[str, Any]) -> Any:
    """PaddleNLP's convolution applies gelu whatever conv_act says."""
    return "gelu" if configuration["conv_kernel_size"] else configuration["conv_act"]


def _check(configuration: Mapping[str, Any]) -> None:
    check(configuration)
    hidden, heads, size = (
        configuration[name] for name in ("hidden_size", "num_attention_heads", "attention_head_size")
    )
    if heads * size != hidden:
        raise ConfigurationError(
            f"attention_head_size is {size}; with {heads} heads and hidden_size {hidden} both libraries fail"
        )
    if not isinstance(configuration["norm_rel_ebd"], str):
        raise ConfigurationError(f"norm_rel_ebd is {configuration['norm_rel_ebd']!r}; a text is expected")
    kernel, groups = configuration["conv_kernel_size"], configuration["conv_groups"]
    if not isinstance(kernel, int) or (kernel and kernel % 2 == 0):
        raise ConfigurationError(f"conv_kernel_size is {kernel!r}; an odd number is needed, or 0 for no convolution")
    if kernel and (not isinstance(groups, int) or groups < 1 or hidden % groups):
        raise ConfigurationError(f"conv_groups is {groups!r}, which does not divide hidden_size {hidden}")
    _check_buckets(configuration)


def _check_buckets(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError where relative positions do not spread over the buckets."""
    buckets, farthest = configuration["position_buckets"], reach(configuration)
    if not isinstance(buckets, int) or 0 < buckets < 4:
        raise ConfigurationError(f"position_buckets is {buckets!r}; a number from 4 on is needed, or -1 for none")
    if buckets > 0 and farthest - 1 <= buckets // 2 and farthest < configuration["max_position_embeddings"]:
        raise ConfigurationError(
            f"max_relative_positions is {farthest} and position_buckets {buckets}: positions that far apart have no "
            "bucket of their own, nor one to share"
        )


def _normalises(configuration: Mapping[str, Any]) -> bool:
    """Whether the table of relative positions is normalised before it is used."""
    return "layer_norm" in [part.strip() for part in str(configuration["norm_rel_ebd"]).lower().split("|")]


def _own_projection(kind: str) -> Any:
    """The condition that relative positions have a projection of their own in this way."""
    return lambda configuration: attends(kind)(configuration) and not configuration["share_att_key"]


def _relative(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    buckets = int(configuration["position_buckets"])
    return relative_table(configuration, buckets if buckets > 0 else reach(configuration))


def _convolution(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """Neither library transposes it."""
    of_group = int(configuration["hidden_size"]) // max(1, int(configuration["conv_groups"]))
    return (
        Parameter(f"{CONVOLUTION}.conv.weight", ("hidden_size", of_group, "conv_kernel_size")),
        Parameter(f"{CONVOLUTION}.conv.bias", ("hidden_size",)),
        Norm(f"{CONVOLUTION}.LayerNorm", "hidden_size"),
    )


DEBERTA_V2 = Family(
    name="deberta_v2",
    base="DebertaV2Model",
    source_prefix="deberta.",
    target_prefix="deberta.",
    target_type="deberta-v2",
    source_type="deberta-v2",
    repeat=encoders.REPEAT,
    backbone=(
        *EMBEDDINGS,
        *(Linear(f"{ATTENTION}.{name}_proj", "hidden_size", "hidden_size") for name in ("query", "key", "value")),
        When(_own_projection("c2p"), (Linear(f"{ATTENTION}.pos_key_proj", "hidden_size", "hidden_size"),)),
        When(_own_projection("p2c"), (Linear(f"{ATTENTION}.pos_query_proj", "hidden_size", "hidden_size"),)),
        *REST_OF_LAYER,
        When(is_set("relative_attention"), (Following("encoder.rel_embeddings", _relative),)),
        When(_normalises, (Norm("encoder.LayerNorm", "hidden_size"),)),
        When(is_set("conv_kernel_size"), (Following(CONVOLUTION, _convolution),)),
    ),
    pooler=(),
    models=classes("DebertaV2", pooler_size, (("SequenceClassification", "num_labels"), ("MultipleChoice", 1))),
    refused={"DebertaV2ForMaskedLM": cannot_be_made("DebertaV2Model")},
    fields=fields(
        Field("vocab_size", 128100),
        Field("hidden_size", 1536),
        Field("num_hidden_layers", 24),
        Field("num_attention_heads", 24),
        Field("intermediate_size", 6144),
        # PaddleNLP's layers apply it whatever the configuration says.
        Field("hidden_act", "gelu", runs="gelu"),
        Field("position_buckets", -1, compared=True),
        Field("share_att_key", False, compared=True),
        Field("norm_rel_ebd", "none", compared=True),
        Field("attention_head_size", None, runs=_head_size, when=never),
        Field("conv_kernel_size", 0, compared=True),
        Field("conv_groups", 1, compared=True),
        Field("conv_act", "gelu", "tanh", runs=_activation, when=is_set("conv_kernel_size")),
        Field("pooler_hidden_size", None, runs=_pooler_hidden_size, target_like="hidden_size"),
        Field("pooler_dropout", 0, counts=False),
    ),
    constants={"legacy": True},
    left_out=(
        *("output_hidden_states", "output_attentions", "share_attn_key"),
        *(f"summary_{name}" for name in ("activation", "last_dropout", "type", "use_proj")),
    ),
    activations=("gelu",),
    roles={**ROLES, **{name: f"{ATTENTION}.{name}_proj" for name in ("query", "key", "value")}},
    check_configuration=_check,
    declared_differences=(encoders.PADDING_ROW,),
    defaults=Defaults(masks_padding=False),
    limits=LIMITS,
    layers=LayerForm(after_first="conv"),
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "DebertaV2Tokenizer",
                (),
                refused="has not been compared with Hugging Face's",
                sentencepiece_file="spm.model",
            ),
        ),
        "DebertaV2Tokenizer",
        settings={"do_lower_case": False},
    ),
    small={
        **encoders.SMALL,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "conv_kernel_size": 3,
        "conv_act": "gelu",
    },
    variants={
        "version 3": {
            "share_att_key": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
            "conv_kernel_size": 0,
            "num_hidden_layers": 1,
        },
        "one way, in groups": {
            "pos_att_type": "c2p",
            "conv_kernel_size": 5,
            "conv_groups": 2,
            "norm_rel_ebd": "none",
            "num_labels": 5,
        },
        "narrow embeddings": {
            "embedding_size": 20,
            "pos_att_type": ["p2c"],
            "position_buckets": -1,
            "max_relative_positions": 9,
        },
        "no relative positions": {"relative_attention": False, "pos_att_type": None, "num_labels": 1},
    },
    citation=(
        "@inproceedings{he2023debertav3,",
        "  title     = {{DeBERTaV3}: Improving {DeBERTa} using {ELECTRA}-Style Pre-Training with Gradient-Disentangled",
        "               Embedding Sharing},",
        "  author    = {He, Pengcheng and Gao, Jianfeng and Chen, Weizhu},",
        "  booktitle = {International Conference on Learning Representations},",
        "  year      = {2023},",
        "  url       = {https://openreview.net/forum?id=sE7-XhLxHA}",
        "}",
    ),
)
