"""ConvBERT: from PaddleNLP's models to Hugging Face's. Half of the heads are convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from .language import encoders
from .language.checks import backbone_alone, check_heads, gelu_always
from .language.family import Defaults, Family, Model
from .language.fields import Field, never
from .language.limits import Limits
from .language.rows import Following, Linear, Norm, Parameter, Row
from .language.tokenizers import WORDPIECE, TokenizerClass, TokenizerFacts
from .language.transforms import Reshape

PADDLE, TORCH = encoders.PADDLE, encoders.TORCH
ATTENTION, SELF = f"{PADDLE}.self_attn", f"{TORCH}.attention.self"


def _check(configuration: Mapping[str, Any]) -> None:
    check_heads(configuration)
    if configuration["head_ratio"] != 2 or configuration["num_attention_heads"] % 2:
        raise ConfigurationError(
            f"head_ratio is {configuration['head_ratio']} and num_attention_heads "
            f"{configuration['num_attention_heads']}; only 2 and an even number are known to be equal in both "
            "frameworks"
        )
    kernel, groups = configuration["conv_kernel_size"], configuration["num_groups"]
    if not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
        raise ConfigurationError(f"conv_kernel_size is {kernel!r}; an odd number is needed")
    for size in ("hidden_size", "intermediate_size"):
        if not isinstance(groups, int) or groups < 1 or configuration[size] % groups:
            raise ConfigurationError(f"num_groups is {groups!r}, which does not divide {size} {configuration[size]}")


def _attention(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """The heads that attend and those that are convolutions, one half each."""
    half = int(configuration["hidden_size"]) // 2
    kernel = int(configuration["conv_kernel_size"])
    kernels = int(configuration["num_attention_heads"]) // 2 * kernel
    layer, target = f"{ATTENTION}.key_conv_attn_layer", f"{SELF}.key_conv_attn_layer"
    return (
        Linear(f"{ATTENTION}.q_proj", "hidden_size", half, f"{SELF}.query"),
        Linear(f"{ATTENTION}.k_proj", "hidden_size", half, f"{SELF}.key"),
        Linear(f"{ATTENTION}.v_proj", "hidden_size", half, f"{SELF}.value"),
        Parameter(f"{layer}.depthwise.weight", ("hidden_size", 1, kernel), f"{target}.depthwise.weight"),
        Parameter(f"{layer}.pointwise.weight", (half, "hidden_size", 1), f"{target}.pointwise.weight"),
        Parameter(f"{layer}.bias", (half,), f"{target}.bias", Reshape((half, 1))),
        Linear(f"{ATTENTION}.conv_kernel_layer", half, kernels, f"{SELF}.conv_kernel_layer"),
        Linear(f"{ATTENTION}.conv_out_layer", "hidden_size", half, f"{SELF}.conv_out_layer"),
    )


def _feed_forward(configuration: Mapping[str, Any]) -> tuple[Row, ...]:
    """Two linear layers, or two in groups, which neither library transposes."""
    parts = (
        (f"{PADDLE}.linear1", "hidden_size", "intermediate_size", f"{TORCH}.intermediate.dense"),
        (f"{PADDLE}.linear2", "intermediate_size", "hidden_size", f"{TORCH}.output.dense"),
    )
    groups = int(configuration["num_groups"])
    if groups == 1:
        return tuple(Linear(*part) for part in parts)
    return tuple(
        row
        for source, inputs, outputs, target in parts
        for row in (
            Parameter(
                f"{source}.weight",
                (groups, int(configuration[inputs]) // groups, int(configuration[outputs]) // groups),
                f"{target}.weight",
            ),
            Parameter(f"{source}.bias", (outputs,), f"{target}.bias"),
        )
    )


CONVBERT = Family(
    name="convbert",
    base="ConvBertModel",
    source_prefix="convbert.",
    target_prefix="convbert.",
    repeat=encoders.REPEAT,
    backbone=(
        *encoders.tables("embedding_size"),
        Norm("embeddings.layer_norm", "embedding_size", "embeddings.LayerNorm"),
        encoders.PROJECTION,
        Following("encoder.layers.{layer}.self_attn", _attention),
        Linear(f"{ATTENTION}.out_proj", "hidden_size", "hidden_size", f"{TORCH}.attention.output.dense"),
        Norm(f"{PADDLE}.norm1", "hidden_size", f"{TORCH}.attention.output.LayerNorm"),
        Following("encoder.layers.{layer}.linear", _feed_forward),
        Norm(f"{PADDLE}.norm2", "hidden_size", f"{TORCH}.output.LayerNorm"),
    ),
    pooler=encoders.POOLER,
    models=(
        Model("ConvBertModel", pooler=False),
        Model(
            "ConvBertGenerator",
            "ConvBertForMaskedLM",
            pooler=False,
            head=encoders.GENERATOR_HEAD,
            auto_class="AutoModelForMaskedLM",
            refuses=gelu_always("Hugging Face", "PaddleNLP", backbone_alone("convbert")),
            gives_pooled=True,
        ),
        encoders.token_classification("ConvBert", "ConvBert"),
        encoders.question_answering("ConvBert", "ConvBert"),
    ),
    refused={
        "ConvBertForSequenceClassification": "PaddleNLP's head starts from its pooler, which Hugging Face's class does "
        f"not have; {backbone_alone('convbert')}",
        "ConvBertForMultipleChoice": "it runs only with a field that PaddleNLP's configuration does not have; "
        + backbone_alone("convbert"),
        "ConvBertDiscriminator": f"PaddleNLP 2.8.1 cannot run it; {backbone_alone('convbert')}",
        **dict.fromkeys(
            ("ConvBertForTotalPretraining", "ConvBertForPretraining"),
            "it is two models in one, a generator and a discriminator, and PaddleNLP 2.8.1 cannot run the latter; save "
            "the generator with PaddleNLP's model.generator.save_pretrained and convert that folder",
        ),
    },
    fields=encoders.fields(
        Field("pad_token_id", 0, 1),
        # Of the pooler, which is dropped.
        Field("pool_act", "tanh", when=never, counts=False),
        Field("embedding_size", 768),
        Field("conv_kernel_size", 9),
        Field("head_ratio", 2),
        Field("num_groups", 1),
        Field("bos_token_id", None, 0, counts=False),
        Field("eos_token_id", None, 2, counts=False),
    ),
    constants={},
    activations=encoders.ACTIVATIONS,
    roles=encoders.ROLES,
    check_configuration=_check,
    declared_differences=(encoders.ZEROED_PADDING_ROW,),
    defaults=Defaults(masks_padding=True),
    arguments=("input_ids", "attention_mask", "token_type_ids"),
    limits=Limits(positions="PaddleNLP's model counts them itself and ignores those that it is given"),
    zero_padding_row=True,
    tokenizer=TokenizerFacts(
        (TokenizerClass("ConvBertTokenizer", (WORDPIECE,)),),
        "ConvBertTokenizer",
        settings={"do_lower_case": True},
    ),
    small={**encoders.SMALL, "embedding_size": 12, "conv_kernel_size": 5, "num_groups": 2},
    variants={
        "equal widths": {"embedding_size": 24, "num_groups": 1, "num_hidden_layers": 1, "num_labels": 1},
        "wide kernels": {"conv_kernel_size": 9, "num_groups": 4, "num_labels": 5, "hidden_act": "relu"},
    },
    citation=(
        "@inproceedings{jiang2020convbert,",
        "  title     = {{ConvBERT}: Improving {BERT} with Span-based Dynamic Convolution},",
        "  author    = {Jiang, Zi-Hang and Yu, Weihao and Zhou, Daquan and Chen, Yunpeng and Feng, Jiashi and Yan,",
        "               Shuicheng},",
        "  booktitle = {Advances in Neural Information Processing Systems},",
        "  volume    = {33},",
        "  pages     = {12837--12848},",
        "  year      = {2020},",
        "  url       = {https://arxiv.org/abs/2008.02496}",
        "}",
    ),
)
