"""Nystromformer: from PaddleNLP's models to Hugging Face's, whose names are nearly the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import check_heads, check_positions
from .language.family import Defaults, Family, Model
from .language.fields import Field
from .language.rows import Embedding, Following, Ignored, Linear, Norm, Parameter, Row, Tied
from .language.rules import BACKBONE
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts
from .language.transforms import TRANSPOSE

LAYER = "encoder.layer.{layer}"

FIRST = 2
"""The number of the first position where none are given. The table has as many rows more."""


def _positions(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    rows = int(configuration["max_position_embeddings"]) + FIRST
    return (Embedding("embeddings.position_embeddings", rows, "hidden_size"),)


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    check_positions(configuration)
    landmarks, length = configuration["num_landmarks"], configuration["segment_means_seq_len"]
    if landmarks != length:
        raise ConfigurationError(
            f"num_landmarks is {landmarks} and segment_means_seq_len {length}: with fewer landmarks the model takes "
            "rows of exactly one length, and its equality is not established; only equal numbers convert"
        )
    if configuration["inv_coeff_init_option"]:
        raise ConfigurationError("inv_coeff_init_option is true, with which PaddleNLP's class cannot be made")
    kernel = configuration["conv_kernel_size"]
    if not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
        raise ConfigurationError(f"conv_kernel_size is {kernel!r}; an odd number is needed")


MLM_HEAD: tuple[Row, ...] = (
    Linear("cls.predictions.transform.dense", "hidden_size", "hidden_size"),
    Norm("cls.predictions.transform.LayerNorm", "hidden_size"),
    Parameter("cls.predictions.bias", ("vocab_size",)),
    encoders.repeated_bias("cls.predictions.bias"),
    # PaddleNLP never ties it.
    Tied(
        "cls.predictions.decoder.weight",
        BACKBONE + "embeddings.word_embeddings.weight",
        ("hidden_size", "vocab_size"),
        untied="cls.predictions.decoder.weight",
        transform=TRANSPOSE,
        copies=(("cls.predictions.bias", "cls.predictions.decoder.bias"),),
    ),
)

NYSTROMFORMER = Family(
    name="nystromformer",
    base="NystromformerModel",
    source_prefix="nystromformer.",
    target_prefix="nystromformer.",
    repeat=encoders.REPEAT,
    backbone=(
        Ignored("embeddings.position_ids", (1, "max_position_embeddings"), stored=True, first=FIRST),
        Embedding("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        Following("embeddings.position_embeddings", _positions),
        encoders.TYPES,
        Norm("embeddings.LayerNorm", "hidden_size"),
        Linear(f"{LAYER}.attention.self.query", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.self.key", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.self.value", "hidden_size", "hidden_size"),
        Parameter(f"{LAYER}.attention.self.conv.weight", ("num_attention_heads", 1, "conv_kernel_size", 1)),
        Linear(f"{LAYER}.attention.output.dense", "hidden_size", "hidden_size"),
        Norm(f"{LAYER}.attention.output.LayerNorm", "hidden_size"),
        Linear(f"{LAYER}.intermediate.dense", "hidden_size", "intermediate_size"),
        Linear(f"{LAYER}.output.dense", "intermediate_size", "hidden_size"),
        Norm(f"{LAYER}.output.LayerNorm", "hidden_size"),
    ),
    pooler=(),
    models=(
        encoders.base("Nystromformer", "Nystromformer"),
        Model("NystromformerForMaskedLM", head=MLM_HEAD, auto_class="AutoModelForMaskedLM"),
        Model(
            "NystromformerForSequenceClassification",
            head=(
                Linear("classifier.dense", "hidden_size", "hidden_size"),
                Linear("classifier.out_proj", "hidden_size", "num_labels"),
            ),
            auto_class="AutoModelForSequenceClassification",
        ),
        encoders.token_classification("Nystromformer", "Nystromformer"),
        encoders.question_answering("Nystromformer", "Nystromformer"),
        Model(
            "NystromformerForMultipleChoice",
            head=(Linear("pre_classifier", "hidden_size", "hidden_size"), Linear("classifier", "hidden_size", 1)),
            auto_class="AutoModelForMultipleChoice",
        ),
    ),
    fields=(
        Field("vocab_size", 40000, 30000),
        Field("hidden_size", 768),
        Field("num_hidden_layers", 12),
        Field("num_attention_heads", 12),
        Field("intermediate_size", 3072),
        Field("hidden_act", "gelu_new"),
        Field("hidden_dropout_prob", 0.1, counts=False),
        Field("attention_probs_dropout_prob", 0.1, counts=False),
        Field("max_position_embeddings", 4096, 510),
        Field("type_vocab_size", 2),
        Field("segment_means_seq_len", 64),
        Field("num_landmarks", 64),
        Field("conv_kernel_size", 65),
        Field("inv_coeff_init_option", False),
        Field("initializer_range", 0.02, counts=False),
        Field("layer_norm_eps", 1e-5),
        Field("pad_token_id", 0, 1),
        Field("bos_token_id", 1, 0, counts=False),
        Field("eos_token_id", 2, counts=False),
    ),
    constants={},
    source_constants={"position_embedding_type": "absolute"},
    activations=(*encoders.ACTIVATIONS, "gelu_new"),
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "query": f"{LAYER}.attention.self.query",
        "key": f"{LAYER}.attention.self.key",
        "value": f"{LAYER}.attention.self.value",
        "attention_out": f"{LAYER}.attention.output.dense",
        "attention_norm": f"{LAYER}.attention.output.LayerNorm",
        "feed_forward_in": f"{LAYER}.intermediate.dense",
        "feed_forward_out": f"{LAYER}.output.dense",
        "feed_forward_norm": f"{LAYER}.output.LayerNorm",
    },
    check_configuration=_check,
    declared_differences=(encoders.ZEROED_PADDING_ROW,),
    defaults=Defaults(masks_padding=False, first=FIRST),
    more_positions=FIRST,
    zero_padding_row=True,
    tokenizer=TokenizerFacts(
        (TokenizerClass("NystromformerTokenizer", (WORDPIECE,)),),
        "NystromformerTokenizer",
        settings={"do_lower_case": True},
        obeyed=False,
    ),
    small={**encoders.SMALL, "conv_kernel_size": 5, "segment_means_seq_len": 8, "num_landmarks": 8},
    variants={
        "no wider": {"conv_kernel_size": 1, "hidden_act": "relu", "num_hidden_layers": 1, "num_labels": 1},
        "wider": {"conv_kernel_size": 9, "hidden_act": "gelu", "num_labels": 5},
    },
    citation=(
        "@inproceedings{xiong2021nystromformer,",
        '  title     = {{Nystr{\\"o}mformer}: A {Nystr{\\"o}m}-Based Algorithm for Approximating Self-Attention},',
        "  author    = {Xiong, Yunyang and Zeng, Zhanpeng and Chakraborty, Rudrasis and Tan, Mingxing and Fung, Glenn",
        "               and Li, Yin and Singh, Vikas},",
        "  booktitle = {Proceedings of the AAAI Conference on Artificial Intelligence},",
        "  volume    = {35},",
        "  pages     = {14138--14148},",
        "  year      = {2021}",
        "}",
    ),
)
