"""The head that writes the structure of a table token by token (SLAHead in ppocr/modeling/heads/table_att_head.py, its
cell in rec_att_head.py), which SLANet and SLANeXt share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ....errors import ConfigurationError
from ...language.images.network import Constant, Shapes, Sizes
from ...language.rows import Dropped, Linear, Parameter, Row
from ...language.transforms import TRANSPOSE

CELL, LOGITS = "head.structure_attention_cell", "head.structure_generator"
"""Attention with a GRU, and what makes scores of tokens of its state; both frameworks call them so."""

BOXES = "head.loc_generator."

BOXES_REASON = (
    "THE BOXES OF THE CELLS ARE LOST: PaddleOCR's network gives one for each cell beside the table's structure, and "
    "transformers' class has no such part; the structure is kept"
)

LENGTH = 500
"""The most tokens of a table: no tensor tells, and all of PaddleOCR's configurations have it (configs/table)."""

USUAL_BOX = 8
"""Numbers of a box where no tensor tells: four corners."""

DOUBLE = Constant(
    "head in float32",
    "transformers computes the head, its weights included, in float32 whatever the model computes in, PaddleOCR in the "
    "same",
    "double",
    r"^head \(",
)


def measure(shapes: Shapes) -> dict[str, Any] | None:
    """The widths, the number of tokens, and what places the cells; None where this is another head. Raises
    ConfigurationError for a head that attends to the picture once more."""
    inputs, scores = shapes.get(f"{CELL}.i2h.weight"), shapes.get(f"{LOGITS}.1.weight")
    if inputs is None or scores is None or len(inputs) != 2 or len(scores) != 2:
        return None
    if more := next((name for name in shapes if name.startswith("head.cross_atten.")), None):
        raise ConfigurationError(f"{more}: the head was trained with use_attn, which transformers' class does not have")
    return {
        "features": inputs[0],
        "hidden": inputs[1],
        "classes": scores[1],
        "boxes": {name: shape for name, shape in shapes.items() if name.startswith(BOXES)},
    }


def configuration(sizes: Sizes) -> dict[str, Any]:
    """The fields of config.json that concern the head."""
    return {
        "post_conv_out_channels": sizes["features"],
        "hidden_size": sizes["hidden"],
        "out_channels": sizes["classes"],
        "max_text_length": LENGTH,
    }


def architecture(sizes: Sizes) -> dict[str, Any]:
    """The section Head of PaddleOCR's training configuration."""
    return {
        "name": "SLAHead",
        "hidden_size": sizes["hidden"],
        "max_text_length": LENGTH,
        "loc_reg_num": sizes["boxes"].get(f"{BOXES}1.bias", (USUAL_BOX,))[0],
        "out_channels": sizes["classes"],
        "use_attn": False,
    }


def rows(sizes: Sizes) -> Iterator[Row]:
    """The head's rows. The GRU's weights are held as [outputs, inputs] by Paddle too."""
    features, hidden, classes = sizes["features"], sizes["hidden"], sizes["classes"]
    yield Parameter(f"{CELL}.i2h.weight", (features, hidden), f"{CELL}.input_to_hidden.weight", TRANSPOSE)
    yield Linear(f"{CELL}.h2h", hidden, hidden, f"{CELL}.hidden_to_hidden")
    yield Parameter(f"{CELL}.score.weight", (hidden, 1), transform=TRANSPOSE)
    for side, width in (("ih", features + classes), ("hh", hidden)):
        yield Parameter(f"{CELL}.rnn.weight_{side}", (3 * hidden, width))
        yield Parameter(f"{CELL}.rnn.bias_{side}", (3 * hidden,))
    yield Linear(f"{LOGITS}.0", hidden, hidden, f"{LOGITS}.fc1")
    yield Linear(f"{LOGITS}.1", hidden, classes, f"{LOGITS}.fc2")
    for name, shape in sizes["boxes"].items():
        yield Dropped(Parameter(name, shape), BOXES_REASON)
