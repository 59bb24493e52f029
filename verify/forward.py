"""Runs both frameworks on the same inputs and gathers what they answer."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from safetensors.numpy import load_file

from ..converters.checkpoint import Checkpoint, Recognised
from ..converters.dtypes import Array
from ..mappings.errors import RunnerAnswerError
from ..mappings.plan import Plan
from .inputs import Inputs
from .runner_process import RunnerProcess


class Runners:
    """The three runner processes of a verification: Paddle in float32 and in float64, and torch. They start when first
    asked and can serve many verifications, which saves the frameworks' slow imports. Use it as a context manager."""

    def __init__(self, paddle_python: str | None = None, torch_python: str | None = None) -> None:
        """`paddle_python` and `torch_python` are the interpreters of the environments; default is this one."""
        paddle, torch = paddle_python or sys.executable, torch_python or sys.executable
        self.paddle32 = RunnerProcess("paddle", paddle, ("--dtype", "float32"))
        self.paddle64 = RunnerProcess("paddle", paddle, ("--dtype", "float64"))
        self.torch = RunnerProcess("torch", torch)

    def versions(self) -> dict[str, str]:
        """Versions of the frameworks, and of Python and numpy on each side."""
        paddle = self.paddle32.request({"operation": "versions"})["versions"]
        torch = self.torch.request({"operation": "versions"})["versions"]
        shared = {
            f"{name} ({side})": found[name]
            for side, found in (("paddle", paddle), ("torch", torch))
            for name in ("python", "numpy")
        }
        return {
            **{name: value for name, value in {**paddle, **torch}.items() if name not in ("python", "numpy")},
            **shared,
        }

    def close(self) -> None:
        """End the processes."""
        for runner in (self.paddle32, self.paddle64, self.torch):
            runner.close()

    def kill(self) -> None:
        """End the processes at once; requests under way fail."""
        for runner in (self.paddle32, self.paddle64, self.torch):
            if runner.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(runner.pid, signal.SIGKILL)

    def __enter__(self) -> Runners:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Run:
    """One forward run: the runner's answer and its output arrays."""

    answer: Mapping[str, Any]
    outputs: Mapping[str, Array]


@dataclass
class Runs:
    """The runs of a verification that were needed; `torch64_as_is` is without declared epsilons aligned.

    `torch_failure` says why torch could not load or run the converted folder: that is a finding, not an accident.
    """

    paddle32: Run | None = None
    paddle64: Run | None = None
    torch32: Run | None = None
    torch64: Run | None = None
    torch64_as_is: Run | None = None
    torch_failure: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def run_both(
    runners: Runners,
    source_folder: Path,
    converted: Path,
    plan: Plan,
    inputs: Inputs,
    dtypes: tuple[str, ...],
    aligned: Mapping[str, float],
    scratch: Path,
) -> Runs:
    """Run Paddle on `source_folder` and torch on `converted` in each of `dtypes`; float32 runs come with digests.

    `aligned` are epsilons that torch's LayerNorms get for the comparison; when there are any, torch also runs as it is.
    Raises RunnerError when a runner dies or PaddleNLP cannot run the source.
    """
    inputs.save(scratch / "inputs.safetensors")
    runs = Runs()

    def forward(runner: RunnerProcess, folder: Path, architecture: str, dtype: str, label: str, **options: Any) -> Run:
        started = time.perf_counter()
        outputs = scratch / f"{label}.safetensors"
        answer = runner.request(
            {
                "operation": "forward",
                "folder": str(folder),
                "architecture": architecture,
                "dtype": dtype,
                "inputs": str(scratch / "inputs.safetensors"),
                "outputs": str(outputs),
                "digests": dtype == "float32",
                "options": options,
            }
        )
        runs.seconds[label] = time.perf_counter() - started
        return Run(answer, load_file(str(outputs)))

    def paddle32() -> None:
        runs.paddle32 = forward(runners.paddle32, source_folder, plan.architecture, "float32", "paddle float32")

    def paddle64() -> None:
        runs.paddle64 = forward(runners.paddle64, source_folder, plan.architecture, "float64", "paddle float64")

    def torch() -> None:
        try:
            torch_runs()
        except RunnerAnswerError as error:
            runs.torch_failure = str(error)

    def torch_runs() -> None:
        target = plan.target_architecture
        if "float64" in dtypes:
            options = {"layer_norm_eps": dict(aligned)} if aligned else {}
            runs.torch64 = forward(runners.torch, converted, target, "float64", "torch float64", **options)
            if aligned:
                runs.torch64_as_is = forward(runners.torch, converted, target, "float64", "torch float64 as it is")
        if "float32" in dtypes:
            options = {"layer_norm_eps": dict(aligned)} if aligned else {}
            runs.torch32 = forward(runners.torch, converted, target, "float32", "torch float32", **options)

    tasks = [torch]
    if "float32" in dtypes:
        tasks.append(paddle32)
    if "float64" in dtypes:
        tasks.append(paddle64)
    with ThreadPoolExecutor(len(tasks)) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in futures:
                future.result()
        except KeyboardInterrupt:
            # Leaving the pool waits for its threads, which wait for the runners.
            runners.kill()
            raise
    return runs


def stage_source(checkpoint: Checkpoint, recognised: Recognised, folder: Path) -> Path:
    """A folder from which PaddleNLP's `from_pretrained` loads the source: links to its files under the names that
    PaddleNLP expects, and its configuration."""
    folder.mkdir()
    files = checkpoint.source.files
    if len(files) == 1:
        name = "model.safetensors" if files[0].suffix == ".safetensors" else "model_state.pdparams"
        (folder / name).symlink_to(files[0].resolve())
    else:
        for path in (*files, *files[0].parent.glob("*.index.json")):
            (folder / path.name).symlink_to(path.resolve())
    configuration = checkpoint.source.configuration
    if configuration is not None and configuration.file is not None and configuration.file.name == "config.json":
        (folder / "config.json").symlink_to(configuration.file.resolve())
    else:
        document = {
            **recognised.configuration,
            "architectures": [recognised.plan.architecture],
            "model_type": recognised.family.name,
        }
        (folder / "config.json").write_text(json.dumps(document), "utf-8")
    return folder
