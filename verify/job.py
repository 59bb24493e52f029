"""The verification: the same plan, weights bit by bit, both frameworks on shared inputs, comparison, report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..converters.checkpoint import Checkpoint, Recognised, open_checkpoint, recognise
from ..converters.comparison import settle_values
from ..converters.dtypes import Array
from ..converters.tensors import Tensor
from ..mappings.errors import UnknownNameError
from ..mappings.plan import Plan
from ..mappings.schema import DeclaredDifference
from .compare import compare_float32, compare_float64, largest_difference
from .forward import Runners, Runs, run_both, stage_source
from .inputs import Inputs, make_inputs
from .live_configuration import check_configuration
from .report import Check, DeclaredDifferenceSeen, Report
from .weights import check_weights, open_converted

CHECKS = ("weights", "config", "float64", "float32")
"""The checks, in the order they are reported."""

SEED_FILE = "seeded_weights.json"
"""Marks a folder of seeded weights; holds name, architecture and seed."""

Progress = Callable[[str], None]


def verify_checkpoint(
    source: str | Path,
    converted: str | Path,
    *,
    checks: Sequence[str] = CHECKS,
    family: str | None = None,
    architecture: str | None = None,
    paddle_python: str | None = None,
    torch_python: str | None = None,
    seed: int = 0,
    inputs: Inputs | None = None,
    runners: Runners | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check that the Hugging Face folder `converted` is the same model as the PaddleNLP checkpoint `source`.

    `checks` chooses among CHECKS; the others are reported as not run. `inputs` replaces the made ones, which follow
    from the configuration and `seed`. A difference is a failed check in the report, never an exception; an exception
    (a Paddle2TorchError) means that a check could not be run.
    """
    if unknown := [name for name in checks if name not in CHECKS]:
        raise UnknownNameError(f"unknown check {unknown[0]!r}; known are {', '.join(CHECKS)}")
    report_progress = progress or (lambda text: None)
    converted = Path(converted)
    started = time.perf_counter()
    with open_checkpoint(source) as checkpoint, tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch:
        recognised = recognise(checkpoint, family, architecture)
        plan = settle_values(checkpoint, recognised.plan)
        written = open_converted(converted)
        job = _Job(checkpoint, recognised, plan, converted, written, tuple(checks), report_progress)
        used_inputs = inputs or make_inputs(recognised.configuration, seed)
        own = None if runners is not None else Runners(paddle_python, torch_python)
        try:
            report = job.run(runners or own or Runners(), used_inputs, Path(scratch))
        finally:
            if own is not None:
                own.close()
        checkpoint.check_unchanged()
    return _with_seconds(report, time.perf_counter() - started)


class _Job:
    """One verification under way."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        recognised: Recognised,
        plan: Plan,
        converted: Path,
        written: Mapping[str, Tensor],
        checks: tuple[str, ...],
        progress: Progress,
    ) -> None:
        self.checkpoint = checkpoint
        self.recognised = recognised
        self.plan = plan
        self.converted = converted
        self.written = written
        self.wanted = checks
        self.progress = progress
        self.declared = recognised.family.declared(plan.architecture)

    def run(self, runners: Runners, inputs: Inputs, scratch: Path) -> Report:
        """Run the wanted checks and make the report."""
        runs = Runs()
        dtypes = self._dtypes()
        versions: dict[str, str] = {}
        if dtypes:
            self.progress(f"running Paddle and torch in {' and '.join(dtypes)}")
            versions = runners.versions()
            staged = stage_source(self.checkpoint, self.recognised, scratch / "source")
            runs = run_both(runners, staged, self.converted, self.plan, inputs, dtypes, self._aligned(), scratch)
        self.progress("comparing weights and states")
        checks = [check for name in CHECKS if name in self.wanted and (check := self._check(name, runs, inputs))]
        return Report(
            source=str(self.checkpoint.source.path),
            converted=str(self.converted),
            architecture=self.plan.architecture,
            weights=weights_origin(self.checkpoint),
            parameters=self.plan.parameters,
            tensors=len(self.plan.moves),
            checks=tuple(checks),
            not_run=tuple(name for name in CHECKS if name not in self.wanted),
            declared_differences=self._declared_seen(runs, inputs),
            inputs_digest=inputs.digest if dtypes else None,
            versions=versions,
            seconds=dict(runs.seconds),
        )

    def _dtypes(self) -> tuple[str, ...]:
        """Precisions to run in: the float32 limit needs torch's float64 run, live digests come from float32 runs."""
        wanted = set(self.wanted)
        if wanted <= {"weights"}:
            return ()
        return ("float64", "float32") if wanted & {"float32", "float64"} else ("float32",)

    def _aligned(self) -> dict[str, float]:
        """Epsilons that PaddleNLP hard-codes, for torch's LayerNorms by their target names, as Paddle's float32."""
        targets = {move.source: move.target for move in self.plan.moves}
        return {
            targets[f"{difference.epsilon[0]}.weight"].removesuffix(".weight"): float(np.float32(difference.epsilon[1]))
            for difference in self.declared
            if difference.epsilon
        }

    def _check(self, name: str, runs: Runs, inputs: Inputs) -> Check | None:
        mask = inputs.attention_mask
        if name == "weights":
            return check_weights(
                self.checkpoint,
                self.plan,
                self.written,
                runs.paddle32.answer["digests"] if runs.paddle32 else None,
                runs.torch32.answer["digests"] if runs.torch32 else None,
            )
        if runs.torch_failure is not None or runs.paddle32 is None or runs.torch32 is None:
            return _failed(name, runs.torch_failure or "the frameworks gave no answer")
        if name == "config":
            torch = runs.torch64_as_is or runs.torch64 or runs.torch32
            return check_configuration(self.plan, runs.paddle32.answer, torch.answer, self.declared)
        if runs.paddle64 is None or runs.torch64 is None:
            return _failed(name, "the frameworks gave no float64 answer")
        if name == "float64":
            return compare_float64(
                self._comparable(runs.paddle64.outputs), self._comparable(runs.torch64.outputs), mask
            )
        return compare_float32(
            self._comparable(runs.paddle32.outputs),
            self._comparable(runs.torch32.outputs),
            runs.torch64.outputs,
            mask,
        )

    def _comparable(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs without those that a declared difference or a dropped pooler takes out of the comparison."""
        left_out = {name for difference in self.declared for name in difference.outputs}
        if not self.recognised.family.model(self.plan.architecture).pooler:
            left_out.add("pooler_output")
        return {name: array for name, array in outputs.items() if name not in left_out}

    def _declared_seen(self, runs: Runs, inputs: Inputs) -> tuple[DeclaredDifferenceSeen, ...]:
        seen = [
            DeclaredDifferenceSeen(difference.name, difference.text, self._measured(difference, runs, inputs))
            for difference in self.declared
        ]
        if self.plan.dropped:
            names = ", ".join(rule.source for rule in self.plan.dropped)
            seen.append(DeclaredDifferenceSeen("dropped", f"{names}: {self.plan.dropped[0].reason}"))
        return tuple(seen)

    def _measured(self, difference: DeclaredDifference, runs: Runs, inputs: Inputs) -> float | None:
        """The size of a declared difference on these inputs, in float64; None when float64 did not run."""
        if runs.paddle64 is None or runs.torch64 is None:
            return None
        paddle, torch, mask = runs.paddle64.outputs, runs.torch64.outputs, inputs.attention_mask
        names: list[str] = []
        if difference.padding:
            mask = 1 - mask
            names = [name for name in paddle if name.startswith("hidden_state.")]
        elif difference.epsilon and runs.torch64_as_is is not None:
            torch = runs.torch64_as_is.outputs
            names = ["mlm_logits"]
        elif difference.outputs:
            names = list(difference.outputs)
        shared = [name for name in names if name in paddle and name in torch]
        return max((largest_difference(name, paddle[name], torch[name], mask) for name in shared), default=None)


def weights_origin(checkpoint: Checkpoint) -> str:
    """Say "seeded" for a folder this package seeded, "published" for what a pretrained name led to, else "local"."""
    path = checkpoint.source.path
    if path.is_dir() and (path / SEED_FILE).is_file():
        return "seeded"
    return "published" if checkpoint.source.looked_up else "local"


def _failed(name: str, reason: str) -> Check:
    return Check(name, False, None, None, reason, "", (reason,))


def _with_seconds(report: Report, seconds: float) -> Report:
    return replace(report, seconds={**report.seconds, "total": seconds})
