"""MPNet: from PaddleNLP's models and tokenizers to Hugging Face's."""

from __future__ import annotations

from dataclasses import replace

from .language import encoders
from .language.checks import backbone_alone, check_heads, gelu_always
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field, never
from .language.rows import Embedding, Linear, Norm, Parameter, Tied
from .language.rules import BACKBONE
from .language.tokenizers import WORDPIECE, Layout, TokenizerClass, TokenizerFacts

LAYER = "encoder.layer.{layer}"

_MLM_HEAD = (
    Linear("lm_head.dense", "hidden_size", "hidden_size"),
    Norm("lm_head.layer_norm", "hidden_size"),
    Parameter("lm_head.decoder_bias", ("vocab_size",), "lm_head.bias"),
    encoders.repeated_bias("lm_head.decoder_bias", "lm_head.decoder.bias", foreign=True),
    Tied(
        "lm_head.decoder_weight",
        BACKBONE + "embeddings.word_embeddings.weight",
        ("vocab_size", "hidden_size"),
        untied="lm_head.decoder.weight",
        optional=True,
        copies=(("lm_head.decoder_bias", "lm_head.decoder.bias"),),
        one=True,
    ),
)


MPNET = Family(
    name="mpnet",
    base="MPNetModel",
    source_prefix="mpnet.",
    target_prefix="mpnet.",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.POSITION_IDS,
        Embedding("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", "hidden_size"),
        Norm("embeddings.layer_norm", "hidden_size", "embeddings.LayerNorm"),
        *(
            Linear(f"{LAYER}.attention.{name}", "hidden_size", "hidden_size", f"{LAYER}.attention.attn.{name}")
            for name in "qkvo"
        ),
        Norm(f"{LAYER}.attention.layer_norm", "hidden_size", f"{LAYER}.attention.LayerNorm"),
        Linear(f"{LAYER}.ffn", "hidden_size", "intermediate_size", f"{LAYER}.intermediate.dense"),
        Linear(f"{LAYER}.ffn_output", "intermediate_size", "hidden_size", f"{LAYER}.output.dense"),
        Norm(f"{LAYER}.layer_norm", "hidden_size", f"{LAYER}.output.LayerNorm"),
        Embedding("encoder.relative_attention_bias", "relative_attention_num_buckets", "num_attention_heads"),
    ),
    pooler=encoders.POOLER,
    models=(
        replace(encoders.base("MPNet", "MPNet"), returns=("last_hidden_state", "pooler_output")),
        Model(
            "MPNetForMaskedLM",
            pooler=False,
            head=_MLM_HEAD,
            auto_class="AutoModelForMaskedLM",
            refuses=gelu_always("Hugging Face", "PaddleNLP", backbone_alone("mpnet")),
            returns=("mlm_logits", "last_hidden_state"),
        ),
        Model(
            "MPNetForSequenceClassification",
            takes_pooler=True,
            head=(
                Linear(f"{BACKBONE}pooler.dense", "hidden_size", "hidden_size", "classifier.dense"),
                Linear("classifier", "hidden_size", "num_labels", "classifier.out_proj"),
            ),
            auto_class="AutoModelForSequenceClassification",
            returns=("logits",),
        ),
        replace(encoders.token_classification("MPNet", "MPNet"), returns=("logits",)),
        replace(
            encoders.question_answering("MPNet", "MPNet"),
            head=(Linear("qa_outputs", "hidden_size", 2),),
            returns=("start_logits", "end_logits"),
        ),
        replace(encoders.multiple_choice("MPNet", "MPNet"), returns=("logits",)),
    ),
    fields=encoders.fields(
        Field("vocab_size", 30527),
        Field("max_position_embeddings", 514, 512),
        Field("layer_norm_eps", 1e-5, 1e-12),
        Field(
            "relative_attention_num_buckets",
            32,
            only=(32, "both libraries compute with 32 buckets whatever the configuration says"),
        ),
        Field("classifier_dropout", None, when=never, counts=False),
        Field("pad_token_id", 1, only=(1, "Hugging Face's class numbers positions as if the padding id were 1")),
        Field("bos_token_id", 0, counts=False),
        Field("eos_token_id", 2, counts=False),
        without=("type_vocab_size",),
    ),
    constants={},
    # The last is what the head for masked words applies in either library.
    activations=("relu", "gelu_new", "gelu"),
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "query": f"{LAYER}.attention.q",
        "key": f"{LAYER}.attention.k",
        "value": f"{LAYER}.attention.v",
        "attention_out": f"{LAYER}.attention.o",
        "attention_norm": f"{LAYER}.attention.layer_norm",
        "feed_forward_in": f"{LAYER}.ffn",
        "feed_forward_out": f"{LAYER}.ffn_output",
        "feed_forward_norm": f"{LAYER}.layer_norm",
        "pooler": "pooler.dense",
    },
    check_configuration=check_heads,
    declared_differences=(
        encoders.PADDING_ROW,
        DeclaredDifference(
            "padding_position",
            "position 1, which both give to padding, PaddleNLP reads as zeros and Hugging Face's class as it is "
            "stored: hidden states at padding differ by it, and so would those of a token whose position_ids say 1",
        ),
    ),
    defaults=Defaults(masks_padding=True, positions_after_padding=True),
    arguments=("input_ids", "attention_mask", "position_ids"),
    first_position=2,
    embeds_sentences=True,
    pooling="mean",
    encoder_gives=("hidden_states", "attention_scores"),
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "MPNetTokenizer",
                (WORDPIECE,),
                tokens={
                    "bos_token": "<s>",
                    "eos_token": "</s>",
                    "sep_token": "</s>",
                    "pad_token": "<pad>",
                    "cls_token": "<s>",
                    "mask_token": "<mask>",
                },
                layout=Layout(
                    pair=("cls_token", "A", "sep_token", "sep_token", "B", "sep_token"), types=(0, 0, 0, 0, 0, 0)
                ),
                gives_types=False,
            ),
        ),
        "MPNetTokenizer",
        settings={"do_lower_case": True},
        target_kinds={"MPNetTokenizer": WORDPIECE},
    ),
    small={name: size for name, size in encoders.SMALL.items() if name != "type_vocab_size"},
    variants={
        f"{layers} layers": {"num_hidden_layers": layers, "num_labels": labels, **more}
        for layers, labels, more in ((1, 1, {}), (11, 5, {"layer_norm_eps": 1e-12}))
    },
    citation=(
        "@inproceedings{song2020mpnet,",
        "  title     = {{MPNet}: Masked and Permuted Pre-training for Language Understanding},",
        "  author    = {Song, Kaitao and Tan, Xu and Qin, Tao and Lu, Jianfeng and Liu, Tie-Yan},",
        "  booktitle = {Advances in Neural Information Processing Systems 33},",
        "  year      = {2020},",
        "  url       = {https://arxiv.org/abs/2004.09297}",
        "}",
    ),
)
