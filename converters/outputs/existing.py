"""An output that is there already, compared with what a conversion would write: equal, it can be kept."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import DifferentOutputError, OutputError, Paddle2TorchError
from ..formats.safetensors_file import open_safetensors
from .certificate import NOT_CERTIFIED
from .sentences import entries_below

WEIGHT_ENDINGS = (".safetensors", ".pdparams")


@contextmanager
def compared_folder(output: Path) -> Iterator[Path]:
    """Give a temporary folder for all that a conversion writes but the weights; after the block, the folder `output`
    must hold the same files with the same bytes. The weights are compared by whoever writes them.

    What is made from the outputs, certificate and model card, does not count. Raises DifferentOutputError.
    """
    if output.is_symlink() or not output.is_dir():
        raise DifferentOutputError(f"{output}: exists already and is not a folder; choose another one")
    with TemporaryDirectory(prefix="paddle2torch-") as temporary:
        made = Path(temporary)
        yield made
        names = set(entries_below(made))
        try:
            found = {
                name
                for name in entries_below(output)
                if not name.startswith(".") and name not in NOT_CERTIFIED and not _is_weights(name)
            }
            for name in sorted(names | found):
                same = name in names and name in found and (made / name).read_bytes() == (output / name).read_bytes()
                if not same:
                    raise different(output, name)
        except OSError as error:
            raise OutputError(f"{output}: cannot be compared: {error.strerror or error}") from error


def _is_weights(name: str) -> bool:
    """Whether a file is one of the weights. What lies in a folder of the folder is small, and compared whole."""
    return name.endswith(WEIGHT_ENDINGS) and "/" not in name


def check_weight_files(output: Path, expected: Collection[str]) -> None:
    """Raise DifferentOutputError unless the weight files in the folder `output` are those called `expected`."""
    found = {name for name in os.listdir(output) if name.endswith(WEIGHT_ENDINGS) and not name.startswith(".")}
    if unequal := sorted(found ^ set(expected)):
        raise different(output, unequal[0])


def check_metadata(path: Path, expected: Mapping[str, str]) -> None:
    """Raise DifferentOutputError unless the safetensors file `path` has the metadata `expected`, which record casts."""
    opened = open_safetensors(path)
    opened.source.close()
    if opened.metadata != dict(expected):
        raise different(path.parent, path.name)


@contextmanager
def comparing(path: Path) -> Iterator[None]:
    """Make any error of the comparison of the existing weight file `path` a DifferentOutputError that names it."""
    try:
        yield
    except DifferentOutputError:
        raise
    except Paddle2TorchError as error:
        raise different(path.parent, path.name) from error


def different(output: Path, name: str) -> DifferentOutputError:
    """The error for an existing output in which `name` is not what the conversion would write."""
    return DifferentOutputError(
        f"{output}: exists already, and its {name} is not what this conversion writes; choose another folder or pass "
        "--overwrite"
    )
