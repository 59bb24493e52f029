"""The check of the weights: every bit of every tensor accounted for, from the file to both live models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ...converters.checkpoints.checkpoint import Checkpoint
from ...converters.formats.casting import cast, number_of, widened
from ...converters.formats.dtypes import Array, DType, widest
from ...converters.formats.tensors import CACHE_LINE, Tensor
from ...converters.outputs.alterations import UNALTERED, Alterations, word_embeddings
from ...mappings.language.matching.plan import Plan, is_prefixed
from ...mappings.language.rules import Kind, Move
from ...mappings.language.tables import Computed
from ..check import Check, Context, Needs, Outcome
from ..reports.result import CheckResult

COMPARED_BYTES = 1 << 20
"""About how much is compared at a time where both lie in the same order."""

TURNED_ROWS = 128
"""How many rows are compared with as many columns at a time."""


def check_weights(
    checkpoint: Checkpoint,
    plan: Plan,
    converted: Mapping[str, Tensor],
    configuration: Mapping[str, Any],
    paddle: Mapping[str, Any] | None = None,
    torch: Mapping[str, Any] | None = None,
    alterations: Alterations = UNALTERED,
    both_types: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
    ours: bool = True,
) -> CheckResult:
    """Compare each converted tensor with its source after the declared transform, bit for bit, both key sets closed.

    With the runners' answers also: what Paddle itself loaded is what the reader read, what torch loaded is what was
    written (by the sha256 of float32 bytes), and Paddle's live model holds nothing that the file does not explain.
    `configuration` is PaddleNLP's. `both_types` are the digests of Paddle's float32 and float64 models: both were
    loaded from the same file, so they hold the same numbers. With `alterations`, a converted tensor must be bit-equal
    to the source's after exactly these. `ours` says that this package wrote the Hugging Face side; others compute
    tables of their own, which may be as far away as is declared.
    """
    problems: list[str] = []
    targets = {move.target: move for move in plan.moves}
    problems += [f"{name} is missing in the converted weights" for name in sorted(targets.keys() - converted.keys())]
    problems += [f"{name} is in the converted weights without a rule" for name in sorted(converted.keys() - targets)]
    made = widest({checkpoint.tensors[name].dtype for move in plan.moves for name in move.sources})
    compared = _Comparison(alterations, word_embeddings(plan), made, problems, ours)
    for move in plan.moves:
        compared.add(move, [checkpoint.tensors[name] for name in move.sources], converted.get(move.target))
    # What an earlier version saved is in no live model.
    for rule in (*plan.tied, *(rule for rule in plan.dropped if not rule.foreign)):
        tensor = checkpoint.tensors[rule.source]
        compared.sources[rule.source] = digest(tensor.read(), tensor.dtype.name)
    if paddle is not None:
        problems += _digest_problems("Paddle's live model", compared.sources, paddle["digests"])
        problems += _loading_problems(checkpoint, plan, configuration, paddle)
    if both_types is not None:
        problems += _type_problems(*both_types, compared.sources)
    if torch is not None:
        problems += _digest_problems("torch's live model", compared.targets, torch["digests"])
    return CheckResult(
        name="weights",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"all {len(targets)} tensors bit-equal{_likewise(alterations)}",
        measure="tensors that are not bit-equal, missing or without a rule",
        problems=tuple(problems),
        details={
            "tensors": len(targets),
            "live_models_compared": [
                name for name, given in (("paddle", paddle), ("torch", torch)) if given is not None
            ],
            **({"altered_elements": compared.altered, "alterations": alterations.lines()} if alterations else {}),
        },
    )


@dataclass
class _Comparison:
    """Converted tensors beside what the moves make of their sources: what differs, how many elements the alterations
    changed, and the digests of both sides by name. `made` is the element type of what has no source."""

    alterations: Alterations
    words: Move
    made: DType
    problems: list[str]
    ours: bool
    altered: int = 0
    sources: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    memory: dict[str, Array] = field(default_factory=dict)

    def add(self, move: Move, sources: Sequence[Tensor], target: Tensor | None) -> None:
        """Compare the target of a move, where it is there, bit for bit."""
        values = [self._read(source, f"source {index}") for index, source in enumerate(sources)]
        for name, source, array in zip(move.sources, sources, values, strict=True):
            self.sources[name] = digest(array, source.dtype.name)
        if target is None:
            return
        written = self._read(target, "target")
        self.targets[move.target] = digest(written, target.dtype.name)
        dtype = self.alterations.dtype or (sources[0].dtype if sources else self.made)
        if target.dtype != dtype:
            self.problems.append(f"{move.target} holds {target.dtype.name}, {dtype.name} is expected")
            return
        row = self.alterations.zero_padding_row if move is self.words else None
        changed = []
        for source, array in zip(sources, values, strict=True):
            changed.append(_altered(array, source.dtype, dtype, row, source.name))
            self.altered += _changed(array, source.dtype, changed[-1], dtype)
        expected = move.transform.apply(changed, np, partial(number_of, dtype=dtype))
        if not self.ours and isinstance(move.transform, Computed):
            tolerance = move.transform.tolerance
            if not np.allclose(widened(written, dtype), widened(expected, dtype), rtol=0, atol=tolerance):
                self.problems.append(f"{move.target} is more than {tolerance:g} from what PaddleNLP computes")
            return
        self.problems += _differences(move.target, expected, written)

    def _read(self, tensor: Tensor, purpose: str) -> Array:
        """A whole tensor, in memory that the next of the same purpose gets: fresh memory takes longer than reading."""
        if purpose not in self.memory or self.memory[purpose].size < tensor.nbytes:
            self.memory[purpose] = np.empty(tensor.nbytes, np.uint8)
        return tensor.read(self.memory[purpose])


def _likewise(alterations: Alterations) -> str:
    """Say what the source was compared after."""
    cast_to = f"cast to {alterations.dtype.name}" if alterations.dtype is not None else ""
    zeroed = "given a padding row of zeros" if alterations.zero_padding_row is not None else ""
    done = " and ".join(text for text in (cast_to, zeroed) if text)
    return f" to the source {done}" if done else ""


def _altered(values: Array, dtype: DType, target: DType, zero_row: int | None, name: str) -> Array:
    """The values as they are expected to be written, but for the transpose."""
    if target != dtype:
        values = cast(values, dtype, target, name)
    if zero_row is not None:
        values = values.copy()
        values[zero_row] = 0
    return values


def _changed(values: Array, dtype: DType, altered: Array, target: DType) -> int:
    """Number of elements that are not the same number any more."""
    if altered is values:
        return 0
    before, after = widened(values.reshape(-1), dtype), widened(altered.reshape(-1), target)
    return int((before != after).sum())


def digest(values: Array, dtype: str) -> str:
    """sha256 of the values as C-order float32, to which float16 and bfloat16 widen exactly."""
    if dtype == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.float32).data).hexdigest()


def _differences(name: str, expected: Array, written: Array) -> list[str]:
    if expected.shape != written.shape:
        return [f"{name} has shape {list(written.shape)}, expected {list(expected.shape)}"]
    if is_bit_equal(expected, written):
        return []
    different = _bits(np.ascontiguousarray(expected)) != _bits(written)
    place = tuple(int(index) for index in np.argwhere(different)[0])
    return [
        f"{name} differs in {int(different.sum())} of {different.size} elements, first at {list(place)}: "
        f"{written[place]!s} instead of {expected[place]!s}"
    ]


def is_bit_equal(one: Array, other: Array) -> bool:
    """Whether two arrays of one shape and element type hold the same bits, compared a few rows at a time. One that is
    the transpose of what lies in memory is read in the order of that."""
    one, other = _bits(one), _bits(other)
    if one.ndim != 2 or one.flags.c_contiguous or not one.T.flags.c_contiguous:
        rows = max(1, COMPARED_BYTES // max(1, one[:1].nbytes)) if one.ndim else 1
        one, other = np.atleast_1d(one), np.atleast_1d(other)
        return all(np.array_equal(one[row : row + rows], other[row : row + rows]) for row in range(0, len(one), rows))
    one, other = one.T, other.T
    columns = one.shape[1]
    # Rows that lie a power of two apart compete for the same few places of the processor's cache.
    apart = np.empty((TURNED_ROWS, columns + CACHE_LINE // one.itemsize), one.dtype)[:, :columns]
    for row in range(0, len(one), TURNED_ROWS):
        rows = min(TURNED_ROWS, len(one) - row)
        apart[:rows] = one[row : row + rows]
        if not np.array_equal(apart[:rows].T, other[row : row + rows].T):
            return False
    return True


def _bits(values: Array) -> Array:
    return values.view(np.dtype(f"u{values.dtype.itemsize}"))


def _digest_problems(side: str, expected: Mapping[str, str], live: Mapping[str, Any]) -> list[str]:
    problems = []
    for name, value in expected.items():
        if name not in live:
            problems.append(f"{name} is not in {side}")
        elif live[name]["sha256"] != value:
            problems.append(f"{name} has other values in {side} than in its file")
    return problems


def _type_problems(float32: Mapping[str, Any], float64: Mapping[str, Any], stored: Mapping[str, str]) -> list[str]:
    """What no file holds is initialised anew in each; that it may be is another question."""
    names = sorted((float32.keys() | float64.keys()) & stored.keys())
    return [
        f"{name} is not the same in Paddle's live models of float32 and float64"
        for name in names
        if name not in float32 or name not in float64 or float32[name]["sha256"] != float64[name]["sha256"]
    ]


def _loading_problems(
    checkpoint: Checkpoint, plan: Plan, configuration: Mapping[str, Any], paddle: Mapping[str, Any]
) -> list[str]:
    """What PaddleNLP made up, left aside or could not fit when it loaded the source, unless a rule explains it.

    A tensor that the file may lack is one that PaddleNLP ties or computes itself, or that has no place in the target.
    """
    rules = plan.family.rules(plan.architecture, configuration, is_prefixed(plan.family, checkpoint.tensors))
    optional = {name for rule in rules if rule.optional for name in rule.sources}
    loading = paddle["loading"]
    made_up = {*paddle["digests"], *loading["missing"]} - checkpoint.tensors.keys() - optional
    unused = {plan.renamed.get(name, name) for name in loading["unexpected"]} - {
        name for rule in rules if rule.kind is not Kind.MAPPED for name in rule.sources
    }
    return (
        [f"{name} is not in the file: initialised anew by PaddleNLP" for name in sorted(made_up)]
        + [f"{name} is in the file, but PaddleNLP does not load it" for name in sorted(unused)]
        + [f"PaddleNLP finds that {name} does not fit its model" for name in loading["mismatched"]]
    )


def _run(context: Context) -> Outcome:
    """On whatever runs there are: without any, the files alone are compared."""
    pair, runs = context.pair, context.runs
    loaded = runs.paddle32_uncast or runs.paddle32
    both_types = (
        (runs.paddle32.answer["digests"], runs.paddle64.answer["digests"])
        if runs.paddle32 is not None and runs.paddle64 is not None
        else None
    )
    result = check_weights(
        pair.checkpoint,
        pair.plan,
        pair.written,
        pair.configuration,
        loaded.answer if loaded is not None else None,
        runs.torch32.answer if runs.torch32 is not None else None,
        pair.alterations,
        both_types,
        ours=pair.way_back is None and not pair.is_foreign,
    )
    return Outcome(result.with_problems(pair.way_back.problems() if pair.way_back is not None else ()))


CHECK = Check(
    name="weights",
    order=10,
    establishes="every tensor of the file is accounted for by a named rule; every converted tensor is bit-equal to its "
    "source after the declared transform; what PaddleNLP loaded is what was read, and what transformers loaded is what "
    "was written",
    limit="no bit differs",
    needs=Needs(loaded=True),
    sees_faults=True,
    look_at="`paddle2torch convert {source} {new}` writes the right tensors: compare `paddle2torch inspect NEW "
    "--hash` with `paddle2torch inspect {converted} --hash`",
    run=_run,
)
