"""From what a user names to the files of a network: weights, training configuration and dictionary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import Paddle2TorchError, UnreadableFileError
from ...mappings.registry import NETWORKS, get_family, official_networks
from ..checkpoints.source import INDEX_FILES, WEIGHT_FILES
from ..formats.exports.file import SUFFIX, files_of_export
from ..formats.pdparams import open_pdparams
from .names import looks_like_network
from .training import NAMES, SUFFIXES

PREFERRED = ("best_accuracy", "best_model/model", "best_model", "latest", "model")
"""Weights that a training leaves, the best first, without their suffix."""

_EPOCH = re.compile(r"(?:iter_epoch_|epoch_|iter_)(?P<number>[0-9]+)")

_OF_PADDLENLP = (*WEIGHT_FILES, *INDEX_FILES, "config.json", "model_config.json")
"""Files by which a folder is PaddleNLP's, or a converted one."""


@dataclass(frozen=True)
class ImageSource:
    """Where a network lies: its `weights`, its training configuration `training` and a `dictionary` that was named, if
    there are such. `passed_over` are the names of other weights in the folder, `set_aside` those of files of training
    that are no part of the network."""

    path: Path
    weights: Path
    training: Path | None = None
    dictionary: Path | None = None
    passed_over: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()

    @property
    def is_export(self) -> bool:
        """Whether it is what Paddle exports for inference."""
        return self.weights.suffix == SUFFIX

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the weights that are read."""
        return files_of_export(self.weights) if self.is_export else (self.weights,)

    @property
    def folder(self) -> Path:
        """The folder of the weights."""
        return self.weights.parent


def find_image_source(
    source: str | Path, family: str | None = None, config: Path | None = None, dictionary: Path | None = None
) -> ImageSource | None:
    """The files of the network that `source` names: the folder of a training, a `.pdparams` file in one, or an export.
    None where it is anything else.

    That it is one is told by `family`, a network's name, by `config`, a training configuration, and by `dictionary`,
    the characters; else by a training configuration beside the weights, and where nothing of PaddleNLP's lies there
    either, by the names of the tensors. Raises UnreadableFileError for a folder without weights."""
    path = Path(source)
    yaml = config is not None and config.suffix in SUFFIXES
    named = family is not None and (family in NETWORKS or family in official_networks())
    told = named or dictionary is not None or yaml or (path.suffix == SUFFIX and path.is_file())
    if not told and (family is not None or config is not None):
        # A family of PaddleNLP's, or its configuration; of a family that nobody knows it is said so.
        if family is not None:
            get_family(family)
        return None
    if path.is_dir():
        return _in_folder(path, told, config, dictionary)
    if not path.is_file():
        return None
    beside = _training_beside(path.parent)
    if not told:
        paddlenlp = any((path.parent / name).is_file() for name in _OF_PADDLENLP)
        if paddlenlp or path.suffix != ".pdparams" or not (beside is not None or _looks_like_network(path)):
            return None
    _check_suffix(path)
    return ImageSource(path, path, config or beside, dictionary)


def _in_folder(path: Path, told: bool, config: Path | None, dictionary: Path | None) -> ImageSource | None:
    names = {entry.name for entry in path.iterdir()}
    if not told and names & set(_OF_PADDLENLP):
        return None
    training = _training_beside(path)
    weights = {name for name in names if name.endswith((".pdparams", SUFFIX))}
    weights |= {f"best_model/{one.name}" for one in path.glob("best_model/*.pdparams")}
    chosen = _best(weights)
    if chosen is None:
        if not told and training is None:
            return None
        raise UnreadableFileError(
            f"{path}: holds no weights: best_accuracy.pdparams, as PaddleOCR's training leaves it, or another "
            ".pdparams file is expected, or an export's .pdiparams"
        )
    if not told and training is None and not chosen.endswith(SUFFIX) and not _looks_like_network(path / chosen):
        return None
    aside = sorted(name for name in names if name.endswith((".pdopt", ".states", ".log", ".pdema")))
    return ImageSource(
        path, path / chosen, config or training, dictionary, tuple(sorted(weights - {chosen})), tuple(aside)
    )


def _looks_like_network(path: Path) -> bool:
    """Whether the tensors of a file are called as a network's. What cannot be read is left to whoever reads it then."""
    try:
        with open_pdparams(path) as opened:
            return looks_like_network(opened.tensors)
    except Paddle2TorchError:
        return False


def _training_beside(folder: Path) -> Path | None:
    """The training configuration in a folder, or in that above best_model."""
    places = (folder, folder.parent) if folder.name == "best_model" else (folder,)
    return next((place / name for place in places for name in NAMES if (place / name).is_file()), None)


def _best(weights: Iterable[str]) -> str | None:
    """The file that is taken of several: the best one, else the last."""
    return min(weights, key=lambda name: (_rank(name), -_epoch(name), name), default=None)


def _rank(name: str) -> int:
    stem = name.rpartition(".")[0]
    if stem in PREFERRED:
        return PREFERRED.index(stem)
    if name.endswith(SUFFIX):
        return len(PREFERRED)
    return len(PREFERRED) + (1 if _epoch(name) >= 0 else 2)


def _epoch(name: str) -> int:
    match = _EPOCH.fullmatch(name.rpartition("/")[2].rpartition(".")[0])
    return int(match["number"]) if match else -1


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".pdparams", SUFFIX):
        raise UnreadableFileError(
            f"{path}: is neither a .pdparams file, as training leaves it, nor a .pdiparams file, as an export has it"
        )
