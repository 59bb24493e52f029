"""What families share whose models are PaddleNLP's `nn.TransformerEncoder` behind three tables of embeddings: rows,
roles, fields, and the usual heads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .beside import Probabilities
from .family import DeclaredDifference, Model
from .fields import Field
from .rows import Embedding, Ignored, Joined, Linear, Made, Norm, Parameter, Row, Tied, When, is_set
from .rules import BACKBONE
from .transforms import TRANSPOSE, Chain, Concatenate

PADDLE = "encoder.layers.{layer}"
TORCH = "encoder.layer.{layer}"

REPEAT: Mapping[str, str] = {"layer": "num_hidden_layers"}

POSITION_IDS = Ignored("embeddings.position_ids", (1, "max_position_embeddings"))
"""A buffer that older files of Hugging Face's hold."""

STORED_POSITION_IDS = Ignored("embeddings.position_ids", (1, "max_position_embeddings"), stored=True)
"""The same buffer where PaddleNLP's files hold it too."""

TYPES = Embedding("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size")

TYPES_IF_ANY = When(
    is_set("type_vocab_size"), (TYPES,), (Made("embeddings.token_type_embeddings.weight", (1, "hidden_size")),)
)
"""PaddleNLP's class has no such table where there are no types; Hugging Face's has one in any case."""

LAYERS: tuple[Row, ...] = (
    Linear(f"{PADDLE}.self_attn.q_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.self.query"),
    Linear(f"{PADDLE}.self_attn.k_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.self.key"),
    Linear(f"{PADDLE}.self_attn.v_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.self.value"),
    Linear(f"{PADDLE}.self_attn.out_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.output.dense"),
    Norm(f"{PADDLE}.norm1", "hidden_size", f"{TORCH}.attention.output.LayerNorm"),
    Linear(f"{PADDLE}.linear1", "hidden_size", "intermediate_size", f"{TORCH}.intermediate.dense"),
    Linear(f"{PADDLE}.linear2", "intermediate_size", "hidden_size", f"{TORCH}.output.dense"),
    Norm(f"{PADDLE}.norm2", "hidden_size", f"{TORCH}.output.LayerNorm"),
)


def tables(size: str = "hidden_size", types: Row | None = None) -> tuple[Row, ...]:
    """The three tables of embeddings, of this width; some families have `types` in another form."""
    return (
        Embedding("embeddings.word_embeddings", "vocab_size", size),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", size),
        types or Embedding("embeddings.token_type_embeddings", "type_vocab_size", size),
    )


def backbone(types: Row = TYPES) -> tuple[Row, ...]:
    """The tables, of which some families have `types` in another form, and the layers."""
    return (
        *tables(types=types),
        Norm("embeddings.layer_norm", "hidden_size", "embeddings.LayerNorm"),
        *LAYERS,
    )


def unlike_embeddings(configuration: Mapping[str, Any]) -> bool:
    """Whether the layers are not as wide as the embeddings."""
    return bool(configuration["embedding_size"] != configuration["hidden_size"])


PROJECTION = When(unlike_embeddings, (Linear("embeddings_project", "embedding_size", "hidden_size"),))
"""What leads embeddings of another width to that of the layers."""

POOLER: tuple[Row, ...] = (Linear("pooler.dense", "hidden_size", "hidden_size"),)


def repeated_bias(bias: str, again: str = "cls.predictions.decoder.bias", foreign: bool = False) -> Row:
    """The bias of a decoder, which Hugging Face's files may hold under a second name: only they do where it is
    `foreign`."""
    return Tied(again, bias, ("vocab_size",), optional=True, repeated=again, foreign=foreign)


MLM_HEAD: tuple[Row, ...] = (
    Linear("cls.predictions.transform", "hidden_size", "hidden_size", "cls.predictions.transform.dense"),
    Norm("cls.predictions.layer_norm", "hidden_size", "cls.predictions.transform.LayerNorm"),
    Parameter("cls.predictions.decoder_bias", ("vocab_size",), "cls.predictions.bias"),
    repeated_bias("cls.predictions.decoder_bias"),
    Tied(
        "cls.predictions.decoder.weight",
        BACKBONE + "embeddings.word_embeddings.weight",
        ("vocab_size", "hidden_size"),
        untied="cls.predictions.decoder.weight",
        optional=True,
        copies=(("cls.predictions.decoder_bias", "cls.predictions.decoder.bias"),),
    ),
)


def tied_mlm_head(transform: str, size: str = "hidden_size") -> tuple[Row, ...]:
    """The head of a class whose decoder is the table of words itself, of this width; `transform` is what PaddleNLP
    calls the linear layer before it."""
    return (
        Linear(transform, "hidden_size", size, "cls.predictions.transform.dense"),
        Norm("cls.predictions.layer_norm", size, "cls.predictions.transform.LayerNorm"),
        Parameter("cls.predictions.decoder_bias", ("vocab_size",), "cls.predictions.bias"),
        repeated_bias("cls.predictions.decoder_bias", foreign=True),
        # One parameter in PaddleNLP's class.
        Tied(
            "cls.predictions.decoder_weight",
            BACKBONE + "embeddings.word_embeddings.weight",
            ("vocab_size", size),
            optional=True,
            repeated="cls.predictions.decoder.weight",
        ),
    )


GENERATOR_HEAD: tuple[Row, ...] = (
    Linear("generator_predictions.dense", "hidden_size", "embedding_size"),
    Norm("generator_predictions.layer_norm", "embedding_size", "generator_predictions.LayerNorm"),
    Parameter("generator_lm_head_bias", ("vocab_size",), "generator_lm_head.bias"),
    # PaddleNLP's class computes with the table itself.
    Tied(
        "generator_lm_head.weight",
        BACKBONE + "embeddings.word_embeddings.weight",
        ("vocab_size", "embedding_size"),
        optional=True,
        repeated="generator_lm_head.weight",
        foreign=True,
    ),
)
"""The head for masked words of a generator, which is trained beside a discriminator."""

LAYER_ROLES: Mapping[str, str] = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "attention_out": "self_attn.out_proj",
    "attention_norm": "norm1",
    "feed_forward_in": "linear1",
    "feed_forward_out": "linear2",
    "feed_forward_norm": "norm2",
}
"""Those of the modules of a layer."""

ROLES: Mapping[str, str] = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    **{role: f"{PADDLE}.{module}" for role, module in LAYER_ROLES.items()},
    "pooler": "pooler.dense",
}

ACTIVATIONS = ("gelu", "relu")
"""PaddleNLP looks the name up in paddle.nn.functional, which knows these."""

_FIELDS = (
    Field("vocab_size", 30522),
    Field("hidden_size", 768),
    Field("num_hidden_layers", 12),
    Field("num_attention_heads", 12),
    Field("intermediate_size", 3072),
    Field("hidden_act", "gelu"),
    Field("hidden_dropout_prob", 0.1, counts=False),
    Field("attention_probs_dropout_prob", 0.1, counts=False),
    Field("max_position_embeddings", 512),
    Field("type_vocab_size", 2),
    Field("initializer_range", 0.02, counts=False),
    Field("layer_norm_eps", 1e-12),
    Field("classifier_dropout", None, counts=False),
    Field("pad_token_id", 0),
)


def fields(*own: Field, without: Collection[str] = ()) -> tuple[Field, ...]:
    """The fields of most of them but for those in `without`, and a family's `own`: in place of those of the same name,
    or behind them."""
    return tuple({entry.name: entry for entry in (*_FIELDS, *own) if entry.name not in without}.values())


PADDING_ROW = DeclaredDifference(
    "padding_row",
    "PaddleNLP makes the embedding of the padding id zero, PyTorch reads the stored row: the row is kept, and hidden "
    "states are compared at attended positions",
    padding=True,
)
"""Of families whose table of words has a `padding_idx` in PaddleNLP."""

ZEROED_PADDING_ROW = DeclaredDifference(
    "padding_row",
    "PaddleNLP makes the embedding of the padding id zero, PyTorch reads the stored row, and it reaches attended "
    "positions: the row is written as zeros, every position is compared, and what a file holds in that row is lost and "
    "does not come back; on the way to PaddleNLP a row that holds anything else is refused",
    padding=True,
)
"""Of families that mix neighbouring tokens before or beside their attention, with `zero_padding_row`."""

SMALL: Mapping[str, int] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 36,
    "max_position_embeddings": 30,
    "type_vocab_size": 2,
}

VARIANTS: Mapping[str, Mapping[str, int]] = {
    f"{layers} layers": {"num_hidden_layers": layers, "num_labels": labels}
    for layers, labels in ((1, 1), (3, 2), (11, 5))
}


def base(source: str, target: str) -> Model:
    """The backbone alone. `source` and `target` are what the names of PaddleNLP's and of Hugging Face's classes begin
    with, here and below."""
    return Model(f"{source}Model", f"{target}Model")


def pretraining(source: str, target: str) -> Model:
    """Masked words, and whether one sentence follows the other."""
    return Model(
        f"{source}ForPretraining",
        f"{target}ForPreTraining",
        head=(*MLM_HEAD, Linear("cls.seq_relationship", "hidden_size", 2)),
        auto_class="AutoModelForPreTraining",
    )


def masked_lm(source: str, target: str) -> Model:
    """Masked words."""
    return Model(
        f"{source}ForMaskedLM", f"{target}ForMaskedLM", pooler=False, head=MLM_HEAD, auto_class="AutoModelForMaskedLM"
    )


def sequence_classification(source: str, target: str) -> Model:
    """A label of the whole text, from the pooler."""
    return Model(
        f"{source}ForSequenceClassification",
        f"{target}ForSequenceClassification",
        head=(Linear("classifier", "hidden_size", "num_labels"),),
        auto_class="AutoModelForSequenceClassification",
    )


def token_classification(source: str, target: str) -> Model:
    """A label of each token."""
    return Model(
        f"{source}ForTokenClassification",
        f"{target}ForTokenClassification",
        pooler=False,
        head=(Linear("classifier", "hidden_size", "num_labels"),),
        auto_class="AutoModelForTokenClassification",
    )


def question_answering(source: str, target: str) -> Model:
    """Where an answer begins and ends."""
    return Model(
        f"{source}ForQuestionAnswering",
        f"{target}ForQuestionAnswering",
        pooler=False,
        head=(Linear("classifier", "hidden_size", 2, "qa_outputs"),),
        auto_class="AutoModelForQuestionAnswering",
        labels=2,
    )


def multiple_choice(source: str, target: str) -> Model:
    """One of several texts, from the pooler."""
    return Model(
        f"{source}ForMultipleChoice",
        f"{target}ForMultipleChoice",
        head=(Linear("classifier", "hidden_size", 1),),
        auto_class="AutoModelForMultipleChoice",
    )


def spans(source: str, target: str) -> Model:
    """Where texts of one kind begin and end, each position for itself: the class `source`, which answers with
    probabilities, has a matrix of one column for either, and Hugging Face's for question answering one of both."""
    column = ("hidden_size", 1)
    return Model(
        source,
        f"{target}ForQuestionAnswering",
        pooler=False,
        head=(
            Joined(
                ("linear_start.weight", "linear_end.weight"),
                "qa_outputs.weight",
                (column, column),
                Chain((Concatenate(1), TRANSPOSE)),
            ),
            Joined(("linear_start.bias", "linear_end.bias"), "qa_outputs.bias", ((1,), (1,)), Concatenate()),
        ),
        auto_class="AutoModelForQuestionAnswering",
        labels=2,
        probabilities=Probabilities(
            {"start_prob": "start_logits", "end_prob": "end_logits"}, ("linear_start", "linear_end")
        ),
    )
