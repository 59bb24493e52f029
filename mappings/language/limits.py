"""What PaddleNLP's models take by themselves, how the two libraries are known to differ, and what cannot be given or
asked for when they are compared; and what other versions of them lack or had otherwise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .rules import BACKBONE
from .tables import Formula

_NOT_COVERED = {
    "mask": "an attention mask",
    "positions": "positions other than 0, 1, 2, ...",
    "padding": "rows with padding",
    "gaps": "padding before a token that is attended",
    "rows": "more than one row at a time",
    "states": "attention maps",
}
"""What is not covered for each limit."""


@dataclass(frozen=True)
class Limits:
    """What the comparison leaves out because the models of one class cannot take or give it. Each limit is its reason,
    which every report repeats; None where there is none. What is not left out is compared.

    `mask`: no mask is given. Where PaddleNLP's model does not attend to padding by itself, Hugging Face's class is told
    so by a mask. `positions`: none are given. `padding`: no row holds padding, and every position is attended. `gaps`:
    padding stands at the end of a row alone, and the padding id nowhere else. `rows`: one row at a time. `states`: the
    model hands out neither hidden states nor attention maps, or others than the states after each layer: in their place
    stand what its layers take and give. `unread`: a tensor, by PaddleNLP's name, that nothing which is compared depends
    on, and the reason; its bits are compared all the same.
    """

    mask: str | None = None
    positions: str | None = None
    padding: str | None = None
    gaps: str | None = None
    rows: str | None = None
    states: str | None = None
    unread: tuple[str, str] | None = None

    def lines(self) -> Iterator[str]:
        """What is not covered, each with the reason."""
        for name, what in _NOT_COVERED.items():
            if (reason := getattr(self, name)) is not None:
                yield f"{what}: {reason}"
        if self.unread is not None:
            yield f"what {self.unread[0]} does: {self.unread[1]}"


NO_LIMITS = Limits()
"""Everything can be given and asked for."""


@dataclass(frozen=True)
class LayerForm:
    """How states go through an encoder's layers where they are not [rows, tokens, channels], and a layer does not give
    one alone or before other things. `channels_first`: [rows, channels, tokens]. `tokens_first`: [tokens, rows,
    channels]. `output`: a layer gives a dictionary, which has the state under this name. `after_first` is a module of
    the encoder's, where a model has it, that makes the first hidden state of what the first layer gives."""

    channels_first: bool = False
    tokens_first: bool = False
    output: str | None = None
    after_first: str | None = None


PLAIN = LayerForm()
"""The form of nearly all."""


@dataclass(frozen=True)
class DeclaredDifference:
    """A known difference between the frameworks that no weight can express.

    `architectures` are the PaddleNLP classes it applies to; empty means all of the family. `epsilon` names a
    LayerNorm of the source and the epsilon that PaddleNLP hard-codes there: equality is proven with torch's epsilon
    set to it, and the difference without is measured. `outputs` are compared by other means and only measured.
    `padding` says that the padding id is embedded as zeros by PaddleNLP alone, which shows at positions that are not
    attended; `padding_position` that the frameworks give such positions other numbers when none are given. `tables`
    are parameters or buffers of Hugging Face's class, by the ends of their names, that PaddleNLP computes for itself:
    in float64, equality is proven with torch's replaced by what the formulas make, and the difference without is
    measured. No value of theirs may change by more than `within` then, where no file holds them and no other check sees
    them. `lifted` are classes of Hugging Face's modules that compute in float32 whatever their type: in float64 that
    cast is lifted, within them and all that they call, and the difference without is measured. `lifted_in_paddle` are
    classes of PaddleNLP's modules that do so too: in float64 they are never run otherwise. `scores` says that
    PaddleNLP puts out what attention maps are the softmax of: the softmax is taken of it. `squeezed` are outputs that
    PaddleNLP's class returns without their axes of length 1. `when` is the condition of PaddleNLP's configuration under
    which there is a difference.
    """

    name: str
    text: str
    architectures: tuple[str, ...] = ()
    epsilon: tuple[str, float] | None = None
    outputs: tuple[str, ...] = ()
    padding: bool = False
    padding_position: bool = False
    tables: Mapping[str, Formula] = field(default_factory=dict)
    within: float | None = None
    lifted: tuple[str, ...] = ()
    lifted_in_paddle: tuple[str, ...] = ()
    scores: bool = False
    squeezed: tuple[str, ...] = ()
    when: Callable[[Mapping[str, Any]], bool] | None = None

    def applies(self, configuration: Mapping[str, Any]) -> bool:
        """Whether there is a difference with a configuration, PaddleNLP's."""
        return self.when is None or self.when(configuration)


@dataclass(frozen=True)
class Defaults:
    """What PaddleNLP's model takes where the caller gives nothing but ids.

    `masks_padding`: positions that hold `pad_token_id` are not attended then; otherwise every position is, but for
    those that hold `masked_id`, if there is such an id.
    `positions_after_padding`: positions count from the padding id + 1, over tokens that are no padding; otherwise from
    `first` over all of them. `makes_decoder_ids`: an encoder-decoder makes those of the decoder of the encoder's;
    otherwise it has to be given some.
    """

    masks_padding: bool
    positions_after_padding: bool = False
    masked_id: int | None = None
    first: int = 0
    makes_decoder_ids: bool = True


@dataclass(frozen=True)
class Former:
    """What a class of the same name saved in earlier versions of PaddleNLP: it is told by `tensors`, which lie in its
    file together, and refused for the `reason`."""

    tensors: tuple[str, ...]
    reason: str

    def is_held(self, names: Collection[str], prefix: str) -> bool:
        """Whether a file holds these tensors, the backbone's with this `prefix`."""
        return all(name.replace(BACKBONE, prefix) in names for name in self.tensors)


@dataclass(frozen=True)
class Withdrawn:
    """That a family's classes have left transformers: the major version `since` which they are gone, the `last` version
    that has them, which is the one that was tested, and the `reason` why no other class stands in for them."""

    since: int
    last: str
    reason: str

    def lacks(self, version: str) -> bool:
        """Whether a version of transformers, such as "5.24.0", lacks the classes."""
        return int(version.partition(".")[0]) >= self.since

    def text(self, what: str = "it") -> str:
        """Which versions cannot load `what`, and why, in words."""
        return f"transformers {self.since} cannot load {what}: {self.reason}; the last version that can is {self.last}"
