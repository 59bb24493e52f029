"""From what a user names (pretrained name, folder or file) to the files that hold a checkpoint."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ...errors import UnknownNameError, UnreadableFileError
from ...mappings.language.beside import HEAD_FILE
from ...mappings.language.pretrained import Pretrained, name_of_stem
from ...mappings.registry import PRETRAINED, find_published, get_pretrained, get_published, meant_name
from .cache import check_fetched, fetched_folder, fetched_place, paddlenlp_cache
from .configuration import SourceConfiguration, parse_configuration, read_configuration
from .lookalikes import held_instead, program_file
from .snapshot import is_hub_name, origin_of, parse_hub_name, places_of_files

WEIGHT_FILES = ("model_state.pdparams", "model.safetensors")
INDEX_FILES = tuple(f"{name}.index.json" for name in WEIGHT_FILES)
TORCH_FILES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
"""PyTorch's own files, taken where there is nothing else."""

TRAINING_FILE = re.compile(
    r".*\.pdopt|(optimizer|scheduler|scaler|master_weights|rng_state)[-_.\w]*|trainer_state\.json"
    r"|training_args\.(bin|json|pdparams)|all_results\.json|(train|eval|test)_results\.json|.*\.log|runs|checkpoint-\d+"
)
"""Names of what PaddleNLP's Trainer and its users leave beside the weights; none of it belongs to the model."""


@dataclass(frozen=True)
class Source:
    """Where a checkpoint lies: its weight files, with the index that lists them where one does, and its pretrained
    name where it has one. `looked_up`: it was found by that name in a cache of published weights. `set_aside` are the
    names of files of a training run in the folder, which are not part of the model, `passed_over` those of other
    weights in it. `given` is a file that is to be the configuration, whatever lies beside the weights."""

    path: Path
    files: tuple[Path, ...]
    index: Path | None = None
    pretrained: str | None = None
    looked_up: bool = False
    set_aside: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    given: Path | None = None

    @property
    def weights(self) -> Path:
        """The file of the weights, or the index of its shards, for messages."""
        return self.index or self.files[0]

    @cached_property
    def configuration(self) -> SourceConfiguration | None:
        """The given configuration, else the one beside the weights, else the published one of the pretrained name, else
        None.

        Read when first asked for, so that tensors can be listed whatever lies beside them. Raises UnreadableFileError
        for a file that is no JSON object.
        """
        if self.given is not None:
            return parse_configuration(self.given)
        folder = self.path if self.path.is_dir() else self.path.parent
        return read_configuration(folder) or _published_configuration(self.pretrained)


def cached_folder(name: str) -> Path | None:
    """The folder that holds the weights of a published name, in this package's cache or PaddleNLP's, else None."""
    fetched = fetched_folder(name)
    if fetched is not None:
        return fetched
    entry = get_published(name)
    folder = paddlenlp_cache() / entry.name
    if any((folder / file).is_file() for file in (*WEIGHT_FILES, *INDEX_FILES, entry.weights_file)):
        return folder
    return None


def find_source(source: str | Path, config: Path | None = None) -> Source:
    """Find the checkpoint that `source` names; `config` is a file that is to be its configuration.

    A path that exists is taken before a pretrained name, which is looked up in the caches; what was fetched must have
    its recorded sha256. Raises UnreadableFileError when nothing usable is there, UnknownNameError for a name that is
    neither a path nor known, and ChangedFileError.
    """
    return replace(_find(source), given=config)


def _find(source: str | Path) -> Source:
    if not str(source):
        raise UnreadableFileError("the name of the source is empty; a pretrained name, a folder or a file is expected")
    path = Path(source)
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return _single_file(path)
    text = str(source)
    if is_hub_name(text):
        raise UnreadableFileError(
            f"{parse_hub_name(text)}: is a repository on the Hub, which the commands `inspect`, `convert` and `verify` "
            "fetch; in Python, paddle2torch.fetch_repository does, and gives the folder to take in its place"
        )
    if (entry := find_published(text)) is not None:
        folder = cached_folder(text)
        if folder is None:
            seeded = ""
            if isinstance(entry, Pretrained):
                seeded = f", from {entry.weights_url}; `paddle2torch seed {text} FOLDER` makes seeded weights"
            raise UnreadableFileError(
                f"{text}: its published weights are neither in the cache {fetched_place(entry)} nor in PaddleNLP's "
                f"cache {paddlenlp_cache() / entry.name}; `paddle2torch fetch {text}` downloads them where there is a "
                f"network{seeded}"
            )
        if folder == fetched_folder(text):
            check_fetched(folder)
        return _in_folder(folder, entry.key)
    if os.sep in text or path.suffix:
        raise UnreadableFileError(f"{text}: no such file or folder{meant_name(text)}")
    try:
        get_pretrained(text)
    except UnknownNameError as error:
        raise UnknownNameError(f"{text}: no such file or folder, and {error}") from error
    raise UnreadableFileError(f"{text}: no such file or folder")


def find_converted(path: Path) -> tuple[Path, ...]:
    """The files of weights of a converted folder: those of `find_weights`, and that of a head beside them, if it is
    there. Raises UnreadableFileError without the former."""
    head = path / HEAD_FILE
    return (*find_weights(path), *((head,) if head.is_file() else ()))


def is_paddle_folder(converted: Path) -> bool:
    """Whether a converted folder is PaddleNLP's, which says in which direction it was converted."""
    return any((converted / name).is_file() for name in (*WEIGHT_FILES, *INDEX_FILES) if ".pdparams" in name)


def find_weights(path: Path) -> tuple[Path, ...]:
    """The safetensors files of a converted folder that transformers loads, shards included. Raises UnreadableFileError
    when it has none."""
    if not path.is_dir():
        raise UnreadableFileError(f"{path}: no such folder; a folder written by `paddle2torch convert` is expected")
    weights, index = path / "model.safetensors", path / "model.safetensors.index.json"
    if weights.is_file():
        return (weights,)
    if index.is_file():
        return listed_shards(index)
    if others := [name for name in TORCH_FILES if (path / name).is_file()]:
        raise UnreadableFileError(
            f"{path}: holds its weights in {others[0]} and in no model.safetensors; load the folder with transformers "
            "and save it again, which writes that"
        )
    raise UnreadableFileError(f"{path}: holds no model.safetensors; was it written by `paddle2torch convert`?")


def _in_folder(folder: Path, name: str | None = None) -> Source:
    looked_up = name is not None
    candidates = [folder / file for file in (*WEIGHT_FILES, *INDEX_FILES) if (folder / file).is_file()]
    if not candidates:
        candidates = sorted(path for path in folder.glob("*.pdparams") if not TRAINING_FILE.fullmatch(path.name))
    if not candidates:
        candidates = [folder / name for name in TORCH_FILES if (folder / name).is_file()][:1]
    if not candidates and (inner := _checkpoints_in(folder)):
        raise UnreadableFileError(
            f"{folder}: holds no weights itself, but its folders {', '.join(inner)} do; pass the one that is meant, or "
            "all of them with --tree"
        )
    if not candidates and (instead := held_instead(folder)):
        raise UnreadableFileError(f"{folder}: {instead}")
    if not candidates:
        raise UnreadableFileError(
            f"{folder}: holds no weights; {', '.join(WEIGHT_FILES)}, one of them with .index.json and its shards, or a "
            "single .pdparams file is expected"
        )
    if len(candidates) > 1:
        names = ", ".join(candidate.name for candidate in candidates)
        raise UnreadableFileError(f"{folder}: holds several sets of weights ({names}); pass the file that is meant")
    weights = candidates[0]
    name = name or _known_name(weights) or next((one for one in names_of_folder(folder) if one in PRETRAINED), None)
    files, index = _files_of(weights)
    beside = sorted(path.name for path in folder.iterdir())
    set_aside = tuple(one for one in beside if TRAINING_FILE.fullmatch(one))
    others = {one for one in beside if one.endswith(".pdparams")} - {file.name for file in files} - set(set_aside)
    return Source(folder, files, index, name, looked_up, set_aside, tuple(sorted(others)))


def _checkpoints_in(folder: Path) -> list[str]:
    """The names of folders in `folder` that hold weights, as a training run leaves them; at most five. What cannot be
    looked into holds none that could be passed."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path.name for path in inner if _holds_weights(path)][:5]


def _holds_weights(folder: Path) -> bool:
    try:
        names = [path.name for path in folder.iterdir() if path.is_file()]
    except OSError:
        return False
    return any(
        name in (*WEIGHT_FILES, *INDEX_FILES)
        or (name.endswith((".pdparams", ".pdiparams")) and not TRAINING_FILE.fullmatch(name))
        for name in names
    )


def _single_file(path: Path) -> Source:
    if not path.is_file():
        raise UnreadableFileError(f"{path}: is not a regular file")
    if program := program_file(path):
        raise UnreadableFileError(f"{path}: {program}")
    return Source(path, *_files_of(path), _known_name(path))


def _files_of(weights: Path) -> tuple[tuple[Path, ...], Path | None]:
    """The weight files that a file of weights or an index of shards stands for, and that index."""
    return (listed_shards(weights), weights) if weights.name.endswith(".index.json") else ((weights,), None)


def _known_name(path: Path) -> str | None:
    name = name_of_stem(path.stem)
    return name if name in PRETRAINED else None


def names_of_folder(folder: Path) -> tuple[str, str]:
    """The pretrained names that a folder may be called by: its own name, and with that of the folder around it, as in
    PaddleNLP's cache. A folder of the Hub's cache is called by its repository."""
    if (origin := origin_of(folder)) is not None:
        return name_of_stem(origin.output.rpartition("/")[2]), origin.repo_id
    return name_of_stem(folder.name.removeprefix("community--")), "/".join(folder.parts[-2:])


def _published_configuration(name: str | None) -> SourceConfiguration | None:
    pretrained = PRETRAINED.get(name or "")
    if pretrained is None:
        return None
    return SourceConfiguration(
        dict(pretrained.configuration), f"the published configuration of {pretrained.name}", None, pretrained.family
    )


def listed_shards(index: Path) -> tuple[Path, ...]:
    """The shard files an index lists, in order; each must be a plain file beside it, or a link to one, or lie where the
    Hub's cache puts it: an index says nothing of files elsewhere. Raises UnreadableFileError."""
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = list(dict.fromkeys(weight_map.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableFileError(f"{index}: is not an index of shards: {error}") from error
    if not names:
        raise UnreadableFileError(f"{index}: lists no shard")
    places = places_of_files(index.parent)
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise UnreadableFileError(f"{index}: lists {name!r}, which is not the name of a file beside it")
        shard = index.parent / name
        if not shard.is_file():
            raise UnreadableFileError(f"{index}: lists the shard {name}, which is missing")
        if shard.resolve().parent not in places:
            raise UnreadableFileError(f"{index}: its shard {name} is a link that leads out of the folder")
    return tuple(index.parent / name for name in names)
