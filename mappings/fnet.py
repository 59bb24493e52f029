"""FNet: from PaddleNLP's models to Hugging Face's. A Fourier transform stands in place of the attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .language import encoders
from .language.checks import backbone_alone
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field
from .language.limits import Limits
from .language.rows import Linear, Norm, Parameter, Row, Tied
from .language.rules import BACKBONE
from .language.tokenizers import TokenizerClass, TokenizerFacts

PADDLE, TORCH = encoders.PADDLE, encoders.TORCH


def _words(ties: bool) -> tuple[Row, ...]:
    """The head for masked words; `ties`: PaddleNLP's class ties the decoder to the embeddings itself."""
    return (
        Linear("cls.predictions.transform.dense", "hidden_size", "hidden_size"),
        Norm("cls.predictions.transform.layer_norm", "hidden_size", "cls.predictions.transform.LayerNorm"),
        Parameter("cls.predictions.bias", ("vocab_size",)),
        encoders.repeated_bias("cls.predictions.bias"),
        Tied(
            "cls.predictions.decoder.weight",
            BACKBONE + "embeddings.word_embeddings.weight",
            ("vocab_size", "hidden_size"),
            untied="cls.predictions.decoder.weight",
            optional=ties,
            copies=(("cls.predictions.bias", "cls.predictions.decoder.bias"),),
        ),
    )


NEXT_SENTENCE = Linear("cls.seq_relationship", "hidden_size", 2)

NAMED: Mapping[str, Any] = {"return_dict": True}
"""Without it PaddleNLP's classes for words and sentences fail."""


def _check(configuration: Mapping[str, Any]) -> None:
    """Every configuration with these fields is possible."""


FNET = Family(
    name="fnet",
    base="FNetModel",
    source_prefix="fnet.",
    target_prefix="fnet.",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.STORED_POSITION_IDS,
        *encoders.tables(),
        Norm("embeddings.layer_norm", "hidden_size", "embeddings.LayerNorm"),
        Linear("embeddings.projection", "hidden_size", "hidden_size"),
        Norm(f"{PADDLE}.fourier.output.layer_norm", "hidden_size", f"{TORCH}.fourier.output.LayerNorm"),
        Linear(f"{PADDLE}.intermediate.dense", "hidden_size", "intermediate_size", f"{TORCH}.intermediate.dense"),
        Linear(f"{PADDLE}.output.dense", "intermediate_size", "hidden_size", f"{TORCH}.output.dense"),
        Norm(f"{PADDLE}.output.layer_norm", "hidden_size", f"{TORCH}.output.LayerNorm"),
    ),
    pooler=encoders.POOLER,
    models=(
        Model("FNetModel", returns=("last_hidden_state", "pooler_output")),
        Model(
            "FNetForPreTraining",
            head=(*_words(ties=False), NEXT_SENTENCE),
            auto_class="AutoModelForPreTraining",
            returns=("mlm_logits", "sequence_relationship_logits"),
            asks=NAMED,
        ),
        Model(
            "FNetForMaskedLM",
            head=_words(ties=True),
            auto_class="AutoModelForMaskedLM",
            returns=("mlm_logits",),
            asks=NAMED,
        ),
        Model(
            "FNetForNextSentencePrediction",
            head=(NEXT_SENTENCE,),
            auto_class="AutoModelForNextSentencePrediction",
            labels=2,
            returns=("logits",),
            asks=NAMED,
        ),
        # Of two labels, whatever num_labels says.
        Model(
            "FNetForSequenceClassification",
            head=(Linear("classifier", "hidden_size", 2),),
            auto_class="AutoModelForSequenceClassification",
            labels=2,
            returns=("logits",),
        ),
        Model(
            "FNetForTokenClassification",
            head=(Linear("classifier", "hidden_size", 2),),
            auto_class="AutoModelForTokenClassification",
            labels=2,
            returns=("logits",),
        ),
        Model(
            "FNetForMultipleChoice",
            head=(Linear("classifier", "hidden_size", 1),),
            auto_class="AutoModelForMultipleChoice",
            returns=("logits",),
        ),
    ),
    refused={
        "FNetForQuestionAnswering": "PaddleNLP's from_pretrained cannot make it, as its class wants an argument that "
        "nothing gives; " + backbone_alone("fnet"),
    },
    fields=(
        Field("vocab_size", 32000),
        Field("hidden_size", 768),
        Field("num_hidden_layers", 12),
        Field("intermediate_size", 3072),
        Field("hidden_act", "gelu_new"),
        Field("hidden_dropout_prob", 0.1, counts=False),
        Field("max_position_embeddings", 512),
        Field("type_vocab_size", 4),
        Field("initializer_range", 0.02, counts=False),
        Field("layer_norm_eps", 1e-12),
        Field("pad_token_id", 3),
        Field("bos_token_id", 1, counts=False),
        Field("eos_token_id", 2, counts=False),
    ),
    constants={"use_tpu_fourier_optimizations": False, "tpu_short_seq_length": 512},
    activations=(*encoders.ACTIVATIONS, "gelu_new"),
    pooler_field="add_pooling_layer",
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "attention_norm": f"{PADDLE}.fourier.output.layer_norm",
        "feed_forward_in": f"{PADDLE}.intermediate.dense",
        "feed_forward_out": f"{PADDLE}.output.dense",
        "feed_forward_norm": f"{PADDLE}.output.layer_norm",
        "pooler": "pooler.dense",
    },
    check_configuration=_check,
    declared_differences=(
        encoders.ZEROED_PADDING_ROW,
        DeclaredDifference(
            "rows_mixed",
            "PaddleNLP's Fourier transform runs over the rows of a batch too, so that what it computes for a text "
            "depends on the texts beside it; Hugging Face's computes each row alone: they agree on one row at a time",
        ),
    ),
    defaults=Defaults(masks_padding=False),
    arguments=("input_ids", "token_type_ids", "position_ids"),
    limits=Limits(
        mask="neither library's model takes one; every token reaches every other",
        rows="PaddleNLP's Fourier transform runs over the rows of a batch too and mixes them",
        states="there is no attention; the states that are compared are those that the layers take and give",
    ),
    zero_padding_row=True,
    tokenizer=TokenizerFacts(
        (TokenizerClass("FNetTokenizer", (), refused="has not been compared with Hugging Face's"),),
        "FNetTokenizer",
        settings={"do_lower_case": False},
    ),
    small={
        "vocab_size": 50,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
        "type_vocab_size": 4,
    },
    variants={
        f"{layers} layers": {"num_hidden_layers": layers, "hidden_act": activation}
        for layers, activation in ((1, "gelu"), (5, "relu"))
    },
    citation=(
        "@inproceedings{leethorp2022fnet,",
        "  title     = {{FNet}: Mixing Tokens with {F}ourier Transforms},",
        "  author    = {Lee-Thorp, James and Ainslie, Joshua and Eckstein, Ilya and Ontanon, Santiago},",
        "  booktitle = {Proceedings of the 2022 Conference of the North American Chapter of the Association for",
        "               Computational Linguistics: Human Language Technologies},",
        "  pages     = {4296--4313},",
        "  year      = {2022},",
        "  doi       = {10.18653/v1/2022.naacl-main.319}",
        "}",
    ),
)
