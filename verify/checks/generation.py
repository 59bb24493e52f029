"""The check of what a model writes: the most probable token each time, by each library's `generate`, with a cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...errors import RunnerAnswerError, RunnerError
from ...mappings.language.family import Family
from ..check import DTYPES, Check, Context, Needs, Outcome, scientific
from ..reports.result import CheckResult, DeclaredDifferenceSeen
from ..runners.forward import Run
from ..runners.outputs import DECODER
from ..states import StateDifference, nan_last
from .float32 import FLOOR, NOISE, float32_difference, rounding_error

PROMPTS = 3

LENGTH = 8
"""Tokens of a prompt, or fewer where the table of positions is short."""

COUNT = 20
"""Tokens that are written behind each, or fewer where the table of positions ends or a row does."""

NEAR_TIE = "near_tie"


def writes(family: Family, architecture: str) -> bool:
    """Whether a class of PaddleNLP's writes texts."""
    return family.model(architecture).generation is not None


def prompts(configuration: Mapping[str, Any], special: tuple[str, ...], seed: int = 0) -> tuple[Array, int]:
    """Ids of shape [PROMPTS, tokens], none of them that of a field in `special`, and how many tokens follow."""
    rows = int(configuration.get("max_position_embeddings") or 4 * (LENGTH + COUNT))
    length = max(1, min(LENGTH, rows // 4))
    taken = {configuration[name] for name in special}
    allowed = [index for index in range(configuration["vocab_size"]) if index not in taken]
    return np.random.default_rng(seed).choice(np.array(allowed, np.int64), (PROMPTS, length)), min(COUNT, rows - length)


def _run(context: Context) -> Outcome:
    """Raises RunnerError when a runner dies or PaddleNLP cannot run the source."""
    pair = context.pair
    generation = pair.recognised.family.model(pair.plan.architecture).generation
    if generation is None:
        return Outcome(reason=f"PaddleNLP's {pair.plan.architecture} writes no texts")
    ids, count = prompts(pair.configuration, generation.fields)
    asked: dict[str, Any] = {"ids": ids.tolist(), "count": count}

    def of_paddle() -> Run:
        try:
            return context.models.paddle("float32", "generate", **asked)
        except RunnerAnswerError as error:
            # Not a finding about the converted folder.
            raise RunnerError(str(error)) from error

    paddle = context.once("generated", of_paddle)
    torch = context.models.torch("float32", "generate", **asked)
    # How far torch's logits are off in float32 at all.
    single, double = context.torch("float32").outputs, context.torch("float64").outputs
    name = next(name for name in ("mlm_logits", f"{DECODER}mlm_logits", "logits") if name in single)
    noise = rounding_error(name, single[name], double.get(name), context.mask)
    end = pair.configuration.get("eos_token_id")
    return Comparison(paddle.outputs, torch.outputs, noise, end).outcome()


@dataclass
class Comparison:
    """What both wrote behind the same prompts, from which logits, and where they part. `noise` is torch's rounding
    error of a logit, and `end` the id that ends a text."""

    paddle: Mapping[str, Array]
    torch: Mapping[str, Array]
    noise: float
    end: int | None
    problems: list[str] = field(default_factory=list)
    ties: list[tuple[str, float]] = field(default_factory=list)
    states: list[StateDifference] = field(default_factory=list)

    def rows(self, outputs: Mapping[str, Array]) -> list[list[int]]:
        """What was written behind each prompt up to the end of the text: what fills a row after that, the libraries
        choose for themselves."""
        written = [row.tolist() for row in outputs["tokens"]]
        return [row[: row.index(self.end) + 1] if self.end in row else row for row in written]

    def outcome(self) -> Outcome:
        """The result, and the near ties that it saw."""
        written = list(zip(self.rows(self.paddle), self.rows(self.torch), strict=True))
        parted = [_parted(*pair) for pair in written]
        # From where on a row has nothing in common any more: its logits at that step follow from the same tokens.
        ends = [len(pair[0]) if step is None else step + 1 for pair, step in zip(written, parted, strict=True)]
        for step in range(max(ends)):
            self._compare_logits(step, [row for row, end in enumerate(ends) if step < end])
        for number, place in enumerate(parted):
            if place is not None:
                self._judge(number, place, *(one[place : place + 1] for one in written[number]))
        if not all(pair[0] for pair in written):
            self.problems.append("Paddle wrote nothing behind a prompt")
        self.problems += [state.text for state in self.states if not state.holds]
        result = self._result([len(pair[0]) for pair in written])
        if not self.ties:
            return Outcome(result)
        seen = "; ".join(text for text, _ in self.ties)
        text = f"of two tokens that are as probable within rounding, each library chooses another: {seen}"
        return Outcome(result, (DeclaredDifferenceSeen(NEAR_TIE, text, max(gap for _, gap in self.ties)),))

    def _compare_logits(self, step: int, rows: list[int]) -> None:
        """The logits that these rows, which are the same before, choose a token from."""
        name = f"logits.{step:02d}"
        if name not in self.paddle or name not in self.torch:
            self.problems.append(f"{'torch' if name in self.paddle else 'Paddle'} wrote no token {step}")
            return
        paddle, torch = self.paddle[name][rows], self.torch[name][rows]
        if paddle.shape != torch.shape:
            shapes = f"{list(paddle.shape)} in Paddle and {list(torch.shape)} in torch"
            self.problems.append(f"the logits of token {step} have shape {shapes}")
            return
        mask = np.ones((len(rows), 1), np.int64)
        self.states.append(float32_difference(f"logits of token {step}", paddle, torch, self.noise, mask))

    def _judge(self, number: int, step: int, paddle: list[int], torch: list[int]) -> None:
        """Settle whether it is a near tie: each library finds the other's token less probable by no more than float32
        may be wrong."""
        place = f"prompt {number}, token {step}"
        if not (paddle and torch):
            self.problems.append(f"{place}: {'torch' if paddle else 'Paddle'} wrote no more of it")
            return
        own, other = paddle[0], torch[0]
        logits = [np.asarray(side[f"logits.{step:02d}"][number], np.float64) for side in (self.paddle, self.torch)]
        # In that library which tells them apart better.
        gap = max(abs(float(one[own] - one[other])) for one in logits)
        limit = NOISE * self.noise + FLOOR * float(np.max(np.abs(logits[0])))
        text = f"{place}: {own} in Paddle and {other} in torch, whose logits are {gap:.2e} apart"
        if gap <= limit:
            self.ties.append((text, gap))
        else:
            self.problems.append(f"{text}, where rounding explains {limit:.2e}")

    def _result(self, written: list[int]) -> CheckResult:
        worst = max(self.states, key=lambda state: nan_last(state.share_of_limit), default=None)
        alike = f"{len(written)} prompts go on alike, for {min(written)} to {max(written)} tokens"
        return CheckResult(
            name="generation",
            passed=not self.problems,
            worst=None if worst is None else worst.relative,
            limit=None if worst is None or not worst.scale else worst.relative_limit,
            where=self.problems[0] if self.problems else alike,
            measure="tokens that differ, else the largest difference of a step's logits over their largest value",
            problems=tuple(self.problems),
            details={
                "written": self.rows(self.paddle),
                "near_ties": [text for text, _ in self.ties],
                "states": [
                    {"name": one.name, "difference": one.difference, "scale": one.scale, "limit": one.limit}
                    for one in self.states
                ],
            },
        )


def _parted(one: list[int], other: list[int]) -> int | None:
    """The first step at which two rows are not the same."""
    if one == other:
        return None
    same = (left == right for left, right in zip(one, other, strict=False))
    return next((step for step, equal in enumerate(same) if not equal), min(len(one), len(other)))


CHECK = Check(
    name="generation",
    order=77,
    establishes=f"for classes that write texts: behind {PROMPTS} prompts, both libraries' `generate` writes the same "
    f"{COUNT} tokens from the same logits, the most probable one each time, with a cache and with nothing stated but "
    "how many",
    limit=f"the same tokens up to the end of the text, of a near tie either; logits {NOISE} times torch's own rounding "
    f"error, plus {scientific(FLOOR)} of the largest value",
    # The limit follows from torch's run in float64.
    needs=Needs(dtypes=DTYPES, models=True),
    applies=writes,
    look_at="the checks float32 and files: where the first holds, generation_config.json in {converted}, and what the "
    "class does with its cache",
    run=_run,
)
