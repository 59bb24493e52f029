"""ALBERT: from PaddleNLP's models and tokenizers to Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language.checks import check_heads
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field
from .language.pretrained import HiddenSlice, Reference, TextIds, TopWords
from .language.rows import Embedding, Ignored, Linear, Norm, Parameter, Row, Tied
from .language.rules import BACKBONE
from .language.tokenizers import SENTENCEPIECE, WORDPIECE, TokenizerClass, TokenizerFacts

LAYER = "encoder.albert_layer_groups.{group}.albert_layers.{inner}"


def _mlm_head(decoder_optional: bool) -> tuple[Row, ...]:
    """The masked language model's head.

    PaddleNLP ties the decoder to the word embeddings in AlbertForMaskedLM, not in AlbertForPretraining. Its decoder
    is stored like an embedding, [vocabulary, embedding], and does not flip.
    """
    return (
        Linear("predictions.dense", "hidden_size", "embedding_size"),
        Norm("predictions.layer_norm", "embedding_size", "predictions.LayerNorm"),
        Parameter("predictions.bias", ("vocab_size",)),
        Tied(
            "predictions.decoder.bias",
            "predictions.bias",
            ("vocab_size",),
            optional=True,
            repeated="predictions.decoder.bias",
        ),
        Tied(
            "predictions.decoder.weight",
            BACKBONE + "embeddings.word_embeddings.weight",
            ("vocab_size", "embedding_size"),
            untied="predictions.decoder.weight",
            optional=decoder_optional,
            copies=(("predictions.bias", "predictions.decoder.bias"),),
        ),
    )


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    layers, groups = configuration["num_hidden_layers"], configuration["num_hidden_groups"]
    inner = configuration["inner_group_num"]
    if inner > layers // groups:
        raise ConfigurationError(
            f"inner_group_num {inner} exceeds num_hidden_layers / num_hidden_groups = {layers} / {groups}; "
            "both frameworks fail to run such a model"
        )


_ENGLISH = (
    *(f"albert-{size}-{version}" for version in ("v1", "v2") for size in ("base", "large", "xlarge", "xxlarge")),
)
_CHINESE = tuple(f"albert-chinese-{size}" for size in ("tiny", "small", "base", "large", "xlarge", "xxlarge"))

# Source: `paddlenlp/transformers/albert/tokenizer.py` of PaddleNLP 2.8.1.
_TOKENIZER = TokenizerFacts(
    classes=(
        TokenizerClass("AlbertTokenizer", (WORDPIECE, SENTENCEPIECE), wraps=True),
        TokenizerClass("AlbertChineseTokenizer", (WORDPIECE,)),
        TokenizerClass("AlbertEnglishTokenizer", (SENTENCEPIECE,)),
    ),
    default="AlbertTokenizer",
    published={
        **{
            name: {
                "do_lower_case": True,
                "remove_space": True,
                "keep_accents": False,
                "unk_token": "<unk>",
                "pad_token": "<pad>",
            }
            for name in _ENGLISH
        },
        **{name: {"do_lower_case": False, "unk_token": "[UNK]", "pad_token": "[PAD]"} for name in _CHINESE},
    },
    # transformers' ALBERT tokenizer cannot read vocab.txt: a Chinese ALBERT takes BERT's.
    target_kinds={"AlbertTokenizer": SENTENCEPIECE, "BertTokenizer": WORDPIECE},
    # PaddleNLP's own defaults name tokens that such a vocabulary lacks: it loads none without settings.
    without_settings={WORDPIECE: ({"do_lower_case": False}, "as published for Chinese ALBERT")},
)

# The hidden state of albert-base-v2 is in the tests of PaddleNLP and of transformers alike
# (`test_inference_no_head...`); the words, ids and rankings are those of the models' and tokenizers' own documentation
# and tests.
_TEST = TextIds("This is a test", (48, 25, 21, 1289), special=False)

_PUPPETEER = TextIds("He was a puppeteer", (2, 24, 23, 21, 10956, 7911, 3), special=True)

_BASE_V2 = HiddenSlice(
    input_ids=(0, 345, 232, 328, 740, 140, 1695, 69, 6078, 1588, 2),
    attention_mask=(0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    first=(1, 1),
    values=((-0.6513, 1.5035, -0.2766), (-0.6515, 1.5046, -0.2780), (-0.6512, 1.5049, -0.2784)),
    tolerance=1e-4,
)

_PARIS = TopWords("Paris is the [MASK] of France.", ("capital", "capitol", "comune", "arrondissement", "bastille"))

_CHINESE_IDS = {"cls": 101, "sep": 102, "mask": 103}

_MOOD = "今天[MASK]情很好"

_FIRST_FOR_MOOD = {
    "albert-chinese-tiny": "感",
    "albert-chinese-small": "感",
    "albert-chinese-base": "感",
    "albert-chinese-large": "心",
}

_REFERENCES = {
    **{
        name: Reference(
            hidden=_BASE_V2 if name == "albert-base-v2" else None,
            words=(_PARIS,) if name == "albert-base-v2" else (),
            ids=(_TEST, _PUPPETEER) if name == "albert-base-v1" else (_TEST,),
            pieces=30000,
        )
        for name in _ENGLISH
    },
    **{
        name: Reference(
            words=(TopWords(_MOOD, (_FIRST_FOR_MOOD[name],)),) if name in _FIRST_FOR_MOOD else (),
            special_ids=_CHINESE_IDS,
        )
        for name in _CHINESE
    },
}


ALBERT = Family(
    name="albert",
    base="AlbertModel",
    source_prefix="transformer.",
    target_prefix="albert.",
    repeat={"group": "num_hidden_groups", "inner": "inner_group_num"},
    backbone=(
        Ignored("embeddings.position_ids", (1, "max_position_embeddings"), stored=True),
        Embedding("embeddings.word_embeddings", "vocab_size", "embedding_size"),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", "embedding_size"),
        Embedding("embeddings.token_type_embeddings", "type_vocab_size", "embedding_size"),
        Norm("embeddings.layer_norm", "embedding_size", "embeddings.LayerNorm"),
        Linear("encoder.embedding_hidden_mapping_in", "embedding_size", "hidden_size"),
        Linear(f"{LAYER}.attention.query", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.key", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.value", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.dense", "hidden_size", "hidden_size"),
        Norm(f"{LAYER}.attention.layer_norm", "hidden_size", f"{LAYER}.attention.LayerNorm"),
        Linear(f"{LAYER}.ffn", "hidden_size", "intermediate_size"),
        Linear(f"{LAYER}.ffn_output", "intermediate_size", "hidden_size"),
        Norm(f"{LAYER}.full_layer_layer_norm", "hidden_size"),
    ),
    pooler=(Linear("pooler", "hidden_size", "hidden_size"),),
    models=(
        Model("AlbertModel"),
        Model(
            "AlbertForPretraining",
            "AlbertForPreTraining",
            head=(
                *_mlm_head(decoder_optional=False),
                Linear("sop_classifier.classifier", "hidden_size", "num_labels"),
            ),
            auto_class="AutoModelForPreTraining",
        ),
        Model(
            "AlbertForMaskedLM",
            pooler=False,
            head=_mlm_head(decoder_optional=True),
            auto_class="AutoModelForMaskedLM",
        ),
        Model(
            "AlbertForSequenceClassification",
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForSequenceClassification",
        ),
        Model(
            "AlbertForTokenClassification",
            pooler=False,
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForTokenClassification",
        ),
        Model(
            "AlbertForQuestionAnswering",
            pooler=False,
            head=(Linear("qa_outputs", "hidden_size", 2),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
        ),
        Model(
            "AlbertForMultipleChoice",
            head=(Linear("classifier", "hidden_size", 1),),
            auto_class="AutoModelForMultipleChoice",
        ),
    ),
    fields=(
        Field("vocab_size", 30000),
        Field("embedding_size", 128),
        Field("hidden_size", 768, 4096),
        Field("num_hidden_layers", 12),
        Field("num_hidden_groups", 1),
        Field("num_attention_heads", 12, 64),
        Field("intermediate_size", 3072, 16384),
        Field("inner_group_num", 1),
        Field("hidden_act", "gelu", "gelu_new"),
        Field("hidden_dropout_prob", 0, counts=False),
        Field("attention_probs_dropout_prob", 0, counts=False),
        Field("max_position_embeddings", 512),
        Field("type_vocab_size", 2),
        Field("initializer_range", 0.02, counts=False),
        Field("layer_norm_eps", 1e-12),
        Field("classifier_dropout_prob", 0.1, counts=False),
        Field("pad_token_id", 0),
        Field("bos_token_id", 2, counts=False),
        Field("eos_token_id", 3, counts=False),
    ),
    constants={"position_embedding_type": "absolute"},
    left_out=("add_pooling_layer",),
    pooler_field="add_pooling_layer",
    activations=("gelu", "gelu_new", "relu"),
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "query": f"{LAYER}.attention.query",
        "key": f"{LAYER}.attention.key",
        "value": f"{LAYER}.attention.value",
        "attention_out": f"{LAYER}.attention.dense",
        "attention_norm": f"{LAYER}.attention.layer_norm",
        "feed_forward_in": f"{LAYER}.ffn",
        "feed_forward_out": f"{LAYER}.ffn_output",
        "feed_forward_norm": f"{LAYER}.full_layer_layer_norm",
        "pooler": "pooler",
    },
    check_configuration=_check,
    declared_differences=(
        DeclaredDifference(
            "padding_row",
            "PaddleNLP makes the embedding of the padding id zero, PyTorch reads the stored row: the row is kept, "
            "and hidden states are compared at attended positions",
            padding=True,
        ),
        DeclaredDifference(
            "mlm_head_epsilon",
            "PaddleNLP's AlbertMLMHead normalises with epsilon 1e-5, Hugging Face (and the original) with the "
            "configured layer_norm_eps",
            ("AlbertForPretraining", "AlbertForMaskedLM"),
            epsilon=("predictions.layer_norm", 1e-5),
        ),
        DeclaredDifference(
            "question_answering_end_logits",
            "PaddleNLP's AlbertForQuestionAnswering returns the start logits as end logits; the output of its linear "
            "layer is compared instead",
            ("AlbertForQuestionAnswering",),
            outputs=("end_logits",),
        ),
    ),
    defaults=Defaults(masks_padding=False),
    tokenizer=_TOKENIZER,
    small={
        "vocab_size": 50,
        "embedding_size": 12,
        "hidden_size": 24,
        "num_hidden_layers": 4,
        "num_hidden_groups": 2,
        "inner_group_num": 2,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
        "type_vocab_size": 2,
        "hidden_act": "gelu_new",
    },
    variants={
        f"{groups}x{inner}": {
            "num_hidden_layers": 6,
            "num_hidden_groups": groups,
            "inner_group_num": inner,
            "num_labels": labels,
        }
        for groups, inner, labels in ((1, 1, 2), (1, 2, 1), (2, 1, 5), (2, 2, 2), (3, 1, 1), (3, 2, 5))
    },
    citation=(
        "@inproceedings{lan2020albert,",
        "  title     = {{ALBERT}: A Lite {BERT} for Self-supervised Learning of Language Representations},",
        "  author    = {Lan, Zhenzhong and Chen, Mingda and Goodman, Sebastian and Gimpel, Kevin and Sharma, Piyush",
        "               and Soricut, Radu},",
        "  booktitle = {International Conference on Learning Representations},",
        "  year      = {2020},",
        "  url       = {https://arxiv.org/abs/1909.11942}",
        "}",
    ),
    references=_REFERENCES,
)
