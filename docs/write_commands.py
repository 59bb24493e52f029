"""Writes docs/commands.md, the reference of the commands, from the command line itself. Run by `make docs`."""

from __future__ import annotations

from pathlib import Path

import click

from paddle2torch.cli import cli

WIDTH = 100

HEAD = """# Commands

Every command with its options, as `--help` shows them. Made from the command line by `make docs`; a test compares the
two.

Exit status: 0 everything asked for holds; 1 a check ran and found a difference; 2 bad usage or bad input, with one
`Error: ` line on standard error; 130 interrupted, 143 ended by SIGTERM.

Completion in the shell is click's own: `eval "$(_PADDLE2TORCH_COMPLETE=bash_source paddle2torch)"` in bash, or with
`zsh_source` in zsh; fish takes `_PADDLE2TORCH_COMPLETE=fish_source paddle2torch | source`.
"""


def reference() -> str:
    """The help of every command, as Markdown."""
    parts = [HEAD, _section("paddle2torch", cli, None)]
    group = _context(cli, "paddle2torch", None)
    parts += [_section(f"paddle2torch {name}", cli.commands[name], group) for name in cli.list_commands(group)]
    return "\n".join(parts)


def _section(title: str, command: click.Command, parent: click.Context | None) -> str:
    return f"## {title}\n\n```\n{command.get_help(_context(command, title.split()[-1], parent))}\n```\n"


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    settings = {**command.context_settings, "max_content_width": WIDTH, "terminal_width": WIDTH}
    return click.Context(command, parent, info_name=name, **settings)


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(reference(), "utf-8")
