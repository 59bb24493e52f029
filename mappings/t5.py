"""T5: from PaddleNLP's models to Hugging Face's. Its linear layers have no biases, its norms scale alone, and its
attention knows of positions by a table of biases in the first layer of either stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigurationError
from .language.encoder_decoders import is_stated
from .language.family import DeclaredDifference, Defaults, Family, Model
from .language.fields import Field, Generation
from .language.rows import Dropped, Embedding, Following, Parameter, Row, Tied, When
from .language.rules import BACKBONE, Size
from .language.tokenizers import SENTENCEPIECE, Layout, Pieces, TokenizerClass, TokenizerFacts
from .language.transforms import TRANSPOSE

ENCODER = "encoder.block.{layer}.layer"
DECODER = "decoder.block.{decoder_layer}.layer"

HIDDEN = "hidden_size"

WORDS = "shared"

DISTANCES = "block.0.layer.0.SelfAttention.relative_attention_bias"
"""A table of what attention adds for a distance, in the first layer for all."""

_TABLE = ("vocab_size", HIDDEN)

_FURTHEST = 128
"""The distance in tokens from which on all are equally far away."""

_GATED = "gated-"


def _is_gated(configuration: Mapping[str, Any]) -> bool:
    return str(configuration["hidden_act"]).startswith(_GATED)


def _function(configuration: Mapping[str, Any]) -> str:
    """The function between the linear layers, as Hugging Face calls it: of GELU, the form by tanh in both libraries."""
    name = str(configuration["hidden_act"]).removeprefix(_GATED)
    return "gelu_new" if name == "gelu" else name


def _following(name: str, default: Any, runs: Callable[[Mapping[str, Any]], Any]) -> Field:
    """A field that Hugging Face's configuration alone has, and makes of others where it is not stated."""
    return Field(name, default, stored="", runs=runs, target_like=runs, counts=False)


def _linear(name: str, inputs: Size, outputs: Size) -> Row:
    """A linear layer without a bias."""
    return Parameter(f"{name}.weight", (inputs, outputs), transform=TRANSPOSE)


def _norm(name: str) -> Row:
    """A norm without a bias."""
    return Parameter(f"{name}.weight", (HIDDEN,))


def _attention(module: str) -> Row:
    """Heads may be of any width."""

    def rows(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
        inner = int(configuration["num_attention_heads"]) * int(configuration["d_kv"])
        return (
            *(_linear(f"{module}.{name}", HIDDEN, inner) for name in "qkv"),
            _linear(f"{module}.o", inner, HIDDEN),
        )

    return Following(module, rows)


def _feed_forward(module: str) -> tuple[Row, ...]:
    gated, plain = (("wi_0", "wi_1"), ("wi",))
    return (
        When(
            _is_gated,
            *(
                tuple(_linear(f"{module}.{name}", HIDDEN, "intermediate_size") for name in names)
                for names in (gated, plain)
            ),
        ),
        _linear(f"{module}.wo", "intermediate_size", HIDDEN),
    )


def _stack(stack: str) -> tuple[Row, ...]:
    """What both stacks have beside their layers: the table of words, which is one in both libraries, the biases of
    positions, and a norm behind the layers."""
    words = f"{stack}.embed_tokens.weight"
    return (
        Tied(words, f"{BACKBONE}{WORDS}.weight", _TABLE, optional=True, repeated=words, one=True),
        Embedding(f"{stack}.{DISTANCES}", "relative_attention_num_buckets", "num_attention_heads"),
        _norm(f"{stack}.final_layer_norm"),
    )


_UNREAD = Dropped(
    Embedding(
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias",
        "relative_attention_num_buckets",
        "num_attention_heads",
    ),
    "older files of T5 hold it, and no class of either library has it",
    former=True,
    spare=True,
)


def _is_tied(configuration: Mapping[str, Any]) -> bool:
    """Whether the words are told by the table of words, of states that are scaled for it."""
    return bool(configuration["tie_word_embeddings"])


def _decoder_layers(configuration: Mapping[str, Any]) -> int:
    """As many as the encoder has where none are stated."""
    stated = configuration["decoder_layers"]
    return int(configuration["num_hidden_layers"] if stated is None else stated)


def _stated_start(configuration: Mapping[str, Any]) -> Any:
    """What PaddleNLP's `generate` begins with; its own class knows of no other field than that of all models."""
    stated = configuration["decoder_start_token_id"]
    return configuration["bos_token_id"] if stated is None else stated


def _start(configuration: Mapping[str, Any]) -> int:
    """The first id that a decoder is given, which is that of padding where nothing states one."""
    token = _stated_start(configuration)
    return int(configuration["pad_token_id"] if token is None else token)


def _without_cache(configuration: Mapping[str, Any]) -> str | None:
    """Why Hugging Face's class would write nothing, if it would not."""
    if configuration["decoder_layers"] <= configuration["num_hidden_layers"]:
        return None
    return (
        "transformers' generate keeps a cache for as many layers as the encoder has, and fails where the decoder has "
        "more; the backbone alone converts: save it with PaddleNLP's model.t5.save_pretrained and convert that folder"
    )


def _check(configuration: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for ids outside the vocabulary."""
    for field in ("eos_token_id", "decoder_start_token_id"):
        if (token := configuration[field]) is not None and token >= configuration["vocab_size"]:
            raise ConfigurationError(f"{field} {token} is not below vocab_size {configuration['vocab_size']}")


T5 = Family(
    name="t5",
    base="T5Model",
    source_prefix="t5.",
    target_prefix="",
    repeat={"layer": "num_hidden_layers", "decoder_layer": "decoder_layers"},
    backbone=(
        Embedding(WORDS, *_TABLE),
        *_stack("encoder"),
        _attention(f"{ENCODER}.0.SelfAttention"),
        _norm(f"{ENCODER}.0.layer_norm"),
        *_feed_forward(f"{ENCODER}.1.DenseReluDense"),
        _norm(f"{ENCODER}.1.layer_norm"),
    ),
    decoder=(
        *_stack("decoder"),
        _attention(f"{DECODER}.0.SelfAttention"),
        _norm(f"{DECODER}.0.layer_norm"),
        _attention(f"{DECODER}.1.EncDecAttention"),
        _norm(f"{DECODER}.1.layer_norm"),
        _UNREAD,
        *_feed_forward(f"{DECODER}.2.DenseReluDense"),
        _norm(f"{DECODER}.2.layer_norm"),
    ),
    pooler=(),
    models=(
        Model("T5Model"),
        Model(
            "T5ForConditionalGeneration",
            head=(
                When(
                    _is_tied,
                    (
                        # No parameter of PaddleNLP's class; Hugging Face's files may hold it.
                        Tied(
                            "lm_head.weight",
                            f"{BACKBONE}{WORDS}.weight",
                            _TABLE,
                            untied="lm_head.weight",
                            optional=True,
                            foreign=True,
                            one=True,
                        ),
                    ),
                    (_linear("lm_head", HIDDEN, "vocab_size"),),
                ),
            ),
            auto_class="AutoModelForSeq2SeqLM",
            refuses=_without_cache,
            generation=Generation(("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")),
        ),
        Model("T5EncoderModel", auto_class="AutoModelForTextEncoding", decodes=False),
    ),
    fields=(
        Field("vocab_size", 32128),
        Field(HIDDEN, 512, target="d_model", stored="d_model"),
        Field("d_kv", 64, compared=True),
        Field("intermediate_size", 2048, target="d_ff", stored="d_ff"),
        Field("num_hidden_layers", 6, target="num_layers", stored="num_layers"),
        Field(
            "decoder_layers",
            None,
            target="num_decoder_layers",
            stored="num_decoder_layers",
            runs=_decoder_layers,
            target_like="num_hidden_layers",
        ),
        Field("num_attention_heads", 8, target="num_heads", stored="num_heads"),
        Field("relative_attention_num_buckets", 32),
        # PaddleNLP's class hands none on, whatever it is.
        Field("relative_attention_max_distance", _FURTHEST, runs=_FURTHEST),
        Field("hidden_act", "relu", target="feed_forward_proj", stored="feed_forward_proj", compared=True),
        Field("hidden_dropout_prob", 0.1, target="dropout_rate", stored="dropout_rate", counts=False),
        Field("layer_norm_eps", 1e-6, target="layer_norm_epsilon", stored="layer_norm_epsilon"),
        Field("initializer_factor", 1.0, counts=False),
        Field("tie_word_embeddings", True),
        # What transformers 5 remembers of the field above, which it sets to true.
        _following("scale_decoder_outputs", True, _is_tied),
        _following("is_gated_act", False, _is_gated),
        _following("dense_act_fn", "relu", _function),
        # Of the encoder alone, transformers 5 says neither.
        Field("is_encoder_decoder", True, counts=False),
        Field("use_cache", True, counts=False),
        Field("pad_token_id", 0),
        Field("bos_token_id", None, when=is_stated("bos_token_id"), counts=False),
        Field("eos_token_id", 1, counts=False),
        Field("decoder_start_token_id", None, runs=_stated_start, counts=False),
    ),
    constants={"is_decoder": False, "classifier_dropout": 0.0},
    activations=("relu", "gated-gelu", "gated-silu"),
    roles={
        "words": WORDS,
        "query": f"{ENCODER}.0.SelfAttention.q",
        "key": f"{ENCODER}.0.SelfAttention.k",
        "value": f"{ENCODER}.0.SelfAttention.v",
        "attention_out": f"{ENCODER}.0.SelfAttention.o",
        "attention_norm": f"{ENCODER}.0.layer_norm",
        "feed_forward_in": f"{ENCODER}.1.DenseReluDense.wi",
        "feed_forward_out": f"{ENCODER}.1.DenseReluDense.wo",
        "feed_forward_norm": f"{ENCODER}.1.layer_norm",
        "distances": f"encoder.{DISTANCES}",
        "decoder_distances": f"decoder.{DISTANCES}",
        "decoder_query": f"{DECODER}.0.SelfAttention.q",
        "decoder_key": f"{DECODER}.0.SelfAttention.k",
        "decoder_value": f"{DECODER}.0.SelfAttention.v",
        "decoder_attention_out": f"{DECODER}.0.SelfAttention.o",
        "cross_query": f"{DECODER}.1.EncDecAttention.q",
        "cross_key": f"{DECODER}.1.EncDecAttention.k",
        "cross_value": f"{DECODER}.1.EncDecAttention.v",
        "cross_attention_out": f"{DECODER}.1.EncDecAttention.o",
        "cross_attention_norm": f"{DECODER}.1.layer_norm",
        "decoder_feed_forward_in": f"{DECODER}.2.DenseReluDense.wi",
        "decoder_feed_forward_norm": f"{DECODER}.2.layer_norm",
    },
    check_configuration=_check,
    declared_differences=(
        DeclaredDifference(
            "single_precision",
            "both libraries' norms take the variance in float32 whatever the type of the weights, and PaddleNLP's and "
            "older transformers' attention the softmax: float64 is proven with these casts lifted in both, and "
            "float32 as it is; measured is the difference of float64 without in Hugging Face's class",
            lifted=("T5LayerNorm", "T5Attention"),
            lifted_in_paddle=("T5LayerNorm", "T5Attention"),
        ),
    ),
    defaults=Defaults(masks_padding=False, makes_decoder_ids=False),
    arguments=("input_ids", "attention_mask", "decoder_input_ids"),
    decoder_start=_start,
    final_norm=True,
    reach=_FURTHEST,
    tokenizer=TokenizerFacts(
        (
            TokenizerClass(
                "T5Tokenizer",
                (SENTENCEPIECE,),
                gives_types=False,
                asked_types=True,
                cuts_off=True,
                layout=Layout(("A", "eos_token"), ("A", "eos_token", "B", "eos_token"), None),
                pieces=Pieces(
                    tokens={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
                    defaults={"do_lower_case": False, "keep_accents": True},
                    extra_ids=100,
                    ends_once=True,
                    parts_special=True,
                ),
            ),
        ),
        "T5Tokenizer",
        settings={"do_lower_case": False},
    ),
    small={
        "vocab_size": 50,
        HIDDEN: 24,
        "d_kv": 6,
        "num_hidden_layers": 3,
        "decoder_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 36,
        "bos_token_id": 0,
    },
    variants={
        "a head of its own": {"tie_word_embeddings": False, "hidden_act": "gated-gelu"},
        "other buckets": {
            **{"num_hidden_layers": 4, "decoder_layers": 1, "hidden_act": "gated-silu", "d_kv": 5},
            **{"relative_attention_num_buckets": 20, "relative_attention_max_distance": 40, "bos_token_id": 7},
        },
    },
    citation=(
        "@article{raffel2020exploring,",
        "  title   = {Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer},",
        "  author  = {Raffel, Colin and Shazeer, Noam and Roberts, Adam and Lee, Katherine and Narang, Sharan and",
        "             Matena, Michael and Zhou, Yanqi and Li, Wei and Liu, Peter J.},",
        "  journal = {Journal of Machine Learning Research},",
        "  volume  = {21},",
        "  number  = {140},",
        "  pages   = {1--67},",
        "  year    = {2020}",
        "}",
    ),
)
