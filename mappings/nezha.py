"""NeZha: from PaddleNLP's models and tokenizers to Hugging Face's, which transformers 4.57 was the last to have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import check_heads
from .language.family import DeclaredDifference, Defaults, Family
from .language.fields import Field
from .language.limits import Withdrawn
from .language.rows import Embedding, Linear, Norm
from .language.tokenizers import TokenizerFacts, wordpiece_class

_LAYER = "encoder.layer.{layer}"

LENGTH = 512
"""Tokens that PaddleNLP's model takes at most, whatever its configuration says."""

FARTHEST = 64
"""The largest max_relative_position of a published name. From 100 on, the tables of the frameworks are more than WITHIN
apart."""

WITHIN = 1e-5
"""How far Hugging Face's table of relative positions, computed in float32, is from PaddleNLP's at most; measured are
6.6e-6."""

_LAYERS = (
    *(
        Linear(f"{_LAYER}.attention.{name}", "hidden_size", "hidden_size", f"{_LAYER}.attention.self.{name}")
        for name in ("query", "key", "value")
    ),
    Linear(f"{_LAYER}.attention.dense", "hidden_size", "hidden_size", f"{_LAYER}.attention.output.dense"),
    Norm(f"{_LAYER}.attention.layer_norm", "hidden_size", f"{_LAYER}.attention.output.LayerNorm"),
    Linear(f"{_LAYER}.ffn", "hidden_size", "intermediate_size", f"{_LAYER}.intermediate.dense"),
    Linear(f"{_LAYER}.ffn_output", "intermediate_size", "hidden_size", f"{_LAYER}.output.dense"),
    Norm(f"{_LAYER}.layer_norm", "hidden_size", f"{_LAYER}.output.LayerNorm"),
)


def _relative(configuration: Mapping[str, Any], numpy: Any) -> Any:
    """Sines and cosines of the relative positions, [LENGTH, LENGTH, size of a head], as PaddleNLP makes them: computed
    in float64 and rounded to float32."""
    size = configuration["hidden_size"] // configuration["num_attention_heads"]
    reach = configuration["max_relative_position"]
    angles = numpy.arange(2 * reach + 1)[:, None] / numpy.power(10000, numpy.arange(0, size, 2) / size)[None]
    table = numpy.stack([numpy.sin(angles), numpy.cos(angles)], axis=-1).reshape(2 * reach + 1, size)
    tokens = numpy.arange(LENGTH)
    distances = numpy.clip(tokens[None] - tokens[:, None], -reach, reach)
    return table.astype("float32")[distances + reach]


def _tables(configuration: Mapping[str, Any]) -> int:
    """Every layer has a table of its own, in either framework."""
    size = configuration["hidden_size"] // configuration["num_attention_heads"]
    return int(configuration["num_hidden_layers"] * LENGTH**2 * size)


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    relative = configuration.get("use_relative_position")
    if relative is None:
        raise ConfigurationError(
            "configuration field use_relative_position is missing: PaddleNLP has no default for it and cannot build "
            "the model; the published names have true"
        )
    if relative is not True:
        raise ConfigurationError(
            f"use_relative_position is {relative!r}: PaddleNLP then adds a table of absolute positions to the "
            "embeddings, beside the relative ones, for which Hugging Face's class has no place; only true converts"
        )
    reach = configuration["max_relative_position"]
    if not isinstance(reach, int) or not 1 <= reach <= FARTHEST:
        raise ConfigurationError(
            f"max_relative_position is {reach!r}; a whole number from 1 to {FARTHEST} is needed: of more positions, "
            "Hugging Face's class computes a table too far from PaddleNLP's"
        )
    if configuration["hidden_size"] // configuration["num_attention_heads"] % 2:
        raise ConfigurationError(
            "hidden_size / num_attention_heads is odd; Hugging Face's class cannot make its table of relative positions"
        )


_HEAD = encoders.tied_mlm_head("cls.predictions.dense")

NEZHA = Family(
    name="nezha",
    base="NeZhaModel",
    source_prefix="nezha.",
    target_prefix="nezha.",
    repeat=encoders.REPEAT,
    backbone=(
        Embedding("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        encoders.TYPES,
        Norm("embeddings.layer_norm", "hidden_size", "embeddings.LayerNorm"),
        *_LAYERS,
    ),
    pooler=encoders.POOLER,
    models=(
        encoders.base("NeZha", "Nezha"),
        replace(
            encoders.pretraining("NeZha", "Nezha"), head=(*_HEAD, Linear("cls.seq_relationship", "hidden_size", 2))
        ),
        encoders.sequence_classification("NeZha", "Nezha"),
        encoders.token_classification("NeZha", "Nezha"),
        encoders.question_answering("NeZha", "Nezha"),
        encoders.multiple_choice("NeZha", "Nezha"),
    ),
    fields=encoders.fields(
        Field("vocab_size", 21128),
        Field("max_position_embeddings", LENGTH, runs=LENGTH),
        Field("max_relative_position", 64),
        # Every layer gets this one when it is initialised, whatever the configuration says.
        Field("layer_norm_eps", 1e-12, runs=1e-12),
        Field("classifier_dropout", 0.1, counts=False),
    ),
    # Tokens that PaddleNLP's class leaves out of its configuration; no output depends on them.
    constants={"use_cache": True, "bos_token_id": 2, "eos_token_id": 3},
    left_out=("embedding_size", "use_cache", "use_relative_position"),
    source_constants={"use_relative_position": True, "use_cache": False},
    activations=("gelu", "gelu_new", "relu"),
    roles={
        "words": "embeddings.word_embeddings",
        "query": f"{_LAYER}.attention.query",
        "key": f"{_LAYER}.attention.key",
        "value": f"{_LAYER}.attention.value",
        "attention_out": f"{_LAYER}.attention.dense",
        "attention_norm": f"{_LAYER}.attention.layer_norm",
        "feed_forward_in": f"{_LAYER}.ffn",
        "feed_forward_out": f"{_LAYER}.ffn_output",
        "feed_forward_norm": f"{_LAYER}.layer_norm",
        "pooler": "pooler.dense",
    },
    check_configuration=_check,
    declared_differences=(
        DeclaredDifference(
            "relative_table",
            "PaddleNLP computes its sines and cosines of relative positions in float64 and rounds them, Hugging Face's "
            "class computes them in float32 and reads them from no file: float64 is proven with PaddleNLP's in place "
            "of the others, which must be within 1e-5 of them; measured is the difference without",
            tables={"relative_positions_encoding.positions_encoding": _relative},
            within=WITHIN,
        ),
        DeclaredDifference(
            "attention_scores",
            "PaddleNLP puts out attention scores where Hugging Face's class puts out attention maps: their softmax is "
            "compared",
            scores=True,
        ),
    ),
    defaults=Defaults(masks_padding=False),
    arguments=("input_ids", "attention_mask", "token_type_ids"),
    tokenizer=TokenizerFacts(
        (wordpiece_class("NeZhaTokenizer", exact=True),), "NeZhaTokenizer", settings={"do_lower_case": False}
    ),
    small={
        **{name: value for name, value in encoders.SMALL.items() if name != "max_position_embeddings"},
        "max_relative_position": 5,
        "use_relative_position": True,
    },
    variants={**encoders.VARIANTS, "all distances": {"max_relative_position": 64, "hidden_act": "gelu_new"}},
    withdrawn=Withdrawn(
        5,
        "4.57.6",
        "its classes are gone, and no other adds relative positions to the values as NeZha does",
    ),
    buffers=_tables,
    widened=True,
    citation=(
        "@article{wei2019nezha,",
        "  title   = {{NEZHA}: Neural Contextualized Representation for {Chinese} Language Understanding},",
        "  author  = {Wei, Junqiu and Ren, Xiaozhe and Li, Xiaoguang and Huang, Wenyong and Liao, Yi and Wang, Yasheng",
        "             and Lin, Jiashu and Jiang, Xin and Chen, Xiao and Liu, Qun},",
        "  journal = {arXiv preprint arXiv:1909.00204},",
        "  year    = {2019},",
        "  url     = {https://arxiv.org/abs/1909.00204}",
        "}",
    ),
)
