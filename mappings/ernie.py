"""ERNIE: from PaddleNLP's models and tokenizers to Hugging Face's. UIE and RocketQA are of this family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .bert import BERT, MLM_HEAD
from .language.checks import check_heads
from .language.family import DeclaredDifference, Defaults, Family, Model, Probabilities
from .language.fields import Field, never
from .language.rows import Embedding, Joined, Linear, Made, When, is_set
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts
from .language.transforms import IDENTITY, TRANSPOSE, Chain, Concatenate, SwapRows, Transform

TYPES = "embeddings.token_type_embeddings"


def _default_task_first(configuration: Mapping[str, Any]) -> Transform:
    """Hugging Face's class takes task 0 where none is given, PaddleNLP's the one that its configuration names."""
    task = configuration["task_id"]
    return SwapRows(0, task) if task else IDENTITY


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    if configuration["use_task_id"] and not configuration["task_id"] < configuration["task_type_vocab_size"]:
        raise ConfigurationError(
            f"task_id {configuration['task_id']} is not below task_type_vocab_size "
            f"{configuration['task_type_vocab_size']}"
        )


_BACKBONE = tuple(row for row in BERT.backbone if row.label != "embeddings.position_ids" and TYPES not in row.label)

ERNIE = Family(
    name="ernie",
    base="ErnieModel",
    source_prefix="ernie.",
    target_prefix="ernie.",
    repeat=BERT.repeat,
    backbone=(
        *_BACKBONE,
        # Hugging Face's class has such a table in any case.
        When(
            is_set("type_vocab_size"),
            (Embedding(TYPES, "type_vocab_size", "hidden_size"),),
            (Made(f"{TYPES}.weight", (1, "hidden_size")),),
        ),
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
    pooler=BERT.pooler,
    models=(
        Model("ErnieModel"),
        Model(
            "ErnieForPretraining",
            "ErnieForPreTraining",
            head=(*MLM_HEAD, Linear("cls.seq_relationship", "hidden_size", 2)),
            auto_class="AutoModelForPreTraining",
        ),
        Model("ErnieForMaskedLM", pooler=False, head=MLM_HEAD, auto_class="AutoModelForMaskedLM"),
        Model(
            "ErnieForSequenceClassification",
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForSequenceClassification",
        ),
        Model(
            "ErnieForTokenClassification",
            pooler=False,
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForTokenClassification",
        ),
        Model(
            "ErnieForQuestionAnswering",
            pooler=False,
            head=(Linear("classifier", "hidden_size", 2, "qa_outputs"),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
        ),
        Model(
            "UIE",
            "ErnieForQuestionAnswering",
            pooler=False,
            head=(
                Joined(
                    ("linear_start.weight", "linear_end.weight"),
                    "qa_outputs.weight",
                    (("hidden_size", 1), ("hidden_size", 1)),
                    Chain((Concatenate(1), TRANSPOSE)),
                ),
                Joined(("linear_start.bias", "linear_end.bias"), "qa_outputs.bias", ((1,), (1,)), Concatenate()),
            ),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
            probabilities=Probabilities(
                {"start_prob": "start_logits", "end_prob": "end_logits"}, ("linear_start", "linear_end")
            ),
        ),
        Model(
            "ErnieForMultipleChoice",
            head=(Linear("classifier", "hidden_size", 1),),
            auto_class="AutoModelForMultipleChoice",
        ),
    ),
    fields=(
        *(entry for entry in BERT.fields if entry.name not in ("layer_norm_eps", "type_vocab_size")),
        Field("type_vocab_size", 16, 2, least=1),
        # The layers are made without the configuration's epsilon and are given this one when they are initialised.
        Field("layer_norm_eps", 1e-12, runs=1e-12),
        Field("task_type_vocab_size", 3),
        Field("use_task_id", False),
        Field("task_id", 0, when=never),
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    left_out=("pool_act", "fuse", "use_cache"),
    source_constants={"pool_act": "tanh", "fuse": False, "use_cache": False},
    # PaddleNLP's ERNIE looks the name up in paddle.nn.functional, which knows these.
    activations=("gelu", "relu"),
    roles=BERT.roles,
    check_configuration=_check,
    declared_differences=(
        DeclaredDifference(
            "padding_row",
            "PaddleNLP makes the embedding of the padding id zero, PyTorch reads the stored row: the row is kept, "
            "and hidden states are compared at attended positions",
            padding=True,
        ),
    ),
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts((TokenizerClass("ErnieTokenizer", (WORDPIECE,)),), "ErnieTokenizer", {}),
    small={**BERT.small, "type_vocab_size": 3, "use_task_id": True},
    variants={
        **BERT.variants,
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
