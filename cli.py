"""The command line: commands, options and exit codes. What a command does lies in the other modules.

Modules are imported inside the commands, so that `--help` and `list` start without numpy.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from . import __version__
from .errors import Paddle2TorchError, ParityError
from .options import (
    FOLDER,
    Grouped,
    Options,
    architecture_option,
    as_json,
    bundle,
    checks_option,
    family_option,
    faults_option,
    jobs_option,
    many_options,
    network_options,
    overwrite_option,
    paddleocr_option,
    python_option,
    python_options,
    quiet_option,
    recognition_options,
    report_dir_option,
    seed_option,
    target_option,
)
from .workers.console import is_quiet, print_json, show
from .workers.process import Terminated, guard_process, ignore_interrupts, interruption, load_numpy

if TYPE_CHECKING:
    from .converters.batch.finding import Found
    from .verify.reports.files import Reports
    from .verify.reports.gate_result import GateResult

BAD_INPUT = 2

ONE_OF_BOTH = "--tree and --list exclude each other"


@click.group(cls=Grouped, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="paddle2torch")
def cli() -> None:
    """Convert PaddleNLP checkpoints to PyTorch and prove that the result is the same model.

    Exit status: 0 everything asked for holds, 1 a check found a difference, 2 bad usage or bad input.
    """


@cli.command("list", short_help="List the pretrained names.")
@family_option("Only the names of this family.")
@as_json
def list_command(family: str | None, as_json: bool) -> None:
    """List the pretrained names by family: size (layers x hidden size), exact parameters, cached or not. Below them,
    names of PaddleNLP's community. With --json also languages, configurations, the parameters of further classes, and
    addresses.
    """
    from .converters.checkpoints.catalogue import catalogue

    names = catalogue(family)
    show(as_json, names.to_json(), names.lines(), names.table())


@cli.command(short_help="List the families, or what the classes of one become.")
@click.argument("family", required=False)
@as_json
def families(family: str | None, as_json: bool) -> None:
    """List the families that are supported; with FAMILY, what each of its classes becomes, and what is refused."""
    from .converters.checkpoints.supported import supported

    found = supported(family)
    show(as_json, found.to_json(), found.lines(), found.table())


@cli.command(short_help="Say what a checkpoint holds, and whether it converts.")
@click.argument("source")
@click.option("--hash", "with_hash", is_flag=True, help="Also the sha256 of each tensor's bytes.")
@recognition_options
@network_options
@as_json
def inspect(source: str, with_hash: bool, recognition: Options, network: Options, as_json: bool) -> None:
    """List the tensors of SOURCE, and say what those of PaddleNLP's are and whether that converts: the status is 0 even
    if it does not. No code of the file runs.
    """
    from .converters.inspection import inspect_checkpoint
    from .hub.availability import make_available

    found = inspect_checkpoint(
        make_available(source, **network, quiet=as_json or is_quiet()), with_hash, **recognition, converting=True
    )
    show(as_json, found.to_json(), found.lines(), found.table())


@cli.command(short_help="Download published weights into the cache.")
@click.argument("name")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=FOLDER,
    help="Also write copies into the new folder DIR, which then serves as a SOURCE.",
)
@network_options
@quiet_option
@as_json
def fetch(name: str, output: Path | None, network: Options, as_json: bool) -> None:
    """Download the published weights and tokenizer of NAME into the cache, once.

    With community:NAME, what PaddleNLP's community has under that name. The cache is PADDLE2TORCH_CACHE, else the
    platform's cache folder; what PaddleNLP's own cache holds is linked. A download that broke off is continued. The
    sha256 of each file is recorded and checked whenever the name is used.
    """
    from .hub.availability import check_room, fetching
    from .hub.fetch import copy_to

    if output is not None:
        check_room(name, output)
    with fetching(**network, quiet=as_json or is_quiet()) as fetcher:
        fetched = fetcher.fetch(name)
    if output is not None:
        fetched = copy_to(fetched, output)
    show(as_json, fetched.to_json(), fetched.lines())


@cli.command(short_help="Let PaddleNLP write seeded weights at the true size.")
@click.argument("name")
@click.argument("output", type=FOLDER)
@seed_option("random weights")
@architecture_option
@overwrite_option
@bundle("run", paddle_python=python_option("paddle", "PaddleNLP"), paddleocr=paddleocr_option)
def seed(name: str, output: Path, seed: int, architecture: str | None, overwrite: bool, run: Options) -> None:
    """Let PaddleNLP write a checkpoint of NAME at its true size, with seeded weights, into OUTPUT; or PaddleOCR, the
    folder that a training of NAME would leave."""
    from .verify.seeding import seed_checkpoint

    answer = seed_checkpoint(name, output, seed=seed, architecture=architecture, overwrite=overwrite, **run)
    click.echo(f"{output}: {name}, {answer['parameters']:,} seeded parameters (seed {seed})")


@cli.command(short_help="Convert a checkpoint, or the other way round.")
@click.argument("source")
@click.argument("output", type=FOLDER)
@click.option("--to", type=click.Choice(["torch", "paddle"]), default="torch", show_default=True, help="The direction.")
@recognition_options
@bundle(
    "alterations",
    dtype=click.option("--dtype", metavar="D", help="Cast all weights: float32, float16 or bfloat16. Not bit-exact."),
    max_shard_size=click.option(
        "--max-shard-size", metavar="S", help="Spread larger weights over files of at most S, such as 2GB."
    ),
    zero_padding_row=click.option(
        "--zero-padding-row", is_flag=True, help="Write the padding id's embedding as zeros, as Paddle reads it."
    ),
    no_tokenizer=click.option("--no-tokenizer", is_flag=True, help="Convert the weights alone."),
    sentence_transformers=click.option(
        "--sentence-transformers",
        metavar="POOLING",
        help="Also write that library's files: pooling auto, cls, mean, pooler or pooler-linear.",
    ),
)
@many_options("SOURCE", "convert")
@jobs_option("Checkpoints")
@overwrite_option
@click.option("--resume", is_flag=True, help="Keep an existing output that is equal to what would be written.")
@bundle("memory", low_memory=click.option("--low-memory", is_flag=True, help="Use at most 120 MiB, not 200."))
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@quiet_option
@network_options
@as_json
def convert(
    source: str,
    output: Path,
    to: str,
    recognition: Options,
    alterations: Options,
    many: Options,
    jobs: int,
    overwrite: bool,
    resume: bool,
    memory: Options,
    dry_run: bool,
    network: Options,
    as_json: bool,
) -> int:
    """Convert SOURCE (pretrained name, PaddleNLP folder, .pdparams file, or hf:OWNER/NAME[@REVISION][/SUBFOLDER] on the
    Hugging Face Hub) into the Hugging Face folder OUTPUT.

    With --to paddle, convert the Hugging Face folder SOURCE into the PaddleNLP folder OUTPUT.

    With --tree or --list, convert many checkpoints, each into a folder of its own below OUTPUT: under its path in the
    tree, or under the name that follows it in the list after a tab. One that fails stops no other.
    """
    if to == "paddle" and any(value is not None and value is not False for value in alterations.values()):
        names = (f"--{name.replace('_', '-')}" for name in alterations)
        raise click.UsageError(f"{', '.join(names)}: not with --to paddle")
    if (recognition["config"] or recognition["dictionary"]) is not None and (to == "paddle" or any(many.values())):
        raise click.UsageError("--config and --dict go with one SOURCE of Paddle's, on the way to torch")
    if dry_run and (to == "paddle" or any(many.values())):
        raise click.UsageError("--dry-run goes with one SOURCE, on the way to torch")
    options: Options = {"to": to, **recognition, **alterations, "overwrite": overwrite, "resume": resume, **memory}
    load_numpy()
    if any(many.values()):
        return _convert_many(_found(source, many, to, output), output, network, as_json, {**options, "jobs": jobs})
    if jobs > 1:
        raise click.UsageError("--jobs goes with --tree or --list")
    from .converters.job import convert_checkpoint
    from .hub.availability import check_room, make_available
    from .workers.console import byte_progress, note

    if not resume and not dry_run:
        check_room(source, output, overwrite)
    source = make_available(source, **network, quiet=as_json or is_quiet(), to=to)
    with byte_progress(quiet=as_json or is_quiet()) as progress:
        done = convert_checkpoint(source, output, **options, dry_run=dry_run, progress=progress)
    for remark in done.remarks:
        note(remark)
    show(as_json, done.to_json(), [*done.lines(), *done.loading_lines()])
    return 0


def _convert_many(found: Found, output: Path, network: Options, as_json: bool, options: Options) -> int:
    from .converters.batch.conversions import convert_many, result_notes
    from .hub.availability import make_listed_available

    found = make_listed_available(found, **network, quiet=as_json or is_quiet(), to=options["to"])
    given = {name: value for name, value in options.items() if value is not None}
    done = convert_many(found, output, **given, on_result=None if is_quiet() else result_notes(len(found.items)))
    show(as_json, done.to_json(), done.lines(), done.table())
    if done.exit_status:
        _fail(f"{len(done.failed)} of {len(done.results)} checkpoints were not converted; each FAILED line says why")
    return done.exit_status


def _found(source: str, many: Options, to: str, output: Path | None) -> Found:
    """The checkpoints in a tree, or those that a list names."""
    if all(many.values()):
        raise click.UsageError(ONE_OF_BOTH)
    from .converters.batch.finding import find_checkpoints, read_checkpoint_list

    return find_checkpoints(source, to=to, output=output) if many["tree"] else read_checkpoint_list(source)


@cli.command(short_help="Prove that a converted folder is the same model.")
@click.argument("source")
@click.argument("converted", type=FOLDER)
@checks_option
@report_dir_option
@seed_option("inputs")
@faults_option("a copy; a check must catch each")
@click.option("--certificate-only", is_flag=True, help="Compare parity.json and the weights; no framework runs.")
@click.option("--no-certificate", is_flag=True, help="Write no parity.json.")
@many_options("SOURCE", "verify")
@recognition_options
@network_options
@python_options
@quiet_option
@as_json
def verify(
    source: str,
    converted: Path,
    checks: str | None,
    report_dir: Path | None,
    seed: int,
    faults: bool,
    certificate_only: bool,
    no_certificate: bool,
    many: Options,
    recognition: Options,
    network: Options,
    pythons: Options,
    as_json: bool,
) -> int:
    """Check that CONVERTED is the same model as SOURCE, by running both frameworks. One of them is PaddleNLP's, the
    other Hugging Face's; each may lie on the Hub, as hf:OWNER/NAME.

    With --tree or --list, check many, each against the folder below CONVERTED that `convert` gives it.

    When all default checks ran, parity.json records what they found, bound to the hashes of all files: in CONVERTED if
    this program wrote it, else in the folder of --report-dir.
    """
    from .hub.availability import make_pair_available
    from .verify.reports.text import certificate_lines, report_lines, where

    if any(many.values()):
        if faults or certificate_only or recognition["config"] is not None or recognition["dictionary"] is not None:
            raise click.UsageError("--faults, --certificate-only, --config and --dict go with one SOURCE")
        options = {"checks": checks, "report_dir": report_dir, "seed": seed, "certificate": not no_certificate}
        return _verify_many(source, converted, many, {**options, "pythons": pythons}, recognition, network, as_json)
    obtain = partial(make_pair_available, source, converted, **network, quiet=as_json or is_quiet())
    if certificate_only:
        from .verify.commands import certify

        if faults or checks is not None or report_dir is not None or no_certificate:
            raise click.UsageError("--certificate-only goes with no other check or report, nor with --no-certificate")
        check = certify(*obtain(), recognition)
        show(as_json, {"passed": check.passed, "checks": [check.to_json()]}, certificate_lines(check))
        if is_quiet() and not check.passed:
            _fail(f"{converted}: {check.where}", 1)
        return 0 if check.passed else 1
    from .converters.checkpoints.source import is_paddle_folder
    from .verify.commands import verify_pair
    from .verify.reports.gate_result import GateResult, ModelResult
    from .verify.sides.pair import refuse_swapped

    refuse_swapped(source, converted)
    if faults and is_paddle_folder(converted):
        raise click.UsageError("--faults does not go with a PaddleNLP folder as CONVERTED; verify the way to torch")
    report, reports = verify_pair(
        source,
        converted,
        obtain=obtain,
        checks=checks,
        report_dir=report_dir,
        faults=faults,
        seed=seed,
        recognition=recognition,
        pythons=pythons,
        quiet=as_json or is_quiet(),
        certificate=not no_certificate,
    )
    place = [f"reports: {report_dir}"] if report_dir is not None else []
    show(as_json, report.to_json(), [*report_lines(report), *place])
    model = ModelResult(str(converted), report, None, report.seconds.get("total", 0.0))
    result = GateResult((model,), report.command)
    reports.finish(result, report.to_json())
    if is_quiet() and not report.passed:
        found = "; ".join(f"{check.name}: {check.where}" for check in report.checks if not check.passed)
        _fail(f"{result.failures}: {found or where(report)}", 1)
    return 0 if report.passed else 1


def _verify_many(
    source: str,
    converted: Path,
    many: Options,
    options: Options,
    recognition: Options,
    network: Options,
    as_json: bool,
) -> int:
    from .hub.availability import make_listed_available
    from .verify.commands import verify_found

    quiet = as_json or is_quiet()
    if all(many.values()):
        raise click.UsageError(ONE_OF_BOTH)
    recognition = {name: value for name, value in recognition.items() if name not in ("config", "dictionary")}
    obtain = lambda found, to: make_listed_available(found, **network, quiet=quiet, to=to)  # noqa: E731
    options = {**options, "listed": many["listed"], "obtain": obtain, "recognition": recognition, "quiet": quiet}
    return _conclude(*verify_found(source, converted, **options), as_json)


def _conclude(result: GateResult, reports: Reports, as_json: bool) -> int:
    """Show what became of many, and finish their reports; the exit status."""
    from .verify.reports.text import print_gate

    if as_json:
        print_json(result.to_json())
    elif not is_quiet():
        print_gate(result)
    reports.finish(result, result.to_json())
    if result.exit_status:
        _fail(result.failures, result.exit_status)
    return result.exit_status


@cli.command(short_help="Get, convert and verify many: the gate for CI.")
@click.argument("names", nargs=-1)
@click.option("--family", "families", multiple=True, help="All pretrained names of this family; may be repeated.")
@click.option("--all", "all_names", is_flag=True, help="All pretrained names.")
@many_options("NAMES", "take")
@click.option("--seeded", is_flag=True, help="Seeded weights in place of the published ones.")
@seed_option("weights")
@bundle(
    "run",
    target=target_option,
    paddleocr=paddleocr_option,
    jobs=jobs_option("Names"),
    checks=checks_option,
    report_dir=report_dir_option,
    keep=click.option("--keep", type=FOLDER, help="Keep source and converted weights in this folder."),
)
@faults_option("the smallest model")
@network_options
@python_options
@quiet_option
@as_json
def gate(
    names: tuple[str, ...],
    families: tuple[str, ...],
    all_names: bool,
    many: Options,
    seeded: bool,
    seed: int,
    run: Options,
    faults: bool,
    network: Options,
    pythons: Options,
    as_json: bool,
) -> int:
    """For each NAME: get the checkpoint, convert it, verify it. One table, one exit status: the gate for CI.

    With --tree or --list, for each checkpoint in a folder tree or of a list, which --keep keeps converted.
    """
    from .hub.availability import make_listed_available, obtaining
    from .mappings.registry import families_line
    from .verify.commands import gate_found, gate_names

    if any(many.values()):
        if len(names) != 1 or families or all_names or seeded or seed or faults:
            raise click.UsageError(
                "--tree and --list take one folder or file, and neither --family, --all, --seeded, --seed nor --faults"
            )
        found = _found(names[0], many, "torch", run["keep"])
        found = make_listed_available(found, **network, quiet=as_json or is_quiet())
        arguments = ["gate", names[0], "--tree" if many["tree"] else "--list"]
        result, reports = gate_found(found, arguments, **run, pythons=pythons, quiet=as_json or is_quiet())
    else:
        if bool(names or families) == all_names:
            raise click.UsageError(f"give pretrained names, --family or --all; families: {families_line()}")
        obtain = None if network["offline"] else obtaining(**network, quiet=as_json or is_quiet())
        result, reports = gate_names(
            names,
            families=families,
            all_names=all_names,
            seeded=seeded,
            seed=seed,
            faults=faults,
            obtain=obtain,
            **run,
            pythons=pythons,
            quiet=as_json or is_quiet(),
        )
    return _conclude(result, reports, as_json)


@cli.command(short_help="Show which Python runs which framework.")
@python_options
@as_json
def environments(pythons: Options, as_json: bool) -> int:
    """Show which Python runs PaddleNLP and which run transformers, with their versions, and how to install what is
    missing."""
    from .verify.environments import survey

    found = survey(**pythons)
    show(as_json, found.to_json(), found.lines())
    return 0 if found.complete else BAD_INPUT


@cli.command(short_help="Publish a proven folder on the Hugging Face Hub.")
@click.argument("converted", type=FOLDER)
@click.argument("repo_id")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--dry-run", is_flag=True, help="List what would be sent and show the model card; write nothing.")
@click.option("--allow-unverified", is_flag=True, help="Publish without proof; the model card says so.")
@bundle(
    "added",
    license=click.option("--license", metavar="L", help="The license, in the hub's words, such as apache-2.0."),
    languages=click.option("--language", "languages", metavar="L", multiple=True, help="A language, such as zh."),
    text=click.option("--card-text", "text", type=FOLDER, metavar="FILE", help="Markdown of your own for the card."),
)
@quiet_option
@as_json
def publish(
    converted: Path,
    repo_id: str,
    private: bool,
    dry_run: bool,
    allow_unverified: bool,
    added: Options,
    as_json: bool,
) -> None:
    """Publish the folder CONVERTED, with a model card, as the model REPO_ID (NAMESPACE/NAME) on the hub.

    Only what parity.json proves byte for byte is published. A new repository takes the files directly, one with other
    content gets a pull request. The token comes from HF_TOKEN or `hf auth login`, the hub from HF_ENDPOINT.
    """
    from .hub.model_card import Additions
    from .hub.publish import publish_folder
    from .workers.console import note

    try:
        done = publish_folder(
            converted,
            repo_id,
            private=private,
            dry_run=dry_run,
            allow_unverified=allow_unverified,
            added=Additions.read(**added),
            quiet=as_json or is_quiet(),
            tell=note,
        )
    except ParityError as error:
        _fail(str(error), 1)
    show(as_json, done.to_json(), done.lines(), done.table())


def main() -> None:
    """Run the command line; every expected error is one line on standard error and exit status 2."""
    try:
        guard_process()
        status = cli.main(prog_name="paddle2torch", standalone_mode=False)
        sys.stdout.flush()
        ignore_interrupts()
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        command = error.ctx.command_path if error.ctx is not None else "paddle2torch"
        _fail(f"{command}: a command is missing; those above are known")
    except click.ClickException as error:
        _fail(error.format_message())
    except Paddle2TorchError as error:
        _fail(str(error))
    except Terminated as error:
        if sys.stderr.isatty():
            click.echo(err=True)  # After what the terminal shows of the key.
        _fail(interruption(error), 128 + error.number)
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}")


def _fail(message: str, status: int = BAD_INPUT) -> NoReturn:
    ignore_interrupts()
    from .workers.console import printable

    click.echo("Error: " + printable(" ".join(message.split())), err=True)
    sys.exit(status)
