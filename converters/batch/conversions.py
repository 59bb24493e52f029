"""The conversion of many checkpoints: each output right or absent, and one that fails stops no other."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import (
    ConfigurationError,
    DifferentOutputError,
    OutputError,
    Paddle2TorchError,
    UnknownNameError,
)
from ...mappings.registry import get_family
from ...workers.console import Table, note, outcome_notes
from ...workers.local import run_in_processes
from ...workers.spread import SUBMITTED_AT_ONCE, one_line, run_everywhere
from ..checkpoints.snapshot import name_of_place
from ..formats.casting import CASTS
from ..formats.shards import parse_size
from ..job import DIRECTIONS, TORCH_ONLY, convert_checkpoint
from ..outputs.conversion import Conversion
from ..outputs.folder import TIDIED
from ..outputs.unfinished import remove_abandoned
from .finding import Found, Item
from .places import Sources, absolute_source, items_of, output_places


@dataclass(frozen=True)
class ConversionResult:
    """The outcome of one of many: a conversion, or the error that kept it from being made; `seconds` of its work."""

    source: str
    output: str
    conversion: Conversion | None
    error: str | None
    seconds: float

    @property
    def verdict(self) -> str:
        """Say "converted", "kept" (it was there already, and equal) or "FAILED"."""
        if self.conversion is None:
            return "FAILED"
        return "kept" if self.conversion.kept else "converted"


@dataclass(frozen=True)
class ManyConversions:
    """All outcomes in the order of the sources, and what was not taken on purpose, with the reason."""

    results: tuple[ConversionResult, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> tuple[ConversionResult, ...]:
        """The outcomes without an output."""
        return tuple(result for result in self.results if result.conversion is None)

    @property
    def exit_status(self) -> int:
        """0 when there was something to convert and all of it is converted, else 2."""
        return 0 if self.results and not self.failed else 2

    def table(self) -> Table:
        """A row per outcome; what did not come about is a dash."""
        headings = ("source", "output", "architecture", "parameters", "seconds", "verdict")
        rows = [
            [
                result.source,
                result.output,
                done.target_architecture if done is not None else "-",
                f"{done.parameters:,}" if done is not None else "-",
                f"{result.seconds:.1f}",
                result.verdict,
            ]
            for result in self.results
            for done in (result.conversion,)
        ]
        return Table(headings, rows, right=(3, 4))

    def lines(self) -> list[str]:
        """What to say under the table: each failure, each checkpoint that was left out, and the totals."""
        verdicts = [result.verdict for result in self.results]
        counts = {"converted": verdicts.count("converted"), "kept": verdicts.count("kept"), "failed": len(self.failed)}
        counts["left out"] = len(self.left_out)
        return [
            *(f"FAILED: {result.error}" for result in self.failed),
            *(f"left out: {source}: {reason}" for source, reason in self.left_out),
            ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "converted"),
        ]

    def to_json(self) -> dict[str, Any]:
        """The outcomes as plain JSON values: `converted`, `failed`, and as `skipped` what was kept or left out."""
        done = [(result, result.conversion) for result in self.results if result.conversion is not None]
        kept = [
            {"source": result.source, "output": result.output, "reason": "its output was there already, and equal"}
            for result, conversion in done
            if conversion.kept
        ]
        return {
            "converted": [
                {**conversion.to_json(), "seconds": result.seconds}
                for result, conversion in done
                if not conversion.kept
            ],
            "failed": [{"source": result.source, "error": result.error} for result in self.failed],
            "skipped": [*kept, *({"source": source, "reason": reason} for source, reason in self.left_out)],
        }


def result_notes(total: int) -> Callable[[ConversionResult], None]:
    """A function that notes each of `total` outcomes as it comes, and what is to be remarked on it."""
    tell = outcome_notes(total)

    def on_result(result: ConversionResult) -> None:
        tell(result.source, result.verdict, result.seconds)
        if result.conversion is not None:
            for remark in result.conversion.remarks:
                note(f"{result.source}: {remark}")
            for text in result.conversion.notes:
                note(f"{result.source}: {text}")

    return on_result


def convert_many(
    sources: Sources,
    output: str | Path,
    *,
    executor: Executor | None = None,
    jobs: int = 1,
    at_once: int = SUBMITTED_AT_ONCE,
    to: str = "torch",
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    dtype: str | None = None,
    max_shard_size: int | str | None = None,
    zero_padding_row: bool = False,
    no_tokenizer: bool = False,
    sentence_transformers: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    low_memory: bool = False,
    paddleocr: str | Path | None = None,
    on_result: Callable[[ConversionResult], None] | None = None,
) -> ManyConversions:
    """Convert many checkpoints into folders below `output`, each as `convert_checkpoint` does.

    The work is done on `executor`, any `concurrent.futures.Executor` whose workers see the same paths, of which it
    holds `at_once` items at a time; else in `jobs` processes of this machine; else, with one job, here. An executor
    may run an item again when a worker was lost: what the first run finished is compared and taken. `resume` does the
    same for outputs of an earlier run. `on_result` gets each outcome as it comes. An error of one checkpoint, or of its
    worker, is its outcome. Raises OutputError before anything is done when two outputs are one, or one inside another,
    when a name leads out of `output` or to a source, or when an output exists already and neither `overwrite` nor
    `resume` is given; likewise UnknownNameError and ConfigurationError for options that no checkpoint could take.
    """
    if executor is not None and jobs > 1:
        raise ConfigurationError("give an executor or a number of jobs, not both")
    _check_options(
        to, family, dtype, max_shard_size, zero_padding_row or no_tokenizer or sentence_transformers is not None
    )
    found = sources if isinstance(sources, Found) else Found(items_of(sources))
    places = output_places(found.items, Path(output))
    if not overwrite and not resume and (there := [place for place in places if os.path.lexists(place)]):
        raise OutputError(
            f"{there[0]}{f' and {len(there) - 1} other outputs exist' if there[1:] else ': exists'} already; choose "
            "another folder, or pass --resume to keep those that are equal, or --overwrite"
        )
    options = {
        "to": to,
        "paddleocr": str(paddleocr) if paddleocr is not None else None,
        "family": family,
        "architecture": architecture,
        "target": target,
        "dtype": dtype,
        "max_shard_size": max_shard_size,
        "zero_padding_row": zero_padding_row,
        "no_tokenizer": no_tokenizer,
        "sentence_transformers": sentence_transformers,
        "overwrite": overwrite,
        "resume": resume,
        "low_memory": low_memory,
    }
    # Some executors give the answer of an earlier call again when function and arguments are the same.
    run = uuid.uuid4().hex
    sources_seen = [absolute_source(item.source) for item in found.items]
    work = [(source, str(place), options, run) for source, place in zip(sources_seen, places, strict=True)]
    results: dict[int, ConversionResult] = {}
    failed = tuple(ConversionResult(source, "", None, error, 0.0) for source, error in found.failed)
    try:
        if executor is None and jobs > 1:
            outcomes = run_in_processes(convert_item, work, jobs)
        else:
            outcomes = run_everywhere(convert_item, work, executor, at_once)
        with closing(outcomes):
            for index, outcome in outcomes:
                result = _result(outcome, found.items[index], places[index], resume)
                results[index] = result
                if on_result is not None:
                    on_result(result)
    finally:
        parents = {place.parent for place in places}
        TIDIED.difference_update(parents)
        for parent in parents:
            remove_abandoned(parent)
    ordered = tuple(results[index] for index in range(len(work)))
    return ManyConversions((*ordered, *failed), found.left_out)


def convert_item(source: str, output: str, options: Mapping[str, Any], run: str) -> ConversionResult:
    """Convert one of many; this is what runs on a worker. `run` is the same for all items of a run.

    Whatever goes wrong is the outcome, so that nothing has to travel but plain data.
    """
    started = time.perf_counter()
    place = Path(output)
    conversion, error = None, None
    try:
        _tidy_once(place.parent, run)
        try:
            conversion = convert_checkpoint(source, place, **options)
        except DifferentOutputError:
            raise
        except OutputError:
            # The same item on another worker, lost by now or taken for lost, may have come first.
            if not os.path.lexists(place):
                raise
            conversion = convert_checkpoint(source, place, **{**options, "resume": True})
    except Paddle2TorchError as caught:
        error = str(caught)
    except Exception as caught:
        error = f"{source}: {one_line(caught)}"
    return ConversionResult(source, output, conversion, error, time.perf_counter() - started)


_TIDIED_IN: dict[str, str] = {}
"""Folders in which this process looked for abandoned work, and in which run."""


def _tidy_once(parent: Path, run: str) -> None:
    if _TIDIED_IN.get(str(parent)) != run:
        _TIDIED_IN[str(parent)] = run
        remove_abandoned(parent)
    TIDIED.add(parent)


def _result(outcome: ConversionResult | Exception, item: Item, place: Path, resume: bool) -> ConversionResult:
    source = name_of_place(item.source)
    if isinstance(outcome, Paddle2TorchError):
        return ConversionResult(source, str(place), None, f"{source}: {outcome}", 0.0)
    if isinstance(outcome, Exception):
        return ConversionResult(source, str(place), None, f"{source}: {one_line(outcome)}", 0.0)
    conversion = outcome.conversion
    if conversion is not None and not resume:
        conversion = replace(conversion, kept=False)
    return replace(outcome, source=source, conversion=conversion)


def _check_options(
    to: str, family: str | None, dtype: str | None, max_shard_size: int | str | None, torch_only: bool
) -> None:
    """Raise for options that would fail every item alike."""
    if to not in DIRECTIONS:
        raise UnknownNameError(f"unknown direction {to!r}; known are {', '.join(DIRECTIONS)}")
    if to == "paddle" and (dtype is not None or max_shard_size is not None or torch_only):
        raise ConfigurationError(TORCH_ONLY)
    if family is not None:
        get_family(family)
    if dtype is not None and dtype not in CASTS:
        raise UnknownNameError(f"unknown element type {dtype!r}; weights are cast to {', '.join(CASTS)}")
    if isinstance(max_shard_size, str):
        parse_size(max_shard_size)
