"""RoBERTa: from PaddleNLP's models and tokenizers to Hugging Face's.

The published weights are BERTs by origin, whose authors count positions from 0, as PaddleNLP up to 2.4 did.
PaddleNLP 2.8.1 counts from behind the padding id, as Hugging Face's RoBERTa does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import backbone_alone, check_heads, gelu_always
from .language.family import Alternative, DeclaredDifference, Defaults, Family, Model
from .language.fields import Field
from .language.limits import Former
from .language.rows import Dropped, Linear, Norm, Parameter, Row, Tied
from .language.rules import BACKBONE
from .language.tokenizers import ANGLED_BYTE_PAIRS, BYTE_PAIRS, WORDPIECE, TokenizerClass, TokenizerFacts

_NO_POOLER = Dropped(
    Linear(f"{BACKBONE}pooler.dense", "hidden_size", "hidden_size"),
    "PaddleNLP up to 2.4 saved a pooler, which the task does not use",
    former=True,
)


def _lm_head(dense: str, norm: str, predictions: str) -> tuple[Row, ...]:
    """Hugging Face's names for the head of the masked words, which both libraries tie to the table of words."""
    return (
        Linear("lm_head.dense", "hidden_size", "hidden_size", dense),
        Norm("lm_head.layer_norm", "hidden_size", norm),
        Parameter("lm_head.bias", ("vocab_size",), f"{predictions}.bias"),
        Tied(
            "lm_head.decoder.bias",
            "lm_head.bias",
            ("vocab_size",),
            optional=True,
            repeated=f"{predictions}.decoder.bias",
        ),
        Tied(
            "lm_head.decoder.weight",
            f"{BACKBONE}embeddings.word_embeddings.weight",
            ("vocab_size", "hidden_size"),
            untied=f"{predictions}.decoder.weight",
            optional=True,
            copies=(("lm_head.bias", f"{predictions}.decoder.bias"),),
        ),
    )


_LM_HEAD = _lm_head("lm_head.dense", "lm_head.layer_norm", "lm_head")
_LM_HEAD_OF_BERT = _lm_head("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions")

_LABELS = (Linear("classifier", "hidden_size", "num_labels"),)
_ANSWERS = (Linear("classifier", "hidden_size", 2, "qa_outputs"),)


def _without_pooler(task: str, *head: Row, labels: int | None = None, former: Former | None = None) -> Model:
    """A class that has no pooler in either library; old files hold one."""
    return Model(
        f"RobertaFor{task}",
        takes_pooler=True,
        head=(_NO_POOLER, *head),
        auto_class=f"AutoModelFor{task}",
        labels=labels,
        former=former,
    )


_OLD_CLASSIFIER = Former(
    (f"{BACKBONE}pooler.dense.weight", "classifier.weight"),
    "PaddleNLP up to 2.4 saved it, with a pooler and a classifier of one layer; PaddleNLP 2.8.1 loads it with a random "
    "head in place of that, so that it cannot be the reference; " + backbone_alone("roberta"),
)


_other_activation = gelu_always("PaddleNLP", "Hugging Face", "without --target it converts")

_AS_BERT = Alternative(
    name="bert",
    target_type="bert",
    target_prefix="bert.",
    models=(
        encoders.base("Roberta", "Bert"),
        replace(_without_pooler("MaskedLM", *_LM_HEAD_OF_BERT), target="BertForMaskedLM", refuses=_other_activation),
        # It attends in both directions.
        replace(
            _without_pooler("MaskedLM", *_LM_HEAD_OF_BERT),
            source="RobertaForCausalLM",
            target="BertForMaskedLM",
            refuses=_other_activation,
        ),
        # What the head does to the first token is a BERT's pooler, and a classifier behind it.
        replace(
            _without_pooler(
                "SequenceClassification",
                Linear("classifier.dense", "hidden_size", "hidden_size", "bert.pooler.dense"),
                Linear("classifier.out_proj", "hidden_size", "num_labels", "classifier"),
                former=_OLD_CLASSIFIER,
            ),
            target="BertForSequenceClassification",
        ),
        replace(_without_pooler("TokenClassification", *_LABELS), target="BertForTokenClassification"),
        replace(_without_pooler("QuestionAnswering", *_ANSWERS, labels=2), target="BertForQuestionAnswering"),
        encoders.multiple_choice("Roberta", "Bert"),
    ),
    becomes="positions count from 0, as in PaddleNLP up to 2.4 and in the model of the authors; PaddleNLP 2.8.1 gives "
    "the same when it is called with such positions, which is what was compared",
    difference=DeclaredDifference(
        "positions_from_0",
        "PaddleNLP 2.8.1 counts positions from behind the padding id unless it is told otherwise, Hugging Face's BERT "
        "from 0: the two are the same model where both are given positions from 0, and that was compared",
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    # The defaults of Hugging Face's BERT.
    fields=(
        Field("vocab_size", 21128, 30522),
        Field("pad_token_id", 0),
        Field("bos_token_id", None, counts=False),
        Field("eos_token_id", None, counts=False),
    ),
    stated_positions=True,
)


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    padding, rows = configuration["pad_token_id"], configuration["max_position_embeddings"]
    if padding is None:
        raise ConfigurationError("pad_token_id is null; positions count from behind it")
    if rows <= padding + 1:
        raise ConfigurationError(
            f"max_position_embeddings is {rows} and pad_token_id {padding}: positions count from behind the padding "
            "id, so that not a single token has one"
        )


ROBERTA = Family(
    name="roberta",
    base="RobertaModel",
    source_prefix="roberta.",
    target_prefix="roberta.",
    repeat=encoders.REPEAT,
    backbone=(encoders.POSITION_IDS, *encoders.backbone()),
    pooler=encoders.POOLER,
    models=(
        encoders.base("Roberta", "Roberta"),
        _without_pooler("MaskedLM", *_LM_HEAD),
        # It attends in both directions in PaddleNLP, and in Hugging Face's class as long as that is no decoder.
        _without_pooler("CausalLM", *_LM_HEAD),
        _without_pooler(
            "SequenceClassification",
            Linear("classifier.dense", "hidden_size", "hidden_size"),
            Linear("classifier.out_proj", "hidden_size", "num_labels"),
            former=_OLD_CLASSIFIER,
        ),
        _without_pooler("TokenClassification", *_LABELS),
        _without_pooler("QuestionAnswering", *_ANSWERS, labels=2),
        encoders.multiple_choice("Roberta", "Roberta"),
    ),
    fields=encoders.fields(
        Field("vocab_size", 21128, 50265),
        Field("type_vocab_size", 16, 2),
        Field("pad_token_id", 0, 1),
        Field("bos_token_id", None, 0, counts=False),
        Field("eos_token_id", None, 2, counts=False),
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True, "is_decoder": False},
    left_out=("cls_token_id",),
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    check_configuration=_check,
    declared_differences=(encoders.PADDING_ROW,),
    defaults=Defaults(masks_padding=True, positions_after_padding=True),
    tokenizer=TokenizerFacts(
        (
            TokenizerClass("RobertaChineseTokenizer", (WORDPIECE,)),
            TokenizerClass("RobertaBPETokenizer", (BYTE_PAIRS,), exact=True, byte_pairs=ANGLED_BYTE_PAIRS),
        ),
        "RobertaChineseTokenizer",
        settings={"do_lower_case": True},
        target_kinds={"RobertaTokenizer": BYTE_PAIRS},
    ),
    small=encoders.SMALL,
    becomes="equal to PaddleNLP 2.8.1 as it is called by default, whose positions count from behind the padding id; "
    "--target bert makes the model whose positions count from 0",
    alternatives=(_AS_BERT,),
    variants={**encoders.VARIANTS, "another padding id": {"pad_token_id": 1}},
    citation=(
        "@article{liu2019roberta,",
        "  title   = {{RoBERTa}: A Robustly Optimized {BERT} Pretraining Approach},",
        "  author  = {Liu, Yinhan and Ott, Myle and Goyal, Naman and Du, Jingfei and Joshi, Mandar and Chen, Danqi and",
        "             Levy, Omer and Lewis, Mike and Zettlemoyer, Luke and Stoyanov, Veselin},",
        "  journal = {arXiv preprint arXiv:1907.11692},",
        "  year    = {2019},",
        "  url     = {https://arxiv.org/abs/1907.11692}",
        "}",
    ),
)
