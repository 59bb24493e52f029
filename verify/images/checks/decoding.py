"""The check of the characters: both libraries read the same texts out of the same answers."""

from __future__ import annotations

import math

import numpy as np
from safetensors.numpy import save_file

from ....mappings.language.images.network import Network
from ...check import Outcome
from ...reports.result import CheckResult
from ..check import NetworkCheck, NetworkContext

LINE = 200
"""Characters of one line."""


def lines_of(classes: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Numbers of classes, [lines, steps], that hold each character twice, once behind a blank and once repeated, and at
    random, with blanks between."""
    every = np.arange(1, classes)
    # A character, again, a blank, again: it is read twice.
    told = np.stack([every, every, np.zeros_like(every), every], 1).reshape(-1)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, classes, 4 * LINE)
    steps = 4 * LINE
    count = math.ceil(len(told) / steps)
    padded = np.concatenate([told, np.zeros(count * steps - len(told), np.int64)]).reshape(count, steps)
    return np.ascontiguousarray(np.concatenate([padded, drawn[None]]))


def _recognises(network: Network) -> bool:
    return network.task == "recognition"


def _run(context: NetworkContext) -> Outcome:
    pair, characters = context.pair, context.pair.found.characters
    if not _recognises(pair.network):
        return Outcome(reason=f"{pair.network.name} reads no text")
    if characters is None:
        return Outcome(reason="the folder was converted without characters, as asked for")
    classes = len(characters.texts)
    numbers = str(context.scratch / "numbers.safetensors")
    save_file({"numbers": lines_of(classes, context.seed)}, numbers)
    asked = {"operation": "decode", "numbers": numbers, "classes": classes}
    torch = context.torch.request({**asked, **context.of_processor()})["texts"]
    paddle = context.paddle.request(
        {
            **asked,
            "dictionary": str(characters.dictionary) if characters.dictionary is not None else None,
            "space": characters.space,
            **context.of_library(),
        }
    )["texts"]
    problems = [
        f"line {number}: {_first(one, other)}"
        for number, (one, other) in enumerate(zip(paddle, torch, strict=True))
        if one != other
    ]
    read = sum(map(len, paddle))
    if not read:
        problems.append("nothing was read out of any line, which proves nothing")
    result = CheckResult(
        name="decoding",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0]
        if problems
        else f"{len(paddle)} lines, {read:,} characters, each of {classes:,} classes read",
        measure="lines that are read otherwise",
        problems=tuple(problems[:20]),
    )
    return Outcome(result)


def _first(one: str, other: str) -> str:
    """Where two texts part."""
    place = next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return f"{len(one)} characters against {len(other)}"
    return f"character {place} is {one[place]!r} in PaddleOCR, {other[place]!r} in transformers"


CHECK = NetworkCheck(
    name="decoding",
    order=60,
    establishes="both libraries read the same texts out of the same answers, in which every character of the "
    "dictionary stands, repeated and behind the blank",
    limit="no text differs",
    run=_run,
    applies=_recognises,
)
