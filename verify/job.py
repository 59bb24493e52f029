"""The verification: asks each wanted check what it needs, makes the runs once, hands them over, collects the report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..converters.checkpoints.snapshot import name_of_place
from ..errors import RunnerAccidentError, RunnerAnswerError, UnknownNameError, UnreadableFileError
from ..mappings.language.matching.inverse import InversePlan
from ..mappings.language.matching.plan import Plan
from ..mappings.language.pretrained import Reference
from .admission import one_at_a_time
from .asked import ALL_CHECKS as ALL_CHECKS
from .asked import CHECKS as CHECKS
from .asked import Asked as Asked
from .asked import Progress, silent
from .certificate import Stamps, check_stamps, find_place, make_certificate, refusal_of, stamp_files, write_certificate
from .check import Check, Context, Needs, Outcome, failed
from .checks import all_checks
from .costs import COMPARING, FRAMEWORKS_START, timed
from .images.job import verify_network
from .inputs import Inputs
from .reports.result import TO_PADDLE, TO_TORCH, CheckResult, Report
from .runners.forward import Runners, Runs, Session, run_both
from .sides.declared import declared_seen
from .sides.pair import Pair, find_pair, open_pair
from .sides.staging import stage_source
from .sides.way_back import UnfitOutputError
from .sides.withdrawn import check_classes


def verify_checkpoint(
    source: str | Path,
    converted: str | Path,
    *,
    checks: Sequence[str] = CHECKS,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    config: str | Path | None = None,
    paddle_python: str | None = None,
    torch_python: str | Sequence[str] | None = None,
    seed: int = 0,
    inputs: Inputs | None = None,
    runners: Runners | None = None,
    certificate: bool = False,
    elsewhere: Path | None = None,
    dictionary: str | Path | None = None,
    paddleocr: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check that the Hugging Face folder `converted` is the same model as the PaddleNLP checkpoint `source`, or the
    PaddleNLP folder `converted` the same as the Hugging Face folder `source`; the report names the direction.

    `checks` chooses among ALL_CHECKS, or is one of them; the others are reported as not run. `inputs` replaces the made
    ones, which follow from the configuration and `seed`. PaddleNLP runs once and is compared with each of
    `torch_python`; see `find_interpreters` for the default. `config` is a file that is the configuration of a PaddleNLP
    source, `target` the alternative of the family that the Hugging Face folder holds, where its weights do not record
    it. A difference is a failed check in the report, never an exception; an exception (a Paddle2TorchError) means that
    a check could not be run and no other found a difference. `certificate` writes parity.json into `converted` when all
    of CHECKS ran, whether they hold or not; into a folder that this package did not write nothing is written, and
    parity.json goes into the folder `elsewhere`, if there is one, as it does where `converted` is read-only. The report
    says where it is, or why there is none.

    A network of PaddleOCR's or PaddleClas's has checks of its own (NETWORK_CHECKS), all of which run for CHECKS;
    `config` is its training configuration, `dictionary` the file of its characters, `paddleocr` the copy of PaddleOCR
    whose code builds Paddle's side, in place of the installed one.
    """
    asked = Asked(
        (checks,) if isinstance(checks, str) else tuple(checks),
        family=family,
        architecture=architecture,
        target=target,
        config=Path(config) if config is not None else None,
        seed=seed,
        inputs=inputs,
        certificate=certificate,
        progress=progress or silent,
        elsewhere=elsewhere,
        dictionary=Path(dictionary) if dictionary is not None else None,
        paddleocr=Path(paddleocr) if paddleocr is not None else None,
    )
    with nullcontext(runners) if runners is not None else Runners(paddle_python, torch_python) as used:
        return verify_asked(source, Path(converted), asked, used)


def verify_asked(source: str | Path, converted: Path, asked: Asked, runners: Runners) -> Report:
    """What `verify_checkpoint` does, with these runners."""
    if (network := asked.of_network(source)) is not None:
        return verify_network(network, converted, asked.for_network, runners.networks)
    if unknown := [name for name in asked.checks if name not in ALL_CHECKS]:
        raise UnknownNameError(f"the check {unknown[0]!r} is one of networks that read pictures; {source} is none")
    started = time.perf_counter()
    found = find_pair(source, converted, asked.config)
    place = find_place(converted, asked.elsewhere) if asked.certificate and asked.full else None
    stamps = stamp_files(source, converted, asked.config)
    plan: Plan | InversePlan
    try:
        with (
            open_pair(found, converted, asked.family, asked.architecture, asked.target) as pair,
            tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch,
        ):
            inputs = asked.inputs or pair.inputs(asked.seed)
            decodes = pair.recognised.family.decodes(pair.plan.architecture)
            inputs.check(pair.limits, pair.configuration["pad_token_id"], decodes)
            report, plan = Verification(pair, runners, inputs, Path(scratch), asked).run(), pair.certified
    except UnfitOutputError as error:
        report, plan = _unfit(source, converted, asked, error), error.inverse
    if asked.certificate:
        report = _certify(report, plan, source, converted, asked, place, stamps)
    return replace(report, seconds={**report.seconds, "total": time.perf_counter() - started})


def _certify(
    report: Report,
    plan: Plan | InversePlan,
    source: str | Path,
    converted: Path,
    asked: Asked,
    place: Path | None,
    before: Stamps,
) -> Report:
    """Write the certificate into the folder `place`, if there is one and everything ran; the report then says where it
    lies, or why there is none."""
    refusal = refusal_of(report, asked.full, place, converted)
    if refusal is not None or place is None:
        return replace(report, no_certificate=refusal)
    asked.progress("writing the certificate")
    document = make_certificate(report, plan, source, converted, asked.config)
    check_stamps(before, stamp_files(source, converted, asked.config))
    return replace(report, certificate=str(write_certificate(place, document)))


def _unfit(source: str | Path, converted: Path, asked: Asked, error: UnfitOutputError) -> Report:
    """The report on a folder that holds another model: none of the checks can hold."""
    inverse = error.inverse
    concerned = {
        one.name for one in all_checks() if one.applies(inverse.family, inverse.architecture) or asked.names(one)
    }
    return Report(
        source=name_of_place(source),
        converted=name_of_place(converted),
        architecture=error.inverse.architecture,
        weights="local",
        parameters=0,
        tensors=len(error.inverse.moves),
        checks=tuple(failed(name, str(error)) for name in asked.checks if name in concerned),
        not_run=tuple(name for name in ALL_CHECKS if name in concerned and name not in asked.checks),
        declared_differences=(),
        inputs_digest=None,
        versions={},
        seconds={},
        direction=TO_PADDLE,
    )


@dataclass
class Side:
    """What is found with one torch environment."""

    runners: Runners
    scratch: Path
    runs: Runs = field(default_factory=Runs)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass
class Verification:
    """One verification under way: what it cost, and what was made once for all torch environments."""

    pair: Pair
    runners: Runners
    inputs: Inputs
    scratch: Path
    asked: Asked
    kept: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    def run(self) -> Report:
        """Run the wanted checks, those that torch takes part in with every torch environment, and make the report.

        Raises RunnerAccidentError when a check could not be run and no other found a difference, and before anything is
        run WithdrawnError when an environment lacks the family's classes.
        """
        concerned = self.asked.concerned(self.pair)
        wanted = [check for check in concerned if self.asked.wants(check)]
        needs = Needs.of(wanted)
        if needs.frameworks:
            check_classes(self.pair.recognised.family, self.runners)
        sides = [Side(runners, self.scratch) for runners in self.runners.sides()[: None if needs.frameworks else 1]]
        once = compare([check for check in wanted if not check.needs.torch], self._context(sides[0]))
        if needs.dtypes:
            self.asked.progress("starting the frameworks")
            with timed(self.seconds, FRAMEWORKS_START):
                for side in sides:
                    side.versions = side.runners.versions()
        reference: Runs | None = None
        for number, side in enumerate(sides):
            side.outcomes.update(once)
            if number:
                side.scratch = self.scratch / f"side{number}"
                side.scratch.mkdir()
                self.asked.progress(f"comparing with the torch environment {number + 1} of {len(sides)}")
            self._run_side(side, [check for check in wanted if check.needs.torch], needs, reference)
            reference = sides[0].runs
        first, *others = [self._report(side, concerned, needs) for side in sides]
        report = replace(first, seconds=self.seconds, memory=self.memory, others=tuple(others))
        if not report.failed and (accidents := [text for side in report.sides for text in side.accidents.values()]):
            raise RunnerAccidentError("; ".join(dict.fromkeys(accidents)))
        return report

    def _run_side(self, side: Side, wanted: Sequence[Check], needs: Needs, reference: Runs | None) -> None:
        if needs.dtypes:
            self._with_runs(side, wanted, needs, reference)
        else:
            self._compare(side, wanted, None)
        for check in wanted:
            if check.needs.runners:
                self._on_its_own(side, check)

    def _with_runs(self, side: Side, wanted: Sequence[Check], needs: Needs, reference: Runs | None) -> None:
        ran = "torch" if reference is not None else "Paddle and torch"
        self.asked.progress(f"running {ran} in {' and '.join(needs.dtypes)}")
        session = open_session(self.pair, side.runners, self._staged(), self.inputs, side.scratch)
        try:
            side.runs = run_both(session, needs.dtypes, needs.fed, reference)
            self._compare(side, wanted, session)
        finally:
            session.release()
        for stage, seconds in session.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        for process, size in session.memory.items():
            self.memory[process] = max(self.memory.get(process, 0), size)

    def _staged(self) -> Path:
        """The folder from which PaddleNLP loads its side."""
        folder = self.scratch / "source"
        return folder if folder.exists() else stage_source(self.pair.checkpoint, self.pair.recognised, folder)

    def _context(self, side: Side, session: Session | None = None) -> Context:
        published = self.asked.published or Reference()
        return Context(
            self.pair, self.inputs, side.runners, side.scratch, side.runs, session, published, kept=self.kept
        )

    def _compare(self, side: Side, wanted: Sequence[Check], session: Session | None) -> None:
        self.asked.progress("comparing weights and states")
        seconds = self.seconds if session is not None else {}
        side.outcomes.update(compare(wanted, self._context(side, session), seconds))

    def _on_its_own(self, side: Side, check: Check) -> None:
        """Let a check make runs of its own."""
        stage = check.stage or check.name
        self.asked.progress(f"running the {stage}")
        seconds: dict[str, float] = {}
        with timed(seconds, stage):
            outcome = _outcome(check, self._context(side))
        if outcome.reason is None:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds[stage]
        if outcome.result is not None:
            side.versions = side.versions or side.runners.versions()
        side.outcomes[check.name] = outcome

    def _report(self, side: Side, concerned: Sequence[Check], needs: Needs) -> Report:
        pair = self.pair
        nothing = Outcome()
        outcomes = {check.name: side.outcomes.get(check.name, nothing) for check in concerned}
        results = tuple(outcome.result for outcome in outcomes.values() if outcome.result is not None)
        reasons = {name: outcome.reason for name, outcome in outcomes.items() if outcome.reason is not None}
        accidents = {name: outcome.accident for name, outcome in outcomes.items() if outcome.accident is not None}
        if reasons and not results and not accidents:
            raise UnreadableFileError(
                f"{pair.checkpoint.source.path}: {'; '.join(reasons.values())}, nothing was verified"
            )
        not_run = [name for name, outcome in outcomes.items() if outcome.result is None and not outcome.parts_not_run]
        source, converted = pair.names
        return Report(
            source=source,
            converted=converted,
            architecture=pair.plan.architecture,
            weights=pair.weights,
            parameters=pair.plan.parameters,
            tensors=len(pair.plan.moves),
            checks=results,
            not_run=(*not_run, *(part for outcome in outcomes.values() for part in outcome.parts_not_run)),
            declared_differences=(
                *declared_seen(pair, side.runs, self.inputs),
                *(seen for outcome in outcomes.values() for seen in outcome.declared),
            ),
            inputs_digest=self.inputs.digest if needs.dtypes else None,
            versions=side.versions,
            seconds={},
            direction=TO_TORCH if pair.way_back is None else TO_PADDLE,
            not_run_reasons=reasons,
            foreign=pair.is_foreign,
            accidents=accidents,
            notes=pair.notes,
            not_covered=tuple(pair.limits.lines()) if needs.dtypes else (),
        )


def open_session(pair: Pair, runners: Runners, staged: Path, inputs: Inputs, scratch: Path) -> Session:
    """The session in which runners run a pair; `staged` is the folder from which PaddleNLP loads its side."""
    session = Session(runners, staged, pair.converted, pair.plan, inputs, pair.aligned, scratch, pair.cast)
    session.stored_names = dict(pair.stored_names)
    session.save_tables(pair.tables)
    session.lifted, session.lifted_in_paddle = pair.lifted, pair.lifted_in_paddle
    session.alone = one_at_a_time(pair.plan.parameters)
    return session


def compare(checks: Sequence[Check], context: Context, seconds: dict[str, float] | None = None) -> dict[str, Outcome]:
    """What the checks find that make no runs of their own, by name; `seconds` gets those of the checks that ask the
    runners for nothing more."""
    spent = {} if seconds is None else seconds
    # What asks the runners for more comes first, or beside the others, while they hold their models.
    asking = [check for check in checks if check.needs.models]
    others = [check for check in checks if not (check.needs.models or check.needs.runners)]
    session = context.session
    if session is None or session.alone or not asking:
        outcomes = _outcomes(asking, context)
        if session is not None:
            session.release()
        with timed(spent, COMPARING):
            return outcomes | _outcomes(others, context)
    with ThreadPoolExecutor(1) as pool:
        try:
            asked = pool.submit(_asked, asking, context, session)
            with timed(spent, COMPARING):
                outcomes = _outcomes(others, context)
            return asked.result() | outcomes
        except Exception:
            raise
        except BaseException:
            # An interrupt of any kind. Leaving the pool waits for its thread, which waits for the runners.
            session.runners.stop()
            raise


def _asked(checks: Sequence[Check], context: Context, session: Session) -> dict[str, Outcome]:
    outcomes = _outcomes(checks, context)
    session.release()
    return outcomes


def _outcomes(checks: Sequence[Check], context: Context) -> dict[str, Outcome]:
    return {check.name: _outcome(check, context) for check in checks}


def _outcome(check: Check, context: Context) -> Outcome:
    if (accident := check.needs.accident(context.runs)) is not None:
        return Outcome(accident=accident)
    if (lacking := check.needs.lacking(context.runs)) is not None:
        return Outcome(failed(check.name, lacking))
    try:
        return check.run(context)
    except RunnerAccidentError as error:
        return Outcome(accident=str(error))
    except RunnerAnswerError as error:
        # Whose failure is a finding, a check with runs of its own knows.
        if check.needs.runners:
            raise
        return Outcome(failed(check.name, str(error)))


def results_of(outcomes: dict[str, Outcome]) -> tuple[CheckResult, ...]:
    """The results of checks that have one, in the order of a report."""
    return tuple(result for check in all_checks() if check.name in outcomes and (result := outcomes[check.name].result))
