"""The check of what a model writes: the most probable token each time, by each library's `generate`, with a cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array
from ...errors import RunnerAnswerError, RunnerError
from ...mappings.language.family import Family
from ..check import Check, Context, Needs, Outcome
from ..reports.result import CheckResult, DeclaredDifferenceSeen
from ..runners.forward import Run
from ..sides.pair import Pair
from .float32 import FLOOR, NOISE

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
    rows = int(configuration.get("max_position_embeddings") or LENGTH + COUNT)
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
    comparison = Comparison(pair, paddle.outputs, torch.outputs)
    if comparison.parted():
        wide = context.models.torch("float64", "generate", label="generate in float64", **asked)
        comparison.judge(wide.outputs)
    return comparison.outcome()


@dataclass
class Comparison:
    """What both wrote behind the same prompts, and where they part."""

    pair: Pair
    paddle: Mapping[str, Array]
    torch: Mapping[str, Array]
    problems: list[str] = field(default_factory=list)
    ties: list[tuple[str, float]] = field(default_factory=list)

    def rows(self, outputs: Mapping[str, Array]) -> list[list[int]]:
        """What was written behind each prompt up to the end of the text: what fills a row after that, the libraries
        choose for themselves."""
        end = self.pair.configuration.get("eos_token_id")
        written = [row.tolist() for row in outputs["tokens"]]
        return [row[: row.index(end) + 1] if end in row else row for row in written]

    def parted(self) -> dict[int, int]:
        """By prompt, the first step at which the two do not write the same."""
        found = {}
        for number, (one, other) in enumerate(zip(self.rows(self.paddle), self.rows(self.torch), strict=True)):
            if one != other:
                same = (left == right for left, right in zip(one, other, strict=False))
                found[number] = next((step for step, equal in enumerate(same) if not equal), min(len(one), len(other)))
        return found

    def judge(self, wide: Mapping[str, Array]) -> None:
        """Settle what is a near tie: each library finds the other's token less probable by no more than float32 may be
        wrong. `wide` is what torch gives in float64, from which its rounding error follows."""
        for number, step in self.parted().items():
            chosen = [rows[number][step : step + 1] for rows in (self.rows(self.paddle), self.rows(self.torch))]
            place = f"prompt {number}, token {step}"
            if not all(chosen):
                self.problems.append(f"{place}: {'torch' if chosen[0] else 'Paddle'} wrote no more of it")
                continue
            (own,), (other,) = chosen
            gap, limit = self._gap(number, step, own, other), self._limit(wide, number, step)
            text = f"{place}: {own} in Paddle and {other} in torch, whose logits are {gap:.2e} apart"
            if gap <= limit:
                self.ties.append((text, gap))
            else:
                self.problems.append(f"{text}, where rounding explains {limit:.2e}")

    def _gap(self, number: int, step: int, own: int, other: int) -> float:
        """How far the two tokens are apart, in that library which tells them apart better."""
        name = f"logits.{step:02d}"
        logits = [np.asarray(side[name][number], np.float64) for side in (self.paddle, self.torch)]
        return max(abs(float(one[own] - one[other])) for one in logits)

    def _limit(self, wide: Mapping[str, Array], number: int, step: int) -> float:
        """What the check float32 allows; NaN, which nothing is within, where float64 wrote something else before."""
        name = f"logits.{step:02d}"
        before, own = (side["tokens"][number, :step] for side in (wide, self.torch))
        if name not in wide or not np.array_equal(before, own):
            return float("nan")
        torch = np.asarray(self.torch[name][number], np.float64)
        noise = float(np.max(np.abs(torch - wide[name][number])))
        return NOISE * noise + FLOOR * float(np.max(np.abs(self.paddle[name][number])))

    def outcome(self) -> Outcome:
        """The result, and the near ties that it saw."""
        written = [len(row) for row in self.rows(self.paddle)]
        if not all(written):
            self.problems.append("Paddle wrote nothing behind a prompt")
        compared = f"{len(written)} prompts go on alike, for {min(written)} to {max(written)} tokens"
        result = CheckResult(
            name="generation",
            passed=not self.problems,
            worst=float(len(self.problems)),
            limit=0.0,
            where=self.problems[0] if self.problems else compared,
            measure="prompts that go on otherwise",
            problems=tuple(self.problems),
            details={"written": self.rows(self.paddle), "near_ties": [text for text, _ in self.ties]},
        )
        if not self.ties:
            return Outcome(result)
        seen = "; ".join(text for text, _ in self.ties)
        text = f"of two tokens that are as probable within rounding, each library chooses another: {seen}"
        return Outcome(result, (DeclaredDifferenceSeen(NEAR_TIE, text, max(gap for _, gap in self.ties)),))


CHECK = Check(
    name="generation",
    order=77,
    establishes=f"for classes that write texts: behind {PROMPTS} prompts, both libraries' `generate` writes the same "
    f"{COUNT} tokens, the most probable one each time, with a cache and with nothing stated but how many",
    limit="the same tokens up to the end of the text; of two whose logits are no further apart than the check float32 "
    "allows, either",
    needs=Needs(dtypes=("float32",), models=True),
    applies=writes,
    look_at="the checks float32 and files: where the first holds, generation_config.json in {converted}, and what the "
    "class does with its cache",
    run=_run,
)
