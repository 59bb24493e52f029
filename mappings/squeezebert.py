"""SqueezeBERT: from PaddleNLP's models to Hugging Face's, whose names are nearly the same. Its layers are convolutions
of width 1 in groups, which neither library transposes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import check_heads
from .language.family import Defaults, Family
from .language.fields import Field
from .language.limits import LayerForm, Limits
from .language.rows import Following, Norm, Parameter, Row
from .language.tokenizers import TokenizerFacts, wordpiece_class

LAYER = "encoder.layers.{layer}"

STATES = (
    "PaddleNLP's classes with a head hand out neither them nor hidden states, and its backbone scores in their place; "
    "the states that are compared are those that the layers take and give"
)


def _convolution(name: str, inputs: str, outputs: str, groups: str) -> Row:
    """A convolution of width 1: its weight is [outputs, inputs of one group, 1] on both sides."""

    def rows(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
        of_group = int(configuration[inputs]) // int(configuration[groups])
        return (Parameter(f"{name}.weight", (outputs, of_group, 1)), Parameter(f"{name}.bias", (outputs,)))

    return Following(name, rows)


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    hidden, embedding = configuration["hidden_size"], configuration["embedding_size"]
    if hidden != embedding:
        raise ConfigurationError(
            f"embedding_size is {embedding} and hidden_size {hidden}; neither library has a model where they differ"
        )
    sizes = {"q": hidden, "k": hidden, "v": hidden, "post_attention": hidden, "intermediate": hidden}
    sizes["output"] = configuration["intermediate_size"]
    for name, inputs in sizes.items():
        groups = configuration[f"{name}_groups"]
        if not isinstance(groups, int) or groups < 1 or inputs % groups:
            raise ConfigurationError(f"{name}_groups is {groups!r}, which does not divide the {inputs} inputs")


SQUEEZEBERT = Family(
    name="squeezebert",
    base="SqueezeBertModel",
    source_prefix="squeezebert.",
    target_prefix="transformer.",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.STORED_POSITION_IDS,
        *encoders.tables(),
        Norm("embeddings.LayerNorm", "hidden_size"),
        _convolution(f"{LAYER}.attention.query", "hidden_size", "hidden_size", "q_groups"),
        _convolution(f"{LAYER}.attention.key", "hidden_size", "hidden_size", "k_groups"),
        _convolution(f"{LAYER}.attention.value", "hidden_size", "hidden_size", "v_groups"),
        _convolution(f"{LAYER}.post_attention.conv1d", "hidden_size", "hidden_size", "post_attention_groups"),
        Norm(f"{LAYER}.post_attention.layernorm", "hidden_size"),
        _convolution(f"{LAYER}.intermediate.conv1d", "hidden_size", "intermediate_size", "intermediate_groups"),
        _convolution(f"{LAYER}.output.conv1d", "intermediate_size", "hidden_size", "output_groups"),
        Norm(f"{LAYER}.output.layernorm", "hidden_size"),
    ),
    pooler=encoders.POOLER,
    models=(
        replace(encoders.base("SqueezeBert", "SqueezeBert"), returns=("last_hidden_state", "pooler_output")),
        replace(encoders.sequence_classification("SqueezeBert", "SqueezeBert"), returns=("logits",)),
        replace(encoders.token_classification("SqueezeBert", "SqueezeBert"), pooler=True, returns=("logits",)),
        replace(
            encoders.question_answering("SqueezeBert", "SqueezeBert"),
            pooler=True,
            returns=("start_logits", "end_logits"),
            limits=Limits(
                mask="PaddleNLP's class for question answering takes none",
                positions="PaddleNLP's class for question answering takes none",
                padding="without a mask PaddleNLP's model attends to padding",
                states=STATES,
            ),
        ),
    ),
    fields=encoders.fields(
        # PaddleNLP sets it in every LayerNorm, Hugging Face's class in all but that of the embeddings.
        Field("layer_norm_eps", 1e-12, runs=1e-12),
        Field("embedding_size", 768),
        Field("q_groups", 4),
        Field("k_groups", 4),
        Field("v_groups", 4),
        Field("post_attention_groups", 1),
        Field("intermediate_groups", 4),
        Field("output_groups", 4),
        without=("classifier_dropout",),
    ),
    constants={},
    activations=(*encoders.ACTIVATIONS, "gelu_new"),
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "query": f"{LAYER}.attention.query",
        "key": f"{LAYER}.attention.key",
        "value": f"{LAYER}.attention.value",
        "attention_out": f"{LAYER}.post_attention.conv1d",
        "attention_norm": f"{LAYER}.post_attention.layernorm",
        "feed_forward_in": f"{LAYER}.intermediate.conv1d",
        "feed_forward_out": f"{LAYER}.output.conv1d",
        "feed_forward_norm": f"{LAYER}.output.layernorm",
        "pooler": "pooler.dense",
    },
    check_configuration=_check,
    defaults=Defaults(masks_padding=False),
    limits=Limits(states=STATES),
    layers=LayerForm(channels_first=True, output="feature_map"),
    tokenizer=TokenizerFacts(
        (wordpiece_class("SqueezeBertTokenizer", exact=True),),
        "SqueezeBertTokenizer",
        settings={"do_lower_case": True},
    ),
    small={**encoders.SMALL, "embedding_size": 24, "q_groups": 2, "k_groups": 3, "v_groups": 4, "output_groups": 6},
    variants={
        "one group": {"q_groups": 1, "k_groups": 1, "v_groups": 1, "intermediate_groups": 1, "output_groups": 1},
        "gelu_new": {"hidden_act": "gelu_new", "num_hidden_layers": 1, "num_labels": 5},
    },
    citation=(
        "@inproceedings{iandola2020squeezebert,",
        "  title     = {{SqueezeBERT}: What can computer vision teach {NLP} about efficient neural networks?},",
        "  author    = {Iandola, Forrest and Shaw, Albert and Krishna, Ravi and Keutzer, Kurt},",
        "  booktitle = {Proceedings of SustaiNLP: Workshop on Simple and Efficient Natural Language Processing},",
        "  pages     = {124--135},",
        "  year      = {2020},",
        "  doi       = {10.18653/v1/2020.sustainlp-1.17}",
        "}",
    ),
)
