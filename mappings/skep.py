"""SKEP: from PaddleNLP's models and tokenizers to Hugging Face's, which are those of ERNIE."""

from __future__ import annotations

from .language import encoders
from .language.checks import backbone_alone, check_heads
from .language.family import Defaults, Family
from .language.fields import Field
from .language.tokenizers import (
    BASIC_SETTINGS,
    BYTE_PAIRS,
    WORDPIECE,
    BytePairs,
    Layout,
    OnlyValue,
    TokenizerClass,
    TokenizerFacts,
)

SKEP = Family(
    name="skep",
    base="SkepModel",
    source_prefix="skep.",
    target_prefix="ernie.",
    target_type="ernie",
    repeat=encoders.REPEAT,
    # Positions count from 0, also in the model that was made of a RoBERTa, which has no token types.
    backbone=encoders.backbone(encoders.TYPES_IF_ANY),
    pooler=encoders.POOLER,
    models=tuple(
        make("Skep", "Ernie")
        for make in (encoders.base, encoders.sequence_classification, encoders.token_classification)
    ),
    refused={
        "SkepCrfForTokenClassification": "behind the encoder it has two bidirectional GRU layers, a CRF and a search "
        "for the best path, which no class of Hugging Face's has; " + backbone_alone("skep"),
    },
    fields=encoders.fields(
        Field("vocab_size", 12800, 30522),
        Field("hidden_size", 1024, 768),
        Field("num_hidden_layers", 24, 12),
        Field("num_attention_heads", 16, 12),
        Field("intermediate_size", 4096, 3072),
        Field("hidden_act", "relu", "gelu"),
        Field("type_vocab_size", 4, 2, least=1),
        # The layers get this one when they are initialised; the configuration has no such field.
        Field("layer_norm_eps", 1e-5, 1e-12, runs=1e-5),
    ),
    constants={"use_cache": True, "use_task_id": False},
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    check_configuration=check_heads,
    declared_differences=(encoders.PADDING_ROW,),
    defaults=Defaults(masks_padding=True),
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "SkepTokenizer",
                (WORDPIECE, BYTE_PAIRS),
                exact=True,
                ignores=BASIC_SETTINGS,
                only={
                    "need_token_type_id": OnlyValue(True, True, "gives no token types"),
                    "add_two_sep_token_inter": OnlyValue(False, False, "puts two sep_token between two texts"),
                },
                # Files beside vocab.txt, of which it takes nothing but the number of tokens then. What became of the
                # RoBERTa that it was made of has no token types, and PaddleNLP's call with padding fails with them.
                byte_pairs=BytePairs(
                    vocabulary="encoder.json",
                    merges="vocab.bpe",
                    counted="vocab.txt",
                    layout=Layout(pair=("cls_token", "A", "sep_token", "sep_token", "B", "sep_token"), types=None),
                    switch="use_bpe_encoder",
                    only={
                        "need_token_type_id": OnlyValue(True, False, "gives token types, which its model has none of"),
                        "add_two_sep_token_inter": OnlyValue(
                            False, True, "puts one sep_token between the texts of a pair"
                        ),
                    },
                ),
            ),
        ),
        "SkepTokenizer",
        published={
            "skep_roberta_large_en": {
                "do_lower_case": True,
                "use_bpe_encoder": True,
                "need_token_type_id": False,
                "add_two_sep_token_inter": True,
            }
        },
        settings={
            "do_lower_case": True,
            "use_bpe_encoder": False,
            "need_token_type_id": True,
            "add_two_sep_token_inter": False,
        },
    ),
    small=encoders.SMALL,
    variants={**encoders.VARIANTS, "no token types": {"type_vocab_size": 0}},
    citation=(
        "@inproceedings{tian2020skep,",
        "  title     = {{SKEP}: Sentiment Knowledge Enhanced Pre-training for Sentiment Analysis},",
        "  author    = {Tian, Hao and Gao, Can and Xiao, Xinyan and Liu, Hao and He, Bolei and Wu, Hua and",
        "               Wang, Haifeng and Wu, Feng},",
        "  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},",
        "  pages     = {4067--4076},",
        "  year      = {2020},",
        "  doi       = {10.18653/v1/2020.acl-main.374}",
        "}",
    ),
)
