"""The published files of a pretrained name: from the cache, else downloaded, checked and recorded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import __version__
from ..converters.checkpoints.cache import (
    check_fetched,
    fetched_folder,
    fetched_place,
    own_cache,
    paddlenlp_cache,
    read_record,
    record_entry,
    sha256_of,
    write_record,
)
from ..converters.checkpoints.snapshot import is_hub_name
from ..converters.checkpoints.source import cached_folder
from ..converters.outputs.folder import new_folder
from ..converters.outputs.links import link, share
from ..errors import (
    AbsentFileError,
    ChangedFileError,
    ConfigurationError,
    FetchError,
    MissingDependencyError,
    UnknownNameError,
    UnreachableError,
)
from ..mappings.language.pretrained import ADDRESS, CONFIGURATIONS, TOKENIZER, WEIGHTS, Community, Pretrained
from ..mappings.registry import PRETRAINED, Published, get_published, is_published
from ..workers.process import Terminated
from .content import check_configuration, check_folder_weights, check_part, check_tokenizer, check_weights
from .download import Downloaded, Patience, Progress, discard, download, is_web_address, kept, shown
from .errors import lacks_libraries

if TYPE_CHECKING:
    from requests import Session

MOST_REDIRECTS = 5

VARIABLE = "COMMUNITY_MODEL_PREFIX"
"""PaddleNLP's own variable for another address of its community."""

Bring = Callable[[str, str, Callable[[Path], None]], None]
"""Brings a file, by the name it gets, its address and what checks it. Raises AbsentFileError where there is none."""


@dataclass(frozen=True)
class FetchedFile:
    """A file of a pretrained name in the cache. `source` says where it is from in words, `downloaded` that this call
    brought it."""

    path: Path
    url: str
    sha256: str
    size: int
    downloaded: bool

    def to_json(self) -> dict[str, Any]:
        """The file as plain JSON values."""
        return {**vars(self), "path": str(self.path)}


@dataclass(frozen=True)
class Fetched:
    """The files of a pretrained name: weights and tokenizer, all in `folder`; `output` is where copies of them are."""

    name: str
    folder: Path
    files: tuple[FetchedFile, ...]
    output: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """What was fetched as plain JSON values."""
        return {
            "name": self.name,
            "folder": str(self.folder),
            "files": [file.to_json() for file in self.files],
            "output": None if self.output is None else str(self.output),
        }

    def lines(self) -> list[str]:
        """What was fetched, for people."""
        lines = [
            f"{file.path}: {file.size:,} bytes, sha256 {file.sha256}, "
            f"{'downloaded from' if file.downloaded else 'in the cache, from'} {file.url}"
            for file in self.files
        ]
        return lines if self.output is None else [*lines, f"{self.output}: copies of these files"]


def _quiet_progress(name: str, done: int, total: int) -> None:
    pass


def _quiet(text: str) -> None:
    pass


@dataclass
class Fetcher:
    """Fetches pretrained names with the same settings. `base_url` takes the place of scheme, host and port of the
    recorded addresses, their path stays; `offline` never touches the network. A server that could not be reached for
    one name is not asked for the next. `progress` and `tell` are called as work goes on."""

    base_url: str | None = None
    offline: bool = False
    patience: Patience = field(default_factory=Patience)
    progress: Progress = _quiet_progress
    tell: Callable[[str], None] = _quiet
    _unreachable: dict[str, str] = field(default_factory=dict, init=False)

    def fetch(self, name: str) -> Fetched:
        """Weights and tokenizer of a published name in the cache, of the community's also its configuration,
        downloaded where they are not there yet.

        Two processes that want the same name download it once. Files that PaddleNLP's cache holds are linked, not
        downloaded. Raises UnknownNameError, ConfigurationError for a refused name, FetchError, ChangedFileError,
        UnreadableFileError for a damaged record and MissingDependencyError without the extra `hub`.
        """
        if is_hub_name(name):
            raise UnknownNameError(
                f"{name}: `inspect`, `convert` and `verify` fetch it themselves, into the Hub's cache"
            )
        entry = get_published(name)
        folder = fetched_place(entry)
        check_fetched(folder)
        brought: list[str] = []
        if not _is_complete(entry, folder):
            # Before the lock, which makes a folder.
            self.address(entry.weights_url if isinstance(entry, Pretrained) else _community_address())
            with self._lock(folder):
                brought = self._bring_all(entry, folder)
        record = read_record(folder)
        files = entry.files if isinstance(entry, Pretrained) else (*CONFIGURATIONS, *TOKENIZER, WEIGHTS)
        there = [file for file in files if file in record]
        return Fetched(name, folder, tuple(_fetched(folder / file, record[file], file in brought) for file in there))

    def make_available(self, source: str | Path) -> None:
        """See to it that a published name given as a source is in a cache; a path is left alone.

        A name whose weights PaddleNLP's cache holds is taken as it is there. Raises what `fetch` raises.
        """
        name = str(source)
        if not is_published(name) or Path(source).exists():
            return
        entry = get_published(name)
        if fetched_folder(name) is None and cached_folder(name) is not None:
            return
        if not _is_complete(entry, fetched_place(entry)):
            self.fetch(name)

    def address(self, url: str, chosen: bool = False) -> str:
        """An address, at the mirror where one is set, and otherwise encrypted also where PaddleNLP's tables say http,
        though not where the user has `chosen` that. Raises FetchError for a base that is no web address."""
        if not self.base_url:
            return url if chosen else url.replace("http://", "https://", 1)
        if not is_web_address(self.base_url):
            raise FetchError(
                f"the base URL is none of the form http(s)://host[:port][/path]; {urlsplit(url).path} is appended to it"
            )
        return self.base_url.rstrip("/") + urlsplit(url).path

    def _bring_all(self, entry: Published, folder: Path) -> list[str]:
        """Put the files of a name into the cache that are not there; the names of those that this brought."""
        brought = []

        def bring(file: str, url: str, check: Callable[[Path], None]) -> None:
            # Another process may have brought it meanwhile.
            if not _is_there(folder / file):
                address = self.address(url, chosen=isinstance(entry, Community))
                with _saying_what_is_kept(folder / file, address):
                    if self._bring(entry, folder / file, url, address, check):
                        brought.append(file)

        if isinstance(entry, Community):
            _bring_folder(entry, folder, bring)
        else:
            for file, url in entry.files.items():
                check = check_weights if file == entry.weights_file else check_tokenizer
                bring(file, url, partial(check, pretrained=entry))
        return brought

    def _bring(self, entry: Published, target: Path, published: str, url: str, check: Callable[[Path], None]) -> bool:
        """Put one file into the cache: checked, recorded, then renamed to its name. Says whether this brought it: not
        where another name has the same file in the cache already. `published` is its recorded address, `url` the one
        that is asked."""
        record = read_record(target.parent)
        earlier = record.get(target.name)
        held = _in_paddlenlp_cache(entry, target.name, published)
        alias = _under_another_name(entry, published)
        if held is not None or alias is not None:
            discard(target)
            target.unlink(missing_ok=True)
        if held is not None:
            check(held)
            recorded = record_entry(held, f"PaddleNLP's cache {held}", None)
            _compare(target, recorded, earlier)
            write_record(target.parent, entry.key, {**record, target.name: recorded})
            link(held, target)
            return True
        if alias is not None:
            path, recorded = alias
            check(path)
            _compare(target, recorded, earlier)
            write_record(target.parent, entry.key, {**record, target.name: recorded})
            share(path, target)
            return False
        brought = self._download(url, target, entry)
        try:
            check(brought.partial)
        except FetchError as error:
            discard(target)
            text = str(error).replace(str(brought.partial), shown(url))
            raise FetchError(f"{text}; nothing was kept, check the base URL and what stands in between") from error
        except (ConfigurationError, UnknownNameError) as error:
            # It came as it should, and is nothing that converts.
            discard(target)
            text = str(error).replace(str(brought.partial), shown(url))
            raise type(error)(f"{text}; nothing was kept") from error
        recorded = record_entry(brought.partial, shown(url), brought.etag)
        try:
            _compare(target, recorded, earlier)
        except ChangedFileError:
            discard(target)
            raise
        write_record(target.parent, entry.key, {**record, target.name: recorded})
        os.replace(brought.partial, target)
        discard(target)
        return True

    def _download(self, url: str, target: Path, entry: Published) -> Downloaded:
        host = urlsplit(url).netloc
        if self.offline:
            name, seeded = f"{entry.key}: {target.name}", ""
            if isinstance(entry, Pretrained):
                name, seeded = f"{target.name}:", "; `paddle2torch seed` makes seeded weights of the same size"
            raise FetchError(
                f"{name} is in no cache ({own_cache()}, {paddlenlp_cache()}), and offline mode (--offline, "
                f"PADDLE2TORCH_OFFLINE) forbids to download it from {shown(url)}{seeded}"
            )
        if host in self._unreachable:
            raise UnreachableError(f"{shown(url)}: not tried, because {self._unreachable[host]}")
        self.tell(f"{target.name}: downloading {shown(url)}")
        try:
            with _session() as session:
                return download(session, url, target, patience=self.patience, progress=self.progress, tell=self.tell)
        except UnreachableError as error:
            self._unreachable[host] = str(error)
            raise

    @contextmanager
    def _lock(self, folder: Path) -> Iterator[None]:
        """Hold the lock of a name; it ends with the process, whatever happens to it."""
        try:
            from filelock import FileLock, Timeout
        except ImportError as error:
            raise _missing(error) from error
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.parent / f".{folder.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.tell(f"{folder.name}: another process is fetching it; waiting")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
            # A folder in which nothing arrived is not left behind.
            with suppress(OSError):
                folder.rmdir()


def _community_address() -> str:
    """The address below which the community's folders lie. Raises FetchError for a variable that holds none."""
    chosen = os.environ.get(VARIABLE, "").rstrip("/")
    if chosen and not is_web_address(chosen):
        raise FetchError(f"{VARIABLE} is none of the form http(s)://host[:port][/path]; a community's name follows it")
    return chosen or ADDRESS


def _bring_folder(entry: Community, folder: Path, bring: Bring) -> None:
    """Bring the files of a name into `folder`: its configuration, what there is of a tokenizer, and the weights.

    The weights come last, so that nothing is missing where they are. Raises AbsentFileError when the community has no
    such name or no weights of it in one file, and FetchError for a model of no known family, before its weights come.
    """
    place = f"{_community_address()}/{entry.name}"

    def is_there(file: str, check: Callable[[Path], None]) -> bool:
        try:
            bring(file, f"{place}/{file}", check)
        except AbsentFileError:
            return False
        return True

    if not any(is_there(file, partial(check_configuration, name=entry.name)) for file in CONFIGURATIONS):
        raise AbsentFileError(
            f"{entry.key}: {shown(place)} has neither {' nor '.join(CONFIGURATIONS)}, so PaddleNLP's community has no "
            "model of that name; check the name, and the base URL where one is set"
        )
    for file in TOKENIZER:
        is_there(file, partial(check_part, name=entry.name))
    if not is_there(WEIGHTS, partial(check_folder_weights, name=entry.name, folder=folder)):
        raise AbsentFileError(
            f"{entry.key}: {shown(place)} has a configuration and no {WEIGHTS}; what the community holds in other "
            "files, PaddleNLP itself must load and save as one"
        )


@contextmanager
def _saying_what_is_kept(target: Path, url: str) -> Iterator[None]:
    """Let an interrupt say what it leaves of a download."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as error:
        error.args = (kept(target, url) or f"nothing is kept of {shown(url)}",)
        raise


def copy_to(fetched: Fetched, output: Path) -> Fetched:
    """Write copies of the fetched files into the new folder `output`, which is then a source as any other and stands
    in what is returned.

    Raises OutputError when something is there already, ChangedFileError when a copy is not what was recorded.
    """
    with new_folder(output, overwrite=False) as folder:
        for file in fetched.files:
            shutil.copyfile(file.path, folder / file.path.name)
            if sha256_of(folder / file.path.name) != file.sha256:
                raise ChangedFileError(f"{file.path}: changed while it was copied to {output}; fetch again")
    return replace(fetched, output=output)


def _is_complete(entry: Published, folder: Path) -> bool:
    """Whether all files of a name are in the cache: those that are known beforehand, and those that ever came."""
    known = entry.files if isinstance(entry, Pretrained) else (entry.weights_file,)
    return all(_is_there(folder / file) for file in (*known, *read_record(folder)))


def _is_there(path: Path) -> bool:
    return path.is_file() and path.name in read_record(path.parent)


def _fetched(path: Path, entry: dict[str, Any], downloaded: bool) -> FetchedFile:
    return FetchedFile(path, entry["url"], entry["sha256"], entry["size"], downloaded)


def _in_paddlenlp_cache(entry: Published, file: str, url: str) -> Path | None:
    """The published file in PaddleNLP's cache, which has its published name there, weights also PaddleNLP's general
    one."""
    folder = paddlenlp_cache() / entry.name
    published = urlsplit(url).path.rpartition("/")[2]
    names = (published, "model_state.pdparams") if file.endswith(".pdparams") else (published,)
    return next((folder / one for one in names if (folder / one).is_file()), None)


def _under_another_name(entry: Published, published: str) -> tuple[Path, dict[str, Any]] | None:
    """A file of the same address that was fetched for another name and is unchanged, and what is recorded of it."""
    for other in PRETRAINED.values():
        for name, url in other.files.items():
            path = fetched_place(other) / name
            if other.key != entry.key and url == published and _is_there(path):
                recorded = read_record(path.parent)[name]
                if sha256_of(path) == recorded["sha256"]:
                    return path, recorded
    return None


def _compare(target: Path, entry: dict[str, Any], earlier: dict[str, Any] | None) -> None:
    """The file must be the one of the first download, if there was one."""
    if earlier is not None and entry["sha256"] != earlier["sha256"]:
        raise ChangedFileError(
            f"{entry['url']}: has changed since {earlier['date']}: sha256 {earlier['sha256']} was recorded at the "
            f"first download, {entry['sha256']} came now; delete the folder {target.parent} to accept the new file"
        )


def _session() -> Session:
    try:
        import requests
    except ImportError as error:
        raise _missing(error) from error
    session = requests.Session()
    session.headers["User-Agent"] = f"paddle2torch/{__version__}"
    session.max_redirects = MOST_REDIRECTS
    return session


def _missing(error: ImportError) -> MissingDependencyError:
    return lacks_libraries("downloading", error, ", or put the files into the cache")
