"""The check of the layers: torch computes one layer at a time from Paddle's own state, so that no rounding adds up.

What fails is looked into once more: both frameworks record what the mapped modules of the guilty layer take and give,
and the first one that differs is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...errors import RunnerAccidentError, RunnerAnswerError
from ...mappings.language.matching.plan import Plan
from ...mappings.language.transforms import Reorder
from ..check import DTYPES, Check, Context, Needs, Outcome, scientific
from ..reports.result import CheckResult
from ..runners.forward import Run, Session
from ..runners.outputs import kind_of, stack_of
from ..states import StateDifference, compare_outputs, is_map, state_difference, token_difference

LIMITS = {"float64": 1e-12, "float32": 1e-5}
"""Times the largest value of a hidden state's token; correct conversions stay below 3.2e-14 and 7e-7."""

OUTPUT_LIMITS = {"float64": 1e-12, "float32": 1e-4}
"""Times the largest value of a pooler's or head's output, which no normalisation follows; correct conversions stay
below 1.3e-14 and, in the widest model, 5.3e-6."""

MEASURE = "largest difference of a token over its largest value, each layer fed with Paddle's state"


def check_layers(
    paddle: Mapping[str, Run], fed: Mapping[str, Run], mask: Array, left_out: frozenset[str], session: Session
) -> CheckResult:
    """Compare Paddle's outputs with those of torch's layers fed with Paddle's states, in every type of both mappings.

    Outputs in `left_out` are not compared. A failure is traced to a module with the `session`. The check's numbers are
    those of float64 unless only float32 fails; those of float32 are in the details too.
    """
    checks = {dtype: _compare(paddle[dtype].outputs, fed[dtype].outputs, mask, left_out, dtype) for dtype in LIMITS}
    shown = "float32" if checks["float64"].passed and not checks["float32"].passed else "float64"
    check = checks[shown]
    details: dict[str, Any] = {
        "states": [{**state, "dtype": dtype} for dtype in LIMITS for state in checks[dtype].details["states"]],
        "float32": _summary(checks["float32"]),
    }
    where = check.where
    layers = [layers_of(side[shown].outputs) for side in (paddle, fed)]
    stage = stage_of(check.details["first_failed"], layers[0])
    if stage is not None and layers[0] == layers[1]:
        # Torch failing here leaves what was found without a module's name.
        with suppress(RunnerAnswerError, RunnerAccidentError):
            guilty = find_guilty(session, shown, paddle[shown].outputs, stage, mask)
            where = f"{guilty.text}; {where}"
            details["guilty"] = guilty.to_json()
    problems = checks["float64"].problems + tuple(f"float32: {text}" for text in checks["float32"].problems)
    return replace(check, passed=not problems, where=where, problems=problems, details=details)


def _compare(
    paddle: Mapping[str, Array], fed: Mapping[str, Array], mask: Array, left_out: frozenset[str], dtype: str
) -> CheckResult:
    # The last hidden state is what was fed, and attention maps are compared end to end.
    compared = {
        name: array
        for name, array in paddle.items()
        if name not in left_out and name != "last_hidden_state" and not is_map(name)
    }
    own = {name: array for name, array in fed.items() if name not in left_out}

    def difference(name: str) -> StateDifference:
        if kind_of(name) == "hidden_state":
            return token_difference(name, compared[name], own[name], mask, LIMITS[dtype])
        # A token may have a single logit, as small as chance has it.
        return state_difference(name, compared[name], own[name], mask, lambda scale: OUTPUT_LIMITS[dtype] * scale)

    return compare_outputs("layers", MEASURE, compared, own, difference)


def _states(outputs: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array for name, array in outputs.items() if kind_of(name) == "hidden_state"}


def layers_of(outputs: Mapping[str, Array]) -> dict[str, int]:
    """The number of layers by what stands before the names of the states of their stack: nothing, or the decoder's."""
    counted = Counter(stack_of(name) for name in _states(outputs))
    return {stack: count - 1 for stack, count in counted.items()}


def _summary(check: CheckResult) -> dict[str, Any]:
    return {
        "passed": check.passed,
        "worst": check.worst,
        "limit": check.limit,
        "where": check.where,
        "problems": list(check.problems),
    }


def stage_of(output: str | None, layers: Mapping[str, int]) -> tuple[str, int] | None:
    """Where an output is made: in which stack of so many `layers`, and there 0 before these, i + 1 in layer i, one more
    behind them; None for no output. Heads stand behind the last stack."""
    if output is None:
        return None
    if kind_of(output) == "hidden_state":
        return stack_of(output), int(output.rpartition(".")[2])
    stack = "" if output.startswith("encoder_") else max(layers)
    return stack, layers[stack] + 1


@dataclass(frozen=True)
class Guilty:
    """The first mapped module that differs in one stage, or what lies between two of them.

    `source` and `target` are the module's names, None where no mapped module is to blame. `others` are further
    modules that differ although they were given the same. `weights` is what the names of a layer's tensors begin with
    where they do not hold its number, because layers share them.
    """

    stage: int
    place: str
    module: str
    source: str | None
    target: str | None
    others: tuple[str, ...] = ()
    weights: str = ""

    @property
    def text(self) -> str:
        """Place and module in words."""
        more = f" (and {', '.join(self.others)})" if self.others else ""
        shared = f" (its weights are {self.weights})" if self.weights else ""
        return f"{self.place}{shared}, {self.module}{more}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "stage": self.stage,
            "place": self.place,
            "module": self.module,
            "source": self.source,
            "target": self.target,
            "others": list(self.others),
            "weights": self.weights,
        }


def find_guilty(
    session: Session, dtype: str, paddle: Mapping[str, Array], found: tuple[str, int], mask: Array
) -> Guilty:
    """Let both frameworks run one stage of a stack from Paddle's states and name the first module that differs."""
    stack, stage = found
    states = session.save(f"states {dtype}", _states(paddle))
    pairs = module_pairs(session.plan)
    fields: dict[str, Any] = {"states": states, "stage": stage, "stack": stack, "label": f"trace {stack}{stage}"}
    source = session.paddle(dtype, "trace", modules=list(pairs), **fields)
    target = session.torch(dtype, "trace", modules=list(pairs.values()), **fields)
    called = [name for name in source.answer["order"] if pairs[name] in target.answer["order"]]
    layers = layers_of(paddle)[stack]
    place = "embeddings" if stage == 0 else f"layer {stage - 1}" if stage <= layers else "head"
    place = f"decoder's {place}" if stack else place
    short = short_names([pairs[name] for name in called])
    weights = _shared_weights(short, stage - 1) if 0 < stage <= layers else ""
    norms = {
        name.removesuffix(".weight")
        for move in session.plan.moves
        for name, shape in zip(move.sources, move.shapes, strict=True)
        if len(shape) == 1
    }

    def trace(name: str) -> Trace:
        taken, given = (
            (source.outputs.get(f"{name}.{label}"), target.outputs.get(f"{pairs[name]}.{label}"))
            for label in ("input", "output")
        )
        same_input, same_output = (_same(*pair, mask, LIMITS[dtype]) for pair in (taken, given))
        return Trace(name, pairs[name], name in norms, taken[0], same_input, same_output)

    return replace(_judge(stage, place, [trace(name) for name in called], short), weights=weights)


def module_pairs(plan: Plan) -> dict[str, str]:
    """The mapped modules by their weights, source module -> target module, of which one gives what the other does: not
    several that Hugging Face has one for, nor one that gives its parts in another order."""
    leaf = ".weight"
    return {
        move.source.removesuffix(leaf): move.target.removesuffix(leaf)
        for move in plan.moves
        if len(move.sources) == 1
        and not (isinstance(move.transform, Reorder) and move.transform.axis == 1)
        and move.source.endswith(leaf)
        and move.target.endswith(leaf)
    }


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without the leading parts that all of several share."""
    parts = [name.split(".") for name in names]
    columns = zip(*(one[:-1] for one in parts), strict=False)
    shared = len(list(takewhile(lambda column: len(set(column)) == 1, columns))) if len(parts) > 1 else 0
    return {name: ".".join(one[shared:]) for name, one in zip(names, parts, strict=True)}


def _shared_weights(short: Mapping[str, str], layer: int) -> str:
    """What the names of a layer's modules begin with, unless the one number in it, at its end, is that of the layer."""
    prefix = next((name.removesuffix(end).rstrip(".") for name, end in short.items()), "")
    parts = prefix.split(".")
    own = parts[-1] == str(layer) and sum(part.isdecimal() for part in parts) == 1
    return "" if own else prefix


@dataclass(frozen=True)
class Trace:
    """What one mapped module took and gave in both frameworks; `given` is Paddle's, None where it is no float."""

    source: str
    target: str
    norm: bool
    given: Array | None
    same_input: bool
    same_output: bool

    @property
    def differs(self) -> bool:
        """Whether the module itself differs: other output from the same input."""
        return self.same_input and not self.same_output


def _same(paddle: Array | None, torch: Array | None, mask: Array, limit: float) -> bool:
    """Whether two records agree within `limit` times the tensor's largest value, at attended positions if it has
    tokens. Token ids are recorded by neither side, and are those of the inputs."""
    if paddle is None or torch is None:
        return paddle is torch
    if (
        paddle.ndim > 1
        and paddle.shape[-2:] == torch.shape[-2:]
        and 1 in (paddle[..., 0, 0].size, torch[..., 0, 0].size)
    ):
        # Of positions, which are the same for all rows, one may give each row its own.
        paddle, torch = np.broadcast_arrays(paddle, torch)
    if paddle.shape != torch.shape:
        return False
    # The name decides whether the mask applies.
    name = "hidden_state.00" if paddle.ndim == 3 and paddle.shape[:2] == mask.shape else "other"
    return state_difference(name, paddle, torch, mask, lambda scale: limit * scale).holds


def _judge(stage: int, place: str, traces: Sequence[Trace], short: Mapping[str, str]) -> Guilty:
    """The first module, in call order, at which the frameworks part."""
    for index, trace in enumerate(traces):
        if trace.differs:
            others = tuple(short[other.target] for other in traces[index + 1 :] if other.differs)
            return Guilty(stage, place, short[trace.target], trace.source, trace.target, others)
        if not trace.same_input:
            return Guilty(stage, place, _between(traces, index, short), None, None)
    last = f"after {short[traces[-1].target]}" if traces else "no mapped module"
    return Guilty(stage, place, last, None, None)


def _between(traces: Sequence[Trace], index: int, short: Mapping[str, str]) -> str:
    """Name what leads to the input of a module when all mapped modules before it agree.

    Query, key and value take one input: what follows them is the attention. What lies between two other linear layers
    is the activation of the feed-forward part.
    """
    following, before = short[traces[index].target], traces[:index]
    if not before:
        return f"before {following}"
    between = f"between {short[before[-1].target]} and {following}"
    if traces[index].norm:
        return between
    if len(before) > 1 and _equal(before[-1].given, before[-2].given):
        return f"attention ({between})"
    return between if before[-1].norm else f"feed-forward (activation, {between})"


def _equal(one: Array | None, other: Array | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _run(context: Context) -> Outcome:
    paddle = {dtype: context.paddle(dtype) for dtype in LIMITS}
    fed = {dtype: context.fed(dtype) for dtype in LIMITS}
    return Outcome(check_layers(paddle, fed, context.mask, context.pair.left_out, context.models))


CHECK = Check(
    name="layers",
    order=60,
    establishes="each torch layer, fed with Paddle's hidden state, gives Paddle's next one; a failure names the layer "
    "and the module",
    limit=f"{', '.join(f'{scientific(limit)} ({dtype})' for dtype, limit in LIMITS.items())} of the token's largest "
    f"value; pooler and heads {scientific(OUTPUT_LIMITS['float32'])} in float32",
    needs=Needs(dtypes=DTYPES, fed=True, models=True),
    sees_faults=True,
    look_at="where the check weights fails, the tensors of the module named here; where it holds, the activation,"
    " epsilon and number of heads in config.json of {converted}",
    run=_run,
)
