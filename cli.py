"""The command line: commands, options and exit codes. What a command does lies in the other modules.

Modules are imported inside the commands, so that `--help` and `list` start without numpy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import click

from .errors import Paddle2TorchError, ParityError
from .workers.console import print_json, show
from .workers.process import Terminated, guard_process, ignore_interrupts, interruption, load_numpy

if TYPE_CHECKING:
    from .converters.batch.finding import Found

F = TypeVar("F", bound=Callable[..., Any])

BAD_INPUT = 2


class _Folder(click.Path):
    """The path of a folder. An empty one, as from a shell variable that is not set, is not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name of the folder is empty", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = _Folder(path_type=Path)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an output folder that this program wrote.")
checks_option = click.option("--check", "checks", metavar="NAMES", help="Only these checks, separated by commas.")
report_dir_option = click.option("--report-dir", type=FOLDER, help="Reports go there: HTML, JSON, JUnit XML, Markdown.")
architecture_option = click.option("--architecture", metavar="A", help="PaddleNLP's class, in place of that recorded.")
target_option = click.option("--target", metavar="T", help="Another target of the family than the usual one.")


def family_option(text: str) -> Callable[[F], F]:
    """A model family; `text` says what for."""
    return click.option("--family", metavar="F", help=text)


def seed_option(of: str) -> Callable[[F], F]:
    """The seed of what is made at random."""
    return click.option("--seed", default=0, show_default=True, help=f"Seed of the {of}.")


def jobs_option(what: str) -> Callable[[F], F]:
    """How many of many run side by side."""
    return click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help=f"{what} at a time.")


def faults_option(where: str) -> Callable[[F], F]:
    """Faults injected on purpose."""
    return click.option("--faults", is_flag=True, help=f"Also inject every known fault into {where}.")


def python_option(side: str, framework: str, multiple: bool = False) -> Callable[[F], F]:
    """The interpreter of an environment that holds a framework."""
    more = "; once for each that is to be compared" if multiple else ""
    text = f"Python of an environment that holds {framework}{more}. Also PADDLE2TORCH_{side.upper()}_PYTHON."
    return click.option(f"--{side}-python", metavar="PYTHON", multiple=multiple, help=text)


def bundle(name: str, **options: Callable[[F], F]) -> Callable[[F], F]:
    """Options that stand and travel together: the command gets the values of `options` as one dict called `name`."""

    def decorate(command: F) -> F:
        @wraps(command)
        def call(*arguments: Any, **values: Any) -> Any:
            together = {option: values.pop(option) for option in options}
            return command(*arguments, **values, **{name: together})

        decorated = cast(F, call)
        for option in reversed(options.values()):
            decorated = option(decorated)
        return decorated

    return decorate


def many_options(argument: str, take: str) -> Callable[[F], F]:
    """Many checkpoints in place of one, as `many`; `argument` is the argument that names them."""
    tree = f"{argument} is a folder: {take} each checkpoint in it and below."
    listed = f"{argument} is a text file that names a checkpoint per line."
    return bundle(
        "many",
        tree=click.option("--tree", is_flag=True, help=tree),
        listed=click.option("--list", "listed", is_flag=True, help=listed),
    )


recognition_options = bundle(
    "recognition",
    family=family_option("Model family, when the configuration does not say it."),
    architecture=architecture_option,
    target=target_option,
    config=click.option("--config", type=FOLDER, metavar="FILE", help="Read PaddleNLP's configuration from FILE."),
)

python_options = bundle(
    "pythons",
    paddle_python=python_option("paddle", "PaddleNLP"),
    torch_python=python_option("torch", "transformers", multiple=True),
)

network_options = bundle(
    "network",
    base_url=click.option(
        "--base-url",
        metavar="URL",
        envvar="PADDLE2TORCH_BASE_URL",
        help="A mirror: URL takes the place of https://bj.bcebos.com, and the path that is recorded follows, such as "
        "/paddlenlp/models/transformers/albert/NAME.pdparams. URL may end in a path of its own. Also "
        "PADDLE2TORCH_BASE_URL.",
    ),
    offline=click.option(
        "--offline",
        is_flag=True,
        envvar="PADDLE2TORCH_OFFLINE",
        help="Never touch the network: pretrained names come from the caches. Also PADDLE2TORCH_OFFLINE=1.",
    ),
)

Options = Mapping[str, Any]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="paddle2torch")
def cli() -> None:
    """Convert PaddleNLP checkpoints to PyTorch and prove that the result is the same model.

    Exit status: 0 everything asked for holds, 1 a check found a difference, 2 bad usage or bad input.
    """


@cli.command("list")
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


@cli.command()
@click.argument("path")
@click.option("--hash", "with_hash", is_flag=True, help="Also the sha256 of each tensor's bytes.")
@recognition_options
@as_json
def inspect(path: str, with_hash: bool, recognition: Options, as_json: bool) -> None:
    """List the tensors of a file or folder; with --family or --config also what they are. No code of the file runs."""
    from .converters.checkpoints.inspection import inspect_checkpoint

    found = inspect_checkpoint(path, with_hash, **recognition)
    show(as_json, found.to_json(), found.lines(), found.table())


@cli.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=FOLDER,
    help="Also write copies into the new folder DIR, which then serves as a SOURCE.",
)
@network_options
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
    with fetching(**network, quiet=as_json) as fetcher:
        fetched = fetcher.fetch(name)
    if output is not None:
        fetched = copy_to(fetched, output)
    show(as_json, fetched.to_json(), fetched.lines())


@cli.command()
@click.argument("name")
@click.argument("output", type=FOLDER)
@seed_option("random weights")
@architecture_option
@overwrite_option
@python_option("paddle", "PaddleNLP")
def seed(
    name: str, output: Path, seed: int, architecture: str | None, overwrite: bool, paddle_python: str | None
) -> None:
    """Let PaddleNLP write a checkpoint of NAME at its true size, with seeded weights, into OUTPUT."""
    from .verify.seeding import seed_checkpoint

    answer = seed_checkpoint(
        name, output, seed=seed, architecture=architecture, overwrite=overwrite, paddle_python=paddle_python
    )
    click.echo(f"{output}: {name}, {answer['parameters']:,} seeded parameters (seed {seed})")


@cli.command()
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
    zero_padding_row=click.option("--zero-padding-row", is_flag=True, help="Write the padding id's row as zeros."),
    no_tokenizer=click.option("--no-tokenizer", is_flag=True, help="Convert the weights alone."),
    sentence_transformers=click.option("--sentence-transformers", metavar="P", help="Pooling: auto, cls or mean."),
)
@many_options("SOURCE", "convert")
@jobs_option("Checkpoints")
@overwrite_option
@click.option("--resume", is_flag=True, help="Keep an existing output that is equal to what would be written.")
@bundle("memory", low_memory=click.option("--low-memory", is_flag=True, help="Use at most 120 MiB, not 200."))
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
    network: Options,
    as_json: bool,
) -> int:
    """Convert SOURCE (pretrained name, PaddleNLP folder or .pdparams file) into the Hugging Face folder OUTPUT.

    With --to paddle, convert the Hugging Face folder SOURCE into the PaddleNLP folder OUTPUT.

    With --tree or --list, convert many checkpoints, each into a folder of its own below OUTPUT: under its path in the
    tree, or under the name that follows it in the list after a tab. One that fails stops no other.
    """
    if to == "paddle" and any(value is not None and value is not False for value in alterations.values()):
        raise click.UsageError(
            "--dtype, --max-shard-size, --zero-padding-row, --no-tokenizer, ...: not with --to paddle"
        )
    if recognition["config"] is not None and (to == "paddle" or any(many.values())):
        raise click.UsageError("--config goes with one PaddleNLP SOURCE; a Hugging Face folder has its config.json")
    options: Options = {"to": to, **recognition, **alterations, "overwrite": overwrite, "resume": resume, **memory}
    load_numpy()
    if any(many.values()):
        return _convert_many(_found(source, many, to, output), output, network, as_json, {**options, "jobs": jobs})
    if jobs > 1:
        raise click.UsageError("--jobs goes with --tree or --list")
    from .converters.job import convert_checkpoint
    from .hub.availability import check_room, make_available
    from .mappings.registry import is_published
    from .workers.console import byte_progress, note

    if is_published(source) and not resume:
        check_room(source, output, overwrite)
    make_available(source, **network, quiet=as_json)
    with byte_progress(quiet=as_json) as progress:
        done = convert_checkpoint(source, output, **options, progress=progress)
    for remark in done.remarks:
        note(remark)
    show(as_json, done.to_json(), done.lines())
    return 0


def _convert_many(found: Found, output: Path, network: Options, as_json: bool, options: Options) -> int:
    from .converters.batch.conversions import convert_many, result_notes
    from .hub.availability import make_listed_available

    make_listed_available(found, **network, quiet=as_json)
    given = {name: value for name, value in options.items() if value is not None}
    done = convert_many(found, output, **given, on_result=result_notes(len(found.items)))
    show(as_json, done.to_json(), done.lines(), done.table())
    if done.exit_status:
        _fail(f"{len(done.failed)} of {len(done.results)} checkpoints were not converted; each FAILED line says why")
    return done.exit_status


def _found(source: str, many: Options, to: str, output: Path | None) -> Found:
    """The checkpoints in a tree, or those that a list names."""
    if all(many.values()):
        raise click.UsageError("--tree and --list exclude each other")
    from .converters.batch.finding import find_checkpoints, read_checkpoint_list

    return find_checkpoints(source, to=to, output=output) if many["tree"] else read_checkpoint_list(source)


@cli.command()
@click.argument("source")
@click.argument("converted", type=FOLDER)
@checks_option
@report_dir_option
@seed_option("inputs")
@faults_option("a copy; a check must catch each")
@click.option("--certificate-only", is_flag=True, help="Compare parity.json and the weights; no framework runs.")
@click.option("--no-certificate", is_flag=True, help="Write no parity.json.")
@recognition_options
@network_options
@python_options
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
    recognition: Options,
    network: Options,
    pythons: Options,
    as_json: bool,
) -> int:
    """Check that CONVERTED is the same model as SOURCE, by running both frameworks. One of them is PaddleNLP's, the
    other Hugging Face's.

    When all default checks ran, parity.json records what they found, bound to the hashes of all files: in CONVERTED if
    this program wrote it, else in the folder of --report-dir.
    """
    from .hub.availability import make_available
    from .verify.reports.text import certificate_lines, report_lines

    def obtain() -> None:
        make_available(source, **network, quiet=as_json)

    if certificate_only:
        from .verify.certificate import check_certificate

        if faults or checks is not None or report_dir is not None or no_certificate:
            raise click.UsageError("--certificate-only goes with no other check or report, nor with --no-certificate")
        obtain()
        check = check_certificate(source, converted, recognition["config"])
        show(as_json, {"passed": check.passed, "checks": [check.to_json()]}, certificate_lines(check))
        return 0 if check.passed else 1
    from .verify.commands import verify_pair
    from .verify.reports.gate_result import GateResult, ModelResult
    from .verify.sides.pair import refuse_swapped
    from .verify.sides.way_back import is_paddle_folder

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
        quiet=as_json,
        certificate=not no_certificate,
    )
    place = [f"reports: {report_dir}"] if report_dir is not None else []
    show(as_json, report.to_json(), [*report_lines(report), *place])
    model = ModelResult(str(converted), report, None, report.seconds.get("total", 0.0))
    reports.finish(GateResult((model,), report.command), report.to_json())
    return 0 if report.passed else 1


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--family", help="All pretrained names of this family.")
@click.option("--all", "all_names", is_flag=True, help="All pretrained names.")
@many_options("NAMES", "take")
@click.option("--seeded", is_flag=True, help="Seeded weights in place of the published ones.")
@seed_option("weights")
@bundle(
    "run",
    target=target_option,
    jobs=jobs_option("Names"),
    checks=checks_option,
    report_dir=report_dir_option,
    keep=click.option("--keep", type=FOLDER, help="Keep source and converted weights in this folder."),
)
@faults_option("the smallest model")
@network_options
@python_options
@as_json
def gate(
    names: tuple[str, ...],
    family: str | None,
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
    from .verify.reports.text import print_gate

    if any(many.values()):
        if len(names) != 1 or family or all_names or seeded or seed or faults:
            raise click.UsageError(
                "--tree and --list take one folder or file, and neither --family, --all, --seeded, --seed nor --faults"
            )
        found = _found(names[0], many, "torch", run["keep"])
        make_listed_available(found, **network, quiet=as_json)
        arguments = ["gate", names[0], "--tree" if many["tree"] else "--list"]
        result, reports = gate_found(found, arguments, **run, pythons=pythons, quiet=as_json)
    else:
        if bool(names or family) == all_names:
            raise click.UsageError(f"give pretrained names, --family or --all; families: {families_line()}")
        obtain = None if network["offline"] else obtaining(**network, quiet=as_json)
        result, reports = gate_names(
            names,
            family=family,
            all_names=all_names,
            seeded=seeded,
            seed=seed,
            faults=faults,
            obtain=obtain,
            **run,
            pythons=pythons,
            quiet=as_json,
        )
    if as_json:
        print_json(result.to_json())
    else:
        print_gate(result)
    reports.finish(result, result.to_json())
    if result.exit_status:
        _fail(result.failures, result.exit_status)
    return result.exit_status


@cli.command()
@python_options
@as_json
def environments(pythons: Options, as_json: bool) -> int:
    """Show which Python runs PaddleNLP and which run transformers, with their versions, and how to install what is
    missing."""
    from .verify.environments import survey

    found = survey(**pythons)
    show(as_json, found.to_json(), found.lines())
    return 0 if found.complete else BAD_INPUT


@cli.command()
@click.argument("converted", type=FOLDER)
@click.argument("repo_id")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--dry-run", is_flag=True, help="Write the model card and list what would be sent; send nothing.")
@click.option("--allow-unverified", is_flag=True, help="Publish without proof; the model card says so.")
@as_json
def publish(converted: Path, repo_id: str, private: bool, dry_run: bool, allow_unverified: bool, as_json: bool) -> None:
    """Publish the folder CONVERTED, with a model card, as the model REPO_ID (NAMESPACE/NAME) on the hub.

    Only what parity.json proves byte for byte is published. A new repository takes the files directly, one with other
    content gets a pull request. The token comes from HF_TOKEN or `hf auth login`, the hub from HF_ENDPOINT.
    """
    from .hub.publish import publish_folder
    from .workers.console import note

    try:
        done = publish_folder(
            converted,
            repo_id,
            private=private,
            dry_run=dry_run,
            allow_unverified=allow_unverified,
            quiet=as_json,
            tell=note,
        )
    except ParityError as error:
        _fail(str(error), 1)
    show(as_json, done.to_json(), [done.headline()], done.table())


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
