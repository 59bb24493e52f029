"""MBART: from PaddleNLP's models to Hugging Face's. Its layers norm before what they add, and each stack once more
behind its layers."""

from __future__ import annotations

from .language import encoder_decoders, encoders
from .language.family import Defaults, Family
from .language.fields import Field
from .language.tokenizers import (
    ANGLED,
    LANGUAGE,
    SENTENCEPIECE,
    Layout,
    Pieces,
    TokenizerClass,
    TokenizerFacts,
)

_LANGUAGES = (
    *("ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX"),
    *("kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN"),
    "zh_CN",
)
_MORE_LANGUAGES = (
    *("af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK", "ml_IN", "mn_MN"),
    *("mr_IN", "pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN", "th_TH", "tl_XX", "uk_UA", "ur_PK"),
    *("xh_ZA", "gl_ES", "sl_SI"),
)


def _tokenizer(
    name: str, languages: tuple[str, ...], before: tuple[str, ...], after: tuple[str, ...]
) -> TokenizerClass:
    """A class that takes a text as it is and puts the code of its language there; between two texts stands nothing."""
    return TokenizerClass(
        name,
        (SENTENCEPIECE,),
        ignores=frozenset({"do_lower_case", "remove_space", "keep_accents"}),
        gives_types=False,
        asked_types=True,
        cuts_off=True,
        layout=Layout((*before, "A", *after), (*before, "A", "B", *after), None),
        sentencepiece_file="sentencepiece.bpe.model",
        pieces=Pieces(
            tokens=ANGLED,
            defaults={"do_lower_case": False, "remove_space": False, "keep_accents": True},
            prepares=False,
            first=("<s>", "<pad>", "</s>", "<unk>"),
            languages=languages,
            last=("<mask>",),
            language="en_XX",
        ),
    )


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
            _tokenizer("MBartTokenizer", _LANGUAGES, (), ("eos_token", LANGUAGE)),
            _tokenizer("MBart50Tokenizer", (*_LANGUAGES, *_MORE_LANGUAGES), (LANGUAGE,), ("eos_token",)),
        ),
        "MBartTokenizer",
        {
            f"mbart-large-50-{kind}-mmt": {"tokenizer_class": "MBart50Tokenizer"}
            for kind in ("many-to-many", "many-to-one", "one-to-many")
        },
        without_settings={
            SENTENCEPIECE: ({"tokenizer_class": "MBartTokenizer"}, "MBartTokenizer, not MBart50Tokenizer"),
        },
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
