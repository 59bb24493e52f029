"""A repository of the Hugging Face Hub as a source: what counts of it comes into the Hub's own cache, and a folder
there is the source from then on. huggingface_hub does the talking, and continues what broke off."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from ...converters.checkpoints.snapshot import HubName, origin_of, parse_hub_name
from ...converters.checkpoints.source import INDEX_FILES, TORCH_FILES, TRAINING_FILE, WEIGHT_FILES
from ...converters.checkpoints.torch_checkpoint import WEIGHT_FILES as TORCH_WEIGHT_FILES
from ...converters.outputs.sentences import FILES_BELOW
from ...errors import FetchError
from ...mappings.language.beside import HEAD_FILE
from ...mappings.language.pretrained import CONFIGURATIONS, TOKENIZER
from ...workers.console import note, printable
from ..client import find_token, hub_client
from ..errors import ask, lacks_libraries, status_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

_SMALL = re.compile(r".*\.(json|txt|model)")
"""Configurations, tokenizers, certificates."""

_OTHERS = re.compile(r".*\.(h5|msgpack|ot|onnx|gguf|ckpt|pb|tflite|bin|pt|pth|safetensors)|\.git.*")
"""What else lies beside weights and is not read: other programs' weights, and what the Hub itself put there."""

_HUGGING_FACES = re.compile(r"model(-\d+-of-\d+)?\.safetensors|pytorch_model(-\d+-of-\d+)?\.bin")
"""The files of weights of Hugging Face's, shards included; PaddleNLP's in safetensors are called the same."""

_POINTER = b"version https://git-lfs"


def fetch_repository(
    source: str | Path,
    *,
    to: str = "torch",
    whole: bool = False,
    offline: bool = False,
    quiet: bool = True,
    tell: Callable[[str], None] = note,
) -> Path:
    """The folder, or the file, of hf:OWNER/NAME[@REVISION][/SUBFOLDER] in the Hub's cache; what counts of it is fetched
    where it is not there yet, and nothing is copied.

    Of PaddleNLP's weights and Hugging Face's, those come that a conversion `to` "torch" or "paddle" reads. With
    `whole`, as for a converted folder, Hugging Face's come before PaddleNLP's, and all that a loader might find beside
    them comes too. The path names the commit. The Hub, the cache, offline mode and the token are huggingface_hub's:
    HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, HF_TOKEN. `tell` gets the client's warnings; progress bars show on a terminal
    unless `quiet`.

    Raises UnknownNameError for a name of another form, MissingDependencyError without the extra `hub`, and FetchError:
    for a repository that is gated, absent, renamed or without weights, a revision or subfolder that is absent, and a
    Git LFS pointer in place of a file.
    """
    name = parse_hub_name(source)
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise lacks_libraries(f"{name}", error, ", or give a folder that holds its files") from error
    if offline or constants.HF_HUB_OFFLINE:
        return _cached(_Wanted(name, to, whole), Path(constants.HF_HUB_CACHE))
    token = find_token()
    with hub_client(token, tell, quiet) as client:
        return _Fetching(client, _Wanted(name, to, whole), token).fetch()


@dataclass(frozen=True)
class _Wanted:
    """What is wanted of a repository: the arguments of `fetch_repository`. All errors are FetchErrors that name it."""

    name: HubName
    to: str
    whole: bool

    def of(self, files: Collection[str]) -> list[str]:
        """Those of the repository's files that count, the weights last. Raises FetchError when there is no such folder,
        or no weights in it."""
        inner = self.name.inner
        one = inner in files
        folder = f"{PurePosixPath(inner).parent if one else inner}/" if inner else ""
        folder = folder.removeprefix("./")
        inside = [file.removeprefix(folder) for file in files if file.startswith(folder)]
        if not inside:
            raise FetchError(f"{self.name}: {self.name.repo_id} holds no file or folder {inner} at that revision")
        # Of a converted folder, what a conversion puts into folders of it counts too.
        names = sorted(file for file in inside if "/" not in file or (self.whole and file in FILES_BELOW))
        weights = _with_shards(inner.removeprefix(folder), names) if one else self._weights(names)
        if not weights:
            raise FetchError(
                f"{self.name}: holds no weights, neither *.pdparams nor {' nor '.join(TORCH_WEIGHT_FILES)}"
                f"{_others(inside)}"
            )
        beside = [file for file in names if file not in weights and self._counts(file, names)]
        return [f"{folder}{file}" for file in (*beside, *sorted(weights, key=lambda file: not file.endswith(".json")))]

    def _counts(self, file: str, names: Collection[str]) -> bool:
        """Whether a file beside the weights counts."""
        if _is_weights(file) or TRAINING_FILE.fullmatch(file):
            return False
        if self.whole:
            return not _OTHERS.fullmatch(file)
        return bool(_SMALL.fullmatch(file)) or file in TOKENIZER

    def _weights(self, names: Collection[str]) -> list[str]:
        """The files of weights that are read, with their index. Raises FetchError where several sets might be."""
        paddle = _set("model_state.pdparams", names)
        safe, torch = (_set(file, names) for file in TORCH_WEIGHT_FILES)
        loose = [] if paddle or safe else [file for file in names if _is_paddle(file)]
        if safe and HEAD_FILE in names:
            safe.append(HEAD_FILE)
        if self.to == "paddle" or self.whole:
            return safe or torch or ((paddle or loose) if self.whole else [])
        sets = [*paddle[:1], *safe[:1], *loose]
        if len(sets) > 1:
            raise FetchError(
                f"{self.name}: holds several sets of weights ({', '.join(map(printable, sets))}); name the file that "
                f"is meant, such as {self.name}/{printable(sets[0])}"
            )
        return paddle or safe or loose or torch


def _set(file: str, names: Collection[str]) -> list[str]:
    """The file of weights of this name, else its index with the shards, of those that are there."""
    if file in names:
        return [file]
    index = f"{file}.index.json"
    return _with_shards(index, names) if index in names else []


def _with_shards(file: str, names: Collection[str]) -> list[str]:
    """A file of weights; if it is an index, with the shards whose names go with it."""
    if not file.endswith(".index.json"):
        return [file]
    stem, _, suffix = file.removesuffix(".index.json").rpartition(".")
    shard = re.compile(rf"{re.escape(stem)}-\d+-of-\d+\.{re.escape(suffix)}")
    return [file, *filter(shard.fullmatch, names)]


def _is_paddle(file: str) -> bool:
    return file.endswith(".pdparams") and not TRAINING_FILE.fullmatch(file)


def _is_weights(file: str) -> bool:
    return file in (*INDEX_FILES, *TORCH_FILES) or _is_paddle(file) or bool(_HUGGING_FACES.fullmatch(file))


def _others(inside: Collection[str]) -> str:
    """In words, the folders inside that hold weights, at most five."""
    paths = map(PurePosixPath, inside)
    folders = sorted({str(path.parent) for path in paths if len(path.parts) > 1 and _is_weights(path.name)})
    return (
        f", but its folders {', '.join(map(printable, folders[:5]))} do: name the one that is meant" if folders else ""
    )


class _Fetching:
    """One repository that is fetched."""

    def __init__(self, client: HfApi, wanted: _Wanted, token: str | None) -> None:
        self._client = client
        self._wanted = wanted
        self._name = wanted.name
        self._token = token

    def fetch(self) -> Path:
        """Bring the files that count, weights last: where these are, nothing is missing."""
        commit, files = self._ask(f"looking at {self._name}", self._look)
        chosen = self._wanted.of(files)
        for file in chosen:
            path = self._ask(f"fetching {file} of {self._name}", partial(self._download, file))
            origin = origin_of(path)
            if origin is None or origin.revision != commit:
                raise FetchError(f"{self._name}: changed on the Hub while it was fetched; run the command again")
            _check_file(self._name, path)
        return _root(path, file) / self._name.inner

    def _ask(self, doing: str, call: Callable[[], T]) -> T:
        return ask(doing, self._token, call, FetchError, self._known)

    def _look(self) -> tuple[str, list[str]]:
        """The commit, and the paths of its files."""
        name = self._name
        info = self._client.model_info(name.repo_id, revision=name.revision)
        if info.id != name.repo_id:
            now = HubName(printable(info.id), name.revision, name.inner)
            raise FetchError(f"{name}: {name.repo_id} is now called {now.repo_id} on the Hub; give {now}")
        if info.sha is None:
            raise FetchError(f"{name}: the Hub names no commit of it; try again later")
        return info.sha, [file.rfilename for file in info.siblings or ()]

    def _download(self, file: str) -> Path:
        return Path(self._client.hf_hub_download(self._name.repo_id, file, revision=self._name.revision))

    def _known(self, error: Exception) -> str | None:
        """What the client's exceptions mean for a repository that is to be read."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        name, login = self._name, "log in with `hf auth login`, or set HF_TOKEN"
        if isinstance(error, GatedRepoError):
            who = "the token is not let in yet" if self._token else login
            page = f"{self._client.endpoint}/{name.repo_id}"
            return f"{name}: is gated; accept its conditions on {page}: {who}"
        if isinstance(error, RevisionNotFoundError):
            return f"{name}: {name.repo_id} has no revision {name.revision or 'main'} on the Hub"
        # The class also stands for a token that is refused.
        if isinstance(error, RepositoryNotFoundError) and status_of(error) in (401, 404):
            seen = "that the token may see" if self._token else "that can be seen without a token"
            return (
                f"{name}: the Hub has no repository {name.repo_id} {seen}; check the name, or for a private one {login}"
            )
        return None


def _root(path: Path, file: str) -> Path:
    """The folder of the commit in which `file` lies as `path`."""
    return path.parents[len(PurePosixPath(file).parents) - 1]


def _check_file(name: HubName, path: Path) -> None:
    """Raise FetchError for a Git LFS pointer that was put into the repository in place of the file."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise FetchError(
                f"{name}: its {path.name} is only a Git LFS pointer, and not the file that it points to; whoever owns "
                "the repository must put the file itself there"
            )


def _cached(wanted: _Wanted, cache: Path) -> Path:
    """What the cache holds, without a word to the Hub. Raises FetchError."""
    from huggingface_hub import try_to_load_from_cache

    name = wanted.name
    for one in (*CONFIGURATIONS, *WEIGHT_FILES, *INDEX_FILES, *TORCH_FILES, ""):
        # The last one is the file that may have been named itself.
        if not (file := f"{name.inner}/{one}".strip("/")):
            continue
        found = try_to_load_from_cache(name.repo_id, file, revision=name.revision)
        if isinstance(found, str):
            root = _root(Path(found), file)
            for chosen in wanted.of([path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]):
                _check_file(name, root / chosen)
            return root / name.inner
    raise FetchError(
        f"{name}: is not in the Hub's cache {cache}, and offline mode (--offline, PADDLE2TORCH_OFFLINE, "
        "HF_HUB_OFFLINE) forbids to fetch it"
    )
