"""BERT: from PaddleNLP's models and tokenizers to Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .language import encoders
from .language.checks import check_heads, check_pooler
from .language.family import Defaults, Family
from .language.fields import Field
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    check_pooler(configuration)


_CASED = (
    "bert-base-cased",
    "bert-large-cased",
    "bert-base-multilingual-cased",
    "bert-base-chinese",
    "bert-wwm-chinese",
    "bert-wwm-ext-chinese",
    "macbert-large-chinese",
    "macbert-base-chinese",
)
_UNCASED = (
    "bert-base-uncased",
    "bert-large-uncased",
    "bert-base-multilingual-uncased",
    "simbert-base-chinese",
    "uer/chinese-roberta-base",
    "uer/chinese-roberta-medium",
    "uer/chinese-roberta-6l-768h",
    "uer/chinese-roberta-small",
    "uer/chinese-roberta-mini",
    "uer/chinese-roberta-tiny",
)

# Source: `paddlenlp/transformers/bert/tokenizer.py` of PaddleNLP 2.8.1.
_TOKENIZER = TokenizerFacts(
    classes=(
        TokenizerClass("BertTokenizer", (WORDPIECE,)),
        TokenizerClass(
            "BertJapaneseTokenizer", (), refused="cuts words by MeCab and its dictionary, which no fast tokenizer does"
        ),
    ),
    default="BertTokenizer",
    published={
        **{name: {"do_lower_case": False} for name in _CASED},
        **{name: {"do_lower_case": True} for name in _UNCASED},
    },
    target_kinds={"BertTokenizer": WORDPIECE},
)


BERT = Family(
    name="bert",
    base="BertModel",
    source_prefix="bert.",
    target_prefix="bert.",
    repeat=encoders.REPEAT,
    backbone=(encoders.POSITION_IDS, *encoders.backbone()),
    pooler=encoders.POOLER,
    models=tuple(
        make("Bert", "Bert")
        for make in (
            encoders.base,
            encoders.pretraining,
            encoders.masked_lm,
            encoders.sequence_classification,
            encoders.token_classification,
            encoders.question_answering,
            encoders.multiple_choice,
        )
    ),
    fields=encoders.fields(Field("type_vocab_size", 16, 2)),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    left_out=("pool_act", "fuse", "use_cache"),
    # PaddleNLP up to 2.5.2.
    old_names={"cls.predictions.decoder_weight": "cls.predictions.decoder.weight"},
    source_constants={"pool_act": "tanh", "fuse": False, "use_cache": False},
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    # No usual pooling: of simbert PaddleNLP takes `pooler-linear`, and of others what they were trained for.
    embeds_sentences=True,
    check_configuration=_check,
    defaults=Defaults(masks_padding=True),
    tokenizer=_TOKENIZER,
    small=encoders.SMALL,
    variants=encoders.VARIANTS,
    citation=(
        "@inproceedings{devlin2019bert,",
        "  title     = {{BERT}: Pre-training of Deep Bidirectional Transformers for Language Understanding},",
        "  author    = {Devlin, Jacob and Chang, Ming-Wei and Lee, Kenton and Toutanova, Kristina},",
        "  booktitle = {Proceedings of the 2019 Conference of the North American Chapter of the Association for",
        "               Computational Linguistics: Human Language Technologies, Volume 1},",
        "  pages     = {4171--4186},",
        "  year      = {2019},",
        "  doi       = {10.18653/v1/N19-1423}",
        "}",
    ),
)
