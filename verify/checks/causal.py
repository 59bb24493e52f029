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
from ..inputs import Inputs
from ..reports.result import CheckResult
from ..runners.forward import Run
from ..states import attended_positions, describe


def is_causal(family: Family, architecture: str) -> bool:
    """Whether a family's models read a text from left to right."""
    return family.causal


def exchanged(inputs: Inputs, vocabulary: int, padding: int | None) -> tuple[Inputs, int]:
    """The inputs with another id in the middle of each row, and its place: the last one before the middle at which
    every row is attended."""
    ids, rows = inputs.input_ids.copy(), len(inputs.input_ids)
    place = int(np.flatnonzero(inputs.attention_mask[:, : 1 + ids.shape[1] // 2].all(axis=0))[-1])
    for row in range(rows):
        others = (index for index in range(vocabulary - 1, -1, -1) if index not in (padding, ids[row, place]))
        ids[row, place] = next(others)
    return replace(inputs, input_ids=ids), place


def _run(context: Context) -> Outcome:
    """Raises RunnerError when a runner dies or PaddleNLP cannot run the source."""
    pair, session = context.pair, context.models
    if not pair.recognised.family.causal:
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
    compared = {side: compare(*outputs, context.inputs.attention_mask) for side, outputs in pairs.items()}
    return Outcome(judged(compared, place))


def compare(before: Mapping[str, Array], after: Mapping[str, Array], mask: Array) -> dict[str, list[int]]:
    """By output that has an axis of tokens, the places of those of which a bit changed."""
    changed = {}
    for name, array in before.items():
        if attended_positions(name, array.shape, mask).shape != mask.shape:
            continue
        # [rows, heads, queries, keys] as [rows, queries, ...]: what a query makes of the keys.
        sides = [one.swapaxes(1, 2) if name.startswith("attention.") else one for one in (array, after[name])]
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
    establishes="for models that read from left to right: another token changes no state, attention map or logit of a "
    "token before it, in either framework",
    limit="no bit differs",
    needs=Needs(dtypes=("float32",), models=True),
    applies=is_causal,
    look_at="the class in config.json of {converted}, which must be one that reads from left to right",
    run=_run,
)
