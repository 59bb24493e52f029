"""The head that recognises a line of text: SVTR blocks and a classifier of characters, trained with CTC
(EncoderWithSVTR in ppocr/modeling/necks/rnn.py, CTCHead and MultiHead in ppocr/modeling/heads)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ....errors import ConfigurationError
from ...language.images.network import EPSILON, Constant, Shapes, Sizes
from ...language.images.rows import BatchNorm, Convolution
from ...language.rows import Dropped, Linear, Norm, Parameter, Row

ENCODER, CLASSIFIER, LOGITS = "head.ctc_encoder.encoder", "head.ctc_head.fc", "head.head"
"""Of PaddleOCR's network the encoder and the classifier of characters, and transformers' name of the latter."""

HEADS, MLP_RATIO = 8, 2
"""Fixed in PaddleOCR's code, where no training configuration of PP-OCR changes them."""

GUIDES = ("head.before_gtc.", "head.gtc_head.", "head.sar_head.")
"""What guides the training and is not run afterwards."""

GUIDE_REASON = "it guides the training alone, and no class of transformers has it"

BLOCK_EPSILON = Constant(
    "LayerNorm epsilon of the SVTR blocks",
    "PaddleOCR's blocks have a LayerNorm epsilon of 1e-5 and the norm behind them 1e-6; transformers has one field for "
    "both, and 1e-5 is the closer one",
    "epsilon",
    r"head\.encoder\.svtr_block\..* \(LayerNorm\)$",
    EPSILON,
    own=(1e-5, 1e-6),
)

LAST_EPSILON = Constant(
    "LayerNorm epsilon behind the SVTR blocks",
    "PaddleOCR's blocks have a LayerNorm epsilon of 1e-5 and the norm behind them 1e-6; transformers has one field for "
    "both, and 1e-5 is the closer one",
    "epsilon",
    r"head\.encoder\.norm \(LayerNorm\)$",
    9.999999974752427e-07,
    own=(1e-5, 1e-6),
)

SOFTMAX = Constant(
    "softmax in float32",
    "transformers takes the softmax of the characters in float32 whatever the model computes in, PaddleOCR in the same",
    "double",
    r"^head \(",
)

CONSTANTS = (BLOCK_EPSILON, LAST_EPSILON, SOFTMAX)

LAYER_NORM_EPS = 1e-5
"""What config.json says for both."""


def measure(shapes: Shapes) -> dict[str, Any] | None:
    """The widths, the number of blocks and of classes; None where this is another head."""
    first, second, classifier = (
        shapes.get(f"{ENCODER}.conv1.conv.weight"),
        shapes.get(f"{ENCODER}.conv2.conv.weight"),
        shapes.get(f"{CLASSIFIER}.weight"),
    )
    if first is None or second is None or classifier is None:
        return None
    depth = 0
    while f"{ENCODER}.svtr_block.{depth}.norm1.weight" in shapes:
        depth += 1
    return {
        "channels": first[1],
        "kernel": first[2:],
        "hidden": second[0],
        "depth": depth,
        "width": classifier[0],
        "classes": classifier[1],
        "guide": {name: shape for name, shape in shapes.items() if name.startswith(GUIDES)},
    }


def usual_sizes(channels: int, classes: int) -> dict[str, Any]:
    """The sizes of the head in PP-OCR's own configurations, behind a backbone of so many channels."""
    usual = {"kernel": (1, 3), "hidden": 120, "depth": 2, "width": 120, "guide": {}}
    return {"channels": channels, "classes": classes, **usual}


def refuse_others(sizes: Sizes) -> None:
    """Raise ConfigurationError for sizes that transformers' classes cannot have. To be called once the backbone is
    known: the networks of PP-OCRv3 have such heads, and no class there."""
    if sizes["width"] != sizes["hidden"]:
        raise ConfigurationError(
            f"the head's encoder has dims {sizes['width']} and hidden_dims {sizes['hidden']}; transformers has one "
            "hidden_size for both"
        )


def configuration(sizes: Sizes) -> dict[str, Any]:
    """The fields of config.json that concern the head."""
    return {
        "hidden_act": "silu",
        "hidden_size": sizes["hidden"],
        "mlp_ratio": float(MLP_RATIO),
        "depth": sizes["depth"],
        "head_out_channels": sizes["classes"],
        "conv_kernel_size": list(sizes["kernel"]),
        "qkv_bias": True,
        "num_attention_heads": HEADS,
        "attention_dropout": 0.0,
        "layer_norm_eps": LAYER_NORM_EPS,
    }


def architecture(sizes: Sizes) -> dict[str, Any]:
    """The section Head of PaddleOCR's training configuration."""
    neck = {
        "name": "svtr",
        "dims": sizes["width"],
        "depth": sizes["depth"],
        "hidden_dims": sizes["hidden"],
        "kernel_size": list(sizes["kernel"]),
        "use_guide": True,
    }
    return {
        "name": "MultiHead",
        "head_list": [
            {"CTCHead": {"Neck": neck, "Head": {}}},
            # The guide is no part of the comparison: a small one makes the class whole.
            {"NRTRHead": {"nrtr_dim": 32, "max_text_length": 25}},
        ],
        "out_channels_list": {"CTCLabelDecode": sizes["classes"], "SARLabelDecode": 8, "NRTRLabelDecode": 8},
    }


def rows(sizes: Sizes) -> Iterator[Row]:
    """The head's rows."""
    channels, hidden, kernel = sizes["channels"], sizes["hidden"], sizes["kernel"]
    less = channels // 8
    for number, (name, shape) in enumerate(
        {
            "conv1": (less, channels, *kernel),
            "conv2": (hidden, less, 1, 1),
            "conv3": (channels, hidden, 1, 1),
            "conv4": (less, 2 * channels, *kernel),
            "conv1x1": (sizes["width"], less, 1, 1),
        }.items()
    ):
        target = f"head.encoder.conv_block.{number}"
        yield Convolution(f"{ENCODER}.{name}.conv", shape, f"{target}.convolution")
        yield BatchNorm(f"{ENCODER}.{name}.norm", shape[0], f"{target}.normalization")
    for number in range(sizes["depth"]):
        here, there = f"{ENCODER}.svtr_block.{number}", f"head.encoder.svtr_block.{number}"
        yield Norm(f"{here}.norm1", hidden, f"{there}.layer_norm1")
        yield Linear(f"{here}.mixer.qkv", hidden, 3 * hidden, f"{there}.self_attn.qkv")
        yield Linear(f"{here}.mixer.proj", hidden, hidden, f"{there}.self_attn.projection")
        yield Norm(f"{here}.norm2", hidden, f"{there}.layer_norm2")
        yield Linear(f"{here}.mlp.fc1", hidden, MLP_RATIO * hidden, f"{there}.mlp.fc1")
        yield Linear(f"{here}.mlp.fc2", MLP_RATIO * hidden, hidden, f"{there}.mlp.fc2")
    yield Norm(f"{ENCODER}.norm", hidden, "head.encoder.norm")
    yield Linear(CLASSIFIER, sizes["width"], sizes["classes"], LOGITS)
    for name, shape in sizes["guide"].items():
        yield Dropped(Parameter(name, shape), GUIDE_REASON)
