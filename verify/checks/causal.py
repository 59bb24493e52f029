"""The check that no token depends on one behind it: another token in the middle of a row changes nothing before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...errors import RunnerAnswerError, RunnerError
from ...mappings.language.family import Family
from ..check import Check, Context, Needs, Outcome
from ..inputs import DECODER_IDS, Inputs
from ..reports.result import CheckResult
from ..runners.forward import Run
from ..runners.outputs import DECODER
from ..states import attended_positions, describe, of_stack, tokens_first


def is_causal(family: Family, architecture: str) -> bool:
    """Whether a class of PaddleNLP's reads a text from left to right, or has a decoder that does."""
    return family.causal or family.decodes(architecture)


def exchanged(inputs: Inputs, vocabulary: int, padding: int | None) -> tuple[Inputs, int]:
    """The inputs with another id in the middle of each row, of the decoder's where there is one, and its place: the
    last one before the middle at which every row is attended."""
    decodes = inputs.decoder_input_ids is not None
    ids = (inputs.input_ids if inputs.decoder_input_ids is None else inputs.decoder_input_ids).copy()
    mask, rows = np.ones_like(ids) if decodes else inputs.attention_mask, len(ids)
    place = int(np.flatnonzero(mask[:, : 1 + ids.shape[1] // 2].all(axis=0))[-1])
    for row in range(rows):
        others = (index for index in range(vocabulary - 1, -1, -1) if index not in (padding, ids[row, place]))
        ids[row, place] = next(others)
    return replace(inputs, **{DECODER_IDS if decodes else "input_ids": ids}), place


def _run(context: Context) -> Outcome:
    """Raises RunnerError when a runner dies or PaddleNLP cannot run the source."""
    pair, session = context.pair, context.models
    if not is_causal(pair.recognised.family, pair.plan.architecture):
        return Outcome(reason=f"PaddleNLP's {pair.plan.architecture} reads texts in both directions")
    changed, place = exchanged(
        context.inputs, int(pair.configuration["vocab_size"]), pair.configuration["pad_token_id"]
    )
    inputs = session.save_inputs("causal inputs", changed, session.limits)
    asked: dict[str, Any] = {"label": "forward with another token", "options": {"attentions": True}}

    def of_paddle() -> Run:
        try:
            return session.paddle("float32", "forward", inputs=inputs["paddle"], **asked)
        except RunnerAnswerError as error:
            # Not a finding about the converted folder.
            raise RunnerError(str(error)) from error

    torch = session.torch("float32", "forward", inputs=inputs["torch"], **asked)
    pairs = {
        "PaddleNLP": (context.paddle("float32").outputs, context.once("causal", of_paddle).outputs),
        "transformers": (context.torch("float32").outputs, torch.outputs),
    }
    ids = context.inputs.decoder_input_ids
    mask, stack = (context.inputs.attention_mask, "") if ids is None else (np.ones_like(ids), DECODER)
    compared = {
        side: compare(of_stack(before, stack), of_stack(after, stack), mask) for side, (before, after) in pairs.items()
    }
    return Outcome(judged(compared, place))


def compare(before: Mapping[str, Array], after: Mapping[str, Array], mask: Array) -> dict[str, list[int]]:
    """By output that has an axis of tokens, the places of those of which a bit changed."""
    changed = {}
    for name, array in before.items():
        sides = [tokens_first(name, one) for one in (array, after[name])]
        if attended_positions(name, sides[0].shape, mask).shape != mask.shape:
            continue
        differs = (sides[0] != sides[1]).reshape(*mask.shape, -1).any(axis=(0, 2))
        changed[name] = np.flatnonzero(differs).tolist()
    return changed


def judged(compared: Mapping[str, Mapping[str, list[int]]], place: int) -> CheckResult:
    """The result: by framework and output the places of what changed with the token at `place`."""
    problems = [
        f"{describe(name)} of token {places[0]} depends in {side} on token {place}"
        for side, outputs in compared.items()
        for name, places in outputs.items()
        if places and places[0] < place
    ]
    # Inputs that reach nothing would show nothing.
    problems += [
        f"no output depends in {side} on token {place}, or on any"
        for side, outputs in compared.items()
        if not any(place in places for places in outputs.values())
    ]
    count = max((len(outputs) for outputs in compared.values()), default=0)
    return CheckResult(
        name="causal",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0]
        if problems
        else f"token {place} exchanged: {count} outputs are the same before it, to the bit",
        measure="outputs that depend on a token behind them",
        problems=tuple(problems),
        details={"place": place, "changed": {side: dict(outputs) for side, outputs in compared.items()}},
    )


CHECK = Check(
    name="causal",
    order=45,
    establishes="for models, and decoders, that read from left to right: another token changes no state, attention map "
    "or logit of a token before it, in either framework",
    limit="no bit differs",
    needs=Needs(dtypes=("float32",), models=True),
    applies=is_causal,
    look_at="the class in config.json of {converted}, which must be one that reads from left to right",
    run=_run,
)
