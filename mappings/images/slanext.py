"""SLANeXt, which reads the structure of tables: from PaddleOCR's training network to transformers' class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import ConfigurationError
from ..language.images.network import Constant, Network, Shapes, Sizes, count
from ..language.images.preparation import Preparation, Transforms
from ..language.images.rows import Convolution
from ..language.rows import Dropped, Linear, Norm, Parameter, Row
from .parts import citation, sla_head, table

TOWER, TARGET = "backbone.vision_tower_high", "backbone.vision_tower"

SIDE = 512
"""Height and width of pictures in PaddleOCR's configurations."""

WINDOW, GLOBAL = 14, (2, 5, 8, 11)
"""The side of a window of attention, and the layers that attend to the whole picture: fixed in PaddleOCR's code
(ppocr/modeling/backbones/rec_vary_vit.py), whatever a configuration says."""

UNUSED = f"{TOWER}.net_3."

UNUSED_REASON = "it is for formulas, which share the backbone: no table is read with it"

EPSILON = Constant(
    "LayerNorm epsilon of the backbone's layers",
    "Paddle's kernels take the epsilon of LayerNorm as a float32, transformers as a float64; the norms of the neck are "
    "written out in PaddleOCR and have a float64 too",
    "epsilon",
    r"^backbone\.vision_tower\.layers\..* \(LayerNorm\)$",
    9.999999974752427e-07,
)
"""It is 2.5e-15 off, which shows where the variance before a norm is small: 1e-13 of its result at a hundredth, 1e-12
at a thousandth. Seeded weights make none so small."""

SOFTMAX = Constant(
    "softmax of the backbone's attention in float32",
    "transformers takes the softmax of the backbone's attention in float32 whatever the model computes in, PaddleOCR "
    "in the same",
    "double",
    r"\(SLANeXtVisionAttention\)$",
)


def _measure(shapes: Shapes) -> dict[str, Any] | None:
    head = sla_head.measure(shapes)
    patches, places, after = (
        shapes.get(f"{TOWER}.{name}") for name in ("patch_embed.proj.weight", "pos_embed", "net_2.weight")
    )
    relative = shapes.get(f"{TOWER}.blocks.0.attn.rel_pos_h")
    inner = shapes.get(f"{TOWER}.blocks.0.mlp.lin1.weight")
    if head is None or patches is None or places is None or after is None or relative is None or inner is None:
        return None
    width, _, patch, across = patches
    if places[1] != places[2] or patch != across:
        raise ConfigurationError(
            f"the backbone has {places[1]} x {places[2]} patches of {patch} x {across} points; transformers' class "
            "takes squares alone"
        )
    if width % relative[1]:
        raise ConfigurationError(f"the width {width} is no multiple of {relative[1]}, the width of a head")
    depth = count(shapes, f"{TOWER}.blocks.")
    return {
        **head,
        "width": width,
        "patch": patch,
        "image": places[1] * patch,
        "depth": depth,
        "heads": width // relative[1],
        "inner": inner[1],
        "channels": after[1],
        "global": _global(shapes, depth, places[1]),
        "unused": {name: shape for name, shape in shapes.items() if name.startswith(UNUSED)},
    }


def _global(shapes: Shapes, depth: int, patches: int) -> list[int]:
    """The layers that attend to the whole picture: their relative places tell. Raises ConfigurationError."""
    windowed, whole = 2 * WINDOW - 1, 2 * patches - 1
    lengths = [shapes.get(f"{TOWER}.blocks.{number}.attn.rel_pos_h", (0,))[0] for number in range(depth)]
    for number, length in enumerate(lengths):
        if length not in (windowed, whole):
            raise ConfigurationError(
                f"{TOWER}.blocks.{number}.attn.rel_pos_h has {length} relative places; {windowed} are those of a "
                f"window and {whole} those of the whole picture"
            )
    # Of a picture that is one window, the two compute the same.
    if windowed == whole:
        return [number for number in GLOBAL if number < depth]
    return [number for number, length in enumerate(lengths) if length == whole]


def _rows(sizes: Sizes) -> Iterator[Row]:
    width, channels, patch = sizes["width"], sizes["channels"], sizes["patch"]
    patches = sizes["image"] // patch
    yield Convolution(
        f"{TOWER}.patch_embed.proj",
        (width, 3, patch, patch),
        f"{TARGET}.patch_embed.projection",
        width,
        turned=True,
    )
    yield Parameter(f"{TOWER}.pos_embed", (1, patches, patches, width), f"{TARGET}.pos_embed")
    for number in range(sizes["depth"]):
        yield from _layer(sizes, number, patches if number in sizes["global"] else WINDOW)
    for number, name, shape in (
        (0, "conv1", (channels, width, 1, 1)),
        (2, "conv2", (channels, channels, 3, 3)),
    ):
        yield Convolution(f"{TOWER}.neck.{number}", shape, f"{TARGET}.neck.{name}")
        norm = f"{TARGET}.neck.layer_norm{name[-1]}"
        yield Norm(f"{TOWER}.neck.{number + 1}", channels, norm)
    yield Convolution(f"{TOWER}.net_2", (sizes["features"], channels, 3, 3), "backbone.post_conv")
    for name, shape in sizes["unused"].items():
        yield Dropped(Parameter(name, shape), UNUSED_REASON)
    yield from sla_head.rows(sizes)


def _layer(sizes: Sizes, number: int, side: int) -> Iterator[Row]:
    """A layer that attends to squares of so many patches a side. The tables of relative places stay as they are."""
    here, there, width = f"{TOWER}.blocks.{number}", f"{TARGET}.layers.{number}", sizes["width"]
    yield Norm(f"{here}.norm1", width, f"{there}.layer_norm1")
    yield Linear(f"{here}.attn.qkv", width, 3 * width, f"{there}.attn.qkv")
    yield Linear(f"{here}.attn.proj", width, width, f"{there}.attn.proj")
    for axis in ("h", "w"):
        shape = (2 * side - 1, width // sizes["heads"])
        yield Parameter(f"{here}.attn.rel_pos_{axis}", shape, f"{there}.attn.rel_pos_{axis}")
    yield Norm(f"{here}.norm2", width, f"{there}.layer_norm2")
    yield Linear(f"{here}.mlp.lin1", width, sizes["inner"], f"{there}.mlp.lin1")
    yield Linear(f"{here}.mlp.lin2", sizes["inner"], width, f"{there}.mlp.lin2")


def _configuration(sizes: Sizes) -> dict[str, Any]:
    return {
        "vision_config": {
            "model_type": "slanext_vision",
            "hidden_size": sizes["width"],
            "output_channels": sizes["channels"],
            "num_hidden_layers": sizes["depth"],
            "num_attention_heads": sizes["heads"],
            "num_channels": 3,
            "image_size": sizes["image"],
            "patch_size": sizes["patch"],
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-6,
            "attention_dropout": 0.0,
            "qkv_bias": True,
            "use_abs_pos": True,
            "use_rel_pos": True,
            "window_size": WINDOW,
            "global_attn_indexes": list(sizes["global"]),
            "mlp_dim": sizes["inner"],
        },
        "post_conv_in_channels": sizes["channels"],
        **sla_head.configuration(sizes),
    }


def _architecture(sizes: Sizes) -> dict[str, Any]:
    return {
        "model_type": "table",
        "algorithm": "SLANeXt",
        "Backbone": {
            "name": "Vary_VIT_B",
            "image_size": sizes["image"],
            "encoder_embed_dim": sizes["width"],
            "encoder_depth": sizes["depth"],
            "encoder_num_heads": sizes["heads"],
            "encoder_global_attn_indexes": list(sizes["global"]),
        },
        "Head": sla_head.architecture(sizes),
    }


def _prepare(transforms: Transforms) -> Preparation:
    return table.prepare(transforms, SIDE, square=True)


def _sizes(image: int) -> dict[str, Any]:
    """The sizes of PaddleOCR's own configurations, for pictures of another side: its code builds no smaller layers."""
    return {
        "features": 512,
        "hidden": 512,
        "classes": 50,
        "boxes": {f"{sla_head.BOXES}1.bias": (8,)},
        "width": 768,
        "patch": 16,
        "image": image,
        "depth": 12,
        "heads": 12,
        "inner": 3072,
        "channels": 256,
        "global": list(GLOBAL),
        "unused": {},
    }


SLANEXT = Network(
    name="slanext",
    title="SLANeXt, the structure of tables",
    task="table",
    target="SLANeXtForTableRecognition",
    auto_class="AutoModelForTableRecognition",
    measure=_measure,
    rows=lambda sizes: tuple(_rows(sizes)),
    configuration=_configuration,
    architecture=_architecture,
    constants=(EPSILON, SOFTMAX, sla_head.DOUBLE),
    inputs=((2, 3, SIDE, SIDE),),
    square="image",
    logits=sla_head.LOGITS,
    source_logits=sla_head.LOGITS,
    unread=(sla_head.BOXES, UNUSED),
    official=("SLANeXt_wired", "SLANeXt_wireless"),
    seeded={"SLANeXt_wired": _sizes(SIDE)},
    small=_sizes(4 * 16),
    losses=(sla_head.BOXES_REASON,),
    processor_class=table.PROCESSOR,
    turned=True,
    cautions=table.cautions,
    prepare=_prepare,
    citation=citation.PADDLEOCR,
)
