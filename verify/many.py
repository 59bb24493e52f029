"""The gate over many checkpoints that are no pretrained names: each is converted and verified, here or on workers."""

from __future__ import annotations

import atexit
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..converters.batch.finding import Found, Item
from ..converters.batch.places import Sources, absolute_source, items_of, output_places
from ..converters.checkpoints.source import find_source
from ..converters.images.source import find_image_source
from ..converters.job import convert_checkpoint
from ..errors import (
    ConfigurationError,
    MissingDependencyError,
    Paddle2TorchError,
    RunnerAccidentError,
    RunnerAnswerError,
    RunnerError,
    UnreadableFileError,
    WorkerError,
)
from ..workers.spread import SUBMITTED_AT_ONCE, one_line, run_everywhere
from .admission import MemoryBudget, available_memory, memory_needed
from .job import CHECKS, verify_checkpoint
from .reports.gate_result import GateResult, ModelResult
from .runners.environments import find_interpreters
from .runners.forward import Runners
from .sides.provenance import with_files


def verify_many(
    sources: Sources,
    *,
    executor: Executor | None = None,
    jobs: int = 1,
    at_once: int = SUBMITTED_AT_ONCE,
    keep: str | Path | None = None,
    converted: str | Path | None = None,
    certificate: bool = True,
    checks: Sequence[str] = CHECKS,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    seed: int = 0,
    paddle_python: str | None = None,
    torch_python: str | Sequence[str] | None = None,
    paddleocr: str | Path | None = None,
    command: str | None = None,
    on_result: Callable[[ModelResult], None] | None = None,
) -> GateResult:
    """Convert and verify many checkpoints, or verify conversions that there are; each outcome has the name of its
    checkpoint.

    The work is done on `executor`, any `concurrent.futures.Executor` whose workers see the same paths and have the
    frameworks, of which it holds `at_once` items at a time; else up to `jobs` at a time on this machine, as many as fit
    into its memory. Every worker starts framework runners of its own and uses them for all of its items. The converted
    folders are deleted, unless `keep` is a folder for them: they stay there under their names, with a certificate each.
    With `converted`, a folder that holds conversions under these names, these are verified and nothing is converted;
    each gets its certificate, but for `certificate=False`.
    An item whose worker was lost, or whose checkpoint cannot be read, is an outcome that is not run. `command` repeats
    the run, for the reports. Raises OutputError for names that do not go together, and MissingDependencyError.
    """
    if executor is not None and jobs > 1:
        raise ConfigurationError("give an executor or a number of jobs, not both")
    if keep is not None and converted is not None:
        raise ConfigurationError("give a folder that keeps conversions or one that holds them, not both")
    found = sources if isinstance(sources, Found) else Found(items_of(sources))
    # The names are those of folders even when none is kept, and of reports.
    root = keep if keep is not None else converted
    places = output_places(found.items, Path(root) if root is not None else Path(tempfile.gettempdir(), "kept"))
    options = {
        "convert": converted is None,
        "certificate": root is not None and certificate,
        "checks": tuple(checks),
        "family": family,
        "architecture": architecture,
        "target": target,
        "seed": seed,
        "paddle_python": paddle_python,
        "paddleocr": str(paddleocr) if paddleocr is not None else None,
        "torch_python": torch_python if torch_python is None or isinstance(torch_python, str) else tuple(torch_python),
    }
    names = [name_of_item(item) for item in found.items]
    # Some executors give the answer of an earlier call again when function and arguments are the same.
    run = uuid.uuid4().hex
    work = [
        (name, absolute_source(item.source), str(place) if root is not None else None, options, run)
        for name, item, place in zip(names, found.items, places, strict=True)
    ]
    results: dict[int, ModelResult] = {}
    with (
        _here(jobs, torch_python) if executor is None else _elsewhere(executor) as (function, chosen, size),
        closing(run_everywhere(function, work, chosen, size or at_once)) as outcomes,
    ):
        for index, outcome in outcomes:
            if isinstance(outcome, MissingDependencyError):
                raise outcome
            if isinstance(outcome, Exception):
                text = str(outcome) if isinstance(outcome, Paddle2TorchError) else one_line(outcome)
                outcome = ModelResult(names[index], None, f"{found.items[index].source}: {text}", 0.0)
            results[index] = outcome
            if on_result is not None:
                on_result(outcome)
    failed = [ModelResult(source, None, error, 0.0) for source, error in found.failed]
    models = (*(results[index] for index in range(len(work))), *failed)
    return GateResult(models, command)


def name_of_item(item: Item) -> str:
    """The name of an outcome; a checkpoint that is the tree itself has its folder's."""
    return item.name if item.name != "." else Path(absolute_source(item.source)).name


def verify_item(name: str, source: str, place: str | None, options: Mapping[str, Any], run: str) -> ModelResult:
    """Convert one of many to `place`, or to nowhere that lasts, and verify it, or verify what is there; this is what
    runs on a worker. `run` is the same for all items of a run."""
    started = time.perf_counter()
    chosen = {key: options[key] for key in ("family", "architecture", "target", "paddleocr")}
    report, error = None, None
    try:
        with (
            _borrowed_runners(options["paddle_python"], options["torch_python"]) as runners,
            tempfile.TemporaryDirectory(prefix="paddle2torch-gate-") as temporary,
        ):
            converted = Path(place) if place is not None else Path(temporary, "converted")
            if options["convert"]:
                convert_checkpoint(source, converted, **chosen, overwrite=True, resume=True)
            elif not converted.exists():
                raise UnreadableFileError(f"{converted}: no such folder; {source} was not converted there")
            report = verify_checkpoint(
                source,
                converted,
                **chosen,
                checks=options["checks"],
                seed=options["seed"],
                runners=runners,
                certificate=options["certificate"],
            )
            report = report if report.files else with_files(report, source, converted)
    except MissingDependencyError:
        # The same for every item: one error, not one per item.
        raise
    except Paddle2TorchError as caught:
        report, error = None, str(caught)
    except Exception as caught:
        report, error = None, f"{source}: {one_line(caught)}"
    seconds = time.perf_counter() - started
    if report is None:
        return ModelResult(name, None, error, seconds)
    stages = {title: spent for title, spent in report.seconds.items() if title != "total"}
    return ModelResult(name, report, None, seconds, stages, dict(report.memory))


def _parameters(source: str) -> int:
    """About how many parameters a source has: the bytes of its files, as if all were float32."""
    network = find_image_source(source)
    files = find_source(source).files if network is None else network.files
    return sum(path.stat().st_size for path in files) // 4


Placed = tuple[Callable[..., ModelResult], Executor | None, int | None]
"""What to call, on which executor, and how many items it holds at a time where that is not the caller's to say."""


@contextmanager
def _elsewhere(executor: Executor) -> Iterator[Placed]:
    yield verify_item, executor, None


@contextmanager
def _here(jobs: int, torch_python: str | Sequence[str] | None) -> Iterator[Placed]:
    """Threads, as the frameworks run in processes of their own anyway; an interrupt ends these at once."""
    budget = MemoryBudget(available_memory() if jobs > 1 else None)
    sides = len(find_interpreters(None, torch_python).torch)
    stopped = threading.Event()

    def call(name: str, source: str, *others: Any) -> ModelResult:
        with budget.hold(memory_needed(_parameters(source), sides)):
            if stopped.is_set():
                raise WorkerError("was stopped")
            return verify_item(name, source, *others)

    try:
        if jobs <= 1:
            yield call, None, None
            return
        with ThreadPoolExecutor(jobs) as pool:
            try:
                yield call, pool, jobs
            except BaseException:
                # Leaving the pool waits for its threads, which wait for their runners.
                stopped.set()
                budget.stop()
                _stop_runners()
                raise
    finally:
        _close_runners()


_lock = threading.Lock()
_idle: dict[tuple[str | None, str | tuple[str, ...] | None], list[Runners]] = {}
_lent: set[Runners] = set()


@contextmanager
def _borrowed_runners(paddle_python: str | None, torch_python: str | tuple[str, ...] | None) -> Iterator[Runners]:
    """Runners that this process keeps between items, one set per item under way: importing frameworks takes seconds.
    They outlive the refusal of an item, and answers that say what a framework could not do; after any other error,
    which may have left one in any state, they are not used again."""
    key = (paddle_python, torch_python)
    with _lock:
        idle = _idle.setdefault(key, [])
        runners = idle.pop() if idle else Runners(paddle_python, torch_python)
        _lent.add(runners)
    sound = False
    try:
        yield runners
        sound = True
    except Paddle2TorchError as error:
        sound = not isinstance(error, RunnerError) or isinstance(error, RunnerAnswerError | RunnerAccidentError)
        raise
    finally:
        if sound:
            with _lock:
                idle.append(runners)
        else:
            runners.close()
        with _lock:
            _lent.discard(runners)


def _stop_runners() -> None:
    with _lock:
        for runners in _lent:
            runners.stop()


def _close_runners() -> None:
    with _lock:
        kept = [runners for idle in _idle.values() for runners in idle]
        _idle.clear()
    for runners in kept:
        runners.close()


atexit.register(_close_runners)
