"""TinyBERT: from PaddleNLP's models and tokenizers to Hugging Face's, which are those of BERT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .language import encoders
from .language.checks import backbone_alone, check_heads, check_pooler
from .language.family import Defaults, Family, Model
from .language.fields import Field, never
from .language.rows import Dropped, Following, Linear, Row
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts


def _fit(name: str) -> Row:
    """One of the layers that lead a state to the width of the teacher's."""
    return Dropped(
        Linear(name, "hidden_size", "fit_size"),
        "only distillation uses it, where hidden states are compared with the teacher's",
    )


def _fits(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """As many as there are hidden states."""
    return tuple(_fit(f"fit_denses.{number}") for number in range(int(configuration["num_hidden_layers"]) + 1))


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    check_pooler(configuration)


TINYBERT = Family(
    name="tinybert",
    base="TinyBertModel",
    source_prefix="tinybert.",
    target_prefix="bert.",
    target_type="bert",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.POSITION_IDS,
        *encoders.backbone(),
        Following("fit_denses", _fits),
        _fit("fit_dense"),
    ),
    pooler=encoders.POOLER,
    models=(
        encoders.base("TinyBert", "Bert"),
        # It returns the hidden states alone: of what it was trained with, nothing is left.
        Model("TinyBertForPretraining", "BertModel"),
        encoders.question_answering("TinyBert", "Bert"),
        encoders.multiple_choice("TinyBert", "Bert"),
    ),
    refused={
        "TinyBertForSequenceClassification": "between pooler and classifier it applies a ReLU that no class of "
        "Hugging Face's has, and logits would differ; " + backbone_alone("tinybert"),
    },
    fields=encoders.fields(Field("type_vocab_size", 16, 2), Field("fit_size", 768, when=never, counts=False)),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    left_out=("pool_act",),
    source_constants={"pool_act": "tanh"},
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    check_configuration=_check,
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts(
        (TokenizerClass("TinyBertTokenizer", (WORDPIECE,)),), "TinyBertTokenizer", settings={"do_lower_case": True}
    ),
    small={**encoders.SMALL, "fit_size": 20},
    variants=encoders.VARIANTS,
    citation=(
        "@inproceedings{jiao2020tinybert,",
        "  title     = {{TinyBERT}: Distilling {BERT} for Natural Language Understanding},",
        "  author    = {Jiao, Xiaoqi and Yin, Yichun and Shang, Lifeng and Jiang, Xin and Chen, Xiao and Li, Linlin",
        "               and Wang, Fang and Liu, Qun},",
        "  booktitle = {Findings of the Association for Computational Linguistics: EMNLP 2020},",
        "  pages     = {4163--4174},",
        "  year      = {2020},",
        "  doi       = {10.18653/v1/2020.findings-emnlp.372}",
        "}",
    ),
)
