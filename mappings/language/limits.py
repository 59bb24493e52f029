"""What PaddleNLP's models cannot be given, or asked for, when the frameworks are compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_NOT_COVERED = {
    "mask": "an attention mask",
    "positions": "positions other than 0, 1, 2, ...",
    "padding": "rows with padding",
    "rows": "more than one row at a time",
    "states": "attention maps",
}
"""What is not covered for each limit."""


@dataclass(frozen=True)
class Limits:
    """What the comparison leaves out because the models of one class cannot take or give it. Each limit is its reason,
    which every report repeats; None where there is none. What is not left out is compared.

    `mask`: no mask is given. Where PaddleNLP's model does not attend to padding by itself, Hugging Face's class is told
    so by a mask. `positions`: none are given. `padding`: no row holds padding, and every position is attended. `rows`:
    one row at a time. `states`: the model hands out neither hidden states nor attention maps, or others than the
    states after each layer: in their place stand what its layers take and give.
    """

    mask: str | None = None
    positions: str | None = None
    padding: str | None = None
    rows: str | None = None
    states: str | None = None

    def lines(self) -> Iterator[str]:
        """What is not covered, each with the reason."""
        for name, what in _NOT_COVERED.items():
            if (reason := getattr(self, name)) is not None:
                yield f"{what}: {reason}"


NO_LIMITS = Limits()
"""Everything can be given and asked for."""


@dataclass(frozen=True)
class LayerForm:
    """How states go through an encoder's layers where they are not [rows, tokens, channels], and a layer does not give
    one alone or before other things. `channels_first`: [rows, channels, tokens]. `output`: a layer gives a dictionary,
    which has the state under this name."""

    channels_first: bool = False
    output: str | None = None


PLAIN = LayerForm()
"""The form of nearly all."""
