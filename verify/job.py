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
from ..mappings.errors import RunnerAnswerError, UnknownNameError
from ..mappings.plan import Plan
from ..mappings.schema import DeclaredDifference
from .certificate import make_certificate, write_certificate
from .compare import compare_float32, compare_float64, largest_difference
from .coverage import run_embeddings
from .forward import Runners, Runs, Session, run_both, stage_source
from .gradients import run_gradients
from .inputs import Inputs, make_inputs
from .layers import check_layers
from .live_configuration import check_configuration
from .report import Check, DeclaredDifferenceSeen, Report
from .weights import check_weights, open_converted

CHECKS = ("weights", "config", "float64", "float32", "embeddings", "layers")
"""The checks that run unless others are asked for, in the order they are reported."""

ALL_CHECKS = (*CHECKS, "gradients")
"""All checks, in the order they are reported."""

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
    certificate: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Check that the Hugging Face folder `converted` is the same model as the PaddleNLP checkpoint `source`.

    `checks` chooses among ALL_CHECKS; the others are reported as not run. `inputs` replaces the made ones, which follow
    from the configuration and `seed`. A difference is a failed check in the report, never an exception; an exception
    (a Paddle2TorchError) means that a check could not be run. `certificate` writes parity.json into `converted` when
    all of CHECKS ran, whether they hold or not.
    """
    if unknown := [name for name in checks if name not in ALL_CHECKS]:
        raise UnknownNameError(f"unknown check {unknown[0]!r}; known are {', '.join(ALL_CHECKS)}")
    report_progress = progress or (lambda text: None)
    converted = Path(converted)
    started = time.perf_counter()
    with open_checkpoint(source) as checkpoint, tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch:
        recognised = recognise(checkpoint, family, architecture)
        plan = settle_values(checkpoint, recognised.plan)
        written = open_converted(converted)
        job = Verification(checkpoint, recognised, plan, converted, written, tuple(checks), report_progress)
        used_inputs = inputs or make_inputs(recognised.configuration, seed)
        own = None if runners is not None else Runners(paddle_python, torch_python)
        try:
            report = job.run(runners or own or Runners(), used_inputs, Path(scratch))
        finally:
            if own is not None:
                own.close()
        if certificate and set(CHECKS) <= set(checks):
            report_progress("writing the certificate")
            write_certificate(converted, make_certificate(report, plan, source, converted))
        checkpoint.check_unchanged()
    return _with_seconds(report, time.perf_counter() - started)


class Verification:
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
        versions: dict[str, str] = {}
        seconds: dict[str, float] = {}
        runs = Runs()
        if not self._dtypes():
            checks = self.checks(runs, inputs, None)
        else:
            self.progress(f"running Paddle and torch in {' and '.join(self._dtypes())}")
            versions = runners.versions()
            staged = stage_source(self.checkpoint, self.recognised, scratch / "source")
            session = Session(runners, staged, self.converted, self.plan, inputs, self.aligned(), scratch)
            try:
                runs = run_both(session, self._dtypes(), fed="layers" in self.wanted)
                checks = self.checks(runs, inputs, session)
            finally:
                session.release()
            seconds = session.seconds
        return Report(
            source=str(self.checkpoint.source.path),
            converted=str(self.converted),
            architecture=self.plan.architecture,
            weights=weights_origin(self.checkpoint),
            parameters=self.plan.parameters,
            tensors=len(self.plan.moves),
            checks=checks,
            not_run=tuple(name for name in ALL_CHECKS if name not in self.wanted),
            declared_differences=self._declared_seen(runs, inputs),
            inputs_digest=inputs.digest if self._dtypes() else None,
            versions=versions,
            seconds=dict(seconds),
        )

    def _dtypes(self) -> tuple[str, ...]:
        """Precisions to run in: the float32 limit needs torch's float64 run, live digests come from float32 runs."""
        wanted = set(self.wanted)
        if wanted <= {"weights"}:
            return ()
        return ("float32",) if wanted <= {"weights", "config"} else ("float64", "float32")

    def aligned(self) -> dict[str, float]:
        """Epsilons that PaddleNLP hard-codes, for torch's LayerNorms by their target names, as Paddle's float32."""
        targets = {move.source: move.target for move in self.plan.moves}
        return {
            targets[f"{difference.epsilon[0]}.weight"].removesuffix(".weight"): float(np.float32(difference.epsilon[1]))
            for difference in self.declared
            if difference.epsilon
        }

    def checks(self, runs: Runs, inputs: Inputs, session: Session | None) -> tuple[Check, ...]:
        """The wanted checks on these runs; without a session, those that need no framework."""
        self.progress("comparing weights and states")
        # What the runners compute on request comes first, while they hold their float64 models.
        order = sorted(self.wanted, key=lambda name: (name in ("weights", "config"), ALL_CHECKS.index(name)))
        checks = {name: self._check(name, runs, inputs, session) for name in order}
        return tuple(checks[name] for name in ALL_CHECKS if name in checks)

    def _check(self, name: str, runs: Runs, inputs: Inputs, session: Session | None) -> Check:
        mask = inputs.attention_mask
        if name == "weights":
            return check_weights(
                self.checkpoint,
                self.plan,
                self.written,
                self.recognised.configuration,
                runs.paddle32.answer if runs.paddle32 else None,
                runs.torch32.answer if runs.torch32 else None,
            )
        if runs.torch_failure is not None or runs.paddle32 is None or runs.torch32 is None or session is None:
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
        if name == "float32":
            return compare_float32(
                self._comparable(runs.paddle32.outputs),
                self._comparable(runs.torch32.outputs),
                runs.torch64.outputs,
                mask,
            )
        if name == "layers":
            if runs.fed32 is None or runs.fed64 is None:
                return _failed(name, runs.fed_failure or "torch's layers gave no answer")
            paddle = {"float64": runs.paddle64, "float32": runs.paddle32}
            fed = {"float64": runs.fed64, "float32": runs.fed32}
            return check_layers(paddle, fed, mask, self._left_out(), session)
        try:
            if name == "embeddings":
                return run_embeddings(session, self.recognised.configuration, inputs, self._padding())
            return run_gradients(session, self._comparable(runs.paddle64.outputs), mask, self._padding())
        except RunnerAnswerError as error:
            return _failed(name, str(error))

    def _padding(self) -> int | None:
        """The vocabulary id that the frameworks embed differently on purpose, where there is one."""
        padding = self.recognised.configuration["pad_token_id"]
        return int(padding) if padding is not None and any(one.padding for one in self.declared) else None

    def _left_out(self) -> frozenset[str]:
        """Outputs that a declared difference or a dropped pooler takes out of the comparison."""
        left_out = {name for difference in self.declared for name in difference.outputs}
        if not self.recognised.family.model(self.plan.architecture).pooler:
            left_out.add("pooler_output")
        return frozenset(left_out)

    def _comparable(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        left_out = self._left_out()
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
