"""Declared differences and alterations as a report shows them: named, and measured on the runs."""

from __future__ import annotations

import numpy as np

from ...converters.formats.casting import widened
from ...converters.outputs.alterations import word_embeddings
from ...mappings.language.family import DeclaredDifference
from ..inputs import Inputs
from ..reports.result import DeclaredDifferenceSeen
from ..runners.forward import Runs
from ..runners.outputs import kind_of
from ..states import is_map, largest_difference
from .pair import Pair


def declared_seen(pair: Pair, runs: Runs, inputs: Inputs) -> tuple[DeclaredDifferenceSeen, ...]:
    """The declared differences that apply to a pair, what it drops, and what the conversion was told to change."""
    seen = [
        DeclaredDifferenceSeen(difference.name, difference.text, _measured(difference, runs, inputs))
        for difference in pair.declared
    ]
    family = pair.recognised.family
    if family.zero_padding_row:
        # Both read zeros, so that nothing of it is left to excuse; that the row is lost is to be said all the same.
        zeros = [one for one in family.declared(pair.plan.architecture) if one.padding]
        seen += [DeclaredDifferenceSeen(one.name, one.text) for one in zeros]
    if reasons := pair.plan.drop_reasons:
        text = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
        seen.append(DeclaredDifferenceSeen("dropped", text))
    if pair.alterations.dtype is not None:
        seen.append(_cast(pair, runs, inputs))
    if pair.alterations.zero_padding_row is not None:
        seen.append(_zero_padding_row(pair, pair.alterations.zero_padding_row))
    return tuple(seen)


def _measured(difference: DeclaredDifference, runs: Runs, inputs: Inputs) -> float | None:
    """The size of a declared difference on these inputs, in float64; None when float64 did not run."""
    if runs.paddle64 is None or runs.torch64 is None:
        return None
    paddle, torch, mask = runs.paddle64.outputs, runs.torch64.outputs, inputs.attention_mask
    names: list[str] = []
    if difference.padding:
        mask = 1 - mask
        names = [name for name in paddle if kind_of(name) == "hidden_state"]
    elif difference.epsilon and runs.torch64_as_is is not None:
        torch = runs.torch64_as_is.outputs
        names = ["mlm_logits"]
    elif (difference.tables or difference.lifted) and runs.torch64_as_is is not None:
        torch = runs.torch64_as_is.outputs
        names = [name for name in paddle if kind_of(name) == "hidden_state"]
    elif difference.outputs:
        names = list(difference.outputs)
    shared = [name for name in names if name in paddle and name in torch and mask.any()]
    return max((largest_difference(name, paddle[name], torch[name], mask) for name in shared), default=None)


def _cast(pair: Pair, runs: Runs, inputs: Inputs) -> DeclaredDifferenceSeen:
    """The cast, with the size of its effect on Paddle's hidden states and outputs."""
    measured = None
    if runs.paddle32_uncast is not None and runs.paddle32 is not None:
        before, after = runs.paddle32_uncast.outputs, runs.paddle32.outputs
        names = [name for name in pair.comparable(before) if not is_map(name)]
        measured = max(largest_difference(name, before[name], after[name], inputs.attention_mask) for name in names)
    text = (
        f"every weight was cast to {pair.cast}, so that the converted weights are not bit-equal to the source: "
        "all checks compare with the source cast likewise; measured is the cast's effect on PaddleNLP's states"
    )
    return DeclaredDifferenceSeen("cast", text, measured)


def _zero_padding_row(pair: Pair, row: int) -> DeclaredDifferenceSeen:
    text = (
        f"row {row} of the word embeddings, the padding id's, was written as "
        "zeros, which is what PaddleNLP reads: hidden states are compared at all positions; measured is the "
        "largest value of the row that was lost"
    )
    words = pair.checkpoint.tensors[word_embeddings(pair.plan).source]
    lost = widened(words.read()[row], words.dtype)
    return DeclaredDifferenceSeen("zero_padding_row", text, float(np.abs(lost).max()))
