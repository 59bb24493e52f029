"""The check of published weights against what independent sources say of them: hidden state, words for a mask, ids."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ...converters.formats.dtypes import Array
from ...converters.tokenizers.files import TOKENIZER
from ...errors import RunnerAnswerError
from ...mappings.language.pretrained import HiddenSlice, Reference, TextIds, TopWords
from ...mappings.registry import references as known_references
from ..check import Check, Context, Needs, Outcome
from ..inputs import Inputs
from ..reports.result import CheckResult
from ..runners.forward import Runners

REFERENCE = "reference"
"""The name of the check."""

REFERENCES: Mapping[str, Reference] = known_references()
"""By pretrained name."""


@dataclass(frozen=True)
class Part:
    """One part of the check: `problem` says how it failed, `absent` why it could not run; `worst` is a difference."""

    name: str
    text: str
    problem: str | None = None
    absent: str | None = None
    worst: float | None = None

    @property
    def outcome(self) -> str:
        """Say "passed", "FAILED" or "not run"."""
        if self.absent is not None:
            return "not run"
        return "passed" if self.problem is None else "FAILED"


def check_reference(reference: Reference, converted: Path, runners: Runners) -> Outcome:
    """Compare a converted folder of published weights with what is known of them.

    Parts that do not apply are not run, each with the reason, and without any there is no result. Raises RunnerError
    when the runner dies.
    """
    parts = run_reference(reference, converted, runners)
    absent = tuple(f"{REFERENCE} {part.name}: {part.absent}" for part in parts if part.absent is not None)
    return Outcome(_check(reference, parts) if len(absent) < len(parts) else None, parts_not_run=absent)


def run_reference(reference: Reference, converted: Path, runners: Runners) -> list[Part]:
    """Run what is known of a set of weights on a converted folder, in float32, with the torch runner."""
    with tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch:
        converted_model = _Converted(converted, runners, Path(scratch))
        parts = [_hidden(converted_model, reference.hidden)]
        parts.append(_tokens(converted_model, reference))
        parts += [_words(converted_model, words) for words in reference.words]
        if not reference.words:
            parts.append(Part("words", "", absent="none are known"))
    return parts


class _Converted:
    """A converted folder with the torch runner's answers about it."""

    def __init__(self, folder: Path, runners: Runners, scratch: Path) -> None:
        self._folder = folder
        self._runners = runners
        self._scratch = scratch
        self.architecture = str(json.loads((folder / "config.json").read_text("utf-8"))["architectures"][0])
        self.has_tokenizer = (folder / TOKENIZER).is_file()

    def forward(self, ids: Array, mask: Array) -> dict[str, Array]:
        """The outputs for one row of ids. Raises RunnerAnswerError."""
        inputs, outputs = self._scratch / "inputs.safetensors", self._scratch / "outputs.safetensors"
        Inputs(ids, mask, np.zeros_like(ids), np.arange(ids.shape[1])[None]).save(inputs)
        self._runners.torch.request(
            {
                "operation": "forward",
                "folder": str(self._folder),
                "architecture": self.architecture,
                "dtype": "float32",
                "inputs": str(inputs),
                "outputs": str(outputs),
            }
        )
        arrays: dict[str, Array] = load_file(outputs)
        return arrays

    def tokenize(self, text: str, special: bool) -> tuple[list[int], dict[str, Any], list[str]]:
        """The ids of a text, the tokenizer's settings, and its tokens by id. Raises RunnerAnswerError."""
        cases, outputs, vocabulary = (self._scratch / name for name in ("cases.json", "ids.safetensors", "tokens.json"))
        options = {"add_special_tokens": special}
        cases.write_text(json.dumps([{"name": "one", "texts": [text], "options": options, "batch": 1}]), "utf-8")
        answer = self._runners.torch.request(
            {
                "operation": "tokenize",
                "folder": str(self._folder),
                "cases": str(cases),
                "outputs": str(outputs),
                "vocabulary": str(vocabulary),
            }
        )
        if "refused" in answer:
            raise RunnerAnswerError(str(answer["refused"]))
        ids = [int(one) for one in load_file(outputs)["one.input_ids"]]
        return ids, dict(answer["settings"]), list(json.loads(vocabulary.read_text("utf-8")))


def _guarded(name: str, run: Callable[[], Part]) -> Part:
    """What the runner could not do with the converted folder is a failure of the part."""
    try:
        return run()
    except RunnerAnswerError as error:
        return Part(name, "", problem=str(error))


def _hidden(converted: _Converted, known: HiddenSlice | None) -> Part:
    name = "hidden state"
    if known is None:
        return Part(name, "", absent="none is known")

    def run() -> Part:
        ids, mask = (np.array([row], dtype=np.int64) for row in (known.input_ids, known.attention_mask))
        expected = np.array(known.values, dtype=np.float64)
        position, channel = known.first
        state = converted.forward(ids, mask)["last_hidden_state"][0]
        found = state[position : position + expected.shape[0], channel : channel + expected.shape[1]]
        difference = np.abs(found.astype(np.float64) - expected)
        worst = float(difference.max())
        if worst <= known.tolerance:
            return Part(name, f"differs by at most {worst:.1e}", worst=worst)
        row, column = np.unravel_index(int(np.argmax(difference)), difference.shape)
        place = f"position {position + int(row)}, channel {channel + int(column)}"
        text = f"hidden state at {place} is {float(found[row, column]):.4f}, {expected[row, column]:.4f} is published"
        return Part(name, "", problem=text, worst=worst)

    return _guarded(name, run)


def _tokens(converted: _Converted, known: Reference) -> Part:
    name = "token ids"
    if known.pieces is None and not known.ids and not known.special_ids:
        return Part(name, "", absent="none are known")
    if not converted.has_tokenizer:
        return Part(name, "", absent="the converted folder has no tokenizer.json")

    def run() -> Part:
        problems = [problem for text in known.ids if (problem := _ids_problem(converted, text)) is not None]
        _, settings, tokens = converted.tokenize("", special=True)
        if known.pieces is not None and len(tokens) != known.pieces:
            problems.append(f"the tokenizer has {len(tokens):,} pieces, {known.pieces:,} are published")
        for role, expected in known.special_ids.items():
            if (found := settings[f"{role}_token_id"]) != expected:
                problems.append(f"the {role} token has the id {found}, {expected} is published")
        texts = [f'"{text.text}"' for text in known.ids]
        return Part(name, " and ".join([*texts, "sizes and special ids agree"]), problem="; ".join(problems) or None)

    return _guarded(name, run)


def _ids_problem(converted: _Converted, known: TextIds) -> str | None:
    found, _, _ = converted.tokenize(known.text, known.special)
    return None if tuple(found) == known.ids else f'"{known.text}" has the ids {found}, {list(known.ids)} are published'


def _words(converted: _Converted, known: TopWords) -> Part:
    name = "words"
    if converted.architecture.endswith("Model"):
        return Part(name, "", absent="the published file holds no masked language model head")
    if not converted.has_tokenizer:
        return Part(name, "", absent="the converted folder has no tokenizer.json")

    def run() -> Part:
        ids, settings, tokens = converted.tokenize(known.text, special=True)
        masks = [index for index, one in enumerate(ids) if one == settings["mask_token_id"]]
        if len(masks) != 1:
            return Part(name, "", problem=f'"{known.text}" has {len(masks)} masks in {ids}')
        row = np.array([ids], dtype=np.int64)
        logits = converted.forward(row, np.ones_like(row)).get("mlm_logits")
        if logits is None:
            return Part(name, "", absent=f"{converted.architecture} has no masked language model head")
        best = np.argsort(-logits[0, masks[0]], kind="stable")[: len(known.words)]
        found = tuple(tokens[index].lstrip("▁") if index < len(tokens) else f"id {index}" for index in best)
        if found == known.words:
            return Part(name, f'{", ".join(found)} for "{known.text}"')
        text = f'the words for "{known.text}" are {", ".join(found)}; {", ".join(known.words)} are published'
        return Part(name, "", problem=text)

    return _guarded(name, run)


def _check(reference: Reference, parts: list[Part]) -> CheckResult:
    problems = tuple(part.problem for part in parts if part.problem is not None)
    hidden = next((part.worst for part in parts if part.worst is not None), None)
    return CheckResult(
        name=REFERENCE,
        passed=not problems,
        worst=hidden,
        limit=reference.hidden.tolerance if hidden is not None and reference.hidden is not None else None,
        where=problems[0] if problems else "; ".join(f"{part.name}: {part.text}" for part in parts if not part.absent),
        measure="largest difference of the hidden state from the published values",
        problems=problems,
        details={
            "parts": [
                {"name": part.name, "outcome": part.outcome, "text": part.problem or part.absent or part.text}
                for part in parts
            ]
        },
    )


def _run(context: Context) -> Outcome:
    return check_reference(context.published, context.pair.converted, context.runners)


CHECK = Check(
    name=REFERENCE,
    order=90,
    establishes="on published weights (`gate`): the converted model gives the hidden state, the words for a mask and "
    "the token ids that independent sources publish for them",
    limit="the published tolerance of the hidden state; words and ids equal",
    needs=Needs(runners=True, published=True),
    look_at="the check weights: where it holds, the published source itself is another one: `paddle2torch fetch NAME`",
    run=_run,
)
