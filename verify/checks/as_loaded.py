"""The check of what a user gets who writes three lines: the tokenizer and the model of the path, loaded with no other
argument, and the model called with what the tokenizer gives; beside PaddleNLP's own default call on the same texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...converters.formats.dtypes import Array, widest
from ...converters.tokenizers.huggingface import HUGGING_FACE_CLASS, SourceTokenizer, read_tokenizer
from ...errors import RunnerAnswerError, RunnerError
from ..cases import MASKED, PADDED_PAIRS, UNSTATED, Case, id_cases, masks_padding, text_cases, with_decoder
from ..check import Check, Context, Needs, Outcome, scientific
from ..reports.result import CheckResult, DeclaredDifferenceSeen
from ..runners.forward import Run
from ..sides.pair import Pair
from ..states import StateDifference, describe, largest_difference, nan_last
from ..tokenizers.differences import other_calls
from .float32 import FLOOR, NOISE, float32_difference, rounding_error
from .tokenizer import paddle_tokenizer, stage_tokenizer

TYPES = "token_type_ids"

DEFAULT_MASK = "default_mask"
DEFAULT_POSITIONS = "default_positions"

MEASURE = "facts that differ, else the largest difference of an output over its largest value"


def _run(context: Context) -> Outcome:
    """Raises what reading the source's tokenizer raises, and RunnerError when a runner dies or PaddleNLP cannot run
    the source."""
    pair = context.pair
    architecture = pair.recognised.family.model(pair.plan.architecture)
    if architecture.needs:
        needed = " and ".join(architecture.needs)
        return Outcome(reason=f"PaddleNLP's {architecture.source} insists on {needed}, which no tokenizer gives")
    tokenizer = None
    if not pair.alterations.no_tokenizer:
        vocabulary = int(pair.configuration["vocab_size"])
        tokenizer = read_tokenizer(pair.checkpoint.source, pair.recognised.family.name, vocabulary, pair.longest)
    cases = with_decoder(pair, id_cases(pair) if tokenizer is None else text_cases(pair.limits))
    named = None if tokenizer is None else {"class": HUGGING_FACE_CLASS if is_ours(pair) else None}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_paddle, context, tokenizer, cases)
        if context.models.alone:
            asked.result()
        torch = context.models.torch("float32", "as_loaded", **_fields(context, "torch", cases, named))
        paddle = asked.result()
    settings = None if tokenizer is None else tokenizer.settings
    untyped = settings is not None and not settings.paddle_class.gives_types_with(settings.kind)
    comparison = Comparison(pair, paddle, torch, untyped)
    outcome = comparison.outcome(cases)
    if not all(state.holds for _, state in comparison.states):
        # Beyond what is allowed in any case. What is allowed besides follows from a run in float64, which takes long.
        torch = context.models.torch("float32", "as_loaded", rounding=True, **_fields(context, "torch", cases, named))
        outcome = Comparison(pair, paddle, torch, untyped, rounding=True).outcome(cases)
    return replace(outcome, declared=(*outcome.declared, *other_calls(architecture, tokenizer)))


def _fields(context: Context, side: str, cases: list[Case], tokenizer: Any) -> dict[str, Any]:
    """The fields of a request; `tokenizer` is what the runner needs to know of one."""
    path = context.scratch / f"as_loaded {side}.json"
    path.write_text(json.dumps(cases), "utf-8")
    return {"label": "as loaded", "cases": str(path), "tokenizer": tokenizer}


def _paddle(context: Context, tokenizer: SourceTokenizer | None, cases: list[Case]) -> Run:
    """PaddleNLP's side, made once for all converted folders that are compared with it."""
    if context.runs.paddle_as_loaded is None:
        named = None
        if context.pair.limits.mask is not None:
            # It masks the padding by itself, where transformers has to be told.
            cases = [{name: value for name, value in case.items() if name != "mask"} for case in cases]
        if tokenizer is not None:
            folder = stage_tokenizer(tokenizer, context.scratch / "as_loaded tokenizer")
            named = {"folder": str(folder), **paddle_tokenizer(tokenizer)}
            named["token_types"] &= not tokenizer.settings.paddle_class.untaken_types
            if not masks_padding(context.pair) and context.pair.limits.mask is None:
                padded = next(case for case in cases if case["name"] == PADDED_PAIRS)
                cases = [*cases, {**padded, "name": PADDED_PAIRS + MASKED, "ask_mask": True}]
        if context.pair.recognised.family.stated_positions:
            unstated = {**cases[0], "name": cases[0]["name"] + UNSTATED}
            cases = [*({**case, "state_positions": True} for case in cases), unstated]
        try:
            run = context.models.paddle("float32", "as_loaded", **_fields(context, "paddle", cases, named))
        except RunnerAnswerError as error:
            # Not a finding about the converted folder.
            raise RunnerError(str(error)) from error
        context.runs.paddle_as_loaded = run
    return context.runs.paddle_as_loaded


def is_ours(pair: Pair) -> bool:
    """Whether this package wrote the Hugging Face folder, so that what stands in it is known to the letter."""
    return pair.way_back is None and not pair.is_foreign


@dataclass
class Comparison:
    """PaddleNLP's side beside transformers', and what differs. `untyped`: transformers' tokenizer gives no token types,
    for which its model takes zeros. `rounding`: its run in float64 is there, and its rounding error is allowed for."""

    pair: Pair
    paddle: Run
    torch: Run
    untyped: bool = False
    rounding: bool = False
    problems: list[str] = field(default_factory=list)
    states: list[tuple[str, StateDifference]] = field(default_factory=list)
    excused: list[float] = field(default_factory=list)

    def outcome(self, cases: list[Case]) -> Outcome:
        """Compare the facts and every case."""
        if refused := self.torch.answer.get("refused"):
            return Outcome(self._result([f"transformers refuses the folder: {refused}"]))
        self.compare_facts()
        comparable = [case for case in cases if self.compare_given(case)]
        for case in comparable:
            self.compare_case(case)
        self.problems += [f"{name}: {state.text}" for name, state in self.states if not state.holds]
        seen = DeclaredDifferenceSeen(DEFAULT_MASK, self._excuse(cases), max(self.excused, default=None))
        declared = ((seen,) if self.excused else ()) + self._unstated(comparable)
        return Outcome(self._result(self.problems), declared)

    def _unstated(self, comparable: list[Case]) -> tuple[DeclaredDifferenceSeen, ...]:
        """What PaddleNLP's own numbers of positions make of the case that was run with them too, if one was."""
        name = next((case["name"] for case in comparable if case["name"] + UNSTATED in self._paddle_cases()), None)
        if name is None:
            return ()
        paddle, torch = self._named(name + UNSTATED, name), self._torch(name)
        mask = _part(self.torch, f"{name}.given.").get("attention_mask", np.ones_like(self._ids(name)))
        shared = sorted((paddle.keys() & torch.keys()) - self.pair.left_out)
        text = (
            "PaddleNLP's model is given positions from 0, as Hugging Face's counts by itself; measured is the "
            "difference where PaddleNLP's counts by itself too"
        )
        measured = max((largest_difference(one, paddle[one], torch[one], mask) for one in shared), default=None)
        return (DeclaredDifferenceSeen(DEFAULT_POSITIONS, text, measured),)

    def compare_facts(self) -> None:
        """The classes, the element type, what did not fit, and the names of labels and special tokens."""
        pair, paddle, torch = self.pair, self.paddle.answer, self.torch.answer
        expected: dict[str, tuple[Any, Any]] = {
            "the class of the model": (pair.plan.target_architecture, "model_class")
        }
        if is_ours(pair):
            expected["architectures in config.json"] = ([pair.plan.target_architecture], "architectures")
            names = {label: int(number) for number, label in torch["labels"].items()}
            expected["label2id in use"] = (names, "label2id")
        if "num_labels" in {size for row in self._head() for size in row.sizes()}:
            expected["id2label in use"] = (paddle["labels"], "labels")
        expected["special tokens"] = (paddle["special"], "special")
        expected["the model is ready to evaluate"] = (True, "evaluating")
        # With chunks, lengths that they do not divide are refused.
        expected["the chunk of the feed-forward part"] = (0, "chunk")
        for what, (wanted, name) in expected.items():
            if torch[name] != wanted:
                self.problems.append(f"{what}: {torch[name]}, expected {wanted}")
        if not torch["tokenizer_fits"]:
            self.problems.append(
                f"the tokenizer is a {torch['tokenizer_class']}, which is not the class that was written"
            )
        self.problems += [f"the model does not fit its file: {problem}" for problem in torch["problems"]]
        self.compare_dtypes()
        for case, (returned, named) in torch["returned"].items():
            if named is None:
                self.problems.append(f"{case}: the model returns a {returned}, whose parts have no names")

    def _head(self) -> Any:
        return self.pair.recognised.family.model(self.pair.plan.architecture).head

    def compare_dtypes(self) -> None:
        """The element type is the one that was written; transformers before 5 makes every model float32."""
        if not is_ours(self.pair):
            # It may state another type than it holds.
            return
        written = widest({one.dtype for one in self.pair.written.values()}).name
        stated, loaded = self.torch.answer["stated_dtype"], self.torch.answer["dtypes"]
        if stated not in (None, written):
            self.problems.append(f"the element type in config.json is {stated}, {written} was written")
        wanted = written if int(self.torch.answer["transformers"].partition(".")[0]) >= 5 else "float32"
        if loaded != [wanted]:
            self.problems.append(f"the element type of the loaded model is {' and '.join(loaded)}, expected {wanted}")

    def compare_given(self, case: Case) -> bool:
        """What the tokenizers gave: the same ids, types and masks, and a mask in any case from transformers'. Returns
        whether the outputs can be compared."""
        name = case["name"]
        paddle, torch = (_part(run, f"{name}.given.") for run in (self.paddle, self.torch))
        wanted = {**paddle, **({"attention_mask": None} if "texts" in case or "mask" in case else {})}
        if self.untyped and TYPES not in torch and TYPES in paddle and not paddle[TYPES].any():
            del wanted[TYPES]
        if torch.keys() != wanted.keys():
            self.problems.append(
                f"{name}: the tokenizer gives {', '.join(sorted(torch))}, not {', '.join(sorted(wanted))}"
            )
        same = {one: np.array_equal(paddle[one], torch[one]) for one in sorted(paddle.keys() & torch.keys())}
        self.problems += [f"{name}: {one} {_first(paddle[one], torch[one])}" for one in same if not same[one]]
        return all(same.values()) and self.torch.answer["returned"][name][1] is not None

    def compare_case(self, case: Case) -> None:
        """The outputs of one call, by the names that transformers gives them.

        Where PaddleNLP's default call attends to padding, or does not, unlike transformers' on the same, the rows
        without padding are compared and the others measured; all are compared with the mask handed to both.
        """
        name = case["name"]
        mask = _part(self.torch, f"{name}.given.").get("attention_mask")
        attended = mask if mask is not None else np.asarray(case.get("attended", np.ones_like(self._ids(name))))
        excused = self._is_excused(case) and not attended.all()
        torch, errors = self._torch(name), self._errors(case)
        paddle = self._named(name, name)
        rows: Array = np.asarray(attended.all(axis=1)) if excused else np.ones(len(attended), bool)
        for output in self._comparable(name, paddle, torch):
            given = paddle[output], torch[output]
            # A batch of choices is one example.
            chosen = rows if len(given[0]) == len(rows) else np.full(len(given[0]), not excused)
            if chosen.any():
                self._compare(name, output, given, errors[output], attended, chosen)
            if not chosen.all():
                self.excused.append(largest_difference(output, given[0], given[1], attended))
        if excused and name + MASKED in self._paddle_cases():
            paddle = self._named(name + MASKED, name)
            for output in self._comparable(name, paddle, torch):
                given = paddle[output], torch[output]
                self._compare(name + MASKED, output, given, errors[output], attended, np.ones(len(given[0]), bool))

    def _is_excused(self, case: Case) -> bool:
        """Whether PaddleNLP's default call treats padding in another way than transformers' on the same."""
        if "mask" in case:
            return False
        masks = masks_padding(self.pair)
        if "texts" in case:
            return not masks and "attention_mask" not in _part(self.paddle, f"{case['name']}.given.")
        # Both attend to it, and see the same where the embedding of the padding id is.
        return masks or any(one.padding or one.padding_position for one in self.pair.declared)

    def _compare(
        self, case: str, output: str, given: tuple[Array, Array], error: float, mask: Array, rows: Array
    ) -> None:
        paddle, torch = given
        if paddle.shape != torch.shape:
            self.problems.append(
                f"{case}: {describe(output)} has shape {paddle.shape} in Paddle and {torch.shape} in torch"
            )
            return
        of_rows = mask[rows] if len(rows) == len(mask) else mask
        self.states.append((case, float32_difference(output, paddle[rows], torch[rows], error, of_rows)))

    def _errors(self, case: Case) -> dict[str, float]:
        """Torch's rounding error by output, none where it is not allowed for."""
        if not self.rounding:
            return dict.fromkeys(self._torch(case["name"]), 0.0)
        name = str(case.get("error_of", case["name"]))
        mask = _part(self.torch, f"{name}.given.").get("attention_mask", np.ones_like(self._ids(name)))
        torch, torch64 = self._torch(name), _part(self.torch, f"{name}.float64.")
        return {output: rounding_error(output, torch[output], torch64.get(output), mask) for output in torch}

    def _comparable(self, case: str, paddle: Mapping[str, Array], torch: Mapping[str, Array]) -> list[str]:
        """The outputs that both have, but those that are compared by other means; others are problems."""
        left_out = self.pair.left_out
        self.problems += [
            f"{case}: {describe(name)} exists only in {'Paddle' if name in paddle else 'torch'}"
            for name in sorted((paddle.keys() ^ torch.keys()) - left_out)
        ]
        return sorted((paddle.keys() & torch.keys()) - left_out)

    def _ids(self, case: str) -> Array:
        return _part(self.torch, f"{case}.given.")["input_ids"]

    def _paddle_cases(self) -> set[str]:
        return {name.partition(".")[0] for name in self.paddle.outputs}

    def _torch(self, case: str) -> dict[str, Array]:
        """The outputs as loaded, but for what a declared epsilon changes: that is compared with the epsilon aligned."""
        aligned = _part(self.torch, f"{case}.aligned.")
        changed = {name: array for name, array in aligned.items() if name == "mlm_logits"}
        return {**_part(self.torch, f"{case}.loaded."), **changed}

    def _named(self, paddle_case: str, torch_case: str) -> dict[str, Array]:
        """PaddleNLP's outputs, which come without names, by those that the family has for them, or else by
        transformers' names for those at the same places."""
        outputs = {name: array for name, array in _part(self.paddle, f"{paddle_case}.").items() if name.isdecimal()}
        names = [self._probabilities().get(name, name) for name in self.torch.answer["returned"][torch_case][1]]
        family, architecture = self.pair.recognised.family, self.pair.plan.architecture
        model = family.model(architecture)
        if model.returns is not None:
            names = list(model.returns)
        elif model.gives_pooled or (architecture == family.base and not model.pooler):
            # PaddleNLP's backbone has one all the same.
            names.append("pooler_output")
        # One more on either side gets a name that the other does not have.
        places = {place: names[index] if index < len(names) else place for index, place in enumerate(sorted(outputs))}
        named = {places[place]: array for place, array in outputs.items()}
        named = self.pair.unsqueezed(named, self._torch(torch_case))
        return {**_part(self.paddle, f"{paddle_case}.part."), **named}

    def _probabilities(self) -> dict[str, str]:
        """PaddleNLP's names for the sigmoids of outputs of transformers', by the latter."""
        stated = self.pair.recognised.family.model(self.pair.plan.architecture).probabilities
        return {logits: name for name, logits in stated.outputs.items()} if stated is not None else {}

    def _excuse(self, cases: list[Case]) -> str:
        if "texts" in cases[0]:
            return (
                "PaddleNLP's tokenizer gives no mask unless asked, and its model then attends to padding, unlike "
                "transformers': rows with padding are compared with the mask handed to both, measured is the "
                "difference of the two default calls on them"
            )
        if masks_padding(self.pair):
            return (
                "given ids alone, PaddleNLP does not attend to the padding id and transformers does: padded rows are "
                "compared with the mask handed to both, measured is the difference without"
            )
        differs = "whose embedding PaddleNLP reads as zeros"
        if not any(difference.padding for difference in self.pair.declared):
            differs = "whose positions they number differently"
        return (
            f"given ids alone, both attend to padding, {differs}: padded rows are compared with the mask handed to "
            "both, measured is the difference without"
        )

    def _result(self, problems: list[str]) -> CheckResult:
        worst = max(self.states, key=lambda one: nan_last(one[1].share_of_limit), default=None)
        state = worst[1] if worst is not None else None
        if not problems and state is None:
            problems = ["no output was compared"]
        answer = self.torch.answer
        return CheckResult(
            name="as_loaded",
            passed=not problems,
            worst=state.relative if state is not None else None,
            limit=state.relative_limit if state is not None and state.scale else None,
            where=problems[0] if problems or worst is None else f"{worst[0]}: {worst[1].where}",
            measure=MEASURE,
            problems=tuple(problems),
            details={
                **{
                    name: answer[name]
                    for name in ("tokenizer_class", "model_class", "dtypes", "stated_dtype")
                    if name in answer
                },
                "states": [
                    {
                        "case": case,
                        "name": one.name,
                        "difference": one.difference,
                        "scale": one.scale,
                        "limit": one.limit,
                    }
                    for case, one in self.states
                ],
            },
        )


def _part(run: Run, prefix: str) -> dict[str, Array]:
    """The arrays of a run whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in run.outputs.items() if name.startswith(prefix)}


def _first(paddle: Array, torch: Array) -> str:
    """The first row that differs, in words."""
    if paddle.shape != torch.shape:
        return f"have shape {list(paddle.shape)} in PaddleNLP and {list(torch.shape)} in transformers"
    row = int(np.argmax((paddle != torch).any(axis=1)))
    return f"of row {row} are {paddle[row].tolist()} in PaddleNLP and {torch[row].tolist()} in transformers"


CHECK = Check(
    name="as_loaded",
    order=75,
    establishes="what a user gets who loads tokenizer and model with nothing but the path and calls the one with what "
    "the other gives: PaddleNLP's ids, last state and outputs of its own default call, in the class, element type, "
    "form and with the label names that were written",
    limit=f"facts and ids equal; outputs {scientific(FLOOR)} of the largest value, plus {NOISE} times torch's own "
    "rounding error, which is measured where that is exceeded",
    needs=Needs(dtypes=("float32",), models=True),
    sees_faults=True,
    look_at="config.json and the tokenizer's files in {converted}: the check files names what differs from a "
    "fresh conversion",
    run=_run,
)
