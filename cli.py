"""The command line: commands, options and exit codes. What a command does lies in the other modules.

Modules are imported inside the commands, so that `--help` and `list` start without numpy.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from .errors import Paddle2TorchError, ParityError, UnknownNameError
from .workers.process import Terminated, guard_process

if TYPE_CHECKING:
    from .converters.batch.finding import Found
    from .hub.fetch import Fetcher
    from .verify.reports.files import Reports
    from .verify.reports.gate_result import GateResult, ModelResult

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
family_option = click.option("--family", metavar="F", help="Model family, when the configuration does not say it.")
architecture_option = click.option(
    "--architecture", metavar="A", help="PaddleNLP's class, in place of the recorded one."
)


def python_options(command: F) -> F:
    """The interpreters of the environments that hold the frameworks."""
    for side in ("torch", "paddle"):
        command = click.option(
            f"--{side}-python",
            metavar="PYTHON",
            help=f"Python of the environment that holds {side}; default: this one.",
        )(command)
    return command


def network_options(command: F) -> F:
    """Where published weights come from when no cache holds them."""
    command = click.option(
        "--offline",
        is_flag=True,
        envvar="PADDLE2TORCH_OFFLINE",
        help="Never touch the network: pretrained names come from the caches. Also PADDLE2TORCH_OFFLINE=1.",
    )(command)
    return click.option(
        "--base-url",
        metavar="URL",
        envvar="PADDLE2TORCH_BASE_URL",
        help="A mirror: URL takes the place of https://bj.bcebos.com, and the path that is recorded follows, such as "
        "/paddlenlp/models/transformers/albert/NAME.pdparams. URL may end in a path of its own. Also "
        "PADDLE2TORCH_BASE_URL.",
    )(command)


@contextmanager
def _fetcher(base_url: str | None, offline: bool, quiet: bool) -> Iterator[Fetcher]:
    from .hub.fetch import Fetcher
    from .workers.console import byte_progress, note

    with byte_progress(quiet, line_seconds=10) as progress:
        yield Fetcher(base_url, offline, progress=progress, tell=(lambda text: None) if quiet else note)


def _make_available(source: str, base_url: str | None, offline: bool, quiet: bool) -> None:
    """Fetch a pretrained name that stands as a source; paths and what a cache holds are left alone."""
    from .mappings.registry import PRETRAINED

    if source in PRETRAINED and not Path(source).exists():
        with _fetcher(base_url, offline, quiet) as fetcher:
            fetcher.make_available(source)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="paddle2torch")
def cli() -> None:
    """Convert PaddleNLP checkpoints to PyTorch and prove that the result is the same model.

    Exit status: 0 everything asked for holds, 1 a check found a difference, 2 bad usage or bad input.
    """


@cli.command("list")
@click.option("--family", metavar="F", help="Only the names of this family.")
@as_json
def list_command(family: str | None, as_json: bool) -> None:
    """List the pretrained names: language, sizes, exact parameters, cached or not."""
    from .converters.checkpoints.source import cached_folder
    from .mappings.registry import PRETRAINED, get_family

    if family is not None:
        get_family(family)
    chosen = [entry for entry in PRETRAINED.values() if family in (None, entry.family)]
    if as_json:
        _print_json(
            {
                "models": [
                    {
                        "name": entry.name,
                        "family": entry.family,
                        "language": entry.language,
                        "configuration": dict(entry.configuration),
                        "parameters": dict(entry.parameters),
                        "weights_url": entry.weights_url,
                        "tokenizer_url": entry.tokenizer_url,
                        "cached": cached_folder(entry.name) is not None,
                    }
                    for entry in chosen
                ]
            }
        )
        return
    from .workers.console import print_table

    sizes = ("num_hidden_layers", "embedding_size", "hidden_size", "num_attention_heads")
    rows = [
        [
            entry.name,
            entry.language,
            " / ".join(str(entry.configuration[size]) for size in sizes),
            str(entry.configuration["hidden_act"]),
            f"{next(iter(entry.parameters.values())):,}",
            "yes" if cached_folder(entry.name) is not None else "no",
        ]
        for entry in chosen
    ]
    headings = ("name", "language", "layers / embedding / hidden / heads", "activation", "parameters", "cached")
    print_table(headings, rows, right=(4,))


@cli.command()
@click.argument("path")
@click.option("--hash", "with_hash", is_flag=True, help="Also the sha256 of each tensor's bytes.")
@as_json
def inspect(path: str, with_hash: bool, as_json: bool) -> None:
    """List the tensors of a .pdparams or .safetensors file or a folder. No code of the file runs."""
    from .converters.checkpoints.inspection import inspect_checkpoint

    tensors = inspect_checkpoint(path, with_hash)
    if as_json:
        _print_json({"tensors": tensors})
        return
    from .workers.console import print_table

    headings = ["name", "dtype", "shape", "bytes", *(["sha256"] if with_hash else [])]
    rows = [
        [
            tensor["name"],
            tensor["dtype"],
            "x".join(map(str, tensor["shape"])) or "scalar",
            f"{tensor['nbytes']:,}",
            *([tensor["sha256"]] if with_hash else []),
        ]
        for tensor in tensors
    ]
    print_table(headings, rows, right=(3,))
    click.echo(f"{len(tensors)} tensors, {sum(tensor['nbytes'] for tensor in tensors):,} bytes")


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
def fetch(name: str, output: Path | None, base_url: str | None, offline: bool, as_json: bool) -> None:
    """Download the published weights and tokenizer of NAME into the cache, once.

    The cache is PADDLE2TORCH_CACHE, else the platform's cache folder; what PaddleNLP's own cache holds is linked. A
    download that broke off is continued. The sha256 of each file is recorded and checked whenever the name is used.
    """
    from .converters.checkpoints.cache import own_cache
    from .converters.outputs.folder import check_output
    from .hub.fetch import copy_to

    if output is not None:
        # Before minutes go into a download.
        check_output(output, own_cache() / name, overwrite=False)
    with _fetcher(base_url, offline, as_json) as fetcher:
        fetched = fetcher.fetch(name)
    if output is not None:
        copy_to(fetched, output)
    if as_json:
        _print_json({**fetched.to_json(), "output": None if output is None else str(output)})
        return
    for line in fetched.lines():
        click.echo(line)
    if output is not None:
        click.echo(f"{output}: copies of these files")


@cli.command()
@click.argument("name")
@click.argument("output", type=FOLDER)
@click.option("--seed", default=0, show_default=True, help="Seed of the random weights.")
@architecture_option
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
@click.option("--paddle-python", metavar="PYTHON", help="Python of the environment that holds Paddle.")
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
@family_option
@architecture_option
@click.option("--dtype", metavar="D", help="Cast all weights: float32, float16 or bfloat16. Not bit-exact.")
@click.option("--max-shard-size", metavar="S", help="Spread larger weights over files of at most S, such as 2GB.")
@click.option("--zero-padding-row", is_flag=True, help="Write the padding id's embedding as zeros, as Paddle reads it.")
@click.option("--tree", is_flag=True, help="SOURCE is a folder: convert each checkpoint in it and below.")
@click.option("--list", "listed", is_flag=True, help="SOURCE is a text file that names a checkpoint per line.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Checkpoints at a time.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output folder.")
@click.option("--resume", is_flag=True, help="Keep an existing output that is equal to what would be written.")
@network_options
@as_json
@click.pass_context
def convert(
    context: click.Context,
    source: str,
    output: Path,
    to: str,
    family: str | None,
    architecture: str | None,
    dtype: str | None,
    max_shard_size: str | None,
    zero_padding_row: bool,
    tree: bool,
    listed: bool,
    jobs: int,
    overwrite: bool,
    resume: bool,
    base_url: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Convert SOURCE (pretrained name, PaddleNLP folder or .pdparams file) into the Hugging Face folder OUTPUT.

    With --to paddle, convert the Hugging Face folder SOURCE into the PaddleNLP folder OUTPUT.

    With --tree or --list, convert many checkpoints, each into a folder of its own below OUTPUT: under its path in the
    tree, or under the name that follows it in the list after a tab. One that fails stops no other.
    """
    if to == "paddle" and (dtype is not None or max_shard_size is not None or zero_padding_row):
        raise click.UsageError("--dtype, --max-shard-size and --zero-padding-row do not go with --to paddle")
    options: dict[str, Any] = {
        "to": to,
        "family": family,
        "architecture": architecture,
        "dtype": dtype,
        "max_shard_size": max_shard_size,
        "zero_padding_row": zero_padding_row,
        "overwrite": overwrite,
        "resume": resume,
    }
    if tree or listed:
        found = _found(source, tree, listed, to, output)
        _make_listed_available(found, base_url, offline, as_json)
        _convert_many(context, found, output, as_json, {**options, "jobs": jobs})
    if jobs > 1:
        raise click.UsageError("--jobs goes with --tree or --list")
    from .converters.checkpoints.cache import own_cache
    from .converters.job import convert_checkpoint
    from .converters.outputs.folder import check_output
    from .mappings.registry import PRETRAINED
    from .workers.console import byte_progress, note

    if source in PRETRAINED and not resume:
        # Before minutes go into a download.
        check_output(output, own_cache() / source, overwrite)
    _make_available(source, base_url, offline, as_json)
    with byte_progress(quiet=as_json) as progress:
        done = convert_checkpoint(source, output, **options, progress=progress)
    for guess in done.guesses:
        note(f"guessed: {guess}")
    if as_json:
        _print_json(done.to_json())
        return
    for line in done.lines():
        click.echo(line)


def _convert_many(
    context: click.Context, found: Found, output: Path, as_json: bool, options: dict[str, Any]
) -> NoReturn:
    from .converters.batch.conversions import HEADINGS, RIGHT, ConversionResult, convert_many
    from .workers.console import note, print_table

    count = 0

    def on_result(result: ConversionResult) -> None:
        nonlocal count
        count += 1
        note(f"[{count}/{len(found.items)}] {result.source}: {result.verdict} ({result.seconds:.1f} s)")
        for guess in result.conversion.guesses if result.conversion is not None else ():
            note(f"{result.source}: guessed: {guess}")

    done = convert_many(found, output, **options, on_result=on_result)
    if as_json:
        _print_json(done.to_json())
    else:
        print_table(HEADINGS, done.rows(), RIGHT)
        for line in done.lines():
            click.echo(line)
    context.exit(done.exit_status)


def _found(source: str, tree: bool, listed: bool, to: str, output: Path | None) -> Found:
    """The checkpoints in a tree, or those that a list names."""
    if tree and listed:
        raise click.UsageError("--tree and --list exclude each other")
    from .converters.batch.finding import find_checkpoints, read_checkpoint_list

    return find_checkpoints(source, to=to, output=output) if tree else read_checkpoint_list(source)


def _make_listed_available(found: Found, base_url: str | None, offline: bool, quiet: bool) -> None:
    """Fetch the pretrained names of a list; one that cannot be had fails later, as one of many."""
    from .workers.console import note

    for item in found.items:
        try:
            _make_available(item.source, base_url, offline, quiet)
        except Paddle2TorchError as error:
            note(f"{item.source}: {error}")


@cli.command()
@click.argument("source")
@click.argument("converted", type=FOLDER)
@click.option("--check", "checks", metavar="NAMES", help="Only these checks, separated by commas.")
@click.option(
    "--report-dir",
    type=FOLDER,
    help="Also write the report there: HTML, JSON, JUnit XML, Markdown.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the inputs.")
@click.option("--faults", is_flag=True, help="Also inject every known fault into a copy; a check must catch each.")
@click.option("--certificate-only", is_flag=True, help="Only compare parity.json with the files; no framework runs.")
@family_option
@architecture_option
@network_options
@python_options
@as_json
@click.pass_context
def verify(
    context: click.Context,
    source: str,
    converted: Path,
    checks: str | None,
    report_dir: Path | None,
    seed: int,
    faults: bool,
    certificate_only: bool,
    family: str | None,
    architecture: str | None,
    base_url: str | None,
    offline: bool,
    paddle_python: str | None,
    torch_python: str | None,
    as_json: bool,
) -> None:
    """Check that CONVERTED is the same model as SOURCE, by running both frameworks. One of them is PaddleNLP's, the
    other Hugging Face's.

    When all default checks ran, parity.json in CONVERTED records what they found, bound to the hashes of all files.
    """
    if certificate_only:
        if faults or checks is not None or report_dir is not None:
            raise click.UsageError("--certificate-only goes with no other check and no report")
        _make_available(source, base_url, offline, as_json)
        _certificate_only(context, source, converted, as_json)
    from .verify.faults.runs import with_faults
    from .verify.job import verify_checkpoint
    from .verify.provenance import with_files
    from .verify.reports.files import Reports, command_line
    from .verify.reports.gate_result import GateResult, ModelResult
    from .verify.reports.text import report_lines
    from .verify.runners.forward import Runners
    from .verify.way_back import is_paddle_folder
    from .workers.console import note

    if faults and is_paddle_folder(converted):
        raise click.UsageError("--faults does not go with a PaddleNLP folder as CONVERTED; verify the way to torch")

    command = command_line(
        ["verify", source, str(converted)],
        {
            "check": checks,
            "seed": seed or None,
            "faults": faults,
            "family": family,
            "architecture": architecture,
            "paddle-python": paddle_python,
            "torch-python": torch_python,
        },
    )
    reports = Reports(report_dir, [str(converted)], command, quiet=as_json)
    with reports.guard():
        _make_available(source, base_url, offline, as_json)
        report = verify_checkpoint(
            source,
            converted,
            **_chosen(checks),
            family=family,
            architecture=architecture,
            paddle_python=paddle_python,
            torch_python=torch_python,
            seed=seed,
            certificate=True,
            progress=None if as_json else note,
        )
        report = with_files(report, source, converted, command)
        if faults and report.passed:
            with Runners(paddle_python, torch_python) as runners:
                report = with_faults(
                    report,
                    source,
                    converted,
                    family=family,
                    architecture=architecture,
                    seed=seed,
                    runners=runners,
                    on_result=None if as_json else lambda result: note(result.line()),
                )
    if as_json:
        _print_json(report.to_json())
    else:
        for line in report_lines(report):
            click.echo(line)
    model = ModelResult(str(converted), report, None, report.seconds.get("total", 0.0))
    reports.finish(GateResult((model,), command), report.to_json())
    context.exit(0 if report.passed else 1)


def _certificate_only(context: click.Context, source: str, converted: Path, as_json: bool) -> None:
    from .verify.certificate import check_certificate

    check = check_certificate(source, converted)
    if as_json:
        _print_json({"passed": check.passed, "checks": [check.to_json()]})
    else:
        for line in (check.where,) if check.passed else check.problems:
            click.echo(f"certificate {'passed' if check.passed else 'FAILED'}: {line}")
    context.exit(0 if check.passed else 1)


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--all", "all_names", is_flag=True, help="All pretrained names.")
@click.option("--tree", is_flag=True, help="NAMES is a folder: take each checkpoint in it and below.")
@click.option("--list", "listed", is_flag=True, help="NAMES is a text file that names a checkpoint per line.")
@click.option("--seeded", is_flag=True, help="Seeded weights in place of the published ones.")
@click.option("--seed", default=0, show_default=True, help="Seed of the weights.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Names at a time.")
@click.option("--check", "checks", metavar="NAMES", help="Only these checks, separated by commas.")
@click.option(
    "--report-dir",
    type=FOLDER,
    help="Also write the report there: HTML, JSON, JUnit XML, Markdown.",
)
@click.option("--keep", type=FOLDER, help="Keep source and converted weights in this folder.")
@click.option("--faults", is_flag=True, help="Also inject every known fault into the smallest model.")
@network_options
@python_options
@as_json
@click.pass_context
def gate(
    context: click.Context,
    names: tuple[str, ...],
    all_names: bool,
    tree: bool,
    listed: bool,
    seeded: bool,
    seed: int,
    jobs: int,
    checks: str | None,
    report_dir: Path | None,
    keep: Path | None,
    faults: bool,
    base_url: str | None,
    offline: bool,
    paddle_python: str | None,
    torch_python: str | None,
    as_json: bool,
) -> None:
    """For each NAME: get the checkpoint, convert it, verify it. One table, one exit status: the gate for CI.

    With --tree or --list, for each checkpoint in a folder tree or of a list, which --keep keeps converted.
    """
    if tree or listed:
        if len(names) != 1 or all_names or seeded or seed or faults:
            raise click.UsageError(
                "--tree and --list take one folder or file, and neither --all, --seeded, --seed nor --faults"
            )
        found = _found(names[0], tree, listed, "torch", keep)
        _make_listed_available(found, base_url, offline, as_json)
        pythons = {"paddle_python": paddle_python, "torch_python": torch_python}
        _gate_many(context, names[0], found, jobs, checks, report_dir, keep, pythons, tree, as_json)
    from .hub.fetch import Fetcher
    from .mappings.registry import PRETRAINED
    from .verify.gate import run_gate
    from .verify.reports.files import Reports, command_line
    from .workers.console import byte_progress, note

    if bool(names) == all_names:
        raise click.UsageError("give pretrained names, or --all for all of them")
    chosen = list(PRETRAINED) if all_names else list(dict.fromkeys(names))

    def repeat(some: Sequence[str]) -> str:
        options = {"all": all_names and len(some) == len(chosen), "seeded": seeded, "seed": seed or None}
        options["faults"] = faults
        pythons = {"paddle-python": paddle_python, "torch-python": torch_python}
        return command_line(["gate", *(() if options["all"] else some)], {**options, "check": checks, **pythons})

    fetcher = Fetcher(base_url, offline, tell=(lambda text: None) if as_json else note)

    def obtain(name: str) -> None:
        with byte_progress(as_json, line_seconds=10) as fetcher.progress:
            fetcher.make_available(name)

    reports = Reports(report_dir, chosen, repeat(chosen), gate=True, quiet=as_json)
    with reports.guard():
        result = run_gate(
            chosen,
            seeded=seeded,
            seed=seed,
            **_chosen(checks),
            jobs=jobs,
            keep=keep,
            faults=faults,
            paddle_python=paddle_python,
            torch_python=torch_python,
            obtain=None if offline else obtain,
            repeat=repeat,
            on_result=_teller(reports, len(chosen)),
            on_wait=note,
        )
    _end_gate(context, result, reports, as_json)


def _teller(reports: Reports, total: int) -> Callable[[ModelResult], None]:
    """A function that says and records how each of `total` models went."""
    from .verify.reports.text import verdict
    from .workers.console import note

    count = 0

    def on_result(result: ModelResult) -> None:
        nonlocal count
        count += 1
        note(f"[{count}/{total}] {result.name}: {verdict(result)} ({result.seconds:.1f} s)")
        reports.model(result)

    return on_result


def _end_gate(context: click.Context, result: GateResult, reports: Reports, as_json: bool) -> NoReturn:
    from .verify.reports.text import print_gate

    if as_json:
        _print_json(result.to_json())
    else:
        print_gate(result)
    reports.finish(result, result.to_json())
    context.exit(result.exit_status)


def _gate_many(
    context: click.Context,
    source: str,
    found: Found,
    jobs: int,
    checks: str | None,
    report_dir: Path | None,
    keep: Path | None,
    pythons: dict[str, Any],
    tree: bool,
    as_json: bool,
) -> NoReturn:
    from .verify.many import name_of_item, verify_many
    from .verify.reports.files import Reports, command_line
    from .workers.console import note

    options = {option.replace("_", "-"): python for option, python in pythons.items()}
    command = command_line(["gate", source], {"tree": tree, "list": not tree, "check": checks, **options})
    for left_out, reason in found.left_out:
        note(f"left out: {left_out}: {reason}")
    names = [name_of_item(item) for item in found.items]
    reports = Reports(report_dir, names, command, gate=True, quiet=as_json)
    with reports.guard():
        result = verify_many(
            found,
            jobs=jobs,
            keep=keep,
            **_chosen(checks),
            **pythons,
            command=command,
            on_result=_teller(reports, len(found.items)),
        )
    _end_gate(context, result, reports, as_json)


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
    from .workers.console import note, print_table

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
    if as_json:
        _print_json(done.to_json())
        return
    print_table(("file", "bytes", "sha256", "on the hub"), done.rows(), right=(1,))
    click.echo(done.headline())


def _chosen(checks: str | None) -> dict[str, Any]:
    if checks is None:
        return {}
    from .verify.job import ALL_CHECKS

    names = tuple(name.strip() for name in checks.split(",") if name.strip())
    if not names:
        raise UnknownNameError("--check names no check")
    # Before a gate spends minutes on weights.
    if unknown := [name for name in names if name not in ALL_CHECKS]:
        raise UnknownNameError(f"unknown check {unknown[0]!r}; known are {', '.join(ALL_CHECKS)}")
    return {"checks": names}


def _print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def main() -> None:
    """Run the command line; every expected error is one line on standard error and exit status 2."""
    try:
        guard_process()
        status = cli.main(prog_name="paddle2torch", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        command = error.ctx.command_path if error.ctx is not None else "paddle2torch"
        _fail(f"{command}: a command is missing; those above are known")
    except click.ClickException as error:
        _fail(error.format_message())
    except Paddle2TorchError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; unfinished output was removed", 128 + signal.SIGINT)
    except Terminated:
        _fail("interrupted; unfinished output was removed", 128 + signal.SIGTERM)
    except OSError as error:
        _fail(f"{error.filename or 'system'}: {error.strerror or error}")


def _fail(message: str, status: int = BAD_INPUT) -> NoReturn:
    from .workers.console import printable

    click.echo("Error: " + printable(" ".join(message.split())), err=True)
    sys.exit(status)
