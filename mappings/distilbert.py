"""DistilBERT: from PaddleNLP's models and tokenizers to Hugging Face's, whose configuration has other names."""

from __future__ import annotations

from dataclasses import replace

from .language import encoders
from .language.checks import backbone_alone, check_heads, gelu_always
from .language.family import Defaults, Family, Model
from .language.fields import Field, never
from .language.limits import Limits
from .language.rows import Embedding, Linear, Norm, Parameter, Tied
from .language.rules import BACKBONE
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts
from .language.transforms import TRANSPOSE

TORCH = "transformer.layer.{layer}"


DISTILBERT = Family(
    name="distilbert",
    base="DistilBertModel",
    source_prefix="distilbert.",
    target_prefix="distilbert.",
    repeat=encoders.REPEAT,
    backbone=(
        encoders.POSITION_IDS,
        Embedding("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        Embedding("embeddings.position_embeddings", "max_position_embeddings", "hidden_size"),
        Norm("embeddings.layer_norm", "hidden_size", "embeddings.LayerNorm"),
        Linear(f"{encoders.PADDLE}.self_attn.q_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.q_lin"),
        Linear(f"{encoders.PADDLE}.self_attn.k_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.k_lin"),
        Linear(f"{encoders.PADDLE}.self_attn.v_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.v_lin"),
        Linear(f"{encoders.PADDLE}.self_attn.out_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.out_lin"),
        Norm(f"{encoders.PADDLE}.norm1", "hidden_size", f"{TORCH}.sa_layer_norm"),
        Linear(f"{encoders.PADDLE}.linear1", "hidden_size", "intermediate_size", f"{TORCH}.ffn.lin1"),
        Linear(f"{encoders.PADDLE}.linear2", "intermediate_size", "hidden_size", f"{TORCH}.ffn.lin2"),
        Norm(f"{encoders.PADDLE}.norm2", "hidden_size", f"{TORCH}.output_layer_norm"),
    ),
    pooler=(),
    models=(
        Model("DistilBertModel", pooler=False, returns=("last_hidden_state",)),
        Model(
            "DistilBertForMaskedLM",
            pooler=False,
            head=(
                Linear("vocab_transform", "hidden_size", "hidden_size"),
                Norm("vocab_layer_norm", "hidden_size"),
                Parameter("vocab_projector.bias", ("vocab_size",)),
                # PaddleNLP's class trains it by itself, as a linear layer.
                Tied(
                    "vocab_projector.weight",
                    BACKBONE + "embeddings.word_embeddings.weight",
                    ("hidden_size", "vocab_size"),
                    untied="vocab_projector.weight",
                    transform=TRANSPOSE,
                ),
            ),
            auto_class="AutoModelForMaskedLM",
            refuses=gelu_always("PaddleNLP", "Hugging Face", backbone_alone("distilbert")),
            returns=("mlm_logits",),
        ),
        Model(
            "DistilBertForSequenceClassification",
            pooler=False,
            head=(
                Linear("pre_classifier", "hidden_size", "hidden_size"),
                Linear("classifier", "hidden_size", "num_labels"),
            ),
            auto_class="AutoModelForSequenceClassification",
            returns=("logits",),
        ),
        replace(encoders.token_classification("DistilBert", "DistilBert"), returns=("logits",)),
        replace(encoders.question_answering("DistilBert", "DistilBert"), returns=("start_logits", "end_logits")),
    ),
    fields=(
        Field("vocab_size", 30522),
        Field("hidden_size", 768, target="dim"),
        Field("num_hidden_layers", 6, target="n_layers"),
        Field("num_attention_heads", 12, target="n_heads"),
        Field("intermediate_size", 3072, target="hidden_dim"),
        Field("hidden_act", "gelu", target="activation"),
        Field("hidden_dropout_prob", 0.1, target="dropout", counts=False),
        Field("attention_probs_dropout_prob", 0.1, target="attention_dropout", counts=False),
        Field("max_position_embeddings", 512),
        Field("initializer_range", 0.02, counts=False),
        Field("classifier_dropout", None, when=never, counts=False),
        Field("pad_token_id", 0),
    ),
    constants={"sinusoidal_pos_embds": False, "qa_dropout": 0.1, "seq_classif_dropout": 0.2},
    # Both libraries normalise with 1e-12 whatever PaddleNLP's configuration says.
    left_out=("layer_norm_eps", "type_vocab_size", "pool_act", "fuse", "use_cache"),
    source_constants={"layer_norm_eps": 1e-12, "pool_act": "tanh", "fuse": False, "use_cache": False},
    activations=encoders.ACTIVATIONS,
    roles={role: module for role, module in encoders.ROLES.items() if role not in ("token_types", "pooler")},
    check_configuration=check_heads,
    defaults=Defaults(masks_padding=True),
    arguments=("input_ids", "attention_mask"),
    limits=Limits(positions="PaddleNLP's model takes none"),
    tokenizer=TokenizerFacts(
        (TokenizerClass("DistilBertTokenizer", (WORDPIECE,), gives_types=False),),
        "DistilBertTokenizer",
        published={"distilbert-base-cased": {"do_lower_case": False}},
        settings={"do_lower_case": True},
    ),
    small={name: size for name, size in encoders.SMALL.items() if name != "type_vocab_size"},
    variants=encoders.VARIANTS,
    citation=(
        "@article{sanh2019distilbert,",
        "  title   = {{DistilBERT}, a distilled version of {BERT}: smaller, faster, cheaper and lighter},",
        "  author  = {Sanh, Victor and Debut, Lysandre and Chaumond, Julien and Wolf, Thomas},",
        "  journal = {arXiv preprint arXiv:1910.01108},",
        "  year    = {2019},",
        "  url     = {https://arxiv.org/abs/1910.01108}",
        "}",
    ),
)
