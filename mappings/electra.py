"""ELECTRA: from PaddleNLP's models and tokenizers to Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .language import encoders
from .language.checks import backbone_alone, check_heads, gelu_always
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field, never
from .language.rows import Linear, Norm
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts

_SUMMARY = {"summary_type": "first", "summary_use_proj": True, "summary_activation": "gelu"}
"""What Hugging Face's head for multiple choice must be told to be PaddleNLP's."""

_EPSILON = 1e-12
"""What PaddleNLP's generator normalises with behind its layers."""


_other_activation = gelu_always("Hugging Face", "PaddleNLP", backbone_alone("electra"))


def _other_summary(configuration: Mapping[str, Any]) -> str | None:
    for name, value in _SUMMARY.items():
        if configuration.get(name, value) != value:
            return f"{name} is {configuration[name]!r}, and PaddleNLP's head computes as with {value!r} alone"
    return _other_activation(configuration)


def _other_epsilon(configuration: Mapping[str, Any]) -> bool:
    return bool(configuration["layer_norm_eps"] != _EPSILON)


_TWO_MODELS = (
    "it holds two models, of which Hugging Face has a class each; in PaddleNLP save them alone, with "
    "model.generator.save_pretrained and model.discriminator.save_pretrained, and convert the two folders"
)

ELECTRA = Family(
    name="electra",
    base="ElectraModel",
    source_prefix="electra.",
    target_prefix="electra.",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.POSITION_IDS,
        *encoders.tables("embedding_size"),
        Norm("embeddings.layer_norm", "embedding_size", "embeddings.LayerNorm"),
        encoders.PROJECTION,
        *encoders.LAYERS,
    ),
    pooler=(),
    models=(
        Model("ElectraModel", pooler=False),
        Model(
            "ElectraDiscriminator",
            "ElectraForPreTraining",
            pooler=False,
            head=(
                Linear("discriminator_predictions.dense", "hidden_size", "hidden_size"),
                Linear("discriminator_predictions.dense_prediction", "hidden_size", 1),
            ),
            auto_class="AutoModelForPreTraining",
            returns=("replaced_logits",),
        ),
        Model(
            "ElectraGenerator",
            "ElectraForMaskedLM",
            pooler=False,
            head=encoders.GENERATOR_HEAD,
            auto_class="AutoModelForMaskedLM",
            refuses=_other_activation,
            returns=("mlm_logits",),
        ),
        Model(
            "ElectraForSequenceClassification",
            pooler=False,
            head=(
                Linear("classifier.dense", "hidden_size", "hidden_size"),
                Linear("classifier.out_proj", "hidden_size", "num_labels"),
            ),
            auto_class="AutoModelForSequenceClassification",
            refuses=_other_activation,
        ),
        encoders.token_classification("Electra", "Electra"),
        encoders.question_answering("Electra", "Electra"),
        replace(
            encoders.multiple_choice("Electra", "Electra"),
            pooler=False,
            head=(
                Linear("sequence_summary.dense", "hidden_size", "hidden_size", "sequence_summary.summary"),
                Linear("classifier", "hidden_size", 1),
            ),
            refuses=_other_summary,
        ),
    ),
    # Both are names of one class.
    refused=dict.fromkeys(("ElectraForTotalPretraining", "ElectraForPretraining"), _TWO_MODELS),
    fields=encoders.fields(
        Field("vocab_size", 22608, 30522),
        Field("embedding_size", 768, 128),
        Field("hidden_size", 768, 256),
        Field("num_attention_heads", 12, 4),
        Field("intermediate_size", 3072, 1024),
        Field("num_choices", 2, when=never, counts=False),
        Field("gen_weight", 1.0, when=never, counts=False),
        Field("disc_weight", 50.0, when=never, counts=False),
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True, "summary_last_dropout": 0.1, **_SUMMARY},
    activations=encoders.ACTIVATIONS,
    roles={role: module for role, module in encoders.ROLES.items() if role != "pooler"},
    check_configuration=check_heads,
    declared_differences=(
        DeclaredDifference(
            "mlm_head_epsilon",
            "PaddleNLP's generator normalises behind its layers with epsilon 1e-12 whatever layer_norm_eps says, "
            "Hugging Face's with layer_norm_eps: the two differ where that is another",
            ("ElectraGenerator",),
            epsilon=("generator_predictions.layer_norm", _EPSILON),
            when=_other_epsilon,
        ),
        DeclaredDifference(
            "axis_of_one",
            "PaddleNLP's discriminator drops the axis of rows where there is one row, and that of tokens where there "
            "is one token: the values are compared",
            ("ElectraDiscriminator",),
            squeezed=("replaced_logits",),
        ),
    ),
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts(
        (TokenizerClass("ElectraTokenizer", (WORDPIECE,)),), "ElectraTokenizer", settings={"do_lower_case": True}
    ),
    small={**encoders.SMALL, "embedding_size": 12},
    variants={
        "equal widths": {"embedding_size": encoders.SMALL["hidden_size"], "num_hidden_layers": 1, "num_labels": 1},
        "another epsilon": {"layer_norm_eps": 1e-5, "num_labels": 5},
    },
    citation=(
        "@inproceedings{clark2020electra,",
        "  title     = {{ELECTRA}: Pre-training Text Encoders as Discriminators Rather Than Generators},",
        "  author    = {Clark, Kevin and Luong, Minh-Thang and Le, Quoc V. and Manning, Christopher D.},",
        "  booktitle = {International Conference on Learning Representations},",
        "  year      = {2020},",
        "  url       = {https://openreview.net/forum?id=r1xMH1BtvB}",
        "}",
    ),
)
