"""ERNIE-Gram: from PaddleNLP's models and tokenizers to Hugging Face's, which are those of ERNIE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import check_heads
from .language.family import Defaults, Family
from .language.fields import Field, never
from .language.rows import Dropped, Embedding, When, is_set
from .language.tokenizers import TokenizerFacts, wordpiece_class


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    embedding, hidden = configuration["embedding_size"], configuration["hidden_size"]
    if embedding != hidden:
        raise ConfigurationError(
            f"embedding_size {embedding} is not hidden_size {hidden}: PaddleNLP's ERNIE-Gram feeds its layers with the "
            "embeddings as they are and cannot run such a model; where embedding_size is absent, PaddleNLP takes 768"
        )


ERNIE_GRAM = Family(
    name="ernie_gram",
    base="ErnieGramModel",
    source_prefix="ernie_gram.",
    target_prefix="ernie.",
    target_type="ernie",
    repeat=encoders.REPEAT,
    backbone=(
        *encoders.backbone(),
        When(
            is_set("rel_pos_size"),
            (
                Dropped(
                    Embedding("embeddings.rel_pos_embeddings", "rel_pos_size", "num_attention_heads"),
                    "PaddleNLP's ERNIE-Gram makes this table and never reads it",
                ),
            ),
        ),
    ),
    pooler=encoders.POOLER,
    models=tuple(
        make("ErnieGram", "Ernie")
        for make in (
            encoders.base,
            encoders.sequence_classification,
            encoders.token_classification,
            encoders.question_answering,
        )
    ),
    fields=encoders.fields(
        Field("vocab_size", 18018, 30522),
        # The layers get this one when they are initialised; the configuration has no such field.
        Field("layer_norm_eps", 1e-5, 1e-12, runs=1e-5),
        Field("embedding_size", 768, target="hidden_size"),
        Field("rel_pos_size", None, when=never, counts=False),
    ),
    constants={"use_cache": True, "use_task_id": False},
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    check_configuration=_check,
    declared_differences=(encoders.PADDING_ROW,),
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts(
        (wordpiece_class("ErnieGramTokenizer"),), "ErnieGramTokenizer", settings={"do_lower_case": True}
    ),
    small={**encoders.SMALL, "embedding_size": encoders.SMALL["hidden_size"]},
    variants={**encoders.VARIANTS, "relative positions": {"rel_pos_size": 5}},
    citation=(
        "@inproceedings{xiao2021erniegram,",
        "  title     = {{ERNIE-Gram}: Pre-Training with Explicitly N-Gram Masked Language Modeling for Natural",
        "               Language Understanding},",
        "  author    = {Xiao, Dongling and Li, Yu-Kun and Zhang, Han and Sun, Yu and Tian, Hao and Wu, Hua and",
        "               Wang, Haifeng},",
        "  booktitle = {Proceedings of the 2021 Conference of the North American Chapter of the Association for",
        "               Computational Linguistics: Human Language Technologies},",
        "  pages     = {1702--1715},",
        "  year      = {2021},",
        "  doi       = {10.18653/v1/2021.naacl-main.136}",
        "}",
    ),
)
