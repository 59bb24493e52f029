"""ERNIE: from PaddleNLP's models and tokenizers to Hugging Face's. UIE and RocketQA are of this family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.beside import SeparateHead, Tensor
from .language.checks import check_heads
from .language.family import Defaults, Family, Model
from .language.fields import Field, never
from .language.rows import Embedding, Linear, When, is_set
from .language.tokenizers import TokenizerClass, TokenizerFacts, wordpiece_class
from .language.transforms import IDENTITY, Reorder, Transform


def _default_task_first(configuration: Mapping[str, Any]) -> Transform:
    """Hugging Face's class takes task 0 where none is given, PaddleNLP's the one that its configuration names."""
    task, tasks = configuration["task_id"], range(configuration["task_type_vocab_size"])
    first = {0: task, task: 0}
    return Reorder(0, tuple(first.get(place, place) for place in tasks)) if task else IDENTITY


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    if configuration["use_task_id"] and not configuration["task_id"] < configuration["task_type_vocab_size"]:
        raise ConfigurationError(
            f"task_id {configuration['task_id']} is not below task_type_vocab_size "
            f"{configuration['task_type_vocab_size']}"
        )


def utc_logits(head: dict[str, Tensor], hidden: Tensor, cls_positions: Tensor, omask_positions: Tensor) -> Tensor:
    """Logits [rows, options] of the last hidden state [rows, tokens, hidden_size]; `cls_positions` [rows] are those of
    the second [CLS], `omask_positions` [rows, options] those of the [O-MASK] tokens, 0 where a row has fewer."""
    rows = [[row] for row in range(len(hidden))]
    query = hidden[rows, cls_positions[:, None]] @ head["linear_q.weight"].T + head["linear_q.bias"]
    keys = hidden[rows, omask_positions] @ head["linear_k.weight"].T + head["linear_k.bias"]
    logits = (query @ keys.swapaxes(1, 2))[:, 0] / 8
    return logits - (omask_positions == 0) * 999999995904.0  # 1e12 in float32, as PaddleNLP subtracts it


ERNIE = Family(
    name="ernie",
    base="ErnieModel",
    source_prefix="ernie.",
    target_prefix="ernie.",
    repeat=encoders.REPEAT,
    backbone=(
        *encoders.backbone(encoders.TYPES_IF_ANY),
        When(
            is_set("use_task_id"),
            (
                Embedding(
                    "embeddings.task_type_embeddings",
                    "task_type_vocab_size",
                    "hidden_size",
                    transform=_default_task_first,
                ),
            ),
        ),
    ),
    pooler=encoders.POOLER,
    models=(
        *(
            make("Ernie", "Ernie")
            for make in (
                encoders.base,
                encoders.pretraining,
                encoders.masked_lm,
                encoders.sequence_classification,
                encoders.token_classification,
                encoders.question_answering,
            )
        ),
        encoders.spans("UIE", "Ernie"),
        Model(
            "UTC",
            "ErnieModel",
            head=(Linear("linear_q", "hidden_size", 64), Linear("linear_k", "hidden_size", 64)),
            needs={"cls_positions": (4, 1, 2), "omask_positions": ((1, 2, 0), (2, 3, 3), (3, 0, 1))},
            beside=SeparateHead(utc_logits, "no class of Hugging Face's has UTC's head", masked="omask_positions"),
        ),
        encoders.multiple_choice("Ernie", "Ernie"),
    ),
    fields=encoders.fields(
        Field("type_vocab_size", 16, 2, least=1),
        # The layers are made without the configuration's epsilon and are given this one when they are initialised.
        Field("layer_norm_eps", 1e-12, runs=1e-12),
        Field("task_type_vocab_size", 3),
        Field("use_task_id", False),
        Field("task_id", 0, when=never),
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    left_out=("pool_act", "fuse", "use_cache"),
    # PaddleNLP up to 2.5.2.
    old_names={"cls.predictions.decoder_weight": "cls.predictions.decoder.weight"},
    source_constants={"pool_act": "tanh", "fuse": False, "use_cache": False},
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    embeds_sentences=True,
    # As get_pooled_embedding of PaddleNLP's ErnieDualEncoder, for RocketQA and ernie-search: no pooler.
    pooling="cls",
    check_configuration=_check,
    declared_differences=(encoders.PADDING_ROW,),
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts(
        (
            wordpiece_class("ErnieTokenizer"),
            TokenizerClass(
                "ErnieTinyTokenizer",
                (),
                refused="cuts words by a dictionary that is a pickle, which is never opened; it has no fast tokenizer",
            ),
        ),
        "ErnieTokenizer",
        settings={"do_lower_case": True},
    ),
    small={**encoders.SMALL, "type_vocab_size": 3, "use_task_id": True},
    variants={
        **encoders.VARIANTS,
        "another task": {"task_id": 2},
        "no tasks": {"use_task_id": False},
        "no token types": {"type_vocab_size": 0},
    },
    citation=(
        "@article{sun2019ernie,",
        "  title   = {{ERNIE}: Enhanced Representation through Knowledge Integration},",
        "  author  = {Sun, Yu and Wang, Shuohuan and Li, Yukun and Feng, Shikun and Chen, Xuyi and Zhang, Han and",
        "             Tian, Xin and Zhu, Danxiang and Tian, Hao and Wu, Hua},",
        "  journal = {arXiv preprint arXiv:1904.09223},",
        "  year    = {2019},",
        "  url     = {https://arxiv.org/abs/1904.09223}",
        "}",
    ),
)
