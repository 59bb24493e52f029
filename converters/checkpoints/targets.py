"""Which of the models that a family's weights may become a Hugging Face folder holds: what is recorded in its weights,
asked for, or named in its configuration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...errors import ConfigurationError, UnknownNameError, UnreadableFileError
from ...mappings.language.alternative import becoming
from ...mappings.language.family import Family
from ...mappings.registry import get_family
from ..formats.safetensors_file import open_safetensors

_KEY = "paddle2torch.target"
"""In the metadata of safetensors files: FAMILY/TARGET, where the target is not the usual one."""


def target_metadata(family: Family) -> dict[str, str]:
    """The record of a family's target for the metadata of a safetensors file."""
    return {} if family.target is None else {_KEY: f"{family.name}/{family.target}"}


def recorded_family(files: Iterable[Path]) -> Family | None:
    """The family with the target that files of weights record; None where they record none. Raises UnreadableFileError
    for a record that is unknown, or that only some of the files have."""
    found: dict[str | None, Path] = {}
    for path in files:
        if path.suffix == ".safetensors":
            # Only the metadata are read: PaddleNLP's own files may hold types that others may not.
            opened = open_safetensors(path, of_paddle=True)
            opened.source.close()
            found.setdefault(opened.metadata.get(_KEY), path)
    if len(found) > 1:
        raise UnreadableFileError(f"{[*found.values()][1]}: records another target than the shards before it")
    for recorded, path in found.items():
        if recorded is not None:
            name, _, target = recorded.partition("/")
            try:
                return becoming(get_family(name), target)
            except UnknownNameError as error:
                raise UnreadableFileError(f"{path}: records the target {recorded!r}: {error}") from error
    return None


def check_asked(folder: Path, recorded: str | None, asked: str | None) -> None:
    """Raise ConfigurationError where a folder of this package's was converted for another target than is asked for."""
    if asked is not None and asked != recorded:
        what = "without --target" if recorded is None else f"with --target {recorded}"
        raise ConfigurationError(
            f"{folder}: was converted {what}, which its weights record; --target {asked} is another model"
        )
