"""GPT: from PaddleNLP's models and tokenizers to Hugging Face's GPT-2, whose layers hold their matrices as PaddleNLP
does, and make query, key and value with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .language import encoders
from .language.checks import check_heads
from .language.family import Defaults, Family, Model
from .language.fields import Field, Generation, never
from .language.limits import Limits
from .language.rows import (
    Conv1D,
    Embedding,
    Following,
    Ignored,
    Joined,
    Linear,
    Norm,
    Parameter,
    Row,
    Tied,
    When,
    is_set,
)
from .language.rules import BACKBONE
from .language.tokenizers import (
    BYTE_PAIRS,
    PREFIX_SPACE,
    BytePairs,
    Layout,
    OnlyValue,
    TokenizerClass,
    TokenizerFacts,
)
from .language.transforms import TRANSPOSE, Concatenate, Reorder

LAYER = "decoder.layers.{layer}"
TARGET = "h.{layer}"
ATTENTION = f"{LAYER}.self_attn"
HIDDEN = "hidden_size"

END = "<|endoftext|>"
"""The only special token of the English vocabulary."""

_PARTS = tuple(f"{ATTENTION}.{name}_proj" for name in "qkv")


def _fused(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """Query, key and value of one head after the other, which Hugging Face's class has all queries first."""
    heads, width = int(configuration["num_attention_heads"]), 3 * int(configuration[HIDDEN])
    order = tuple(3 * head + part for part in range(3) for head in range(heads))
    return (
        Parameter(f"{ATTENTION}.qkv_proj.weight", (HIDDEN, width), f"{TARGET}.attn.c_attn.weight", Reorder(1, order)),
        Parameter(f"{ATTENTION}.qkv_proj.bias", (width,), f"{TARGET}.attn.c_attn.bias", Reorder(0, order)),
    )


_APART = (
    Joined(
        tuple(f"{name}.weight" for name in _PARTS),
        f"{TARGET}.attn.c_attn.weight",
        ((HIDDEN, HIDDEN),) * 3,
        Concatenate(1),
    ),
    Joined(tuple(f"{name}.bias" for name in _PARTS), f"{TARGET}.attn.c_attn.bias", ((HIDDEN,),) * 3, Concatenate(0)),
)


_TRIANGLE = Ignored(f"{TARGET}.attn.bias", (1, 1, "max_position_embeddings", "max_position_embeddings"), first=None)
"""Which tokens each one sees, a buffer in older files of Hugging Face's, those that OpenAI published among them."""


def _padding(configuration: Mapping[str, Any]) -> int:
    """The id that a text is taken to end before where it is classified, which both libraries fill rows with."""
    return int(configuration["eos_token_id"] or 0)


def _embedding_dropout(configuration: Mapping[str, Any]) -> Any:
    return configuration["hidden_dropout_prob"]


def _classifier_dropout(configuration: Mapping[str, Any]) -> bool:
    """Whether it is stated: Hugging Face's configuration does not have it by itself."""
    return configuration["classifier_dropout"] is not None


def _inner(configuration: Mapping[str, Any]) -> int:
    """The width of the feed-forward part that Hugging Face's class takes by itself."""
    return 4 * int(configuration[HIDDEN])


def _own(name: str, value: Any, otherwise: str) -> Field:
    """A field that Hugging Face's configuration alone has, of which one value alone is what PaddleNLP computes."""
    return Field(name, value, stored="", only=(value, otherwise), counts=False)


_SCORES = "Hugging Face's class then scales its attention scores otherwise than PaddleNLP's does"

GPT = Family(
    name="gpt",
    base="GPTModel",
    source_prefix="gpt.",
    target_prefix="transformer.",
    target_type="gpt2",
    repeat=encoders.REPEAT,
    backbone=(
        _TRIANGLE,
        Embedding("embeddings.word_embeddings", "vocab_size", HIDDEN, "wte"),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", HIDDEN, "wpe"),
        Norm(f"{LAYER}.norm1", HIDDEN, f"{TARGET}.ln_1"),
        When(is_set("fuse_attention_qkv"), (Following(f"{ATTENTION}.qkv_proj", _fused),), _APART),
        Conv1D(f"{ATTENTION}.out_proj", HIDDEN, HIDDEN, f"{TARGET}.attn.c_proj"),
        Norm(f"{LAYER}.norm2", HIDDEN, f"{TARGET}.ln_2"),
        Conv1D(f"{LAYER}.linear1", HIDDEN, "intermediate_size", f"{TARGET}.mlp.c_fc"),
        Conv1D(f"{LAYER}.linear2", "intermediate_size", HIDDEN, f"{TARGET}.mlp.c_proj"),
        Norm("decoder.norm", HIDDEN, "ln_f"),
    ),
    pooler=(),
    models=(
        Model("GPTModel", "GPT2Model"),
        Model(
            "GPTForCausalLM",
            "GPT2LMHeadModel",
            head=(
                # One parameter in PaddleNLP's class.
                Tied(
                    "lm_head.weight",
                    BACKBONE + "embeddings.word_embeddings.weight",
                    ("vocab_size", HIDDEN),
                    untied="lm_head.weight",
                    optional=True,
                    one=True,
                ),
            ),
            auto_class="AutoModelForCausalLM",
            generation=Generation(),
            aliases=("GPTLMHeadModel",),
        ),
        Model(
            "GPTForSequenceClassification",
            "GPT2ForSequenceClassification",
            head=(Parameter("score.weight", (HIDDEN, "num_labels"), transform=TRANSPOSE),),
            auto_class="AutoModelForSequenceClassification",
            limits=Limits(
                gaps="PaddleNLP's class takes the position before which as many tokens stand as are no end of text, "
                "Hugging Face's the last one that is none: they are the same where ends of text stand at the end alone"
            ),
        ),
        Model(
            "GPTForTokenClassification",
            "GPT2ForTokenClassification",
            head=(Linear("classifier", HIDDEN, "num_labels"),),
            auto_class="AutoModelForTokenClassification",
        ),
    ),
    refused={
        "GPTForGreedyGeneration": "its forward writes a text, which no class of Hugging Face's does; its tensors are "
        "those of GPTForCausalLM: convert it with --architecture GPTForCausalLM, whose generate writes texts",
    },
    fields=(
        Field("vocab_size", 50304, 50257),
        Field(HIDDEN, 768, target="n_embd"),
        Field("num_hidden_layers", 12, target="n_layer"),
        Field("num_attention_heads", 12, target="n_head"),
        Field("intermediate_size", 3072, None, target="n_inner", target_like=_inner),
        # PaddleNLP's class asks for its approximation by tanh, which it knows of no other function.
        Field(
            "hidden_act",
            "gelu",
            "gelu_new",
            target="activation_function",
            stored="hidden_activation",
            said={"gelu": "gelu_new"},
        ),
        Field("hidden_dropout_prob", 0.1, target="resid_pdrop", counts=False),
        Field("attention_probs_dropout_prob", 0.1, target="attn_pdrop", counts=False),
        # In no configuration of PaddleNLP's.
        Field("embedding_dropout", 0.1, target="embd_pdrop", stored="", runs=_embedding_dropout, counts=False),
        Field("max_position_embeddings", 512, 1024, target="n_positions"),
        Field("initializer_range", 0.02, counts=False),
        # Every norm gets this one when it is made, whatever the configuration says.
        Field("layer_norm_eps", 1e-5, target="layer_norm_epsilon", runs=1e-5),
        Field("classifier_dropout", None, when=_classifier_dropout, counts=False),
        Field("bos_token_id", 0, 50256, counts=False),
        Field("eos_token_id", 7, 50256),
        Field("pad_token_id", 0, None, runs=_padding, counts=False),
        Field("fuse_attention_qkv", False, when=never, counts=False),
        Field(
            "normalize_before",
            True,
            when=never,
            counts=False,
            only=(True, "Hugging Face's class normalises before attention and feed-forward alone"),
        ),
        Field("scale_qk_coeff", 1.0, when=never, counts=False, only=(1.0, _SCORES)),
        _own("scale_attn_weights", True, _SCORES),
        _own("scale_attn_by_inverse_layer_idx", False, _SCORES),
        _own("reorder_and_upcast_attn", False, "Hugging Face's class then computes its attention scores in float32"),
    ),
    # Of a class with two heads, which PaddleNLP does not have.
    constants={
        "use_cache": True,
        "add_cross_attention": False,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "summary_activation": None,
        "summary_proj_to_labels": True,
        "summary_first_dropout": 0.1,
    },
    # The second half says how a model is trained, and over how many machines.
    left_out=(
        *("eol_token_id", "seq_length", "type_vocab_size", "output_attentions", "ignore_index"),
        *("num_partitions", "recompute_granularity", "tensor_parallel_output", "tensor_parallel_degree"),
        *("use_flash_attention", "use_fused_dropout_add", "use_fast_layer_norm", "use_fused_linear"),
        *("fuse_attention_ffn", "fused_softmax_with_triangular", "virtual_pp_degree", "sequence_parallel"),
        "fuse_sequence_parallel_allreduce",
    ),
    activations=("gelu",),
    roles={
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "query": _PARTS[0],
        "key": _PARTS[1],
        "value": _PARTS[2],
        "attention_out": f"{ATTENTION}.out_proj",
        "attention_norm": f"{LAYER}.norm1",
        "feed_forward_in": f"{LAYER}.linear1",
        "feed_forward_out": f"{LAYER}.linear2",
        "feed_forward_norm": f"{LAYER}.norm2",
    },
    check_configuration=check_heads,
    defaults=Defaults(masks_padding=False),
    arguments=("input_ids", "attention_mask", "position_ids"),
    final_norm=True,
    causal=True,
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "GPTTokenizer",
                (BYTE_PAIRS,),
                exact=True,
                untaken_types=True,
                byte_pairs=BytePairs(
                    tokens={f"{role}_token": END for role in ("bos", "eos", "unk", "pad")},
                    strips={f"{role}_token": (False, False) for role in ("bos", "eos", "unk", "pad")},
                    layout=Layout(single=("A",), pair=("A", "B"), types=(0, 1)),
                    only={
                        **PREFIX_SPACE,
                        "add_bos_token": OnlyValue(False, False, "puts bos_token before every text"),
                    },
                ),
            ),
            TokenizerClass(
                "GPTChineseTokenizer",
                (),
                sentencepiece_file="sentencepiece.model",
                refused="cuts a text into words with jieba and its dictionary first, which has no fast tokenizer",
            ),
        ),
        "GPTTokenizer",
        published={
            name: {"tokenizer_class": "GPTChineseTokenizer"}
            for name in ("gpt-cpm-large-cn", "gpt-cpm-small-cn-distill")
        },
        target_kinds={"GPT2Tokenizer": BYTE_PAIRS},
    ),
    small={
        "vocab_size": 50,
        HIDDEN: 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "max_position_embeddings": 30,
        "eos_token_id": 7,
        "bos_token_id": 1,
    },
    # Up to 2.5.
    old_names={"lm_head.decoder_weight": "lm_head.weight"},
    variants={
        "1 layer, one head": {"num_hidden_layers": 1, "num_attention_heads": 1, "num_labels": 1},
        "11 layers, another end": {"num_hidden_layers": 11, "eos_token_id": 49, "num_labels": 5},
        "query, key and value in one": {"fuse_attention_qkv": True, "num_hidden_layers": 2},
    },
    citation=(
        "@article{radford2019language,",
        "  title   = {Language Models are Unsupervised Multitask Learners},",
        "  author  = {Radford, Alec and Wu, Jeffrey and Child, Rewon and Luan, David and Amodei, Dario and",
        "             Sutskever, Ilya},",
        "  journal = {OpenAI blog},",
        "  year    = {2019}",
        "}",
    ),
)
