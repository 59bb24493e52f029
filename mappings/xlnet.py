"""XLNet: from PaddleNLP's models to Hugging Face's, whose names are the same. Its positions are relative and computed,
and the matrices of its attention, which neither library transposes, have an axis of their own for the heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import backbone_alone, check_heads
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field, never
from .language.limits import LayerForm, Limits
from .language.rows import Embedding, Following, Linear, Norm, Parameter, Row, Tied
from .language.rules import BACKBONE
from .language.tokenizers import TokenizerClass, TokenizerFacts
from .language.transforms import Reshape

LAYER = "layer.{layer}"
ATTENTION = f"{LAYER}.rel_attn"
HIDDEN, HEADS = "hidden_size", "num_attention_heads"

TYPES = 3
"""Any numbers tell parts of a text apart; the tokenizer gives these: two texts, and what stands at the end."""

LIMITS = Limits(
    unread=(
        "mask_emb",
        "it stands for the words that target_mapping asks for, and neither that nor perm_mask nor mems is given",
    )
)


def _per_head(configuration: Mapping[str, Any]) -> int:
    """The width of a head. Raises ConfigurationError where another one is stated, which both libraries refuse."""
    check_heads(configuration)
    width, stated = int(configuration[HIDDEN]) // int(configuration[HEADS]), configuration.get("d_head")
    if stated not in (None, width):
        raise ConfigurationError(f"d_head is {stated!r}; {HIDDEN} and {HEADS} make it {width}, and nothing else runs")
    return width


def _attention(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    heads, width = int(configuration[HEADS]), _per_head(configuration)
    by_head = Reshape((int(configuration[HIDDEN]), heads, width))
    return (
        *(Parameter(f"{ATTENTION}.{name}", (HIDDEN, heads * width), transform=by_head) for name in "qkvor"),
        *(Parameter(f"{ATTENTION}.r_{name}_bias", (HEADS, width)) for name in "rsw"),
        Parameter(f"{ATTENTION}.seg_embed", (2, HEADS, width)),
    )


XLNET = Family(
    name="xlnet",
    base="XLNetModel",
    source_prefix="transformer.",
    target_prefix="transformer.",
    repeat=encoders.REPEAT,
    backbone=(
        Embedding("word_embedding", "vocab_size", HIDDEN),
        Parameter("mask_emb", (1, 1, HIDDEN)),
        Following(ATTENTION, _attention),
        Norm(f"{ATTENTION}.layer_norm", HIDDEN),
        Norm(f"{LAYER}.ff.layer_norm", HIDDEN),
        Linear(f"{LAYER}.ff.layer_1", HIDDEN, "intermediate_size"),
        Linear(f"{LAYER}.ff.layer_2", "intermediate_size", HIDDEN),
    ),
    pooler=(),
    models=(
        encoders.base("XLNet", "XLNet"),
        Model(
            "XLNetLMHeadModel",
            head=(
                Parameter("decoder_bias", ("vocab_size",), "lm_loss.bias"),
                # One parameter in PaddleNLP's class.
                Tied(
                    "decoder_weight",
                    BACKBONE + "word_embedding.weight",
                    ("vocab_size", HIDDEN),
                    optional=True,
                    repeated="lm_loss.weight",
                ),
            ),
            auto_class="AutoModelForCausalLM",
        ),
        # Of the last position, wherever the text ends.
        Model(
            "XLNetForSequenceClassification",
            head=(
                Linear("classifier.dense", HIDDEN, HIDDEN, "sequence_summary.summary"),
                Linear("classifier.out_proj", HIDDEN, "num_labels", "logits_proj"),
            ),
            auto_class="AutoModelForSequenceClassification",
        ),
        encoders.token_classification("XLNet", "XLNet"),
        Model(
            "XLNetForQuestionAnswering",
            "XLNetForQuestionAnsweringSimple",
            head=(Linear("qa_outputs", HIDDEN, 2),),
            auto_class="AutoModelForQuestionAnswering",
            labels=2,
            returns=("start_logits", "end_logits"),
            limits=replace(
                LIMITS,
                states="PaddleNLP's class for question answering hands out neither them nor hidden states; the states "
                "that are compared are those that the layers take and give",
            ),
        ),
    ),
    refused={
        "XLNetForMultipleChoice": "PaddleNLP's head gives every choice num_labels numbers, Hugging Face's one; "
        + backbone_alone("transformer"),
    },
    fields=(
        Field("vocab_size", 32000),
        Field("hidden_size", 1024, target="d_model", stored="d_model"),
        Field("num_hidden_layers", 24, target="n_layer", stored="n_layer"),
        Field("num_attention_heads", 16, target="n_head", stored="n_head"),
        Field("intermediate_size", 4096, target="d_inner", stored="d_inner"),
        Field("hidden_act", "gelu", target="ff_activation", stored="ff_activation"),
        Field("hidden_dropout_prob", 0.1, target="dropout", stored="dropout", counts=False),
        # PaddleNLP's class reads no other spelling.
        Field("classfier_dropout", 0.1, when=never, counts=False),
        Field("d_head", None, runs=_per_head, counts=False),
        # In no configuration.
        Field("type_vocab_size", TYPES, stored="", runs=TYPES, when=never, counts=False),
        Field("attn_type", "bi", only=("bi", "with another one Hugging Face's class fails as soon as it gets a mask")),
        # Of another attention alone.
        Field("same_length", False, counts=False),
        Field("clamp_len", -1),
        Field("bi_data", False, only=(False, "with true, half of a batch counts its positions backwards")),
        Field("mem_len", 512, counts=False, nullable=True),
        Field("reuse_len", None, counts=False),
        # PaddleNLP's class summarises so whatever these say.
        Field("summary_type", "last", runs="last"),
        Field("summary_use_proj", True, runs=True),
        Field("summary_activation", "tanh", runs="tanh"),
        Field("summary_last_dropout", 0.1, counts=False),
        Field("start_n_top", 5, counts=False),
        Field("end_n_top", 5, counts=False),
        Field("initializer_range", 0.02, counts=False),
        Field("layer_norm_eps", 1e-12),
        Field("pad_token_id", 5),
        Field("bos_token_id", 1, counts=False),
        Field("eos_token_id", 2, counts=False),
    ),
    # PaddleNLP's models give memories where a call asks for them, Hugging Face's where the configuration does.
    constants={"use_mems_eval": False, "use_mems_train": False, "untie_r": True},
    source_constants={"use_mems_eval": True, "use_mems_train": False, "untie_r": True},
    left_out=("classifier_dropout",),
    activations=(*encoders.ACTIVATIONS, "gelu_new", "silu"),
    roles={
        "words": "word_embedding",
        "query": f"{ATTENTION}.q",
        "key": f"{ATTENTION}.k",
        "value": f"{ATTENTION}.v",
        "attention_out": f"{ATTENTION}.o",
        "attention_norm": f"{ATTENTION}.layer_norm",
        "feed_forward_in": f"{LAYER}.ff.layer_1",
        "feed_forward_out": f"{LAYER}.ff.layer_2",
        "feed_forward_norm": f"{LAYER}.ff.layer_norm",
    },
    check_configuration=check_heads,
    declared_differences=(
        DeclaredDifference(
            "positions_in_single",
            "Hugging Face's class computes sines of positions in float32 whatever its type, PaddleNLP's in that of its "
            "weights: float64 is proven with that cast lifted, and float32 as it is; measured is the difference of "
            "float64 without",
            lifted=("XLNetModel",),
        ),
    ),
    defaults=Defaults(masks_padding=False),
    arguments=("input_ids", "attention_mask", "token_type_ids"),
    limits=LIMITS,
    layers=LayerForm(tokens_first=True),
    # Its matrices of attention stay in single precision.
    widened=True,
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "XLNetTokenizer",
                (),
                refused="gives padding the token type 3, which no tokenizer does that takes tokenizer.json as it is",
            ),
        ),
        "XLNetTokenizer",
        settings={"do_lower_case": False},
    ),
    small={
        "vocab_size": 50,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 36,
    },
    variants={
        "near positions": {"clamp_len": 3, "num_attention_heads": 2, "num_hidden_layers": 1, "num_labels": 5},
        "wide heads": {"num_attention_heads": 1, "hidden_act": "relu", "num_hidden_layers": 5, "num_labels": 1},
    },
    citation=(
        "@inproceedings{yang2019xlnet,",
        "  title     = {{XLNet}: Generalized Autoregressive Pretraining for Language Understanding},",
        "  author    = {Yang, Zhilin and Dai, Zihang and Yang, Yiming and Carbonell, Jaime and Salakhutdinov, Ruslan",
        "               and Le, Quoc V.},",
        "  booktitle = {Advances in Neural Information Processing Systems 32},",
        "  pages     = {5753--5763},",
        "  year      = {2019}",
        "}",
    ),
)
