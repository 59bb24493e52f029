"""BERT: from PaddleNLP's models and tokenizers to Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language.checks import check_heads
from .language.family import Defaults, Family, Model
from .language.fields import Field
from .language.rows import Embedding, Ignored, Linear, Norm, Parameter, Row, Tied
from .language.rules import BACKBONE
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts

PADDLE = "encoder.layers.{layer}"
TORCH = "encoder.layer.{layer}"

MLM_HEAD: tuple[Row, ...] = (
    Linear("cls.predictions.transform", "hidden_size", "hidden_size", "cls.predictions.transform.dense"),
    Norm("cls.predictions.layer_norm", "hidden_size", "cls.predictions.transform.LayerNorm"),
    Parameter("cls.predictions.decoder_bias", ("vocab_size",), "cls.predictions.bias"),
    Tied(
        "cls.predictions.decoder.bias",
        "cls.predictions.decoder_bias",
        ("vocab_size",),
        optional=True,
        repeated="cls.predictions.decoder.bias",
    ),
    Tied(
        "cls.predictions.decoder.weight",
        BACKBONE + "embeddings.word_embeddings.weight",
        ("vocab_size", "hidden_size"),
        untied="cls.predictions.decoder.weight",
        optional=True,
        copies=(("cls.predictions.decoder_bias", "cls.predictions.decoder.bias"),),
    ),
)


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    if (pool_act := configuration.get("pool_act", "tanh")) != "tanh":
        raise ConfigurationError(f"pool_act is {pool_act!r}, but Hugging Face's BERT pooler always applies tanh")


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
    classes=(TokenizerClass("BertTokenizer", (WORDPIECE,)),),
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
    repeat={"layer": "num_hidden_layers"},
    backbone=(
        Ignored("embeddings.position_ids", (1, "max_position_embeddings")),
        Embedding("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", "hidden_size"),
        Embedding("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size"),
        Norm("embeddings.layer_norm", "hidden_size", "embeddings.LayerNorm"),
        Linear(f"{PADDLE}.self_attn.q_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.self.query"),
        Linear(f"{PADDLE}.self_attn.k_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.self.key"),
        Linear(f"{PADDLE}.self_attn.v_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.self.value"),
        Linear(f"{PADDLE}.self_attn.out_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.output.dense"),
        Norm(f"{PADDLE}.norm1", "hidden_size", f"{TORCH}.attention.output.LayerNorm"),
        Linear(f"{PADDLE}.linear1", "hidden_size", "intermediate_size", f"{TORCH}.intermediate.dense"),
        Linear(f"{PADDLE}.linear2", "intermediate_size", "hidden_size", f"{TORCH}.output.dense"),
        Norm(f"{PADDLE}.norm2", "hidden_size", f"{TORCH}.output.LayerNorm"),
    ),
    pooler=(Linear("pooler.dense", "hidden_size", "hidden_size"),),
    models=(
        Model("BertModel"),
        Model(
            "BertForPretraining",
            "BertForPreTraining",
            head=(*MLM_HEAD, Linear("cls.seq_relationship", "hidden_size", 2)),
            auto_class="AutoModelForPreTraining",
        ),
        Model("BertForMaskedLM", pooler=False, head=MLM_HEAD, auto_class="AutoModelForMaskedLM"),
        Model(
            "BertForSequenceClassification",
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForSequenceClassification",
        ),
        Model(
            "BertForTokenClassification",
            pooler=False,
            head=(Linear("classifier", "hidden_size", "num_labels"),),
            auto_class="AutoModelForTokenClassification",
        ),
        Model(
            "BertForQuestionAnswering",
            pooler=False,
            head=(Linear("classifier", "hidden_size", 2, "qa_outputs"),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
        ),
        Model(
            "BertForMultipleChoice",
            head=(Linear("classifier", "hidden_size", 1),),
            auto_class="AutoModelForMultipleChoice",
        ),
    ),
    fields=(
        Field("vocab_size", 30522),
        Field("hidden_size", 768),
        Field("num_hidden_layers", 12),
        Field("num_attention_heads", 12),
        Field("intermediate_size", 3072),
        Field("hidden_act", "gelu"),
        Field("hidden_dropout_prob", 0.1),
        Field("attention_probs_dropout_prob", 0.1),
        Field("max_position_embeddings", 512),
        Field("type_vocab_size", 16, 2),
        Field("initializer_range", 0.02),
        Field("layer_norm_eps", 1e-12),
        Field("classifier_dropout", None),
        Field("pad_token_id", 0),
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    left_out=("pool_act", "fuse", "use_cache"),
    source_constants={"pool_act": "tanh", "fuse": False, "use_cache": False},
    # PaddleNLP's BERT looks the name up in paddle.nn.functional, which knows these.
    activations=("gelu", "relu"),
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "query": f"{PADDLE}.self_attn.q_proj",
        "key": f"{PADDLE}.self_attn.k_proj",
        "value": f"{PADDLE}.self_attn.v_proj",
        "attention_out": f"{PADDLE}.self_attn.out_proj",
        "attention_norm": f"{PADDLE}.norm1",
        "feed_forward_in": f"{PADDLE}.linear1",
        "feed_forward_out": f"{PADDLE}.linear2",
        "feed_forward_norm": f"{PADDLE}.norm2",
        "pooler": "pooler.dense",
    },
    check_configuration=_check,
    defaults=Defaults(masks_padding=True),
    tokenizer=_TOKENIZER,
    small={
        "vocab_size": 50,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
        "type_vocab_size": 2,
    },
    variants={
        f"{layers} layers": {"num_hidden_layers": layers, "num_labels": labels}
        for layers, labels in ((1, 1), (3, 2), (11, 5))
    },
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
