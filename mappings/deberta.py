"""DeBERTa: from PaddleNLP's models and tokenizers to Hugging Face's. Query, key and value are one matrix, and every
layer sees how far tokens are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import backbone_alone, check_heads
from .language.family import JOINT_ROLE, DeclaredDifference, Defaults, Family, Model
from .language.fields import Field
from .language.limits import Limits
from .language.rows import Embedding, Following, Linear, Norm, Parameter, Row, When, is_set
from .language.tokenizers import BYTE_PAIRS, PREFIX_SPACE, BytePairs, TokenizerClass, TokenizerFacts
from .language.transforms import TRANSPOSE

LAYER = encoders.TORCH
"""Both libraries call the layers so."""

ATTENTION = f"{LAYER}.attention.self"

KINDS = ("c2p", "p2c")
"""From content to position, and the other way round."""

POOLER_FIELDS = ("pooler_hidden_size", "pooler_dropout")
"""What PaddleNLP's first version reads for a classifier, and does not have in its configuration by itself."""

LIMITS = Limits(
    padding="PaddleNLP's attention is NaN for padded tokens, and behind the first layer so is all of their row, which "
    "Hugging Face's is not"
)


def cannot_be_made(base: str) -> str:
    """Why the class for masked words is refused, whose backbone `base` is."""
    return (
        "PaddleNLP's class cannot be made, as it calls a method that it does not have; the backbone alone converts: "
        f"load it with PaddleNLP's {base}.from_pretrained, save that and convert that folder"
    )


def kinds_of(value: Any) -> list[str]:
    """`pos_att_type` as a list, which may be written as one text or be absent. Raises ConfigurationError for a kind
    that is none of KINDS, or there twice."""
    kinds = value.split("|") if isinstance(value, str) else value or []
    kinds = list(kinds) if isinstance(kinds, list) else [kinds]
    if len(set(map(str, kinds))) < len(kinds) or any(kind not in KINDS for kind in kinds):
        raise ConfigurationError(f"pos_att_type is {value!r}; a list of {' and '.join(KINDS)} is expected, each once")
    return kinds


def attends(kind: str) -> Callable[[Mapping[str, Any]], bool]:
    """The condition that layers attend to relative positions in this way."""
    return lambda configuration: bool(configuration["relative_attention"]) and kind in configuration["pos_att_type"]


def reach(configuration: Mapping[str, Any]) -> int:
    """How far apart tokens are told apart, in either direction."""
    stated = int(configuration["max_relative_positions"])
    return stated if stated > 0 else int(configuration["max_position_embeddings"])


def embedding_size(configuration: Mapping[str, Any]) -> Any:
    """The width of the embeddings, by default that of the layers."""
    stated = configuration["embedding_size"]
    return configuration["hidden_size"] if stated is None else stated


def check(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for what all versions of the model have no counterpart for."""
    check_heads(configuration)
    if not isinstance(configuration["max_relative_positions"], int):
        raise ConfigurationError(
            f"max_relative_positions is {configuration['max_relative_positions']!r}; a whole number is expected"
        )
    if (steps := configuration.get("z_steps", 0)) not in (0, 1):
        raise ConfigurationError(f"z_steps is {steps!r}; Hugging Face's class has no such further steps")


def _check(configuration: Mapping[str, Any]) -> None:
    check(configuration)
    if configuration.get("talking_head"):
        raise ConfigurationError("talking_head is true, whose equality is not established; only false converts")


def pooler_size(configuration: Mapping[str, Any]) -> str | None:
    """Why the pooler of a classifier has no counterpart; None where it has one."""
    size, hidden = configuration["pooler_hidden_size"], configuration["hidden_size"]
    if size == hidden:
        return None
    return (
        f"pooler_hidden_size is {size} and hidden_size {hidden}, and the heads of both libraries fail unless they are "
        f"equal; {backbone_alone('deberta')}"
    )


def _pooler(configuration: Mapping[str, Any]) -> str | None:
    """As `pooler_size`, where PaddleNLP's configuration has no such fields by itself."""
    if absent := [name for name in POOLER_FIELDS if configuration[name] is None]:
        return (
            f"its configuration does not state {' and '.join(absent)}, without which PaddleNLP cannot make the class; "
            f"state pooler_hidden_size {configuration['hidden_size']} and pooler_dropout 0 in it"
        )
    return pooler_size(configuration)


def _is_stated(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda configuration: configuration[name] is not None


def _joint(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """Query, key and value of all heads in one matrix, head by head."""
    size = 3 * int(configuration["hidden_size"])
    return (Parameter(f"{ATTENTION}.in_proj.weight", ("hidden_size", size), transform=TRANSPOSE),)


def relative_table(configuration: Mapping[str, Any], rows: int) -> tuple[Row, ...]:
    """The table of relative positions, of so many rows for either direction."""
    return (Embedding("encoder.rel_embeddings", 2 * rows, "hidden_size"),)


def _relative(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    return relative_table(configuration, reach(configuration))


EMBEDDINGS: tuple[Row, ...] = (
    encoders.POSITION_IDS,
    Embedding("embeddings.word_embeddings", "vocab_size", "embedding_size"),
    When(
        is_set("position_biased_input"),
        (Embedding("embeddings.position_embeddings", "max_position_embeddings", "embedding_size"),),
    ),
    When(
        is_set("type_vocab_size"),
        (Embedding("embeddings.token_type_embeddings", "type_vocab_size", "embedding_size"),),
    ),
    When(
        encoders.unlike_embeddings,
        (Parameter("embeddings.embed_proj.weight", ("embedding_size", "hidden_size"), transform=TRANSPOSE),),
    ),
    Norm("embeddings.LayerNorm", "hidden_size"),
)

REST_OF_LAYER: tuple[Row, ...] = (
    Linear(f"{LAYER}.attention.output.dense", "hidden_size", "hidden_size"),
    Norm(f"{LAYER}.attention.output.LayerNorm", "hidden_size"),
    Linear(f"{LAYER}.intermediate.dense", "hidden_size", "intermediate_size"),
    Linear(f"{LAYER}.output.dense", "intermediate_size", "hidden_size"),
    Norm(f"{LAYER}.output.LayerNorm", "hidden_size"),
)
"""What comes after the attention."""

ROLES: Mapping[str, str] = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "attention_out": f"{LAYER}.attention.output.dense",
    "attention_norm": f"{LAYER}.attention.output.LayerNorm",
    "feed_forward_in": f"{LAYER}.intermediate.dense",
    "feed_forward_out": f"{LAYER}.output.dense",
    "feed_forward_norm": f"{LAYER}.output.LayerNorm",
}


def classes(
    name: str, pooler: Callable[[Mapping[str, Any]], str | None], poolers: tuple[tuple[str, int | str], ...]
) -> tuple[Model, ...]:
    """The classes of a version, called `name`: those in `poolers` have a pooler as part of the head, and so many
    outputs. `pooler` says why theirs has no counterpart."""
    return (
        Model(f"{name}Model"),
        *(
            Model(
                f"{name}For{task}",
                head=(
                    Linear("pooler.dense", "hidden_size", "hidden_size"),
                    Linear("classifier", "hidden_size", outputs),
                ),
                auto_class=f"AutoModelFor{task}",
                refuses=pooler,
            )
            for task, outputs in poolers
        ),
        Model(
            f"{name}ForTokenClassification",
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForTokenClassification",
        ),
        Model(
            f"{name}ForQuestionAnswering",
            head=(Linear("qa_outputs", "hidden_size", 2),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
        ),
    )


def fields(*own: Field) -> tuple[Field, ...]:
    """The fields of all versions, a version's `own` in place of those of the same name or behind them."""
    return encoders.fields(
        Field("type_vocab_size", 0),
        Field("layer_norm_eps", 1e-7),
        Field("relative_attention", False, compared=True),
        Field("max_relative_positions", -1, compared=True),
        Field("position_biased_input", True, compared=True),
        Field("pos_att_type", None, form=kinds_of, compared=True),
        Field("embedding_size", None, runs=embedding_size),
        Field("pooler_hidden_act", "gelu", runs="gelu"),
        *own,
        without=("classifier_dropout",),
    )


DEBERTA = Family(
    name="deberta",
    base="DebertaModel",
    source_prefix="deberta.",
    target_prefix="deberta.",
    repeat=encoders.REPEAT,
    backbone=(
        *EMBEDDINGS,
        Following(f"{ATTENTION}.in_proj", _joint),
        Parameter(f"{ATTENTION}.q_bias", ("hidden_size",)),
        Parameter(f"{ATTENTION}.v_bias", ("hidden_size",)),
        When(
            attends("c2p"),
            (Parameter(f"{ATTENTION}.pos_proj.weight", ("hidden_size", "hidden_size"), transform=TRANSPOSE),),
        ),
        When(attends("p2c"), (Linear(f"{ATTENTION}.pos_q_proj", "hidden_size", "hidden_size"),)),
        *REST_OF_LAYER,
        When(is_set("relative_attention"), (Following("encoder.rel_embeddings", _relative),)),
    ),
    pooler=(),
    models=classes("Deberta", _pooler, (("SequenceClassification", "num_labels"),)),
    refused={
        "DebertaForMaskedLM": cannot_be_made("DebertaModel"),
        "DebertaForMultipleChoice": "Hugging Face has no such class; " + backbone_alone("deberta"),
    },
    fields=fields(
        Field("vocab_size", 50265),
        Field("relative_attention", True, False, compared=True),
        Field("position_biased_input", False, True, compared=True),
        Field("pos_att_type", ["p2c", "c2p"], None, form=kinds_of, compared=True),
        Field(
            "pooler_hidden_size",
            None,
            target_like="hidden_size",
            when=_is_stated("pooler_hidden_size"),
            counts=False,
        ),
        Field("pooler_dropout", None, 0, when=_is_stated("pooler_dropout"), counts=False),
    ),
    constants={"legacy": True},
    left_out=("output_hidden_states", "output_attentions"),
    activations=(*encoders.ACTIVATIONS, "gelu_new"),
    roles={**ROLES, JOINT_ROLE: f"{ATTENTION}.in_proj"},
    check_configuration=_check,
    declared_differences=(
        encoders.PADDING_ROW,
        DeclaredDifference(
            "norm_in_float32",
            "Hugging Face's layer normalisation computes in float32 whatever its type, PaddleNLP's in that of its "
            "input: float64 is proven with that cast lifted, and float32 as it is; measured is the difference of "
            "float64 without",
            lifted=("DebertaLayerNorm",),
        ),
    ),
    defaults=Defaults(masks_padding=False),
    limits=LIMITS,
    # Two of its parameters are single whatever the rest is.
    widened=True,
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "DebertaTokenizer",
                (BYTE_PAIRS,),
                exact=True,
                byte_pairs=BytePairs(
                    tokens={
                        "bos_token": "[CLS]",
                        "eos_token": "[SEP]",
                        "unk_token": "[UNK]",
                        "sep_token": "[SEP]",
                        "pad_token": "[PAD]",
                        "cls_token": "[CLS]",
                        "mask_token": "[MASK]",
                    },
                    strips=dict.fromkeys(
                        (f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")), (False, False)
                    ),
                    only=PREFIX_SPACE,
                    gives_types=True,
                ),
            ),
        ),
        "DebertaTokenizer",
        settings={"do_lower_case": True},
        target_kinds={"DebertaTokenizer": BYTE_PAIRS},
    ),
    small={
        **encoders.SMALL,
        "position_biased_input": True,
        "max_relative_positions": 12,
        "pooler_hidden_size": 24,
        "pooler_dropout": 0.1,
    },
    variants={
        "as published": {
            "type_vocab_size": 0,
            "position_biased_input": False,
            "max_relative_positions": -1,
            "num_hidden_layers": 1,
        },
        "one way, as a text": {"pos_att_type": "c2p", "num_hidden_layers": 2, "num_labels": 5},
        "narrow embeddings": {"embedding_size": 20, "pos_att_type": ["p2c"], "hidden_act": "gelu_new"},
        "no relative positions": {"relative_attention": False, "pos_att_type": None, "num_labels": 1},
    },
    citation=(
        "@inproceedings{he2021deberta,",
        "  title     = {{DeBERTa}: Decoding-enhanced {BERT} with Disentangled Attention},",
        "  author    = {He, Pengcheng and Liu, Xiaodong and Gao, Jianfeng and Chen, Weizhu},",
        "  booktitle = {International Conference on Learning Representations},",
        "  year      = {2021},",
        "  url       = {https://openreview.net/forum?id=XPZIaotutsD}",
        "}",
    ),
)
