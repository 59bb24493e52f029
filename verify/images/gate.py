"""The gate over networks that read pictures: each is seeded, converted and verified."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from ...converters.images.source import find_image_source
from ...converters.job import convert_checkpoint
from ...errors import MissingDependencyError, Paddle2TorchError, UnreadableFileError
from ...mappings.registry import seeded_networks
from ...workers.process import process_peak_bytes
from ..costs import OWN_PROCESS, timed
from ..faults.networks import with_network_faults
from ..reports.gate_result import ModelResult
from ..runners.networks.processes import NetworkRunners
from .job import NetworkAsked, verify_network
from .seeding import seed_network


def gate_networks(
    names: Sequence[str],
    asked: NetworkAsked,
    *,
    seeded: bool,
    keep: Path | None = None,
    faults: bool = False,
    paddle_python: str | None = None,
    torch_python: str | Sequence[str] | None = None,
    repeat: Callable[[Sequence[str]], str] | None = None,
    on_result: Callable[[ModelResult], None] | None = None,
) -> tuple[ModelResult, ...]:
    """Seed, convert and verify the networks of these official names. `keep` is a folder that keeps both sides of each;
    `faults` also injects every fault into the first of them. Raises UnreadableFileError where their own weights are
    asked for, which nobody fetches, and MissingDependencyError; other errors are outcomes of their name."""
    if names and not seeded:
        raise UnreadableFileError(
            f"not run: {', '.join(names)} are networks of PaddleOCR's or PaddleClas's, whose published weights this "
            "program does not fetch; --seeded takes seeded weights, and --tree the folders that your trainings left"
        )
    results = []
    with (
        NetworkRunners(paddle_python, torch_python or ()) as runners,
        nullcontext(keep) if keep is not None else tempfile.TemporaryDirectory(prefix="paddle2torch-gate-") as root,
    ):
        for number, name in enumerate(names):
            result = _run_one(name, Path(root), asked, runners, keep is not None, faults and not number)
            if result.report is not None and repeat is not None:
                result = replace(result, report=replace(result.report, command=repeat([name])))
            results.append(result)
            if on_result is not None:
                on_result(result)
    return tuple(results)


def _run_one(
    name: str, root: Path, asked: NetworkAsked, runners: NetworkRunners, kept: bool, faults: bool
) -> ModelResult:
    started = time.perf_counter()
    stages: dict[str, float] = {}
    report, error = None, None
    source, converted = root / name / "source", root / name / "converted"
    try:
        network, sizes = seeded_networks()[name]
        with timed(stages, "seeding"):
            seed_network(
                name,
                network,
                sizes,
                source,
                seed=asked.seed,
                library=asked.library,
                overwrite=True,
                runner=runners.paddle,
            )
        with timed(stages, "converting"):
            convert_checkpoint(source, converted, paddleocr=asked.library, overwrite=True)
        found = find_image_source(source)
        if found is None:
            raise LookupError(f"{source}: the seeded folder is not taken for a network")
        report = verify_network(found, converted, replace(asked, certificate=kept), runners)
        stages.update({title: seconds for title, seconds in report.seconds.items() if title != "total"})
        if faults and report.passed:
            with timed(stages, "injecting faults"):
                report = with_network_faults(report, found, converted, asked, runners)
    except MissingDependencyError:
        # The same for every name: one error, not one per name.
        raise
    except Paddle2TorchError as caught:
        error = str(caught)
    memory = {OWN_PROCESS: process_peak_bytes()}
    return ModelResult(name, report, error, time.perf_counter() - started, stages, memory)
