"""BART: from PaddleNLP's models and tokenizers to Hugging Face's. Its layers norm behind what they add."""

from __future__ import annotations

from dataclasses import replace

from .language import encoder_decoders, encoders
from .language.family import Defaults, Family
from .language.fields import Field
from .language.tokenizers import ANGLED_BYTE_PAIRS, BYTE_PAIRS, TokenizerClass, TokenizerFacts

BART = Family(
    name="bart",
    base="BartModel",
    source_prefix="bart.",
    target_prefix="model.",
    repeat=encoder_decoders.REPEAT,
    backbone=encoder_decoders.backbone(last_norms=False),
    pooler=(),
    models=encoder_decoders.models("Bart"),
    fields=encoder_decoders.fields(
        Field("num_hidden_layers", 6, 12, target="encoder_layers", stored="encoder_layers", also="num_encoder_layers"),
        Field("decoder_layers", 6, 12, also="num_decoder_layers"),
        Field("num_attention_heads", 12, 16, target="encoder_attention_heads", stored="encoder_attention_heads"),
        Field("decoder_attention_heads", 12, 16, compared=True),
        Field("intermediate_size", 3072, 4096, target="encoder_ffn_dim", stored="encoder_ffn_dim"),
        Field("decoder_ffn_dim", 3072, 4096),
        Field("attention_dropout", 0.1, 0.0, counts=False),
        Field("activation_dropout", 0.1, 0.0, counts=False),
        Field("decoder_start_token_id", 2),
    ),
    constants=encoder_decoders.CONSTANTS,
    source_constants=encoder_decoders.SOURCE_CONSTANTS,
    activations=encoders.ACTIVATIONS,
    roles=encoder_decoders.ROLES,
    check_configuration=encoder_decoders.check,
    defaults=Defaults(masks_padding=True),
    arguments=encoder_decoders.ARGUMENTS,
    decoder_start=encoder_decoders.start,
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "BartTokenizer",
                (BYTE_PAIRS,),
                exact=True,
                byte_pairs=replace(ANGLED_BYTE_PAIRS, only={}),
                untaken_types=True,
            ),
        ),
        "BartTokenizer",
        target_kinds={"BartTokenizer": BYTE_PAIRS},
    ),
    small=encoder_decoders.SMALL,
    variants=encoder_decoders.VARIANTS,
    citation=(
        "@inproceedings{lewis2020bart,",
        "  title     = {{BART}: Denoising Sequence-to-Sequence Pre-training for Natural Language Generation,",
        "               Translation, and Comprehension},",
        "  author    = {Lewis, Mike and Liu, Yinhan and Goyal, Naman and Ghazvininejad, Marjan and Mohamed,",
        "               Abdelrahman and Levy, Omer and Stoyanov, Veselin and Zettlemoyer, Luke},",
        "  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},",
        "  pages     = {7871--7880},",
        "  year      = {2020},",
        "  doi       = {10.18653/v1/2020.acl-main.703}",
        "}",
    ),
)
