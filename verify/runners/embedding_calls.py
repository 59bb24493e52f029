"""Puts ids through the embeddings of a model alone: nothing behind them is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from . import layer_calls, outputs, protocol
else:
    # Run beside the scripts, this file is in no package.
    import layer_calls
    import outputs

Inputs = Mapping[str, "protocol.Array"]

BLOCK = 8192
"""Tokens that go through the embeddings at a time, which bounds memory for large vocabularies."""

FEW = 64
"""Tokens of a row where an attention mask is made on the way to the embeddings."""


class Embeddings:
    """The embeddings of the `backbone` of a model with these layers: `stacks` of them, by what stands before the names
    of their states."""

    def __init__(
        self,
        backbone: Any,
        stacks: Mapping[str, Sequence[layer_calls.Step]],
        form: layer_calls.LayerForm,
        to_array: Callable[[Any], Any],
        from_array: Callable[[Any], Any],
    ) -> None:
        self.backbone = backbone
        self.stacks = stacks
        self.form = form
        self._to_array = to_array
        self._from_array = from_array

    def blocks(self, inputs: Inputs) -> Iterator[tuple[str, protocol.Array]]:
        """`embeddings.NNNN` of one long row, of BLOCK tokens each, or of as many whole rows as these are. Behind an
        encoder, those of the decoder are of all its rows at once."""
        behind = {name: array for name, array in inputs.items() if name == "decoder_input_ids"}
        inputs = {name: array for name, array in inputs.items() if name not in behind}
        rows, tokens = inputs["input_ids"].shape
        axis, step = (1, BLOCK) if rows == 1 else (0, max(1, BLOCK // tokens))
        decodes = outputs.DECODER in self.stacks
        for index, start in enumerate(range(0, (rows, tokens)[axis], step)):
            block = np.arange(start, min(start + step, (rows, tokens)[axis]))
            part = {name: np.take(array, block, axis) for name, array in inputs.items()}
            if decodes:
                # One token will do for the decoder here, and for the encoder below.
                part["decoder_input_ids"] = part["input_ids"][:, :1]
            yield f"embeddings.{index:04d}", self._given("", part) if decodes else self._embedded(part)
        if decodes:
            ids = behind["decoder_input_ids"]
            given = {"input_ids": ids[:, :1], "decoder_input_ids": ids}
            yield f"{outputs.DECODER}embeddings.0000", self._given(outputs.DECODER, given)

    def _given(self, stack: str, inputs: Inputs) -> protocol.Array:
        """What the first layer of a stack is given when the model runs."""
        tensors = {name: self._from_array(array) for name, array in inputs.items()}
        return layer_calls.first_given(lambda: self.backbone(**tensors), self.stacks[stack], self.form, self._to_array)

    def _embedded(self, inputs: Inputs) -> protocol.Array:
        """The embeddings of inputs [rows, tokens]: what the module of that name gives, what the first layer takes where
        the backbone itself adds them up, or rows of the table of words where that is all there is."""
        tensors = {name: self._from_array(array) for name, array in inputs.items()}
        if hasattr(self.backbone, "embeddings"):
            return layer_calls.copied(self._to_array(self.backbone.embeddings(**tensors)))
        if "position_ids" not in inputs:
            return layer_calls.copied(self._to_array(self.backbone.get_input_embeddings()(tensors["input_ids"])))
        shape = inputs["input_ids"].shape
        # As rows of few tokens, each of which has its position: an attention mask grows with their square.
        more = -np.prod(shape) % FEW
        taken = self._given(
            "", {name: np.pad(array.reshape(-1), (0, more)).reshape(-1, FEW) for name, array in inputs.items()}
        )
        width = taken.shape[-1]
        return taken.reshape(-1, width)[: np.prod(shape)].reshape(*shape, width)
