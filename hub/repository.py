"""One model repository on the hub: what it holds, and how it takes files. huggingface_hub does the talking."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PublishError
from ..workers.console import printable
from .errors import ask, status_of
from .evidence import RecordedFile

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

_HUBS_OWN = frozenset({".gitattributes"})
"""Files that the hub itself puts into a new repository."""

_IN_MEMORY = 16 << 20
"""Files up to this size are read once, so that what is sent is what was hashed. The hub keeps files over 10 MB out of
git, by their sha256, and so checks them itself."""


Read = Callable[[str], bytes]
"""The content of a local file by its name."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on the hub: its size and its sha256, or git's sha1 where the hub keeps it in git."""

    name: str
    nbytes: int
    sha256: str | None
    git_sha1: str


@dataclass(frozen=True)
class Remote:
    """A repository at one commit."""

    commit: str
    private: bool
    files: Mapping[str, RemoteFile]

    @property
    def empty(self) -> bool:
        """Whether it holds nothing but what the hub put there."""
        return not self.files.keys() - _HUBS_OWN


@dataclass(frozen=True)
class Commit:
    """A commit that was made, with the pull request that holds it, if any."""

    commit: str
    url: str


class HubRepository:
    """The repository NAMESPACE/NAME. Every method raises PublishError for whatever the client raises."""

    def __init__(self, client: HfApi, repo_id: str, token: str | None) -> None:
        self._client = client
        self._token = token
        self.repo_id = repo_id

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{self._client.endpoint}/{self.repo_id}"

    def look(self) -> Remote | None:
        """What is there now; None when there is no such repository that the token can see."""
        return ask(f"looking at {self.repo_id}", self._token, self._look)

    def create(self, private: bool) -> None:
        """Make the repository, which must not exist."""
        # None leaves the choice to the settings of an organisation.
        wanted = private or None
        ask(
            f"creating {self.repo_id}",
            self._token,
            lambda: self._client.create_repo(self.repo_id, private=wanted),
        )

    def look_at_new(self) -> Remote:
        """What is in the repository that was just created."""
        remote = self.look()
        if remote is None:
            raise PublishError(f"{self.repo_id}: was created, but the hub does not show it; run the command again")
        return remote

    def remove_empty(self) -> None:
        """Delete the repository; raise PublishError if it holds anything by now."""
        if not self.look_at_new().empty:
            raise PublishError(f"{self.repo_id}: holds files by now")
        ask(f"removing {self.repo_id}", self._token, lambda: self._client.delete_repo(self.repo_id))

    def open_request(self, title: str, files: Sequence[RecordedFile], read: Read) -> str | None:
        """The address of an open pull request of this title that already holds exactly these files, which `read` gives
        by name."""
        doing = f"looking at the pull requests of {self.repo_id}"
        return ask(doing, self._token, lambda: self._open_request(title, files, read))

    def commit(
        self,
        folder: Path,
        files: Sequence[RecordedFile],
        removed: Iterable[str],
        title: str,
        parent: str,
        pull_request: bool,
    ) -> Commit:
        """Send all files of `folder` and remove others in one commit on top of `parent`, or as a pull request.

        What the hub holds afterwards is compared with what was to be sent.
        """
        from huggingface_hub import CommitOperationDelete

        with ExitStack() as opened:
            operations: list[CommitOperationAdd | CommitOperationDelete] = [*_additions(folder, files, opened)]
            operations += [CommitOperationDelete(path_in_repo=name) for name in removed]
            done = ask(
                f"publishing to {self.repo_id}",
                self._token,
                lambda: self._client.create_commit(
                    self.repo_id, operations, commit_message=title, parent_commit=parent, create_pr=pull_request
                ),
            )
        doing = f"reading back what was published as {done.oid} in {self.repo_id}"
        held = ask(doing, self._token, lambda: self._files(done.oid))
        different = changed(files, held, lambda name: (folder / name).read_bytes())
        if different:
            raise PublishError(
                f"{self.repo_id}: the hub's commit {done.oid} does not hold {different[0].name} as it was sent; "
                "is the name in the repository's .gitignore?"
            )
        return Commit(done.oid, done.pr_url or self.url)

    def _look(self) -> Remote | None:
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        try:
            info = self._client.model_info(self.repo_id)
        except RepositoryNotFoundError as error:
            # The class also stands for other refusals than "not found".
            if isinstance(error, GatedRepoError) or status_of(error) != 404:
                raise
            return None
        if info.id != self.repo_id:
            raise PublishError(f"{self.repo_id}: is now called {printable(info.id)} on the hub; give that as REPO_ID")
        if info.sha is None:
            raise PublishError(f"{self.repo_id}: the hub names no commit of it; try again later")
        return Remote(info.sha, bool(info.private), self._files(info.sha))

    def _open_request(self, title: str, files: Sequence[RecordedFile], read: Read) -> str | None:
        for request in self._client.get_repo_discussions(
            self.repo_id, discussion_type="pull_request", discussion_status="open"
        ):
            if request.title == title and not changed(files, self._files(f"refs/pr/{request.num}"), read):
                return request.url
        return None

    def _files(self, revision: str) -> dict[str, RemoteFile]:
        from huggingface_hub.hf_api import RepoFile

        return {
            entry.path: RemoteFile(
                entry.path, entry.size, entry.lfs.sha256 if entry.lfs is not None else None, entry.blob_id
            )
            for entry in self._client.list_repo_tree(self.repo_id, recursive=True, revision=revision)
            if isinstance(entry, RepoFile)
        }


def _additions(folder: Path, files: Iterable[RecordedFile], opened: ExitStack) -> Iterator[CommitOperationAdd]:
    """The files as they are to be sent, open until `opened` is left.

    Raises PublishError for one that is not as recorded. The client hashes an open file at once and sends it by HTTP, so
    that the hub refuses other bytes and the limits on waiting hold. What it is given as a path or bytes it sends by Xet
    where hf_xet is installed: that works past its sessions, and asks a server that fails for minutes without a word.
    """
    from huggingface_hub import CommitOperationAdd

    for file in files:
        path = folder / file.name
        source = io.BytesIO(path.read_bytes()) if file.nbytes <= _IN_MEMORY else opened.enter_context(path.open("rb"))
        add = CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=source)
        if add.upload_info.sha256.hex() != file.sha256:
            raise PublishError(f"{path}: changed while it was being published; verify the folder again")
        yield add


def changed(files: Iterable[RecordedFile], remote: Mapping[str, RemoteFile], read: Read) -> list[RecordedFile]:
    """Those of the local files, which `read` gives by name, that the hub lacks or holds with other bytes."""
    return [file for file in files if not _same(file, remote.get(file.name), read)]


def _same(file: RecordedFile, remote: RemoteFile | None, read: Read) -> bool:
    if remote is None or remote.nbytes != file.nbytes:
        return False
    if remote.sha256 is not None:
        return remote.sha256 == file.sha256
    # Git's name for a file: the sha1 of its length and bytes.
    digest = hashlib.sha1(f"blob {file.nbytes}\0".encode(), usedforsecurity=False)
    digest.update(read(file.name))
    return digest.hexdigest() == remote.git_sha1
