"""Facts about PaddleNLP's tokenizers of the registered families: classes, settings by pretrained name, special tokens.

Source: `paddlenlp/transformers/{albert,bert}/tokenizer.py` of PaddleNLP 2.8.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SENTENCEPIECE = "sentencepiece"
WORDPIECE = "wordpiece"

VOCABULARY_FILES = {SENTENCEPIECE: "spiece.model", WORDPIECE: "vocab.txt"}
"""The vocabulary's file by kind of tokenizer: the same name in PaddleNLP and Hugging Face."""

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens that hold one token, in the order of both libraries."""

NEEDED_TOKENS = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

MAX_LENGTH = 512
"""`max_model_input_sizes` of every pretrained name of both families."""

UNLIMITED = int(1e30)
"""What both libraries call the length of a tokenizer without `model_max_length`."""

ENGLISH: Mapping[str, Any] = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "<unk>",
    "sep_token": "[SEP]",
    "pad_token": "<pad>",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
"""Default tokens of `AlbertTokenizer`; the published ones of the English names."""

WORDPIECE_TOKENS: Mapping[str, Any] = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
"""Default tokens of `BertTokenizer`; with `do_lower_case` false, the published ones of the Chinese ALBERT names."""


@dataclass(frozen=True)
class TokenizerClass:
    """A tokenizer class of PaddleNLP. `kinds` are the vocabularies it reads, the preferred one first; `wraps`: it hands
    text to an inner tokenizer that knows no special and no added tokens, so those are not found in a text."""

    name: str
    kinds: tuple[str, ...]
    wraps: bool = False


CLASSES: Mapping[str, TokenizerClass] = {
    entry.name: entry
    for entry in (
        TokenizerClass("AlbertTokenizer", (WORDPIECE, SENTENCEPIECE), wraps=True),
        TokenizerClass("AlbertChineseTokenizer", (WORDPIECE,)),
        TokenizerClass("AlbertEnglishTokenizer", (SENTENCEPIECE,)),
        TokenizerClass("BertTokenizer", (WORDPIECE,)),
    )
}

DEFAULT_CLASSES = {"albert": "AlbertTokenizer", "bert": "BertTokenizer"}
"""The class that PaddleNLP's `AutoTokenizer` takes for a family when a folder names none."""

PADDLE_CLASSES = {"albert": "AlbertTokenizer", "bert": "BertTokenizer"}

_BERT_CASED = (
    "bert-base-cased",
    "bert-large-cased",
    "bert-base-multilingual-cased",
    "bert-base-chinese",
    "bert-wwm-chinese",
    "bert-wwm-ext-chinese",
    "macbert-large-chinese",
    "macbert-base-chinese",
)
_BERT_UNCASED = (
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
_ALBERT_ENGLISH = tuple(f"albert-{size}-{version}" for version in ("v1", "v2") for size in ("base", "large", "xlarge"))
_ALBERT_ENGLISH += ("albert-xxlarge-v1", "albert-xxlarge-v2")
_ALBERT_CHINESE = tuple(f"albert-chinese-{size}" for size in ("tiny", "small", "base", "large", "xlarge", "xxlarge"))

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    **{name: {"do_lower_case": False} for name in _BERT_CASED},
    **{name: {"do_lower_case": True} for name in _BERT_UNCASED},
    **{
        name: {
            "do_lower_case": True,
            "remove_space": True,
            "keep_accents": False,
            "unk_token": "<unk>",
            "pad_token": "<pad>",
        }
        for name in _ALBERT_ENGLISH
    },
    **{name: {"do_lower_case": False, "unk_token": "[UNK]", "pad_token": "[PAD]"} for name in _ALBERT_CHINESE},
}
"""`pretrained_init_configuration` by pretrained name."""
