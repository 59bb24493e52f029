"""The verification: the same plan, weights bit by bit, both frameworks on shared inputs, comparison, report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..converters.checkpoints.checkpoint import Checkpoint, Recognised, open_checkpoint, recognise
from ..converters.checkpoints.comparison import settle_values
from ..converters.checkpoints.torch_checkpoint import find_torch_source
from ..converters.formats.casting import widened
from ..converters.formats.dtypes import Array
from ..converters.formats.tensors import Tensor
from ..converters.outputs.alterations import UNALTERED, Alterations, altered_plan, check_recorded, word_embeddings
from ..errors import RunnerAnswerError, UnknownNameError, UnreadableFileError
from ..mappings.language.inverse import InversePlan
from ..mappings.language.plan import Plan
from ..mappings.language.schema import DeclaredDifference
from .certificate import check_stamps, make_certificate, stamp_files, write_certificate
from .checks.config import check_configuration
from .checks.embeddings import run_embeddings
from .checks.gradients import run_gradients
from .checks.layers import check_layers
from .checks.tokenizer import TokenizerOutcome, run_tokenizer_check
from .checks.weights import check_weights, open_converted, recorded_alterations
from .costs import COMPARING, FRAMEWORKS_START, timed
from .inputs import Inputs, make_inputs
from .reports.result import TO_PADDLE, TO_TORCH, CheckResult, DeclaredDifferenceSeen, Report
from .runners.forward import Runners, Runs, Session, run_both, stage_source
from .states import compare_float32, compare_float64, largest_difference
from .way_back import UnfitOutputError, WayBack, is_paddle_folder, open_way_back

CHECKS = ("weights", "config", "float64", "float32", "embeddings", "layers", "tokenizer")
"""The checks that run unless others are asked for, in the order they are reported. Without a tokenizer in the source,
`tokenizer` is reported as not run for that reason."""

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
    """Check that the Hugging Face folder `converted` is the same model as the PaddleNLP checkpoint `source`, or the
    PaddleNLP folder `converted` the same as the Hugging Face folder `source`; the report names the direction.

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
    if is_paddle_folder(converted):
        report = _verify_way_back(
            source,
            converted,
            tuple(checks),
            family,
            architecture,
            runners or Runners(paddle_python, torch_python),
            runners is None,
            seed,
            inputs,
            certificate,
            report_progress,
        )
        return _with_seconds(report, time.perf_counter() - started)
    with open_checkpoint(source) as checkpoint, tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch:
        recognised = recognise(checkpoint, family, architecture)
        alterations = recorded_alterations(converted)
        stamps = stamp_files(checkpoint.source, converted)
        plan = settle_values(checkpoint, recognised.plan)
        check_recorded(converted, alterations, plan, recognised.configuration)
        plan = altered_plan(plan, recognised.configuration, alterations)
        written = open_converted(converted)
        job = Verification(
            checkpoint, recognised, plan, converted, written, tuple(checks), report_progress, alterations
        )
        used_inputs = inputs or make_inputs(recognised.configuration, seed)
        own = None if runners is not None else Runners(paddle_python, torch_python)
        try:
            report = job.run(runners or own or Runners(), used_inputs, Path(scratch))
        finally:
            if own is not None:
                own.close()
        if certificate and set(CHECKS) <= set(checks):
            report_progress("writing the certificate")
            document = make_certificate(report, plan, source, converted)
            check_stamps(stamps, stamp_files(checkpoint.source, converted))
            write_certificate(converted, document)
        checkpoint.check_unchanged()
    return _with_seconds(report, time.perf_counter() - started)


def _verify_way_back(
    source: str | Path,
    converted: Path,
    checks: tuple[str, ...],
    family: str | None,
    architecture: str | None,
    runners: Runners,
    close_runners: bool,
    seed: int,
    inputs: Inputs | None,
    certificate: bool,
    progress: Progress,
) -> Report:
    """`verify_checkpoint` for a PaddleNLP folder that was converted from a Hugging Face one."""
    try:
        files = find_torch_source(source)
        stamps = stamp_files(files, converted)
        with (
            open_way_back(source, converted, family, architecture) as pair,
            tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch,
        ):
            job = Verification(
                pair.paddle,
                pair.recognised,
                pair.plan,
                pair.torch.folder,
                pair.written(),
                checks,
                progress,
                way_back=pair,
            )
            report = job.run(runners, inputs or make_inputs(pair.recognised.configuration, seed), Path(scratch))
            report = replace(report, source=str(pair.torch.source.path), converted=str(converted))
            plan: Plan | InversePlan = pair.inverse
            pair.paddle.check_unchanged()
    except UnfitOutputError as error:
        plan = error.inverse
        report = Report(
            source=str(source),
            converted=str(converted),
            architecture=plan.architecture,
            weights="local",
            parameters=0,
            tensors=len(plan.moves),
            checks=tuple(_failed(name, str(error)) for name in checks),
            not_run=tuple(name for name in ALL_CHECKS if name not in checks),
            declared_differences=(),
            inputs_digest=None,
            versions={},
            seconds={},
            direction=TO_PADDLE,
        )
    finally:
        if close_runners:
            runners.close()
    if certificate and set(CHECKS) <= set(checks):
        progress("writing the certificate")
        document = make_certificate(report, plan, source, converted)
        check_stamps(stamps, stamp_files(files, converted))
        write_certificate(converted, document)
    return report


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
        alterations: Alterations = UNALTERED,
        way_back: WayBack | None = None,
    ) -> None:
        """`way_back` is the pair when the source was converted from `converted` and not the other way round."""
        self.checkpoint = checkpoint
        self.way_back = way_back
        self.recognised = recognised
        self.plan = plan
        self.converted = converted
        self.written = written
        self.wanted = checks
        self.progress = progress
        self.alterations = alterations
        self.declared = recognised.family.declared(plan.architecture)
        if alterations.zero_padding_row is not None:
            # Both frameworks read zeros then: what was excused is compared.
            self.declared = tuple(difference for difference in self.declared if not difference.padding)

    def run(self, runners: Runners, inputs: Inputs, scratch: Path) -> Report:
        """Run the wanted checks and make the report."""
        versions: dict[str, str] = {}
        seconds: dict[str, float] = {}
        memory: dict[str, int] = {}
        runs = Runs()
        if not self._dtypes():
            checks = self.checks(runs, inputs, None)
        else:
            self.progress(f"running Paddle and torch in {' and '.join(self._dtypes())}")
            with timed(seconds, FRAMEWORKS_START):
                versions = runners.versions()
            staged = stage_source(self.checkpoint, self.recognised, scratch / "source")
            session = Session(runners, staged, self.converted, self.plan, inputs, self.aligned(), scratch, self.cast)
            if self.way_back is not None:
                session.stored_names = self.way_back.stored_names()
            try:
                runs = run_both(session, self._dtypes(), fed="layers" in self.wanted)
                asked = sum(session.seconds.values())
                with timed(seconds, COMPARING):
                    checks = self.checks(runs, inputs, session)
                # What the runners computed on request counts as theirs.
                seconds[COMPARING] -= sum(session.seconds.values()) - asked
            finally:
                session.release()
            seconds.update(session.seconds)
            memory = session.memory
        outcome = TokenizerOutcome()
        reasons = {}
        if "tokenizer" in self.wanted:
            with timed(seconds, "tokenizers"):
                outcome = self._tokenizer(runners, scratch)
            if outcome.check is not None:
                versions = versions or runners.versions()
            if outcome.reason is not None:
                if not checks:
                    raise UnreadableFileError(f"{self.checkpoint.source.path}: {outcome.reason}, nothing was verified")
                reasons["tokenizer"] = outcome.reason
                del seconds["tokenizers"]
        return Report(
            source=str(self.checkpoint.source.path),
            converted=str(self.converted),
            architecture=self.plan.architecture,
            weights=weights_origin(self.checkpoint) if self.way_back is None else "local",
            parameters=self.plan.parameters,
            tensors=len(self.plan.moves),
            checks=tuple(sorted((*checks, *_present(outcome.check)), key=lambda check: ALL_CHECKS.index(check.name))),
            not_run=tuple(name for name in ALL_CHECKS if name not in self.wanted or name in reasons),
            declared_differences=(*self._declared_seen(runs, inputs), *outcome.declared),
            inputs_digest=inputs.digest if self._dtypes() else None,
            versions=versions,
            seconds=seconds,
            memory=memory,
            direction=TO_TORCH if self.way_back is None else TO_PADDLE,
            not_run_reasons=reasons,
        )

    def _tokenizer(self, runners: Runners, scratch: Path) -> TokenizerOutcome:
        self.progress("running the tokenizers")
        vocab_size = int(self.recognised.configuration["vocab_size"])
        return run_tokenizer_check(
            self.checkpoint.source,
            self.recognised.family.name,
            vocab_size,
            self.converted,
            runners,
            scratch,
            original=self.way_back is not None,
        )

    def _dtypes(self) -> tuple[str, ...]:
        """Precisions to run in: the float32 limit needs torch's float64 run, live digests come from float32 runs."""
        wanted = set(self.wanted) - {"tokenizer"}
        if wanted <= {"weights"}:
            return ()
        return ("float32",) if wanted <= {"weights", "config"} else ("float64", "float32")

    @property
    def cast(self) -> str | None:
        """The element type that Paddle's weights are rounded to before they are compared."""
        return self.alterations.dtype.name if self.alterations.dtype is not None else None

    def compared_positions(self, inputs: Inputs) -> Array:
        """1 where hidden states are compared: everywhere when the padding row is zeros on both sides."""
        everywhere = self.alterations.zero_padding_row is not None
        return np.ones_like(inputs.attention_mask) if everywhere else inputs.attention_mask

    def aligned(self) -> dict[str, float]:
        """Epsilons that PaddleNLP hard-codes, for torch's LayerNorms by their target names, as Paddle's float32."""
        targets = {move.source: move.target for move in self.plan.moves}
        return {
            targets[f"{difference.epsilon[0]}.weight"].removesuffix(".weight"): float(np.float32(difference.epsilon[1]))
            for difference in self.declared
            if difference.epsilon
        }

    def checks(self, runs: Runs, inputs: Inputs, session: Session | None) -> tuple[CheckResult, ...]:
        """The wanted checks on these runs; without a session, those that need no framework."""
        self.progress("comparing weights and states")
        # What the runners compute on request comes first, while they hold their float64 models.
        asked = [name for name in self.wanted if name != "tokenizer"]
        order = sorted(asked, key=lambda name: (name in ("weights", "config"), ALL_CHECKS.index(name)))
        checks = {name: self._check(name, runs, inputs, session) for name in order}
        return tuple(checks[name] for name in ALL_CHECKS if name in checks)

    def _check(self, name: str, runs: Runs, inputs: Inputs, session: Session | None) -> CheckResult:
        mask = self.compared_positions(inputs)
        if name == "weights":
            check = check_weights(
                self.checkpoint,
                self.plan,
                self.written,
                self.recognised.configuration,
                as_loaded.answer if (as_loaded := runs.paddle32_uncast or runs.paddle32) else None,
                runs.torch32.answer if runs.torch32 else None,
                self.alterations,
                (runs.paddle32.answer["digests"], runs.paddle64.answer["digests"])
                if runs.paddle32 is not None and runs.paddle64 is not None
                else None,
            )
            return check if self.way_back is None else self.way_back.with_problems(check)
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
        return (*seen, *self._alterations_seen(runs, inputs))

    def _alterations_seen(self, runs: Runs, inputs: Inputs) -> list[DeclaredDifferenceSeen]:
        """What the conversion was told to change, with the size of its effect on Paddle's hidden states and outputs."""
        seen = []
        if self.alterations.dtype is not None:
            measured = None
            if runs.paddle32_uncast is not None and runs.paddle32 is not None:
                before, after = runs.paddle32_uncast.outputs, runs.paddle32.outputs
                names = [name for name in self._comparable(before) if not name.startswith("attention.")]
                measured = max(
                    largest_difference(name, before[name], after[name], inputs.attention_mask) for name in names
                )
            text = (
                f"every weight was cast to {self.cast}, so that the converted weights are not bit-equal to the source: "
                "all checks compare with the source cast likewise; measured is the cast's effect on PaddleNLP's states"
            )
            seen.append(DeclaredDifferenceSeen("cast", text, measured))
        if self.alterations.zero_padding_row is not None:
            text = (
                f"row {self.alterations.zero_padding_row} of the word embeddings, the padding id's, was written as "
                "zeros, which is what PaddleNLP reads: hidden states are compared at all positions; measured is the "
                "largest value of the row that was lost"
            )
            row = self.checkpoint.tensors[word_embeddings(self.plan).source].read()
            lost = row[self.alterations.zero_padding_row]
            dtype = self.checkpoint.tensors[word_embeddings(self.plan).source].dtype
            seen.append(DeclaredDifferenceSeen("zero_padding_row", text, float(np.abs(widened(lost, dtype)).max())))
        return seen

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


def _present(check: CheckResult | None) -> tuple[CheckResult, ...]:
    return () if check is None else (check,)


def _failed(name: str, reason: str) -> CheckResult:
    return CheckResult(name, False, None, None, reason, "", (reason,))


def _with_seconds(report: Report, seconds: float) -> Report:
    return replace(report, seconds={**report.seconds, "total": seconds})
