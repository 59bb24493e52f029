"""The optional check of the gradients, in float64: fine-tuning starts from the same place in both frameworks.

Both differentiate one number, the sum of the outputs times fixed random projections, with respect to every parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...converters.formats.dtypes import Array
from ...mappings.language.matching.plan import Plan
from ...mappings.language.rules import Move, Rule
from ..check import DTYPES, Check, Context, Needs, Outcome, scientific
from ..reports.result import CheckResult
from ..runners.forward import Run
from ..runners.outputs import kind_of
from ..states import attended_positions, nan_last

LIMIT = 1e-9
"""Times the largest value of the tensor's gradient; correct conversions stay below 6e-14."""

NOISE = 1e-15
"""Times the largest value of all gradients, added to the above: a key's bias cancels in the softmax, so that its
gradient is nothing but rounding, below 1.1e-17 of this value."""

_DIFFERENTIATED = (
    *("last_hidden_state", "pooler_output", "encoder_last_hidden_state"),
    *("logits", "mlm_logits", "replaced_logits", "qa_logits"),
)


@dataclass(frozen=True)
class Gradients:
    """A framework's gradients: `files` names a file in `folder` by parameter, None where there is no gradient.
    `buffers` are what of the model's state is no parameter."""

    folder: Path
    files: Mapping[str, str | None]
    buffers: frozenset[str] = frozenset()

    def read(self, name: str, shape: tuple[int, ...]) -> Array:
        """The gradient of a parameter; zeros where there is none."""
        file = self.files.get(name)
        if file is None:
            return np.zeros(shape)
        array: Array = np.load(self.folder / file)
        return array


def run_gradients(context: Context) -> CheckResult:
    """Let both frameworks differentiate and compare. Raises RunnerAnswerError when a framework cannot."""
    session = context.models
    # Paddle's outputs, to see names and shapes.
    outputs = context.pair.comparable(context.paddle("float64").outputs)
    path = session.save("projections", projections(outputs, context.mask))

    def differentiate(side: str, ask: Callable[..., Run]) -> Gradients:
        folder = session.scratch / f"{side} gradients"
        folder.mkdir()
        answer = ask("float64", "gradients", projections=path, outputs=str(folder)).answer
        return Gradients(folder, answer["files"], frozenset(answer["buffers"]))

    paddle = context.once("gradients", lambda: differentiate("paddle", session.paddle))
    return check_gradients(session.plan, context.pair.padding, paddle, differentiate("torch", session.torch))


def projections(outputs: Mapping[str, Array], mask: Array, seed: int = 0) -> dict[str, Array]:
    """Random arrays of the shapes of the outputs to differentiate, zero where a token is not attended."""
    generator = np.random.default_rng(seed)
    made: dict[str, Array] = {}
    for name in sorted(outputs):
        if kind_of(name) not in _DIFFERENTIATED and not name.endswith("relationship_logits"):
            continue
        array = generator.standard_normal(outputs[name].shape)
        attended = attended_positions(name, array.shape, mask)
        made[name] = np.where(attended.reshape(attended.shape + (1,) * (array.ndim - attended.ndim)), array, 0.0)
    return made


def check_gradients(plan: Plan, padding: int | None, paddle: Gradients, torch: Gradients) -> CheckResult:
    """Compare gradients through the plan's moves, in the plan's order.

    `padding` is the row of the vocabulary that is left out, where the frameworks treat it differently on purpose.
    A source tensor that Hugging Face ties to a twin, though PaddleNLP trains the two apart, adds to its twin's, and is
    all of it where PaddleNLP has one parameter for both, and lists it under this name; one
    that is written twice is as many parameters of torch's, whose gradients add up. What is made of no tensor is a
    parameter of torch's alone. A buffer that both hold as such has no gradient.
    """
    copies: dict[tuple[str, ...], list[Move]] = {}
    # What neither trains has no gradient in either.
    buffers = {
        move.target
        for move in plan.moves
        if move.sources and paddle.buffers.issuperset(move.sources) and move.target in torch.buffers
    }
    for move in plan.moves:
        if move.sources and move.target not in buffers:
            copies.setdefault(move.sources, []).append(move)
    problems = [
        f"torch's parameter {name} has no counterpart"
        for name in sorted(torch.files.keys() - {move.target for move in plan.moves})
    ]
    tied = {rule.source: rule for rule in plan.tied if rule.source in paddle.files and rule.twin is not None}
    problems += [
        f"{name} is no parameter of {side}"
        for side, held, names in (
            (
                "Paddle's",
                paddle.files.keys() | {rule.twin for rule in tied.values()},
                [name for sources in copies for name in sources],
            ),
            (
                "torch's",
                torch.files.keys(),
                [moves[0].target for moves in copies.values() if not _held(moves, torch)],
            ),
        )
        for name in names
        if name not in held
    ]
    vocabulary = vocabulary_table(plan)
    measured: list[tuple[Move, float, float]] = []
    for move, *others in copies.values():
        expected = move.transform.apply(_gradients_of(move, paddle, tied), np)
        parts = [torch.read(held.target, held.target_shape) for held in _held([move, *others], torch)]
        if wrong := next((part.shape for part in parts if part.shape != expected.shape), None):
            problems.append(f"{move.target}: gradient of shape {list(wrong)}, expected {list(expected.shape)}")
            continue
        found = sum(parts, np.zeros(expected.shape))
        if padding is not None and move is vocabulary:
            expected, found = (np.delete(array, padding, axis=0) for array in (expected, found))
        measured.append((move, _largest(expected - found), _largest(expected)))
    result = _check(measured, problems, padding, vocabulary, tied)
    return replace(result, details={**result.details, "buffers": sorted(buffers)})


def _held(moves: Sequence[Move], torch: Gradients) -> list[Move]:
    """The moves whose target is a parameter of torch's; tied parameters have one name."""
    return [move for move in moves if move.target in torch.files]


def _gradients_of(move: Move, paddle: Gradients, tied: Mapping[str, Rule]) -> list[Array]:
    """The gradients of a move's sources; a tensor that Hugging Face holds as one with a source adds to it."""
    gradients = []
    for source, shape in zip(move.sources, move.shapes, strict=True):
        gradient = paddle.read(source, shape)
        for name, rule in tied.items():
            if rule.twin == source:
                gradient = gradient + rule.one_to_one.apply([paddle.read(name, rule.shape)], np)
        gradients.append(gradient)
    return gradients


def vocabulary_table(plan: Plan) -> Move | None:
    """The move of the word embeddings."""
    name = f"{plan.family.roles['words']}.weight"
    names = {f"{prefix}{name}" for prefix in ("", plan.family.source_prefix)}
    return next((move for move in plan.moves if names & set(move.sources)), None)


def _check(
    measured: list[tuple[Move, float, float]],
    problems: list[str],
    padding: int | None,
    vocabulary: Move | None,
    tied: Mapping[str, Rule],
) -> CheckResult:
    largest = max((scale for _, _, scale in measured), default=math.nan)
    floor = NOISE * largest
    shares = [
        (move, difference / (LIMIT * scale + floor) if largest else math.nan) for move, difference, scale in measured
    ]
    failed = [move for move, share in shares if not share <= 1]
    problems += [f"gradient of {move.target} differs" for move in failed]
    worst = max(shares, key=lambda pair: nan_last(pair[1]), default=None)
    # What noise is allowed counts as part of the gradient's size: then one limit holds for all.
    noise = floor / LIMIT
    where = f"largest: {worst[0].target}" if worst else "nothing was compared"
    if failed:
        where = f"first differing gradient: {failed[0].target}; {where}"
    return CheckResult(
        name="gradients",
        passed=not problems and bool(measured),
        worst=worst[1] * LIMIT if worst else None,
        limit=LIMIT,
        where=problems[0] if problems and not failed else where,
        measure="largest difference of a gradient over its largest value plus "
        f"{scientific(NOISE / LIMIT)} of the largest of all",
        problems=tuple(problems),
        details={
            "tensors": len(measured),
            "states": [
                {
                    "name": move.target,
                    "difference": difference,
                    "scale": scale,
                    "over": scale + noise,
                    "limit": LIMIT * scale + floor,
                }
                for move, difference, scale in measured
            ],
            "excluded_rows": [f"{vocabulary.target}[{padding}]"] if padding is not None and vocabulary else [],
            "summed": {name: rule.twin for name, rule in tied.items()},
        },
    )


def _largest(array: Array) -> float:
    """The largest absolute value; NaN wins."""
    return float(np.max(np.abs(array), initial=0.0))


def _run(context: Context) -> Outcome:
    return Outcome(run_gradients(context))


CHECK = Check(
    name="gradients",
    order=80,
    establishes="optional (`--check gradients`): the gradient of every parameter agrees, so that fine-tuning starts "
    "from the same place",
    limit=f"{scientific(LIMIT)} of the gradient's largest value",
    needs=Needs(dtypes=DTYPES, models=True),
    default=False,
    look_at="the checks weights and float64: where both hold, the module named here computes the same and trains "
    "otherwise",
    run=_run,
)
