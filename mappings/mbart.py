"""MBART: from PaddleNLP's models to Hugging Face's. Its layers norm before what they add, and each stack once more
behind its layers."""

from __future__ import annotations

from .language import encoder_decoders, encoders
from .language.family import Defaults, Family
from .language.fields import Field
from .language.tokenizers import TokenizerClass, TokenizerFacts

_OF_LANGUAGES = (
    "counts its ids otherwise than its SentencePiece vocabulary, and puts the code of a language behind a text and "
    "nothing between two: no tokenizer that is written here does"
)

_VOCABULARY = "sentencepiece.bpe.model"

MBART = Family(
    name="mbart",
    base="MBartModel",
    source_prefix="mbart.",
    target_prefix="model.",
    repeat=encoder_decoders.REPEAT,
    backbone=encoder_decoders.backbone(last_norms=True),
    pooler=(),
    models=encoder_decoders.models("MBart"),
    fields=encoder_decoders.fields(Field("scale_embedding", True, False, compared=True)),
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
            TokenizerClass("MBartTokenizer", (), refused=_OF_LANGUAGES, sentencepiece_file=_VOCABULARY),
            TokenizerClass("MBart50Tokenizer", (), refused=_OF_LANGUAGES, sentencepiece_file=_VOCABULARY),
        ),
        "MBartTokenizer",
    ),
    small=encoder_decoders.SMALL,
    variants=encoder_decoders.VARIANTS,
    citation=(
        "@article{liu2020mbart,",
        "  title   = {Multilingual Denoising Pre-training for Neural Machine Translation},",
        "  author  = {Liu, Yinhan and Gu, Jiatao and Goyal, Naman and Li, Xian and Edunov, Sergey and",
        "             Ghazvininejad, Marjan and Lewis, Mike and Zettlemoyer, Luke},",
        "  journal = {Transactions of the Association for Computational Linguistics},",
        "  volume  = {8},",
        "  pages   = {726--742},",
        "  year    = {2020},",
        "  doi     = {10.1162/tacl_a_00343}",
        "}",
    ),
)
