"""The check of the tokenizer: PaddleNLP's on the source and transformers' on the converted folder, slow and fast, give
the same ids, token types and masks for the same lines, and have the same tokens and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ...converters.formats.dtypes import Array
from ...converters.outputs.links import link
from ...converters.tokenizers.byte_pairs import text_of
from ...converters.tokenizers.files import (
    ADDED_TOKENS,
    CONFIG,
    SPECIAL_TOKENS_MAP,
    beside_byte_pairs,
    plain_name,
    plain_tokenizer_paths,
    read_json_object,
)
from ...converters.tokenizers.huggingface import SourceTokenizer, added_tokens, length_text, read_tokenizer
from ...converters.tokenizers.paddle import read_huggingface_tokenizer
from ...errors import Paddle2TorchError
from ...mappings.language.tokenizers import BYTE_PAIRS, SENTENCEPIECE, UNLIMITED, WORDPIECE
from ..check import Check, Context, Needs, Outcome
from ..reports.result import CheckResult, DeclaredDifferenceSeen
from ..runners.client import RunnerProcess
from ..runners.forward import Runners
from ..tokenizers.comparison import FIELDS, Case, Comparison, Encoded, Lines, fields_with
from ..tokenizers.corpus import make_lines, with_every_piece
from ..tokenizers.differences import DECLARED, END, Planner

LINES = 400
"""Made lines of a verification, besides the fixed ones."""

BATCH, PADDED_BATCH = 128, 8
"""Texts of one call, and of one in which the longest says how far all are padded."""

LENGTHS = (15, 16)
"""Lengths that texts are truncated to: whatever tokens stand around, one leaves an even and one an odd room for
pairs."""

LONGEST = 10_000
"""A `model_max_length` above this is none: no text of the corpus reaches it."""

SHOWN = 20
"""Problems in the report."""


NO_TOKENIZER = "not covered: converted with --no-tokenizer, the weights alone"

_OWN_SETTINGS = {
    SENTENCEPIECE: ("remove_space", "keep_accents", "own"),
    WORDPIECE: ("strip_accents", "tokenize_chinese_chars"),
    BYTE_PAIRS: ("strips",),
}


def _run(context: Context) -> Outcome:
    """Raises what reading the source's tokenizer raises, and RunnerError when a runner dies, PaddleNLP cannot load the
    tokenizer, or transformers fails for a reason that lies in itself."""
    pair = context.pair
    source, converted, family = pair.checkpoint.source, pair.converted, pair.recognised.family.name
    if pair.alterations.no_tokenizer:
        # A tokenizer that lies there all the same is what the check of the files finds.
        return Outcome(reason=NO_TOKENIZER)
    tokenizer = read_tokenizer(source, family, int(pair.configuration["vocab_size"]), pair.longest)
    if tokenizer is None and not has_tokenizer(converted):
        return Outcome(reason="the source has no tokenizer")
    if tokenizer is None or not has_tokenizer(converted):
        return Outcome(_one_sided(source.path, tokenizer, converted))
    original = pair.way_back is not None
    return Outcome(*check_tokenizer(tokenizer, family, converted, context.runners, context.scratch, original=original))


def has_tokenizer(folder: Path) -> bool:
    """Whether a converted folder holds a tokenizer, or part of one."""
    return bool(plain_tokenizer_paths(folder))


def _one_sided(source: Path, tokenizer: SourceTokenizer | None, converted: Path) -> CheckResult:
    has, lacks = (converted, source) if tokenizer is None else (tokenizer.vocabulary, converted)
    reason = f"there is a tokenizer in {has} and none in {lacks}"
    return CheckResult("tokenizer", False, 1.0, 0.0, reason, "sides without a tokenizer", (reason,))


def check_tokenizer(
    tokenizer: SourceTokenizer,
    family: str,
    converted: Path,
    runners: Runners,
    scratch: Path,
    lines: Sequence[str] | None = None,
    seed: int = 0,
    original: bool = False,
) -> tuple[CheckResult, tuple[DeclaredDifferenceSeen, ...]]:
    """Run the tokenizers on `lines` (default: made ones by `seed`) and compare; `scratch` is an existing folder, and
    `original` says that the Hugging Face folder is the one that was converted from.

    Returns the check and the declared differences that concern at least one row, measured in rows. Raises RunnerError
    as `run_tokenizer_check` does.
    """
    pieces: list[str] = []
    if lines is None:
        tokens = [str(entry["content"]) for entry in added_tokens(tokenizer)]
        texts = _texts(tokenizer)
        lines = make_lines(texts, LINES, seed, tokens)
        pieces = with_every_piece(texts, seed)
    comparison = Comparison(tokenizer, Planner(tokenizer, original))
    if not original:
        comparison.problems += _beside(tokenizer, family, converted)
    try:
        _compare(comparison, [*lines, *pieces], len(lines), _Asking(tokenizer, converted, runners, scratch, original))
    except _RefusedError as error:
        comparison.problems.append(f"transformers refuses it: {error}")
    return _check(comparison, len(lines) + len(pieces)), _seen(comparison)


def _texts(tokenizer: SourceTokenizer) -> list[str]:
    """The tokens of a vocabulary as a text holds them. Of byte pairs, those that begin no word stand behind a mark."""
    if tokenizer.settings.kind != BYTE_PAIRS:
        return list(tokenizer.ids)
    texts = [(token, text_of(token)) for token in tokenizer.ids]
    marked = [f"-{text}" if text[:1].isalnum() and text != token else text for token, text in texts]
    return [text.removeprefix(" ") for text in marked if text.strip(" ")]


def _compare(comparison: Comparison, lines: list[str], first: int, asking: _Asking) -> None:
    """Single lines; those of the `first` ones that are PaddleNLP's also in pairs, padded and truncated."""
    plans = [comparison.planner.plan(line) for line in lines]
    parts = list(dict.fromkeys(part for plan in plans if plan.names for part in plan.parts if part.token is None))
    singles = [_case("single", lines, decode=True), _case("parts", [part.text for part in parts])]
    wanted, found = asking.run(singles)
    comparison.compare_settings(wanted, found)
    places = {part: place for place, part in enumerate(parts)}
    settings = asking.tokenizer.settings
    compared = comparison.compare_lines(Lines(singles[0], plans, places, settings.layout.ends), wanted, found)
    equal = [one for one in compared if one < first]
    if equal:
        whole = [index for index in equal if END not in plans[index].names]
        lengths = [len(wanted.row("single", index)["input_ids"]) - sum(settings.layout.ends) for index in whole]
        cases = _other_cases([lines[index] for index in whole], lengths, settings.model_max_length)
        ended = [lines[index] for index in equal if END in plans[index].names]
        cases += _whole_cases(ended, " with an end inside") if ended else []
        wanted, found = asking.run(cases)
        for case in cases:
            comparison.compare_rows(case, wanted, found)
    elif first:
        comparison.problems.append(
            "no line comes out as PaddleNLP's own: pairs, padding and truncation were not compared"
        )


def _beside(tokenizer: SourceTokenizer, family: str, converted: Path) -> list[str]:
    """What the files say that transformers does not look at beside tokenizer.json, other tools and the way back do."""
    try:
        read = read_huggingface_tokenizer(converted, family)
    except Paddle2TorchError as error:
        return [str(error)]
    assert read is not None
    wanted, found = tokenizer.settings, read.settings
    problems = [
        f"{converted}: by its files {name} is {getattr(found, name)!r}, in the source it is {getattr(wanted, name)!r}"
        for name in ("kind", "special", "additional", "added", "do_lower_case", *_OWN_SETTINGS[wanted.kind])
        if getattr(found, name) != getattr(wanted, name)
    ]
    if (dict(read.ids), read.model, read.merges) != (dict(tokenizer.ids), tokenizer.model, tokenizer.merges):
        problems.append(f"{read.vocabulary} is not the source's vocabulary")
    return problems


def stage_tokenizer(tokenizer: SourceTokenizer, folder: Path) -> Path:
    """A folder from which PaddleNLP loads the source's tokenizer: its files under the names that PaddleNLP expects."""
    folder.mkdir()
    files, vocabulary = tokenizer.files, tokenizer.vocabulary
    link(vocabulary, folder / plain_name(vocabulary, tokenizer.settings.kind))
    if tokenizer.settings.kind == BYTE_PAIRS:
        for name, beside in beside_byte_pairs(vocabulary).items():
            link(beside, folder / name)
    for name, path in ((SPECIAL_TOKENS_MAP, files.special_tokens_map), (ADDED_TOKENS, files.added_tokens)):
        if path is not None:
            link(path, folder / name)
    if files.config is not None:
        # PaddleNLP would prefer a path in it, from the machine where the folder was made, to the file beside it.
        paths = ("vocab_file", "sentencepiece_model_file", "merges_file", "bpe_vocab_file", "bpe_json_file")
        config = {name: value for name, value in read_json_object(files.config).items() if name not in paths}
        (folder / CONFIG).write_text(json.dumps(config), "utf-8")
    return folder


def paddle_tokenizer(tokenizer: SourceTokenizer) -> dict[str, Any]:
    """What PaddleNLP's runner needs to know of a tokenizer besides its folder."""
    settings = tokenizer.settings
    fields: dict[str, Any] = {"tokenizer_class": settings.paddle_class.name, "name": settings.name}
    fields["token_types"] = settings.layout.types is not None
    own: dict[str, Any] = {}
    if settings.guess is not None and settings.paddle_class.wraps and settings.kind == WORDPIECE:
        own = {"do_lower_case": settings.do_lower_case, **settings.special}
    if settings.stated_length is not None:
        own["model_max_length"] = settings.model_max_length
    return {**fields, "settings": own} if own else fields


class _RefusedError(Exception):
    """transformers makes no tokenizer of the folder, or it cannot be called."""


class _Asking:
    """The requests of one check, PaddleNLP's beside transformers'."""

    def __init__(
        self, tokenizer: SourceTokenizer, converted: Path, runners: Runners, scratch: Path, original: bool
    ) -> None:
        self.tokenizer = tokenizer
        # Types that no call gives unasked are what we wrote, or else of no concern.
        self.fields = fields_with(not original or tokenizer.settings.paddle_class.gives_types)
        # What transformers does unasked: texts are whole.
        self.options = {"truncation": False} if tokenizer.settings.paddle_class.cuts_off else {}
        self.converted = converted
        self.runners = runners
        self.scratch = scratch
        self.folder = stage_tokenizer(tokenizer, scratch / "tokenizer")

    def run(self, cases: Sequence[Case]) -> tuple[Encoded, Encoded]:
        """PaddleNLP's rows and transformers'. Raises _RefusedError when there are none of transformers."""
        asked = [{"batch": BATCH, **case, "options": {**self.options, **case["options"]}} for case in cases]
        (self.scratch / "cases.json").write_text(json.dumps(asked), "utf-8")
        with ThreadPoolExecutor(1) as pool:
            paddle = pool.submit(self._paddle)
            found = self._ask(self.runners.torch, self.converted, "torch", {})
            return paddle.result(), found

    def _paddle(self) -> Encoded:
        return self._ask(self.runners.paddle32, self.folder, "paddle", paddle_tokenizer(self.tokenizer))

    def _ask(self, runner: RunnerProcess, folder: Path, label: str, fields: Mapping[str, Any]) -> Encoded:
        files = {name: str(self.scratch / f"{label}.{name}") for name in ("outputs", "vocabulary")}
        request = {"operation": "tokenize", "folder": str(folder), "cases": str(self.scratch / "cases.json")}
        answer = runner.request({**request, **files, **fields})
        if "refused" in answer:
            raise _RefusedError(str(answer["refused"]))
        arrays = load_file(files["outputs"])
        rows: dict[str, dict[str, list[Array]]] = {}
        for name, lengths in arrays.items():
            if name.endswith(".lengths"):
                case = name.removesuffix(".lengths")
                ends = np.cumsum(lengths)[:-1]
                rows[case] = {one: np.split(arrays[f"{case}.{one}"], ends) for one in FIELDS}
        tokens = json.loads(Path(files["vocabulary"]).read_text("utf-8"))
        return Encoded(rows, answer["decoded"], tokens, answer["settings"], self.fields)


def _case(name: str, texts: Sequence[str], **fields: Any) -> Case:
    return {"name": name, "texts": list(texts), "options": {}, **fields}


def _other_cases(texts: list[str], lengths: list[int], longest: int) -> list[Case]:
    """Pairs, padding and truncation of texts that come out equal on their own, as so many tokens."""
    if not texts:
        return []
    second = texts[1:] + texts[:1]
    of_pairs = list(zip(lengths, lengths[1:] + lengths[:1], strict=True))
    to_length = {"padding": "max_length", "truncation": True, "max_length": LENGTHS[1]}
    cases = [*_whole_cases(texts), _case("padded to length", texts, options=to_length)]
    for first, length in enumerate(LENGTHS):
        options: dict[str, Any] = {"truncation": True, "max_length": length}
        cases.append(_case(f"truncated to {length}", texts, options=options))
        # A truncated pair is what takes transformers longest, who makes a row of all that is left over with all that is
        # left over: each pair is cut to one of the lengths.
        turn = slice(first, None, len(LENGTHS))
        cut = {"pairs": second[turn], "options": options, "whole": "pair", "lengths": of_pairs[turn]}
        places = list(range(len(texts)))[turn]
        cases.append(_case(f"pair truncated to {length}", texts[turn], places=places, **cut))
    if longest <= LONGEST:
        long = " ".join(text for text in texts if len(text) < 200)
        options = {"truncation": True, "padding": "max_length"}
        cases.append(_case("model_max_length", [texts[-1], " ".join([long] * (1 + longest // 500))], options=options))
    return cases


def _whole_cases(texts: list[str], mark: str = "") -> list[Case]:
    """Texts of which nothing is cut off; `mark` is in the names."""
    return [
        _case(f"pair{mark}", texts, pairs=texts[1:] + texts[:1]),
        _case(f"padded{mark}", texts, options={"padding": True}, batch=PADDED_BATCH),
    ]


def _check(comparison: Comparison, lines: int) -> CheckResult:
    problems, language = comparison.problems, comparison.tokenizer.settings.language
    spoken = f", taken to be in {language}" if language is not None else ""
    return CheckResult(
        name="tokenizer",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"{lines} lines, {comparison.compared} rows{spoken}",
        measure="settings, tokens and rows of ids, types and masks that differ, undeclared",
        problems=tuple(problems[:SHOWN]),
        details={
            "lines": lines,
            "rows": comparison.compared,
            **({"src_lang": language} if language is not None else {}),
            "declared": {
                name: {"concerned": count, "different": comparison.seen[name]}
                for name, count in sorted(comparison.concerned.items())
            },
        },
    )


def _seen(comparison: Comparison) -> tuple[DeclaredDifferenceSeen, ...]:
    """What concerns at least one row, with its size in rows in the text; and a length that is not PaddleNLP's."""
    shorter = length_text(comparison.tokenizer.settings)
    said = f"{shorter}, and PaddleNLP's tokenizer is compared at that length"
    calls = [] if shorter is None else [DeclaredDifferenceSeen("tokenizer: length", said)]
    settings = comparison.tokenizer.settings
    if settings.paddle_class.cuts_off and settings.model_max_length < UNLIMITED:
        cut = (
            f"PaddleNLP's {settings.paddle_class.name} cuts a text off at model_max_length unasked, transformers with "
            "truncation=True alone: both were told whether to"
        )
        calls.append(DeclaredDifferenceSeen("tokenizer: cut off", cut))
    cut_up = (
        DeclaredDifferenceSeen(
            f"tokenizer: {name}",
            f"{text} ({comparison.seen[name]} of {comparison.compared} rows differ, each as it must by this alone)",
        )
        for name, text in DECLARED.items()
        if comparison.concerned[name]
    )
    return (*calls, *cut_up)


CHECK = Check(
    name="tokenizer",
    order=70,
    establishes="where there is one: PaddleNLP's tokenizer and the converted one give the same ids, token types, masks "
    "and decoded texts for lines of all kinds and every piece of the vocabulary, alone and in pairs, truncated and "
    "padded (thousands of encodings), and have the same settings",
    limit="equal, apart from declared differences, each of which excuses its own effect and no more",
    needs=Needs(runners=True),
    stage="tokenizers",
    look_at="tokenizer.json, tokenizer_config.json and the vocabulary in {converted}, beside those that "
    "`paddle2torch convert {source} {new}` writes",
    run=_run,
)
