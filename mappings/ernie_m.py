"""ERNIE-M: from PaddleNLP's models to Hugging Face's XLM-RoBERTa. UIE-M is of this family.

transformers 5 has no class of ERNIE-M's own any more. XLM-RoBERTa computes the same with one row of zeros for token
types, which ERNIE-M has not, and with positions that begin at 2, which both do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .language import encoders
from .language.checks import check_heads
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field
from .language.rows import Linear, Made
from .language.tokenizers import TokenizerClass, TokenizerFacts


def _feed_forward(configuration: Mapping[str, Any]) -> int:
    """PaddleNLP's layers are made with four times the hidden size, whatever `intermediate_size` says."""
    return 4 * int(configuration["hidden_size"])


ERNIE_M = Family(
    name="ernie_m",
    base="ErnieMModel",
    source_prefix="ernie_m.",
    target_prefix="roberta.",
    target_type="xlm-roberta",
    repeat=encoders.REPEAT,
    backbone=encoders.backbone(Made("embeddings.token_type_embeddings.weight", (1, "hidden_size"))),
    pooler=encoders.POOLER,
    models=(
        Model("ErnieMModel", "XLMRobertaModel"),
        Model(
            "ErnieMForSequenceClassification",
            "XLMRobertaForSequenceClassification",
            takes_pooler=True,
            head=(
                Linear("{backbone}pooler.dense", "hidden_size", "hidden_size", "classifier.dense"),
                Linear("classifier", "hidden_size", "num_labels", "classifier.out_proj"),
            ),
            auto_class="AutoModelForSequenceClassification",
        ),
        encoders.token_classification("ErnieM", "XLMRoberta"),
        encoders.question_answering("ErnieM", "XLMRoberta"),
        encoders.spans("UIEM", "XLMRoberta"),
        encoders.multiple_choice("ErnieM", "XLMRoberta"),
    ),
    fields=(
        Field("vocab_size", 250002, 30522),
        Field("hidden_size", 768),
        Field("num_hidden_layers", 12),
        Field("num_attention_heads", 12),
        Field("intermediate_size", 3072, runs=_feed_forward),
        Field("hidden_act", "gelu"),
        Field("hidden_dropout_prob", 0.1, counts=False),
        Field("attention_probs_dropout_prob", 0.1, counts=False),
        Field("max_position_embeddings", 514, 512),
        Field("type_vocab_size", 16, 2, runs=1),
        Field("initializer_range", 0.02, counts=False),
        # Paddle's own default: nothing sets it.
        Field("layer_norm_eps", 1e-5, 1e-12, runs=1e-5),
        Field("classifier_dropout", None, counts=False),
        # Hugging Face's class counts positions from the one behind this id, PaddleNLP's from 2 in any case.
        Field("pad_token_id", 1, runs=1),
        Field("bos_token_id", None, 0, counts=False),
        Field("eos_token_id", None, 2, counts=False),
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    activations=encoders.ACTIVATIONS,
    roles={role: module for role, module in encoders.ROLES.items() if role != "token_types"},
    check_configuration=check_heads,
    declared_differences=(
        DeclaredDifference(
            "padding_positions",
            "PaddleNLP numbers padding like every other token, Hugging Face's class gives it position 1: the two agree "
            "where padding stands on the right and a mask is given",
            padding_position=True,
        ),
        DeclaredDifference(
            "masked_id",
            "without a mask PaddleNLP does not attend to tokens of id 0, and attends to padding; Hugging Face's class "
            "attends to everything: for PaddleNLP's default results pass attention_mask = (input_ids != 0)",
        ),
    ),
    defaults=Defaults(masks_padding=False, masked_id=0),
    arguments=("input_ids", "attention_mask", "position_ids"),
    target_arguments=("input_ids", "attention_mask", "position_ids", "token_type_ids"),
    first_position=2,
    adds_first_position=True,
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "ErnieMTokenizer",
                (),
                refused="cuts pieces once more after SentencePiece, which no fast tokenizer does",
            ),
        ),
        "ErnieMTokenizer",
        settings={"do_lower_case": False},
    ),
    small={
        "vocab_size": 50,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
    },
    variants={
        f"{layers} layers": {"num_hidden_layers": layers, "num_labels": labels, "hidden_act": activation}
        for layers, labels, activation in ((1, 1, "gelu"), (5, 5, "relu"))
    },
    citation=(
        "@inproceedings{ouyang2021erniem,",
        "  title     = {{ERNIE-M}: Enhanced Multilingual Representation by Aligning Cross-lingual Semantics with",
        "               Monolingual Corpora},",
        "  author    = {Ouyang, Xuan and Wang, Shuohuan and Pang, Chao and Sun, Yu and Tian, Hao and Wu, Hua and",
        "               Wang, Haifeng},",
        "  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language Processing},",
        "  pages     = {27--38},",
        "  year      = {2021},",
        "  doi       = {10.18653/v1/2021.emnlp-main.3}",
        "}",
    ),
)
