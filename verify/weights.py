"""The check of the weights: every bit of every tensor accounted for, from the file to both live models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..converters.checkpoint import Checkpoint
from ..converters.dtypes import Array
from ..converters.safetensors_file import open_safetensors
from ..converters.source import find_weights
from ..converters.tensors import Tensor
from ..mappings.plan import Plan, is_prefixed
from ..mappings.schema import Kind, Transform
from .report import Check


def open_converted(folder: Path) -> dict[str, Tensor]:
    """The tensors of a converted folder, all shards together. Raises UnreadableFileError."""
    tensors: dict[str, Tensor] = {}
    for path in find_weights(folder):
        tensors.update(open_safetensors(path).tensors)
    return tensors


def check_weights(
    checkpoint: Checkpoint,
    plan: Plan,
    converted: Mapping[str, Tensor],
    configuration: Mapping[str, Any],
    paddle: Mapping[str, Any] | None = None,
    torch: Mapping[str, Any] | None = None,
) -> Check:
    """Compare each converted tensor with its source after the declared transform, bit for bit, both key sets closed.

    With the runners' answers also: what Paddle itself loaded is what the reader read, what torch loaded is what was
    written (by the sha256 of float32 bytes), and Paddle's live model holds nothing that the file does not explain.
    `configuration` is PaddleNLP's.
    """
    problems: list[str] = []
    targets = {move.target: move for move in plan.moves}
    problems += [f"{name} is missing in the converted weights" for name in sorted(targets.keys() - converted.keys())]
    problems += [f"{name} is in the converted weights without a rule" for name in sorted(converted.keys() - targets)]
    source_digests: dict[str, str] = {}
    target_digests: dict[str, str] = {}
    for move in plan.moves:
        source = checkpoint.tensors[move.source].read()
        source_digests[move.source] = digest(source, checkpoint.tensors[move.source].dtype.name)
        if move.target in converted:
            target = converted[move.target]
            written = target.read()
            target_digests[move.target] = digest(written, target.dtype.name)
            if target.dtype != checkpoint.tensors[move.source].dtype:
                problems.append(
                    f"{move.target} holds {target.dtype.name}, its source {checkpoint.tensors[move.source].dtype.name}"
                )
            else:
                expected = source.T if move.transform is Transform.TRANSPOSE else source
                problems += _differences(move.target, expected, written)
    for rule in (*plan.tied, *plan.dropped):
        tensor = checkpoint.tensors[rule.source]
        source_digests[rule.source] = digest(tensor.read(), tensor.dtype.name)
    if paddle is not None:
        problems += _digest_problems("Paddle's live model", source_digests, paddle["digests"])
        problems += _loading_problems(checkpoint, plan, configuration, paddle)
    if torch is not None:
        problems += _digest_problems("torch's live model", target_digests, torch["digests"])
    return Check(
        name="weights",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"all {len(targets)} tensors bit-equal",
        measure="tensors that are not bit-equal, missing or without a rule",
        problems=tuple(problems),
        details={
            "tensors": len(targets),
            "live_models_compared": [
                name for name, given in (("paddle", paddle), ("torch", torch)) if given is not None
            ],
        },
    )


def digest(values: Array, dtype: str) -> str:
    """sha256 of the values as C-order float32, to which float16 and bfloat16 widen exactly."""
    if dtype == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.float32).data).hexdigest()


def _differences(name: str, expected: Array, written: Array) -> list[str]:
    if expected.shape != written.shape:
        return [f"{name} has shape {list(written.shape)}, expected {list(expected.shape)}"]
    bits = np.dtype(f"u{expected.dtype.itemsize}")
    different = np.ascontiguousarray(expected).view(bits) != written.view(bits)
    if not different.any():
        return []
    place = tuple(int(index) for index in np.argwhere(different)[0])
    return [
        f"{name} differs in {int(different.sum())} of {different.size} elements, first at {list(place)}: "
        f"{written[place]!r} instead of {expected[place]!r}"
    ]


def _digest_problems(side: str, expected: Mapping[str, str], live: Mapping[str, Any]) -> list[str]:
    problems = []
    for name, value in expected.items():
        if name not in live:
            problems.append(f"{name} is not in {side}")
        elif live[name]["sha256"] != value:
            problems.append(f"{name} has other values in {side} than in its file")
    return problems


def _loading_problems(
    checkpoint: Checkpoint, plan: Plan, configuration: Mapping[str, Any], paddle: Mapping[str, Any]
) -> list[str]:
    """What PaddleNLP made up, left aside or could not fit when it loaded the source, unless a rule explains it.

    A tensor that the file may lack is one that PaddleNLP ties or computes itself, or that has no place in the target.
    """
    rules = plan.family.rules(plan.architecture, configuration, is_prefixed(plan.family, checkpoint.tensors))
    optional = {rule.source for rule in rules if rule.optional}
    loading = paddle["loading"]
    made_up = {*paddle["digests"], *loading["missing"]} - checkpoint.tensors.keys() - optional
    unused = set(loading["unexpected"]) - {rule.source for rule in rules if rule.kind is not Kind.MAPPED}
    return (
        [f"{name} is not in the file: initialised anew by PaddleNLP" for name in sorted(made_up)]
        + [f"{name} is in the file, but PaddleNLP does not load it" for name in sorted(unused)]
        + [f"PaddleNLP finds that {name} does not fit its model" for name in loading["mismatched"]]
    )
