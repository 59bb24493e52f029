"""The options of the command line: those that several commands share, and how the commands are listed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from .workers.console import be_quiet

F = TypeVar("F", bound=Callable[..., Any])

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Convert and prove": ("inspect", "convert", "verify", "gate"),
    "What is known": ("families", "list", "environments"),
    "Weights from and to elsewhere": ("fetch", "seed", "publish"),
}
"""The commands as `--help` lists them."""


class Grouped(click.Group):
    """A group whose help lists its commands under headings, those that no heading names under one of their own, and
    that knows what an unknown command is much like."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As every group; an unknown command is refused with the near ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.commands, 2)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"{error.message}{meant}", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with the first sentence of each."""
        named = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.list_commands(ctx) if name not in named)
        width = max(map(len, self.commands))
        for heading, names in {**GROUPS, "Other": others}.items():
            rows = [
                (name.ljust(width), command.get_short_help_str(formatter.width - width - 6))
                for name in names
                if (command := self.get_command(ctx, name)) is not None
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


class Folder(click.Path):
    """The path of a folder. An empty one, as from a shell variable that is not set, is not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name of the folder is empty", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = Folder(path_type=Path)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
quiet_option = click.option(
    "-q",
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=lambda context, option, value: be_quiet(value),
    help="Print errors, guesses and cautions alone.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an output folder that this program wrote.")
checks_option = click.option("--check", "checks", metavar="NAMES", help="Only these checks, separated by commas.")
report_dir_option = click.option("--report-dir", type=FOLDER, help="Reports go there: HTML, JSON, JUnit XML, Markdown.")
architecture_option = click.option("--architecture", metavar="A", help="PaddleNLP's class, in place of that recorded.")
target_option = click.option("--target", metavar="T", help="Another target of the family than the usual one.")


paddleocr_option = click.option(
    "--paddleocr",
    type=FOLDER,
    metavar="PATH",
    envvar="PADDLE2TORCH_PADDLEOCR",
    help="Your copy of PaddleOCR: its dictionaries, and to verify, its code. Also PADDLE2TORCH_PADDLEOCR.",
)


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
    config=click.option(
        "--config",
        type=FOLDER,
        metavar="FILE",
        help="Read PaddleNLP's configuration from FILE, or PaddleOCR's training configuration (YAML).",
    ),
    dictionary=click.option(
        "--dict", "dictionary", type=FOLDER, metavar="FILE", help="The characters of a text recogniser, one per line."
    ),
    paddleocr=paddleocr_option,
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
        help="Never touch the network: pretrained and hf: names come from the caches. Also PADDLE2TORCH_OFFLINE=1.",
    ),
)

Options = Mapping[str, Any]
"""The values of a bundle."""
