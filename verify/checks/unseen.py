"""The check that a decoder does not see what the encoder's mask hides: other ids there change nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...errors import RunnerAnswerError, RunnerError
from ...mappings.language.family import Family
from ..check import Check, Context, Needs, Outcome
from ..inputs import Inputs
from ..reports.result import CheckResult
from ..runners.forward import Run
from ..states import attended_positions, describe, tokens_first

FIRST = "hidden_state.00"
"""The state that shows which ids the encoder got."""


def decodes(family: Family, architecture: str) -> bool:
    """Whether a class of PaddleNLP's has a decoder behind an encoder."""
    return family.decodes(architecture)


def exchanged(inputs: Inputs, configuration: Mapping[str, Any]) -> Inputs:
    """The inputs with another id wherever the mask is 0, neither that of padding nor that of the end of a text."""
    special = {configuration["pad_token_id"], configuration.get("eos_token_id")}
    allowed = [one for one in range(configuration["vocab_size"]) if one not in special]
    others = np.where(inputs.input_ids == allowed[0], allowed[-1], allowed[0])
    return replace(inputs, input_ids=np.where(inputs.attention_mask == 0, others, inputs.input_ids))


def problems_of(side: str, before: Mapping[str, Array], after: Mapping[str, Array], mask: Array) -> list[str]:
    """What one library makes of other ids at positions that are not attended, although it must not."""
    if not _differs(before[FIRST], after[FIRST], mask)[mask == 0].all():
        return [f"{side} makes the same of other ids where the mask is 0: nothing is known"]
    problems = []
    for name in before:
        array, other = (tokens_first(name, side[name]) for side in (before, after))
        kept = attended_positions(name, array.shape, mask)
        moved = _differs(array, other, kept) & kept.astype(bool)
        if moved.any():
            place = [int(index) for index in np.argwhere(moved)[0]]
            problems.append(f"{describe(name)} at {place} depends in {side} on ids that the mask hides")
    return problems


def _differs(before: Array, after: Array, places: Array) -> Array:
    """At which of the leading `places` two arrays differ in any bit."""
    result: Array = (before != after).reshape(*places.shape, -1).any(axis=-1)
    return result


def _run(context: Context) -> Outcome:
    """Raises RunnerError when a runner dies or PaddleNLP cannot run the source."""
    pair, session, mask = context.pair, context.models, context.inputs.attention_mask
    if not decodes(pair.recognised.family, pair.plan.architecture):
        return Outcome(reason=f"PaddleNLP's {pair.plan.architecture} has no decoder behind an encoder")
    if mask.all() or session.limits.mask is not None:
        return Outcome(reason="no mask hides anything of these inputs")
    inputs = session.save_inputs("unseen inputs", exchanged(context.inputs, pair.configuration), session.limits)
    asked: dict[str, Any] = {"label": "forward with other hidden ids", "options": {"attentions": True}}

    def of_paddle() -> Run:
        try:
            return session.paddle("float32", "forward", inputs=inputs["paddle"], **asked)
        except RunnerAnswerError as error:
            # Not a finding about the converted folder.
            raise RunnerError(str(error)) from error

    # Paddle first, which the check before this one asked last: a large model need not be loaded again.
    paddle = context.once("unseen", of_paddle)
    torch = session.torch("float32", "forward", inputs=inputs["torch"], **asked)
    problems = problems_of("PaddleNLP", context.paddle("float32").outputs, paddle.outputs, mask)
    problems += problems_of("transformers", context.torch("float32").outputs, torch.outputs, mask)
    hidden = int((mask == 0).sum())
    return Outcome(
        CheckResult(
            name="unseen",
            passed=not problems,
            worst=float(len(problems)),
            limit=0.0,
            where=problems[0] if problems else f"{hidden} hidden ids exchanged: all else is the same, to the bit",
            measure="outputs that depend on ids that the mask hides",
            problems=tuple(problems),
            details={"hidden": hidden},
        )
    )


CHECK = Check(
    name="unseen",
    order=46,
    establishes="for encoder-decoders: other ids where the encoder's mask is 0 change nothing that is attended, and "
    "nothing of the decoder's, in either framework",
    limit="no bit differs",
    needs=Needs(dtypes=("float32",), models=True),
    applies=decodes,
    look_at="the framework that is named: where it is PaddleNLP, its own model sees what it is told not to; where it "
    "is transformers, config.json in {converted}",
    run=_run,
)
