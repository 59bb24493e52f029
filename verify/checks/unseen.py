"""The check of what a model must not see: other ids there change no bit of what it makes of the rest, in either
library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...errors import RunnerAnswerError, RunnerError
from ...mappings.language.family import Family
from ..check import Check, Context, Needs, Outcome
from ..inputs import Inputs
from ..reports.result import CheckResult
from ..runners.forward import Run
from ..runners.outputs import DECODER
from ..states import describe, has_token_axis, stack_of

DTYPE = "float32"


@dataclass(frozen=True)
class Change:
    """Inputs of which some ids are others. `name` says which in words, `state` is the first one that shows them, at the
    positions `places`; `kept` are the positions, of the decoder or of the encoder, that must not change by that."""

    name: str
    inputs: Inputs
    state: str
    places: Array
    kept: Mapping[str, Array]


def changes(inputs: Inputs, configuration: Mapping[str, Any]) -> Iterator[Change]:
    """Other ids where the encoder's mask is 0, and other ids from a third of the decoder's on."""
    if inputs.decoder_input_ids is None:
        return
    masked, ids = inputs.attention_mask == 0, inputs.decoder_input_ids
    everywhere = np.ones(ids.shape, bool)
    if masked.any():
        others = np.where(masked, _others(inputs.input_ids, configuration), inputs.input_ids)
        changed = replace(inputs, input_ids=others)
        kept = {"": ~masked, DECODER: everywhere}
        yield Change("other ids where the mask is 0", changed, "hidden_state.00", masked, kept)
    if (first := ids.shape[1] // 3) > 0:
        behind = np.broadcast_to(np.arange(ids.shape[1]) >= first, ids.shape)
        changed = replace(inputs, decoder_input_ids=np.where(behind, _others(ids, configuration), ids))
        kept = {"": np.ones(inputs.input_ids.shape, bool), DECODER: ~behind}
        yield Change(f"other decoder ids from {first} on", changed, f"{DECODER}hidden_state.00", behind, kept)


def _others(ids: Array, configuration: Mapping[str, Any]) -> Array:
    """For every id another one, neither that of padding nor that of the end."""
    special = {configuration["pad_token_id"], configuration.get("eos_token_id")}
    allowed = [one for one in range(configuration["vocab_size"]) if one not in special][:2]
    return np.where(ids == allowed[0], allowed[-1], allowed[0])


def problems_of(change: Change, side: str, before: Mapping[str, Array], after: Mapping[str, Array]) -> list[str]:
    """What one library makes of the other ids that it must not."""
    if not _differs(before[change.state], after[change.state], 2)[change.places].all():
        return [f"{change.name}: {side} makes the same of them, so that nothing is known"]
    found = []
    for name in sorted(after):
        stack, array = stack_of(name), after[name]
        if has_token_axis(name, array.shape):
            moved = _differs(before[name], array, 2) & change.kept[stack]
        elif change.kept[DECODER].all():
            moved = _differs(before[name], array, 1)
        else:
            # Made of the last of them.
            continue
        if moved.any():
            place = [int(index) for index in np.argwhere(moved)[0]]
            found.append(f"{change.name} change {describe(name)} at {place} in {side}")
    return found


def _differs(before: Array, after: Array, axes: int) -> Array:
    """Where any bit differs, by the first `axes`."""
    bits = f"u{before.dtype.itemsize}"
    different = np.ascontiguousarray(before).view(bits) != np.ascontiguousarray(after).view(bits)
    result: Array = different.reshape(*different.shape[:axes], -1).any(axis=-1)
    return result


def applies(family: Family, architecture: str) -> bool:
    """Whether a class has a decoder behind an encoder."""
    return family.decodes(architecture)


def _run(context: Context) -> Outcome:
    """Raises RunnerError when a runner dies or PaddleNLP cannot run the source."""
    problems: list[str] = []
    made = list(changes(context.inputs, context.pair.configuration))
    for number, change in enumerate(made):
        paths = context.models.save_inputs(f"unseen {number}", change.inputs, context.pair.limits)
        asked = {"label": f"forward unseen {number}"}

        def of_paddle(path: str = paths["paddle"], asked: Mapping[str, str] = asked) -> Run:
            try:
                return context.models.paddle(DTYPE, "forward", inputs=path, **asked)
            except RunnerAnswerError as error:
                # Not a finding about the converted folder.
                raise RunnerError(str(error)) from error

        paddle = context.once(f"unseen {number}", of_paddle)
        torch = context.models.torch(DTYPE, "forward", inputs=paths["torch"], **asked)
        problems += problems_of(change, "Paddle", context.paddle(DTYPE).outputs, paddle.outputs)
        problems += problems_of(change, "torch", context.torch(DTYPE).outputs, torch.outputs)
    if not made:
        return Outcome(reason="these inputs have nothing that must not be seen")
    seen = f"none of {len(made)} changes is seen: {' and '.join(change.name for change in made)}"
    return Outcome(
        CheckResult(
            name="unseen",
            passed=not problems,
            worst=float(len(problems)),
            limit=0.0,
            where=problems[0] if problems else seen,
            measure="outputs of which a bit changes",
            problems=tuple(problems),
            details={"changes": [change.name for change in made]},
        )
    )


CHECK = Check(
    name="unseen",
    order=45,
    establishes="for encoder-decoders: other ids where the encoder's mask is 0 change nothing that is attended and "
    "nothing of the decoder's, and other ids of the decoder's change nothing before them, in either library",
    limit="no bit differs",
    needs=Needs(dtypes=(DTYPE,), models=True),
    applies=applies,
    look_at="the library that is named: where it is PaddleNLP, its own model sees what it is told not to",
    run=_run,
)
