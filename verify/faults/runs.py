"""The verifier tested on the pair at hand: each fault is injected into a copy, and a check must turn red."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...converters.checkpoints.checkpoint import Checkpoint, Recognised, open_checkpoint
from ...converters.checkpoints.comparison import settle_values
from ...converters.checkpoints.source import find_converted
from ...converters.formats.byte_source import MemorySource, at_start
from ...converters.formats.dtypes import DTYPES, Array
from ...converters.formats.piecewise import Entry
from ...converters.formats.safetensors_file import open_safetensors, write_safetensors
from ...converters.formats.tensors import Tensor
from ...converters.outputs.record import own_record
from ...converters.tokenizers.huggingface import write_json
from ...errors import ParityError, RunnerAccidentError, UnreadableFileError
from ...mappings.language.beside import HEAD_FILE
from ...mappings.language.matching.plan import Plan
from ..check import Check, Context, Needs, Outcome
from ..checks import all_checks
from ..inputs import Inputs, inputs_for
from ..job import compare, open_session, results_of
from ..reports.result import Report
from ..runners.forward import Runners, Runs, run_both
from ..sides.pair import Pair, open_converted, recognise_as, recorded_alterations
from ..sides.staging import stage_source
from ..sides.withdrawn import check_classes
from .effect import NO_EFFECT, has_effect
from .known import Fault, all_faults
from .state import Faulted

NO_PLACE = "this model has no place for it"
"""Why a fault is not injected where there is nothing that it could change."""


@dataclass(frozen=True)
class FaultResult:
    """What became of an injected fault: the checks that caught it, and where the first of them saw it. Those that take
    long are asked where the others have not caught it.

    `assigned` are the sets of checks of which one each must catch it. `injected` is False where the model offers no
    place for the fault, or where it would change nothing; `where` then says which. `failed` are checks that a library
    failed to run under it, which are then not among those that must catch it.
    """

    name: str
    injected: bool
    assigned: tuple[frozenset[str], ...]
    caught_by: tuple[str, ...]
    where: str
    failed: tuple[str, ...] = ()

    @property
    def caught(self) -> bool:
        """Whether it was injected and a check caught it, one of every assigned set."""
        return self.injected and bool(self.caught_by) and all({*self.caught_by} & checks for checks in self.assigned)

    @property
    def escaped(self) -> bool:
        """Whether it was injected and not caught."""
        return self.injected and not self.caught

    def line(self) -> str:
        """The result for people."""
        if not self.injected:
            return f"fault {self.name}: not injected here, because {self.where}"
        checks = ", ".join(self.caught_by) or "no check"
        failed = f"; a library fails in {', '.join(self.failed)}" if self.failed else ""
        caught = "ESCAPED, caught only" if self.escaped else "caught"
        return f"fault {self.name}: {caught} by {checks}; {self.where}{failed}"

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {
            "fault": self.name,
            "injected": self.injected,
            "caught": self.caught,
            "assigned": [sorted(checks) for checks in self.assigned],
            "caught_by": list(self.caught_by),
            "where": self.where,
            "could_not_run": list(self.failed),
        }


def with_faults(
    report: Report,
    source: str | Path,
    converted: str | Path,
    *,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    config: Path | None = None,
    seed: int = 0,
    runners: Runners,
    on_result: Callable[[FaultResult], None] | None = None,
) -> Report:
    """The report of a pair with what became of every fault, in each torch environment. Raises as `run_faults`."""
    sides = []
    for side, one in zip(report.sides, runners.sides(), strict=False):
        results = run_faults(
            source,
            converted,
            family=family,
            architecture=architecture,
            target=target,
            config=config,
            seed=seed,
            runners=one,
            on_result=on_result,
        )
        sides.append(replace(side, faults=tuple(result.to_json() for result in results)))
    return replace(sides[0], others=tuple(sides[1:]))


def run_faults(
    source: str | Path,
    converted: str | Path,
    *,
    faults: Sequence[Fault] | None = None,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    config: Path | None = None,
    seed: int = 0,
    runners: Runners | None = None,
    on_result: Callable[[FaultResult], None] | None = None,
) -> list[FaultResult]:
    """Inject each fault (default: all) into a copy of `converted` and run the checks on it that can see it, until one
    of every set that it is assigned to has turned red.

    Paddle runs once; torch, in the first environment, runs for every fault. Raises ParityError when the unfaulted pair
    does not pass, for then a red check would prove nothing, and the Paddle2TorchErrors of `verify_checkpoint`.
    """
    if runners is None:
        with Runners() as own:
            return run_faults(
                source,
                converted,
                faults=faults,
                family=family,
                architecture=architecture,
                target=target,
                config=config,
                seed=seed,
                runners=own,
                on_result=on_result,
            )
    converted = Path(converted)
    with open_checkpoint(source, config) as checkpoint, tempfile.TemporaryDirectory(prefix="paddle2torch-") as name:
        scratch = Path(name)
        if not own_record(converted):
            raise UnreadableFileError(
                f"{converted}: faults are injected into what this package wrote, and this is a foreign folder"
            )
        recognised = recognise_as(checkpoint, converted, family, architecture, target)
        check_classes(recognised.family, runners)
        if lines := recorded_alterations(converted).lines():
            raise UnreadableFileError(
                f"{converted}: faults are injected into plain conversions only, and this one was {lines[0]}"
            )
        plan = settle_values(checkpoint, recognised.plan)
        inputs = inputs_for(recognised.family, recognised.plan.architecture, recognised.configuration, seed)
        clean, shards = _clean(converted, inputs, plan)
        trials = _Trials(
            checkpoint, recognised, inputs, shards, stage_source(checkpoint, recognised, scratch / "source"), runners
        )
        control = results_of(trials.run(clean, scratch / "control"))
        if red := [one for one in control if not one.passed]:
            raise ParityError(
                f"{converted}: faults were not injected, because without any the check {red[0].name} fails already: "
                f"{red[0].where}"
            )
        # A check that does not apply to this class, as the report says, can see no fault.
        applying = {one.name for one in control}
        results = []
        for number, fault in enumerate(all_faults() if faults is None else faults):
            results.append(trials.result(fault, clean, applying, scratch / f"fault{number}"))
            if on_result is not None:
                on_result(results[-1])
        return results


@dataclass
class _Trials:
    """Runs of the checks on one folder after another. Paddle runs for the first, and that serves for all."""

    checkpoint: Checkpoint
    recognised: Recognised
    inputs: Inputs
    shards: Mapping[str, Sequence[str]]
    staged: Path
    runners: Runners
    reference: Runs | None = None

    def result(self, fault: Fault, clean: Faulted, applying: Collection[str], folder: Path) -> FaultResult:
        """What becomes of a fault in a folder that was `clean`, where these checks apply; `folder` is made and removed.
        Raises RunnerAccidentError when a check could not be run that the fault does not let fail."""
        state = fault.inject(clean)
        if state is None or not has_effect(clean, state):
            return FaultResult(fault.name, False, fault.assigned, (), NO_PLACE if state is None else NO_EFFECT)
        outcomes: dict[str, Outcome] = {}
        for number, checks in enumerate(_in_turns(fault)):
            within = folder.with_name(f"{folder.name}.{number}")
            outcomes |= self.run(state, within, checks, fault.may_fail)
            shutil.rmtree(within)
            shutil.rmtree(_beside(within))
            red = [one for one in results_of(outcomes) if not one.passed]
            failed = tuple(name for name, outcome in outcomes.items() if outcome.accident is not None)
            asked = {*applying} - {*failed}
            assigned = tuple(checks for checks in fault.assigned if checks & asked)
            where = f"{red[0].name}: {red[0].where}" if red else "nowhere"
            result = FaultResult(fault.name, True, assigned, tuple(one.name for one in red), where, failed)
            if result.caught:
                break
        return result

    def run(
        self, state: Faulted, folder: Path, checks: Sequence[Check] | None = None, may_fail: Collection[str] = ()
    ) -> dict[str, Outcome]:
        """Write a folder and run `checks` on it, or all that can see faults. Raises RunnerAccidentError where one of
        them could not be run that is not among those that `may_fail`."""
        _write(folder, state, self.shards)
        pair = Pair(self.checkpoint, self.recognised, state.plan, folder, open_converted(folder))
        _beside(folder).mkdir()
        asked = [one for one in all_checks() if one.sees_faults] if checks is None else checks
        needs = Needs.of(asked)
        if not needs.frameworks:
            return compare(asked, Context(pair, self.inputs, self.runners, _beside(folder)))
        session = open_session(pair, self.runners, self.staged, state.inputs, _beside(folder))
        try:
            runs = run_both(session, needs.dtypes, needs.fed, self.reference)
            self.reference = self.reference or runs
            outcomes = compare(asked, Context(pair, self.inputs, self.runners, _beside(folder), runs, session))
        finally:
            session.release()
        for name, outcome in outcomes.items():
            if outcome.accident is not None and name not in may_fail:
                raise RunnerAccidentError(outcome.accident)
        return outcomes


def _in_turns(fault: Fault) -> tuple[Sequence[Check], ...]:
    """The checks that can see a fault, in turns: those that are quick and of which one must catch it, and, if none
    does, all others."""
    seeing = [one for one in all_checks() if one.sees_faults and (fault.only is None or one.name in fault.only)]
    named = {name for checks in fault.assigned for name in checks}
    # What is fed layer by layer takes as long again as all that is not.
    first = [one for one in seeing if one.name in named and not one.needs.fed]
    others = [one for one in seeing if one not in first]
    return tuple(checks for checks in (first, others) if checks)


def _beside(folder: Path) -> Path:
    """Where the runs of a folder are kept."""
    return folder.parent / f"{folder.name}.runs"


def _clean(converted: Path, inputs: Inputs, plan: Plan) -> tuple[Faulted, Mapping[str, Sequence[str]]]:
    """A converted folder without a fault, and the names of the tensors in each of its files of weights."""
    shards: dict[str, list[str]] = {}
    tensors: dict[str, Array] = {}
    metadata: dict[str, str] = {}
    for path in find_converted(converted):
        opened = open_safetensors(path)
        shards[path.name] = list(opened.tensors)
        tensors |= _arrays(opened.tensors)
        metadata = opened.metadata
        opened.source.close()
    try:
        configuration = json.loads((converted / "config.json").read_text("utf-8"))
        others = [path for path in converted.iterdir() if path.name not in {*shards, "config.json"}]
        files = {path.name: path.read_bytes() for path in others if path.is_file()}
    except (OSError, ValueError) as error:
        raise UnreadableFileError(f"{converted}: cannot be read: {error}") from error
    return Faulted(tensors, configuration, inputs, plan, metadata, files), shards


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    for tensor in tensors.values():
        if tensor.dtype.name not in ("float32", "float64"):
            raise UnreadableFileError(
                f"{tensor.name} holds {tensor.dtype.name}; faults are injected into float32 and float64 weights only"
            )
    return {name: tensor.read() for name, tensor in tensors.items()}


def _write(folder: Path, state: Faulted, shards: Mapping[str, Sequence[str]]) -> None:
    """Write a folder as it is but for its fault; a tensor that is in none of the `shards` goes to the last of those
    that transformers loads."""
    folder.mkdir()
    last = [name for name in shards if name != HEAD_FILE][-1]
    entries = {name: entry_of(folder, name, values) for name, values in state.tensors.items()}
    added = entries.keys() - {tensor for names in shards.values() for tensor in names}
    for name, names in shards.items():
        held = [entries[tensor] for tensor in (*names, *(sorted(added) if name == last else ())) if tensor in entries]
        write_safetensors(folder / name, held, state.metadata, lambda count: None)
    write_json(folder / "config.json", state.configuration)
    for name, contents in state.files.items():
        (folder / name).write_bytes(contents)


def entry_of(folder: Path, name: str, values: Array) -> Entry:
    """A tensor of these values, to be written below `folder`."""
    dtype = DTYPES[values.dtype.name]
    source = MemorySource(folder, np.ascontiguousarray(values).tobytes())
    return Entry(name, (Tensor(name, dtype, values.shape, partial(at_start, source)),))
