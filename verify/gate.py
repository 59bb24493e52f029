"""The gate: for each pretrained name get the checkpoint, convert it, verify it."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Lock

from ..converters.checkpoints.cache import own_cache, paddlenlp_cache
from ..converters.checkpoints.source import cached_folder
from ..converters.job import convert_checkpoint
from ..errors import MissingDependencyError, Paddle2TorchError, UnreadableFileError, WithdrawnError
from ..mappings.language.alternative import becoming
from ..mappings.language.pretrained import Reference
from ..mappings.registry import get_family, get_pretrained
from ..workers.process import process_peak_bytes
from .admission import MemoryBudget, available_memory, memory_needed
from .check import Needs
from .checks import named
from .checks.reference import REFERENCES
from .costs import OWN_PROCESS, timed
from .faults.runs import with_faults
from .job import CHECKS, Asked, verify_asked
from .reports.gate_result import GateResult, ModelResult
from .runners.forward import Runners
from .seeding import SeedingAhead
from .sides.provenance import with_files
from .sides.withdrawn import check_classes


def run_gate(
    names: Sequence[str],
    *,
    seeded: bool,
    seed: int = 0,
    checks: Sequence[str] = CHECKS,
    jobs: int = 1,
    keep: str | Path | None = None,
    faults: bool = False,
    target: str | None = None,
    paddle_python: str | None = None,
    torch_python: str | Sequence[str] | None = None,
    obtain: Callable[[str], None] | None = None,
    references: Mapping[str, Reference] = REFERENCES,
    repeat: Callable[[Sequence[str]], str] | None = None,
    on_stage: Callable[[str, str], None] | None = None,
    on_result: Callable[[ModelResult], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
    memory: int | None = None,
) -> GateResult:
    """Run the gate over pretrained `names`, up to `jobs` at a time, as many as fit into the available memory.

    `seeded` takes seeded weights, otherwise the published ones are looked up in the caches. `obtain(name)` puts them
    there beforehand; a name for which it raises a Paddle2TorchError is not run. `references` say what published weights
    compute; with all default checks these are compared too. `keep` is a folder that keeps source and converted weights
    of each name; without it they go to a temporary folder and are deleted.
    `faults` also injects every fault into the smallest of the models, where a check must catch each. `target` is an
    alternative that the family of each of the names has.
    `repeat(names)` gives the command that repeats the run for these names, for the reports.
    `on_stage(name, stage)` and `on_result` are called as work goes on, `on_wait(text)` when a job is held back for lack
    of memory; `memory` is the number of bytes for all jobs, by default what the machine says is available.
    Raises UnknownNameError for an unknown name and UnreadableFileError when published weights are absent; later errors
    are outcomes of their name.
    """
    for name in names if target is not None else ():
        becoming(get_family(get_pretrained(name).family), target)
    sizes = {name: max(get_pretrained(name).parameters.values()) for name in names}
    failures: dict[str, ModelResult] = {}
    if Needs.of(named(*checks)).frameworks:
        failures = _withdrawn(names, paddle_python, torch_python)
    runnable = [name for name in names if name not in failures]
    injected = min(runnable, key=lambda name: sizes[name]) if faults and runnable else None
    fetched: dict[str, dict[str, float]] = {}
    if not seeded and obtain is not None:
        unobtained, fetched = _obtain_all(runnable, obtain, on_stage)
        failures |= unobtained
    elif not seeded and (absent := [name for name in runnable if cached_folder(name) is None]):
        raise UnreadableFileError(
            f"not run: the published weights of {', '.join(absent)} are neither in the cache {own_cache()} nor in "
            f"PaddleNLP's cache {paddlenlp_cache()}; `paddle2torch fetch` downloads them where there is a network, "
            "--seeded takes seeded weights of the same size"
        )

    interrupted = Event()
    started: list[Runners] = []
    todo = iter(names)
    results: dict[str, ModelResult] = {}
    # A single job never waits.
    budget = MemoryBudget((memory or available_memory()) if jobs > 1 else None)
    choosing = Lock()

    def run_some() -> None:
        with (
            Runners(paddle_python, torch_python) as runners,
            tempfile.TemporaryDirectory(prefix="paddle2torch-gate-") as temporary,
            # Several jobs take their names in turn, and have no idle core.
            SeedingAhead(runnable if jobs <= 1 else (), root := Path(keep or temporary), seed, paddle_python) as ahead,
        ):
            started.append(runners)
            while not interrupted.is_set():
                with choosing:
                    name = next(todo, None)
                if name is None:
                    break
                result = failures.get(name)
                if result is None:
                    needed = memory_needed(sizes[name] + _buffers(name), len(runners.torches))
                    with budget.hold(needed, partial(wait, runners, name, needed)):
                        if interrupted.is_set():
                            break
                        command = repeat([name]) if repeat is not None else None
                        tell = on_stage or (lambda n, s: None)
                        inject = name == injected
                        result = _run_one(
                            *(name, runners, ahead if seeded else None, checks, root, keep is not None),
                            *(inject, target, references, command, tell),
                        )
                        if keep is None:
                            shutil.rmtree(root / name, ignore_errors=True)
                        result = replace(result, stages={**fetched.get(name, {}), **result.stages})
                results[name] = result
                if on_result is not None and not interrupted.is_set():
                    on_result(result)

    def wait(runners: Runners, name: str, needed: int, left: int) -> None:
        runners.rest()
        if on_wait is not None:
            on_wait(
                f"{name} waits for other names to end: it takes about {needed / 2**30:.1f} GiB, and "
                f"{left / 2**30:.1f} GiB of memory are left"
            )

    command = repeat(names) if repeat is not None else None
    if jobs <= 1:
        run_some()
        return GateResult(tuple(results[name] for name in names), command)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in [pool.submit(run_some) for _ in range(min(jobs, len(names)))]:
                future.result()
        except BaseException:
            # Leaving the pool waits for its threads, which wait for their runners.
            interrupted.set()
            budget.stop()
            for runners in started:
                runners.stop()
            raise
    return GateResult(tuple(results[name] for name in names), command)


def _buffers(name: str) -> int:
    """How many numbers the models of a name hold beside their parameters."""
    entry = get_pretrained(name)
    buffers = get_family(entry.family).buffers
    return buffers(entry.configuration) if buffers is not None else 0


def _withdrawn(
    names: Sequence[str], paddle_python: str | None, torch_python: str | Sequence[str] | None
) -> dict[str, ModelResult]:
    """The outcomes of names whose classes transformers no longer has in an environment: they are known before any
    weights are fetched or made."""
    failures: dict[str, ModelResult] = {}
    withdrawn = {name: family for name in names if (family := get_family(get_pretrained(name).family)).withdrawn}
    if not withdrawn:
        return failures
    with Runners(paddle_python, torch_python) as runners:
        for name, family in withdrawn.items():
            try:
                check_classes(family, runners)
            except WithdrawnError as error:
                failures[name] = ModelResult(name, None, str(error), 0.0)
    return failures


def _obtain_all(
    names: Sequence[str], obtain: Callable[[str], None], on_stage: Callable[[str, str], None] | None
) -> tuple[dict[str, ModelResult], dict[str, dict[str, float]]]:
    """Obtain the weights of all names, in the main thread, where an interrupt ends it at once; the failures, and the
    seconds of each name as a stage."""
    failures: dict[str, ModelResult] = {}
    fetched: dict[str, dict[str, float]] = {}
    for name in names:
        stages = fetched[name] = {}
        try:
            if on_stage is not None:
                on_stage(name, "fetching")
            with timed(stages, "fetching"):
                obtain(name)
        except MissingDependencyError:
            raise
        except Paddle2TorchError as error:
            failures[name] = ModelResult(name, None, str(error), stages["fetching"], stages)
    return failures, fetched


def _run_one(
    name: str,
    runners: Runners,
    seeding: SeedingAhead | None,
    checks: Sequence[str],
    root: Path,
    kept: bool,
    inject: bool,
    target: str | None,
    references: Mapping[str, Reference],
    command: str | None,
    on_stage: Callable[[str, str], None],
) -> ModelResult:
    started = time.perf_counter()
    report, error = None, None
    stages: dict[str, float] = {}
    memory: dict[str, int] = {}

    @contextmanager
    def stage(title: str) -> Iterator[None]:
        on_stage(name, title)
        with timed(stages, title):
            yield

    if Needs.of(named(*checks)).frameworks:
        runners.begin()
    folder = root / name
    try:
        source: str | Path = name
        if seeding is not None:
            on_stage(name, "seeding")
            answer, stages["seeding"] = seeding.take(name, runners.paddle32)
            source = seeding.folder(name)
            memory["paddle seeding"] = int(answer["peak_memory_bytes"])
        with stage("converting"):
            convert_checkpoint(source, folder / "converted", target=target, overwrite=True)
        on_stage(name, "verifying")
        if seeding is not None:
            seeding.begin_after(name)
        report = verify_asked(
            source,
            folder / "converted",
            Asked(
                tuple(checks),
                certificate=kept,
                published=None if seeding is not None else references.get(name, Reference()),
                progress=partial(on_stage, name),
            ),
            runners,
        )
        stages.update({title: seconds for title, seconds in report.seconds.items() if title != "total"})
        memory.update(report.memory)
        with stage("hashing files"):
            report = with_files(report, source, folder / "converted", command)
        if inject and report.passed:
            with stage("injecting faults"):
                report = with_faults(report, source, folder / "converted", runners=runners)
    except MissingDependencyError:
        # The same for every name: one error, not one per name.
        raise
    except Paddle2TorchError as caught:
        error = str(caught)
    memory[OWN_PROCESS] = process_peak_bytes()
    return ModelResult(name, report, error, time.perf_counter() - started, stages, memory)
