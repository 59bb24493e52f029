"""The verification of a network: makes the runs that its checks ask for, and collects the report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...converters.checkpoints.snapshot import name_of_place
from ...converters.images.source import ImageSource
from ...errors import (
    MissingDependencyError,
    RunnerAccidentError,
    RunnerAnswerError,
    UnknownNameError,
    UnreadableFileError,
)
from ..certificate import Stamps, check_stamps, find_place, refusal_of, write_certificate
from ..check import Outcome, failed
from ..costs import FRAMEWORKS_START, timed
from ..reports.result import TO_TORCH_NETWORKS, Report
from ..runners.client import RunnerProcess
from ..runners.networks.processes import NetworkRunners
from .certificate import hashes_of_files, make_network_certificate, stamps
from .check import NetworkCheck, NetworkContext
from .checks import network_checks
from .inputs import digest
from .pair import NetworkPair, open_network_pair

NETWORK_CHECKS = tuple(check.name for check in network_checks())
"""The checks of networks, in the order they are reported."""

NOT_COVERED = {
    "recognition": ("several lines at once, which transformers' image processor resizes to one size",),
    "detection": ("the boxes that post_process_object_detection makes of the map",),
    "table": ("the text that post_process_table_recognition makes of the structure",),
}
"""What no check compares, for each task."""

EXPORTED = "the export's own program: Paddle's side is its library's network with the weights of the export"

SOURCE_NAMES = {"PaddleOCR": "unstructured-paddleocr", "PaddleClas": "paddleclas"}


@dataclass(frozen=True)
class NetworkAsked:
    """What a verification of a network is asked for. `checks` are names, None for all. `certificate` writes parity.json
    when none is left out, into `elsewhere` where the converted folder is a foreign one. Raises UnknownNameError."""

    checks: tuple[str, ...] | None = None
    family: str | None = None
    library: Path | None = None
    seed: int = 0
    certificate: bool = False
    elsewhere: Path | None = None
    progress: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        if unknown := [name for name in self.checks or () if name not in NETWORK_CHECKS]:
            raise UnknownNameError(
                f"unknown check {unknown[0]!r} of a network that reads pictures; known are {', '.join(NETWORK_CHECKS)}"
            )

    @property
    def full(self) -> bool:
        """Whether no check is left out."""
        return self.checks is None or set(NETWORK_CHECKS) <= set(self.checks)


def verify_network(source: ImageSource, converted: Path, asked: NetworkAsked, runners: NetworkRunners) -> Report:
    """Check that `converted` is the same network as `source`, once for each torch environment.

    A difference is a failed check in the report, never an exception; an exception (a Paddle2TorchError) means that a
    check could not be run and no other found a difference.
    """
    started = time.perf_counter()
    place = find_place(converted, asked.elsewhere) if asked.certificate and asked.full else None
    with (
        open_network_pair(source, converted, asked.family, asked.library) as pair,
        tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch,
    ):
        before = stamps(pair)
        sides = []
        for number, torch in enumerate(runners.torches):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            sides.append(_verified(NetworkContext(pair, runners.paddle, torch, folder, asked.seed), asked))
        first, *others = sides
        report = replace(first, others=tuple(others), files=hashes_of_files(pair))
        if not report.failed and (accidents := [text for side in report.sides for text in side.accidents.values()]):
            raise RunnerAccidentError("; ".join(dict.fromkeys(accidents)))
        if asked.certificate:
            report = _certify(report, pair, asked, place, before)
    return replace(report, seconds={**report.seconds, "total": time.perf_counter() - started})


def _certify(report: Report, pair: NetworkPair, asked: NetworkAsked, place: Path | None, before: Stamps) -> Report:
    """Write the certificate, if everything ran; the report then says where it lies, or why there is none."""
    refusal = refusal_of(report, asked.full, place, pair.converted)
    if refusal is not None or place is None:
        return replace(report, no_certificate=refusal)
    asked.progress("writing the certificate")
    document = make_network_certificate(report, pair)
    check_stamps(before, stamps(pair))
    return replace(report, certificate=str(write_certificate(place, document)))


def _verified(context: NetworkContext, asked: NetworkAsked) -> Report:
    pair = context.pair
    concerned = [
        check for check in network_checks() if check.applies(pair.network) or check.name in (asked.checks or ())
    ]
    wanted = [check for check in concerned if asked.checks is None or check.name in asked.checks]
    outcomes: dict[str, Outcome] = {}
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    if any(check.frameworks for check in wanted):
        asked.progress("starting the frameworks")
        with timed(seconds, FRAMEWORKS_START):
            versions = _versions(context)
    for check in wanted:
        asked.progress(f"checking {check.name}")
        with timed(seconds, check.name):
            outcomes[check.name] = outcome_of(check, context)
    return _report(context, concerned, outcomes, versions, seconds)


def outcome_of(check: NetworkCheck, context: NetworkContext) -> Outcome:
    """What became of a check."""
    try:
        return check.run(context)
    except (RunnerAccidentError, MissingDependencyError) as error:
        # Of a library that one check needs, the others know nothing.
        return Outcome(accident=str(error))
    except RunnerAnswerError as error:
        return Outcome(failed(check.name, str(error)))


def _report(
    context: NetworkContext,
    concerned: Sequence[NetworkCheck],
    outcomes: dict[str, Outcome],
    versions: dict[str, str],
    seconds: dict[str, float],
) -> Report:
    pair = context.pair
    nothing = Outcome()
    every = {check.name: outcomes.get(check.name, nothing) for check in concerned}
    reasons = {name: outcome.reason for name, outcome in every.items() if outcome.reason is not None}
    accidents = {name: outcome.accident for name, outcome in every.items() if outcome.accident is not None}
    results = tuple(outcome.result for outcome in every.values() if outcome.result is not None)
    if reasons and not results and not accidents:
        raise UnreadableFileError(f"{pair.source.path}: {'; '.join(reasons.values())}, nothing was verified")
    return Report(
        source=name_of_place(pair.source.path),
        converted=name_of_place(pair.converted),
        architecture=pair.found.name,
        weights=pair.weights,
        parameters=sum(move.size for move in pair.found.moves),
        tensors=len(pair.found.moves),
        checks=results,
        not_run=tuple(name for name, outcome in every.items() if outcome.result is None),
        declared_differences=tuple(seen for outcome in every.values() for seen in outcome.declared),
        inputs_digest=digest(context.inputs) if versions else None,
        versions=versions,
        seconds=seconds,
        direction=TO_TORCH_NETWORKS,
        not_run_reasons=reasons,
        foreign=pair.is_foreign,
        accidents=accidents,
        notes=(*pair.found.notes, *(f"caution: {text}" for text in pair.found.cautions), *_library(context)),
        not_covered=(
            *NOT_COVERED.get(pair.network.task, ()),
            *((EXPORTED,) if pair.source.is_export else ()),
            *(f"{', '.join(names)}: dropped, {reason}" for reason, names in _dropped(pair)),
        ),
    )


def _dropped(pair: NetworkPair) -> list[tuple[str, tuple[str, ...]]]:
    """What is dropped, by its reason, under the first parts of its names."""
    return [
        (reason, tuple(dict.fromkeys(".".join(name.split(".")[:2]) for name in names)))
        for reason, names in pair.found.dropped.items()
    ]


def _library(context: NetworkContext) -> list[str]:
    """Where Paddle's side came from."""
    if "paddle" not in context.answers:
        return []
    pair = context.pair
    where = f"the copy at {pair.library}" if pair.library is not None else SOURCE_NAMES[pair.network.builder]
    return [f"Paddle's side was built by {pair.network.builder}: {where}"]


def _versions(context: NetworkContext) -> dict[str, str]:
    def of(runner: RunnerProcess) -> dict[str, str]:
        found: dict[str, str] = runner.request({"operation": "versions", **context.of_library()})["versions"]
        return found

    paddle, torch = of(context.paddle), of(context.torch)
    shared = ("python", "numpy")
    sides = (("paddle", paddle), ("torch", torch))
    return {
        **{name: value for name, value in {**paddle, **torch}.items() if name not in shared},
        **{f"{name} ({side})": found[name] for side, found in sides for name in shared},
    }
