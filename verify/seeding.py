"""Seeded weights: a PaddleNLP checkpoint at the true size of a pretrained name, written by PaddleNLP itself."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..converters.outputs.folder import new_folder
from ..converters.outputs.hashes import hash_files
from ..converters.outputs.record import SEED_FILE, weight_files
from ..errors import ConfigurationError, OutputError
from ..mappings.language.fields import as_stored
from ..mappings.registry import (
    family_of_architecture,
    get_family,
    get_pretrained,
    is_network_name,
    seeded_networks,
)
from .admission import seeding_fits_beside
from .images.seeding import seed_network
from .runners.client import RunnerProcess
from .runners.networks.processes import NetworkRunners


def seed_checkpoint(
    name: str,
    output: str | Path,
    *,
    seed: int = 0,
    architecture: str | None = None,
    overwrite: bool = False,
    runner: RunnerProcess | None = None,
    paddle_python: str | None = None,
    paddleocr: Path | None = None,
) -> dict[str, Any]:
    """Let PaddleNLP write a checkpoint of `name` (a pretrained name) into the new folder `output`, or PaddleOCR a
    network of that official name, for which `paddleocr` is a copy of PaddleOCR in place of the installed one.

    Values are random but repeatable: matrices and embeddings N(0, 0.02), the padding row included unless it is written
    as zeros in any case, LayerNorm gains N(1, 0.3), every bias N(0, 0.1), so that no mistake is hidden by zeros and
    ones. Returns the runner's answer, with
    `parameters` and `seconds`. Raises UnknownNameError, OutputError, MissingDependencyError or RunnerError.
    """
    output = Path(output)
    if is_network_name(name):
        return _seed_network(name, output, seed, architecture, overwrite, paddle_python, paddleocr)
    pretrained = get_pretrained(name)
    family = get_family(pretrained.family)
    chosen = family.model(architecture or pretrained.architecture or family.base).source
    if output.exists() and not overwrite:
        raise OutputError(f"{output}: exists already; choose another folder or pass --overwrite")
    if runner is None:
        with RunnerProcess("paddle", paddle_python) as own:
            return _seed(own, name, pretrained.configuration, chosen, seed, output, overwrite)
    return _seed(runner, name, pretrained.configuration, chosen, seed, output, overwrite)


def _seed_network(
    name: str,
    output: Path,
    seed: int,
    architecture: str | None,
    overwrite: bool,
    paddle_python: str | None,
    library: Path | None,
) -> dict[str, Any]:
    if architecture is not None:
        raise ConfigurationError(f"{name}: --architecture goes with PaddleNLP's models")
    network, sizes = seeded_networks()[name]
    with NetworkRunners(paddle_python, []) as runners:
        return seed_network(
            name, network, sizes, output, seed=seed, library=library, overwrite=overwrite, runner=runners.paddle
        )


def seed_request(architecture: str, configuration: Mapping[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    """The request by which PaddleNLP writes a model of a class with this configuration of its into `folder`."""
    family = family_of_architecture(architecture)
    return {
        "operation": "seed",
        "architecture": architecture,
        "configuration": dict(configuration) if family is None else as_stored(family.fields, configuration),
        "folder": str(folder),
        "seed": seed,
        # As training leaves it: what stands there otherwise is lost, and nothing depends on it.
        "zero_padding": family is not None and family.zero_padding_row,
    }


def _seed(
    runner: RunnerProcess,
    name: str,
    configuration: Mapping[str, Any],
    architecture: str,
    seed: int,
    output: Path,
    overwrite: bool,
) -> dict[str, Any]:
    with new_folder(output, overwrite) as folder:
        answer = runner.request(seed_request(architecture, configuration, folder.resolve(), seed))
        files = hash_files(weight_files(folder))
        document = {"name": name, "architecture": architecture, "seed": seed, "files": files}
        (folder / SEED_FILE).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return answer


class SeedingAhead:
    """Seeded checkpoints of `names`, each in a folder of its name below `root` and written while the one before it is
    verified, by a process of its own, where there is memory for both. Use it as a context manager."""

    def __init__(self, names: Sequence[str], root: Path, seed: int, paddle_python: str | None = None) -> None:
        self._names = tuple(names)
        self._root = root
        self._seed = seed
        self._runner = RunnerProcess("paddle", paddle_python)
        self._pool = ThreadPoolExecutor(1)
        self._begun: dict[str, Future[tuple[dict[str, Any], float]]] = {}

    def __enter__(self) -> SeedingAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # Leaving the pool waits for its thread, which waits for the runner; nobody wants what is under way.
        if any(not future.done() for future in self._begun.values()):
            self._runner.stop()
        self._pool.shutdown()
        self._runner.close()

    def folder(self, name: str) -> Path:
        """Where the checkpoint of a name is written."""
        return self._root / name / "source"

    def begin_after(self, name: str) -> None:
        """Begin with the name that follows, if there is one and it can be written while `name` is verified."""
        following = next(iter(self._names[self._names.index(name) + 1 :]), None) if name in self._names else None
        if following is not None and seeding_fits_beside(_parameters(name), _parameters(following)):
            self._begun[following] = self._pool.submit(self._written, following, self._runner)

    def take(self, name: str, runner: RunnerProcess) -> tuple[dict[str, Any], float]:
        """The answer of `seed_checkpoint`, and the seconds that it took; what was not begun is done now by `runner`.
        Raises as `seed_checkpoint` does."""
        if (future := self._begun.pop(name, None)) is not None:
            return future.result()
        return self._written(name, runner)

    def _written(self, name: str, runner: RunnerProcess) -> tuple[dict[str, Any], float]:
        started = time.perf_counter()
        answer = seed_checkpoint(name, self.folder(name), seed=self._seed, overwrite=True, runner=runner)
        return answer, time.perf_counter() - started


def _parameters(name: str) -> int:
    return max(get_pretrained(name).parameters.values())
