"""Megatron-BERT: from PaddleNLP's models to Hugging Face's. Its layers are normalised before they compute, and once
more behind the last of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .language import encoders
from .language.checks import check_heads, check_positions
from .language.family import Defaults, Family, Model
from .language.fields import Field
from .language.limits import Limits
from .language.rows import Linear, Norm, Parameter, Row, Tied
from .language.rules import BACKBONE
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts

LAYER = "encoder.layer.{layer}"

MLM_HEAD: tuple[Row, ...] = (
    Linear("cls.predictions.transform.dense", "hidden_size", "hidden_size"),
    Norm("cls.predictions.transform.layer_norm", "hidden_size", "cls.predictions.transform.LayerNorm"),
    Parameter("cls.predictions.decoder_bias", ("vocab_size",), "cls.predictions.bias"),
    # PaddleNLP never ties it.
    Tied(
        "cls.predictions.decoder_weight",
        BACKBONE + "embeddings.word_embeddings.weight",
        ("vocab_size", "hidden_size"),
        untied="cls.predictions.decoder.weight",
        copies=(("cls.predictions.decoder_bias", "cls.predictions.decoder.bias"),),
    ),
    encoders.repeated_bias("cls.predictions.decoder_bias", foreign=True),
)

NEXT_SENTENCE = Linear("cls.seq_relationship", "hidden_size", 2)


def _masked_lm(source: str) -> Model:
    return Model(
        source,
        "MegatronBertForMaskedLM",
        pooler=False,
        head=MLM_HEAD,
        auto_class="AutoModelForMaskedLM",
        returns=("mlm_logits",),
    )


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    check_positions(configuration)


MEGATRONBERT = Family(
    name="megatronbert",
    base="MegatronBertModel",
    source_prefix="megatronbert.",
    target_prefix="bert.",
    target_type="megatron-bert",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.STORED_POSITION_IDS,
        *encoders.tables(),
        Norm(f"{LAYER}.attention.layer_norm", "hidden_size", f"{LAYER}.attention.ln"),
        Linear(f"{LAYER}.attention.self.query", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.self.key", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.self.value", "hidden_size", "hidden_size"),
        Linear(f"{LAYER}.attention.output.dense", "hidden_size", "hidden_size"),
        Norm(f"{LAYER}.layer_norm", "hidden_size", f"{LAYER}.ln"),
        Linear(f"{LAYER}.intermediate.dense", "hidden_size", "intermediate_size"),
        Linear(f"{LAYER}.output.dense", "intermediate_size", "hidden_size"),
        Norm("encoder.layer_norm", "hidden_size", "encoder.ln"),
    ),
    pooler=encoders.POOLER,
    models=(
        replace(encoders.base("MegatronBert", "MegatronBert"), returns=("last_hidden_state", "pooler_output")),
        Model(
            "MegatronBertForPreTraining",
            head=(*MLM_HEAD, NEXT_SENTENCE),
            auto_class="AutoModelForPreTraining",
            returns=("mlm_logits", "sequence_relationship_logits"),
        ),
        _masked_lm("MegatronBertForMaskedLM"),
        # It attends in both directions, whatever its name says.
        _masked_lm("MegatronBertForCausalLM"),
        Model(
            "MegatronBertForNextSentencePrediction",
            head=(NEXT_SENTENCE,),
            auto_class="AutoModelForNextSentencePrediction",
            labels=2,
            returns=("logits",),
        ),
        replace(encoders.sequence_classification("MegatronBert", "MegatronBert"), returns=("logits",)),
        replace(encoders.token_classification("MegatronBert", "MegatronBert"), returns=("logits",)),
        replace(
            encoders.question_answering("MegatronBert", "MegatronBert"),
            head=(Linear("qa_outputs", "hidden_size", 2),),
            returns=("start_logits", "end_logits"),
        ),
        replace(encoders.multiple_choice("MegatronBert", "MegatronBert"), returns=("logits",)),
    ),
    fields=encoders.fields(
        Field("vocab_size", 29056),
        Field("hidden_size", 1024),
        Field("num_hidden_layers", 24),
        Field("num_attention_heads", 16),
        Field("intermediate_size", 4096),
        # PaddleNLP sets it in every LayerNorm.
        Field("layer_norm_eps", 1e-12, runs=1e-12),
        without=("classifier_dropout",),
    ),
    constants={"position_embedding_type": "absolute", "use_cache": True},
    left_out=("position_embedding_type",),
    source_constants={"position_embedding_type": "absolute"},
    activations=encoders.ACTIVATIONS,
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "token_types": "embeddings.token_type_embeddings",
        "query": f"{LAYER}.attention.self.query",
        "key": f"{LAYER}.attention.self.key",
        "value": f"{LAYER}.attention.self.value",
        "attention_out": f"{LAYER}.attention.output.dense",
        "attention_norm": f"{LAYER}.attention.layer_norm",
        "feed_forward_in": f"{LAYER}.intermediate.dense",
        "feed_forward_out": f"{LAYER}.output.dense",
        "feed_forward_norm": f"{LAYER}.layer_norm",
        "pooler": "pooler.dense",
    },
    check_configuration=_check,
    declared_differences=(encoders.PADDING_ROW,),
    defaults=Defaults(masks_padding=True),
    limits=Limits(
        mask="PaddleNLP's attention adds a mask of 0 and 1 to the scores, which hides nothing; its model hides padding "
        "by itself, and Hugging Face's class is given the mask that says so",
        states="PaddleNLP's classes hand out neither them nor hidden states; the states that are compared are those "
        "that the layers take and give",
    ),
    tokenizer=TokenizerFacts(
        (TokenizerClass("MegatronBertTokenizer", (WORDPIECE,)),),
        "MegatronBertTokenizer",
        published={
            "megatronbert-cased": {"do_lower_case": False},
            "megatronbert-uncased": {"do_lower_case": True},
        },
        settings={"do_lower_case": True},
    ),
    small=encoders.SMALL,
    variants={
        f"{layers} layers": {"num_hidden_layers": layers, "num_labels": labels, "hidden_act": activation}
        for layers, labels, activation in ((1, 1, "gelu"), (5, 5, "relu"))
    },
    citation=(
        "@article{shoeybi2019megatron,",
        "  title   = {{Megatron-LM}: Training Multi-Billion Parameter Language Models Using Model Parallelism},",
        "  author  = {Shoeybi, Mohammad and Patwary, Mostofa and Puri, Raul and LeGresley, Patrick and Casper, Jared",
        "             and Catanzaro, Bryan},",
        "  journal = {arXiv preprint arXiv:1909.08053},",
        "  year    = {2019},",
        "  url     = {https://arxiv.org/abs/1909.08053}",
        "}",
    ),
)
