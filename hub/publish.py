"""Publishing a converted folder: proof, model card, comparison with the hub, one commit."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..converters.outputs.card import MODEL_CARD
from ..errors import MissingDependencyError, PublishError
from ..workers.console import Table, printable
from .client import find_token, hub_client
from .errors import lacks_libraries
from .evidence import RecordedFile
from .model_card import NOTHING_ADDED, Additions, check_own_card, make_card, write_card
from .proof import Proof, examine
from .repository import HubRepository, Remote, changed

_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
"""Weights of transformers; others of these names beside the published ones might be loaded in their place."""

_ACTIONS = {
    "created": "published in a new repository",
    "committed": "published",
    "pull_request": "opened a pull request",
    "unchanged": "unchanged, nothing sent",
}
_INTENTIONS = {
    "created": "would create",
    "committed": "would fill the empty repository",
    "pull_request": "would open a pull request to",
    "unchanged": "nothing to send, the same files are in",
    None: "would create, or open a pull request to,",
}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Publication:
    """What was published, or would be. `action` is "created" (a new repository), "committed" (to an empty one),
    "pull_request", "unchanged" or "dry_run"; `intended` is what a dry run would have done, None where the hub could
    not be asked. `verified` says that everything was proven. `changed` and `removed` are names of files on the hub.
    `card` is the text of the model card, empty where a dry run could not make it."""

    repo_id: str
    url: str
    action: str
    intended: str | None
    verified: bool
    files: tuple[RecordedFile, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    card: str = ""

    def to_json(self) -> dict[str, Any]:
        """The publication as plain JSON values."""
        return {
            "repo_id": self.repo_id,
            "url": self.url,
            "action": self.action,
            "intended": self.intended,
            "verified": self.verified,
            "files": [
                {
                    "name": file.name,
                    "bytes": file.nbytes,
                    "sha256": file.sha256,
                    "changed": file.name in self.changed,
                }
                for file in self.files
            ],
            "removed": list(self.removed),
            "card": self.card,
        }

    def table(self) -> Table:
        """One row per file: name, bytes, sha256, and what becomes of it on the hub."""
        dry = self.action == "dry_run"
        sent, gone = ("would be sent", "would be removed") if dry else ("sent", "removed")
        rows = [
            [file.name, f"{file.nbytes:,}", file.sha256, sent if file.name in self.changed else "there already"]
            for file in self.files
        ]
        rows += [[name, "-", "-", gone] for name in self.removed]
        return Table(("file", "bytes", "sha256", "on the hub"), rows, right=(1,))

    def lines(self) -> list[str]:
        """What was done, or would be, in a line; of a dry run, which writes no card, also the card."""
        if self.action != "dry_run" or not self.card:
            return [self._headline()]
        return [self._headline(), "", f"{MODEL_CARD} would be:", "", *map(printable, self.card.splitlines())]

    def _headline(self) -> str:
        proof = "verified" if self.verified else "NOT verified"
        if self.action == "dry_run":
            return f"dry run ({proof} weights): {_INTENTIONS[self.intended]} {self.url}"
        return f"{_ACTIONS[self.action]} ({proof} weights): {self.url}"


def publish_folder(
    converted: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    dry_run: bool = False,
    allow_unverified: bool = False,
    added: Additions = NOTHING_ADDED,
    quiet: bool = False,
    tell: Tell | None = None,
) -> Publication:
    """Publish a converted folder as the model repository `repo_id` (NAMESPACE/NAME) in one commit.

    A new repository (`private` if wanted) or an empty one takes the commit directly, one with other content gets a pull
    request, one that holds the same files is left alone. Writes the model card into the folder. Weights on the hub
    that the published ones do not replace by name are removed by the same commit. `dry_run` writes nothing, neither to
    the hub nor into the folder, and needs the libraries of the extra `hub` for the card alone. `added` is what the
    publisher adds to the card. `tell` is called with notes for people, `quiet` shows no progress bars.

    Raises ParityError when the certificate records a failed check, PublishError for anything else that speaks against
    publishing and for whatever goes wrong with the hub: then the hub is as it was before.
    """
    converted, tell = Path(converted), tell or (lambda text: None)
    try:
        check_repo_id(repo_id)
    except MissingDependencyError as error:
        if not dry_run:
            raise
        return _rehearse_alone(examine(converted, allow_unverified), repo_id, error, tell)
    proof = examine(converted, allow_unverified)
    check_own_card(converted)
    card = make_card(proof, repo_id, added)
    token = find_token()
    if token is None and not dry_run:
        raise PublishError("no token: log in with `hf auth login`, or set HF_TOKEN to one that may write")
    if not dry_run:
        write_card(converted, card)
    files = tuple(sorted((*proof.files, _recorded(card)), key=lambda file: file.name))
    with hub_client(token, tell, quiet) as client:
        repository = HubRepository(client, repo_id, token)
        job = _Job(repository, converted, files, card, _title(proof), private, not proof.doubts)
        return job.rehearse(tell) if dry_run else job.run(tell)


def check_repo_id(repo_id: str) -> None:
    """Raise PublishError unless this can be the name of a repository: NAMESPACE/NAME."""
    if repo_id.count("/") != 1:
        raise PublishError(f"{repo_id!r} names no owner; REPO_ID is NAMESPACE/NAME, such as your-name/albert-base-v2")
    try:
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id
    except ImportError as error:
        raise lacks_libraries("publish", error) from error
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise PublishError(f"{repo_id!r} cannot be the name of a repository: {error}") from error


def _recorded(card: str) -> RecordedFile:
    content = card.encode()
    return RecordedFile(MODEL_CARD, hashlib.sha256(content).hexdigest(), len(content))


def _rehearse_alone(proof: Proof, repo_id: str, lacking: MissingDependencyError, tell: Tell) -> Publication:
    """What a dry run says where the hub's client, which also writes the card's front matter, is not installed."""
    tell(f"the model card is not made, and what the hub holds is not known: {lacking}")
    names = tuple(file.name for file in proof.files)
    url = f"{os.environ.get('HF_ENDPOINT') or 'https://huggingface.co'}/{repo_id}"
    return Publication(repo_id, url, "dry_run", None, not proof.doubts, proof.files, names, ())


@dataclass(frozen=True)
class _Job:
    """A publication under way."""

    repository: HubRepository
    folder: Path
    files: tuple[RecordedFile, ...]
    card: str
    title: str
    private: bool
    verified: bool

    def rehearse(self, tell: Tell) -> Publication:
        """What `run` would do, by reading alone."""
        try:
            planned = self._plan(self.repository.look())
        except PublishError as error:
            tell(f"what the hub holds is not known: {error}")
            planned = self._publication("dry_run")
        return replace(planned, action="dry_run", intended=planned.action if planned.action != "dry_run" else None)

    def run(self, tell: Tell) -> Publication:
        """Publish, or leave the hub as it was."""
        remote = self.repository.look()
        planned = self._plan(remote)
        if planned.action == "unchanged":
            return planned
        if planned.action == "pull_request" and (
            url := self.repository.open_request(self.title, self.files, self._read)
        ):
            tell("an open pull request holds these files already")
            return replace(planned, action="unchanged", url=url, changed=(), removed=())
        if remote is not None:
            return self._commit(planned, remote)
        self.repository.create(self.private)
        try:
            return self._commit(planned, self.repository.look_at_new())
        except BaseException:
            self._withdraw(tell)
            raise

    def _plan(self, remote: Remote | None) -> Publication:
        if remote is None:
            return self._publication("created")
        if self.private and not remote.private:
            raise PublishError(
                f"{self.repository.repo_id}: exists and is public; --private holds for new repositories only"
            )
        different = tuple(file.name for file in changed(self.files, remote.files, self._read))
        ours = {file.name for file in self.files}
        removed = tuple(sorted(name for name in remote.files if name not in ours and _WEIGHTS.fullmatch(name)))
        if not different and not removed:
            return self._publication("unchanged", ())
        return self._publication("committed" if remote.empty else "pull_request", different, removed)

    def _publication(
        self, action: str, different: tuple[str, ...] | None = None, removed: tuple[str, ...] = ()
    ) -> Publication:
        if different is None:
            different = tuple(file.name for file in self.files)
        url, repo_id = self.repository.url, self.repository.repo_id
        return Publication(repo_id, url, action, None, self.verified, self.files, different, removed, self.card)

    def _read(self, name: str) -> bytes:
        """A file that is to be sent; the card of a dry run lies nowhere."""
        return self.card.encode() if name == MODEL_CARD else (self.folder / name).read_bytes()

    def _commit(self, planned: Publication, remote: Remote) -> Publication:
        done = self.repository.commit(
            self.folder,
            self.files,
            planned.removed,
            self.title,
            remote.commit,
            pull_request=planned.action == "pull_request",
        )
        return replace(planned, url=done.url)

    def _withdraw(self, tell: Tell) -> None:
        """Remove the repository that was made for nothing; say so where that is not possible."""
        try:
            self.repository.remove_empty()
        except PublishError as error:
            tell(
                f"{self.repository.url} was created and is still there, which the next run takes into account: {error}"
            )


def _title(proof: Proof) -> str:
    """The title of the commit and of a pull request."""
    state = "" if not proof.doubts else ", not verified"
    return f"{proof.model.target_architecture} converted from {proof.kind.library} by paddle2torch{state}"
