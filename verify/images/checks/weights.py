"""The check of a network's weights: every bit of every tensor accounted for, there and back, and in both live
models."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....converters.formats.casting import cast, number_of, widened
from ....converters.formats.dtypes import Array, DType, widest
from ....converters.formats.tensors import Tensor
from ....mappings.language.rules import Kind, Rule
from ...check import Outcome
from ...reports.result import CheckResult
from ...runners.protocol import digest
from ..check import NetworkCheck, NetworkContext
from ..pair import NetworkPair

COUNTED = ".num_batches_tracked"
"""How many batches a norm has seen, which other programs save too: nothing is computed with it."""


def compare_weights(pair: NetworkPair) -> tuple[list[str], int]:
    """What is wrong with the converted tensors, each compared with its source after the declared transform and, where
    the map leads back, the source with what comes back; and the number of tensors that came back."""
    problems: list[str] = []
    targets = {move.target for move in pair.found.moves}
    problems += [f"{name} is missing in the converted weights" for name in sorted(targets - pair.tensors.keys())]
    extra = sorted(name for name in pair.tensors.keys() - targets if not (pair.is_foreign and name.endswith(COUNTED)))
    problems += [f"{name} is in the converted weights without a rule" for name in extra]
    made = widest({pair.opened.tensors[name].dtype for move in pair.found.moves for name in move.sources})
    back = 0
    for rule in pair.found.rules:
        if rule.kind is Kind.MAPPED:
            there = _there(pair, rule, made)
            problems += there
            whole = all(name in pair.tensors for name in rule.targets)
            if not there and whole and pair.alterations.dtype is None:
                found = _back(pair, rule)
                problems += found
                back += len(rule.sources) - len(found)
    return problems, back


def _there(pair: NetworkPair, rule: Rule, made: DType) -> list[str]:
    problems = []
    for move in rule.moves():
        written = pair.tensors.get(move.target)
        if written is None:
            continue
        sources = [pair.opened.tensors[name] for name in move.sources]
        dtype = pair.alterations.dtype or (sources[0].dtype if sources else made)
        if written.dtype != dtype:
            problems.append(f"{move.target} holds {written.dtype.name}, {dtype.name} is expected")
            continue
        arrays = [_altered(source, dtype) for source in sources]
        wanted = move.transform.apply(arrays, np, partial(number_of, dtype=dtype))
        if not _same_bits(written.read(), np.asarray(wanted, dtype.storage)):
            named = ", ".join(move.sources) or f"{move.transform.name}, of which it is made"
            problems.append(f"{move.target} is not bit-equal to {named}")
    return problems


def _back(pair: NetworkPair, rule: Rule) -> list[str]:
    problems = []
    for move in rule.moves_back():
        tensors = [pair.tensors[name] for name in move.sources]
        found = move.transform.apply([tensor.read() for tensor in tensors], np)
        if not _same_bits(np.ascontiguousarray(found), pair.opened.tensors[move.target].read()):
            problems.append(f"{move.target} does not come back from {', '.join(move.sources)}")
    return problems


def _altered(tensor: Tensor, dtype: DType) -> Array:
    array = tensor.read()
    return array if tensor.dtype == dtype else cast(array, tensor.dtype, dtype, tensor.name)


def _same_bits(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.tobytes() == np.ascontiguousarray(other).tobytes()


def _live(context: NetworkContext) -> list[str]:
    """Where the live models hold other numbers than the files: nothing else shows in what is not computed with."""
    pair = context.pair
    problems = []
    answer = context.load("float64")
    for label, names in answer["loading"].items():
        problems += [f"{name}: is {label} when transformers loads the folder" for name in names]
    for name, found in answer["digests"].items():
        tensor = pair.tensors.get(name)
        if tensor is None:
            problems.append(f"{name} is in torch's live model and not in the weights")
        elif digest(np.asarray(widened(tensor.read(), tensor.dtype))) != found:
            problems.append(f"{name} is not in torch's live model what it is in the file")
    context.paddle_run("float64")
    built = context.built()
    for label, names in built["loading"].items():
        problems += [f"{name}: is {label} in Paddle's live network" for name in names]
    for name, array in pair.compared().items():
        held = built["digests"].get(name)
        if held is None:
            problems.append(f"{name} is not in Paddle's live network")
        elif held != digest(array):
            problems.append(f"{name} is not in Paddle's live network what it is in the file")
    return problems


def _run(context: NetworkContext) -> Outcome:
    problems, back = compare_weights(context.pair)
    problems += _live(context)
    targets = len(context.pair.found.moves)
    altered = context.pair.alterations
    cast_to = f" to the source cast to {altered.dtype.name}" if altered.dtype is not None else ""
    likewise = cast_to or f", {back} of the source's come back bit-equal"
    result = CheckResult(
        name="weights",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"all {targets} tensors bit-equal{likewise}",
        measure="tensors that are not bit-equal, missing or without a rule",
        problems=tuple(problems),
        details={
            "tensors": targets,
            "back": back,
            "live_models_compared": ["paddle", "torch"],
            **({"alterations": altered.lines()} if altered else {}),
        },
    )
    return Outcome(result)


CHECK = NetworkCheck(
    name="weights",
    order=20,
    establishes="every converted tensor is its source after the declared transform, bit for bit; every source tensor "
    "is mapped or dropped with a reason, and comes back where it is mapped; both live models hold these numbers",
    limit="no bit differs",
    run=_run,
)
