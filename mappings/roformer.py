"""RoFormer: from PaddleNLP's models and tokenizers to Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import backbone_alone, check_heads
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field, never
from .language.rows import Embedding, Linear, Norm
from .language.rules import BACKBONE
from .language.tables import Table
from .language.tokenizers import OnlyValue, TokenizerFacts, wordpiece_class

_POOLERS = ("tanh", "linear", "gelu", "relu")
"""What PaddleNLP's pooler may apply, as both libraries call it."""

TABLE = "encoder.embed_positions.weight"

_MLM_HEAD = encoders.tied_mlm_head("cls.predictions.transform", "embedding_size")


def _rotary(configuration: Mapping[str, Any], numpy: Any, dtype: str) -> Any:
    """Sines and cosines side by side, one row per position, computed in `dtype` as PaddleNLP does.

    The power is taken in float64 and rounded: numpy's own in float32 gives other numbers than Paddle's.
    """
    size = configuration["hidden_size"] // configuration["num_attention_heads"]
    powers = numpy.power(10000.0, numpy.arange(0, size, 2, dtype=dtype).astype("float64") / size).astype(dtype)
    positions = numpy.arange(configuration["max_position_embeddings"], dtype=dtype)
    angles = (positions[:, None] * (numpy.ones(1, dtype) / powers)[None]).astype("float64")
    return numpy.concatenate([numpy.sin(angles), numpy.cos(angles)], axis=1)


def _rotary_shape(configuration: Mapping[str, Any]) -> tuple[int, int]:
    head_size = configuration["hidden_size"] // configuration["num_attention_heads"]
    return configuration["max_position_embeddings"], head_size


def _rotary32(configuration: Mapping[str, Any], numpy: Any) -> Any:
    return _rotary(configuration, numpy, "float32").astype("float32")


def _rotary64(configuration: Mapping[str, Any], numpy: Any) -> Any:
    return _rotary(configuration, numpy, "float64")


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    if configuration["pool_act"] not in _POOLERS:
        raise ConfigurationError(
            f"pool_act {configuration['pool_act']!r} is not known to be equal in both frameworks; known are "
            f"{', '.join(_POOLERS)}"
        )
    if configuration["hidden_size"] // configuration["num_attention_heads"] % 2:
        raise ConfigurationError("hidden_size / num_attention_heads is odd; rotary positions turn pairs of channels")


def _other_pooler(configuration: Mapping[str, Any]) -> str | None:
    pooler, layers = configuration["pool_act"], configuration["hidden_act"]
    if pooler == layers:
        return None
    return (
        f"PaddleNLP's pooler applies {pooler} (pool_act), Hugging Face's head hidden_act, which is {layers}; "
        + backbone_alone("roformer")
    )


ROFORMER = Family(
    name="roformer",
    base="RoFormerModel",
    source_prefix="roformer.",
    target_prefix="roformer.",
    repeat=encoders.REPEAT,
    backbone=(
        Embedding("embeddings.word_embeddings", "vocab_size", "embedding_size"),
        Embedding("embeddings.token_type_embeddings", "type_vocab_size", "embedding_size"),
        Norm("embeddings.layer_norm", "embedding_size", "embeddings.LayerNorm"),
        encoders.PROJECTION,
        *encoders.LAYERS,
        Table(TABLE, _rotary_shape, _rotary32, tolerance=1e-4),
    ),
    pooler=encoders.POOLER,
    models=(
        Model("RoFormerModel", pooler=False),
        Model("RoFormerForMaskedLM", pooler=False, head=_MLM_HEAD, auto_class="AutoModelForMaskedLM"),
        # It attends in both directions, whatever its name says.
        Model(
            "RoFormerForCausalLM",
            "RoFormerForMaskedLM",
            pooler=False,
            head=_MLM_HEAD,
            auto_class="AutoModelForMaskedLM",
        ),
        Model(
            "RoFormerForSequenceClassification",
            takes_pooler=True,
            head=(
                Linear(f"{BACKBONE}pooler.dense", "hidden_size", "hidden_size", "classifier.dense"),
                Linear("classifier", "hidden_size", "num_labels", "classifier.out_proj"),
            ),
            auto_class="AutoModelForSequenceClassification",
            refuses=_other_pooler,
        ),
        encoders.token_classification("RoFormer", "RoFormer"),
        encoders.question_answering("RoFormer", "RoFormer"),
        Model(
            "RoFormerForMultipleChoice",
            takes_pooler=True,
            head=(
                Linear(f"{BACKBONE}pooler.dense", "hidden_size", "hidden_size", "sequence_summary.summary"),
                Linear("classifier", "hidden_size", 1),
            ),
            auto_class="AutoModelForMultipleChoice",
        ),
    ),
    fields=(
        Field("vocab_size", 30522, 50000),
        Field("embedding_size", 768, target_like="hidden_size"),
        Field("hidden_size", 768),
        Field("num_hidden_layers", 12),
        Field("num_attention_heads", 12),
        Field("intermediate_size", 3072),
        Field("hidden_act", "gelu"),
        Field("hidden_dropout_prob", 0.1, counts=False),
        Field("attention_probs_dropout_prob", 0.1, counts=False),
        Field("max_position_embeddings", 1536),
        Field("type_vocab_size", 2),
        Field("initializer_range", 0.02, counts=False),
        Field("layer_norm_eps", 1e-12),
        Field("classifier_dropout", None, when=never, counts=False),
        Field("pad_token_id", 0),
        Field("rotary_value", False),
        Field("eos_token_id", 102, None),
        # Hugging Face's class has a pooler for multiple choice only, and calls it a summary.
        Field("pool_act", "tanh", target="summary_activation"),
    ),
    constants={
        "use_cache": True,
        "summary_type": "first",
        "summary_use_proj": True,
    },
    left_out=("use_cache",),
    source_constants={"use_cache": False},
    activations=encoders.ACTIVATIONS,
    roles={role: module for role, module in encoders.ROLES.items() if role != "positions"},
    check_configuration=_check,
    declared_differences=(
        DeclaredDifference(
            "rotary_table",
            "PaddleNLP computes sines and cosines of the positions itself; the table that is written is the one that "
            "it computes in float32, float64 is proven with that of float64; measured is the difference without",
            tables={TABLE: _rotary64},
        ),
    ),
    defaults=Defaults(masks_padding=True),
    arguments=("input_ids", "attention_mask", "token_type_ids"),
    tokenizer=TokenizerFacts(
        (
            wordpiece_class(
                "RoFormerTokenizer",
                exact=True,
                only={"use_jieba": OnlyValue(False, False, "cuts words by jieba")},
            ),
        ),
        "RoFormerTokenizer",
        published={
            name: {"do_lower_case": True, "use_jieba": True}
            for name in ("roformer-chinese-small", "roformer-chinese-base")
        },
        settings={"do_lower_case": True, "use_jieba": False},
    ),
    small={
        "vocab_size": 50,
        "embedding_size": 12,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
        "type_vocab_size": 2,
        "pool_act": "relu",
        "hidden_act": "relu",
    },
    variants={
        "equal widths": {"embedding_size": 24, "num_hidden_layers": 1, "num_labels": 1},
        "turned values": {"rotary_value": True, "num_labels": 5},
    },
    citation=(
        "@article{su2021roformer,",
        "  title   = {{RoFormer}: Enhanced Transformer with Rotary Position Embedding},",
        "  author  = {Su, Jianlin and Lu, Yu and Pan, Shengfeng and Murtadha, Ahmed and Wen, Bo and Liu, Yunfeng},",
        "  journal = {arXiv preprint arXiv:2104.09864},",
        "  year    = {2021},",
        "  url     = {https://arxiv.org/abs/2104.09864}",
        "}",
    ),
)
