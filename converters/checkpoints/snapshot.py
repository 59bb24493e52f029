"""Repositories of the Hugging Face Hub as sources: their names, and the folders of the Hub's cache that hold a commit.

The cache is huggingface_hub's: models--OWNER--NAME/snapshots/COMMIT holds the files of a commit as links to
models--OWNER--NAME/blobs. What lies there is a folder as any other, and its path says where it is from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import UnknownNameError

MARK = "hf:"

FORM = f"{MARK}OWNER/NAME, perhaps with @REVISION and then /SUBFOLDER"

_NAME = re.compile(
    # Of names of branches with a slash only those of the hub's own requests are told from a subfolder.
    rf"{MARK}(?P<repo_id>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>refs/(pr|convert)/[^/@\s]+|[^/@\s]+))?(/(?P<inner>.+?))?/?",
    re.ASCII,
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """A repository, a revision of it (branch, tag, pull request or commit) where one is named, and a folder or file in
    it, "" for the whole."""

    repo_id: str
    revision: str | None = None
    inner: str = ""

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision is not None else ""
        return f"{MARK}{self.repo_id}{revision}{f'/{self.inner}' if self.inner else ''}"

    @property
    def output(self) -> str:
        """The name of an output for it: without the revision."""
        return f"{self.repo_id}/{self.inner}" if self.inner else self.repo_id


def is_hub_name(source: str | Path) -> bool:
    """Whether a source names a repository of the Hub, unless there is a file or folder of that name."""
    return str(source).startswith(MARK)


def parse_hub_name(source: str | Path) -> HubName:
    """Take apart hf:OWNER/NAME[@REVISION][/SUBFOLDER]. Raises UnknownNameError for a name of another form."""
    match = _NAME.fullmatch(str(source))
    inner = match["inner"] or "" if match is not None else ""
    odd = bool(inner) and any(part in ("", ".", "..") for part in inner.split("/"))
    if match is None or odd or not str(source).isprintable():
        raise UnknownNameError(f"{source}: is not the name of a repository on the Hub; expected is {FORM}")
    return HubName(match["repo_id"], match["revision"], inner)


def origin_of(path: str | Path) -> HubName | None:
    """What a file or folder in the Hub's cache is, its revision the commit; None for any other path."""
    place = Path(path)
    for parent in (place, *place.parents):
        owner, _, name = parent.parent.parent.name.removeprefix("models--").partition("--")
        if _COMMIT.fullmatch(parent.name) and parent.parent.name == "snapshots" and name:
            inner = place.relative_to(parent).as_posix()
            return HubName(f"{owner}/{name}", parent.name, "" if inner == "." else inner)
    return None


def name_of_place(path: str | Path) -> str:
    """A path as reports name it: one in the Hub's cache as hf:OWNER/NAME@COMMIT, which is a source too."""
    origin = origin_of(path)
    return str(path if origin is None else origin)


def places_of_files(folder: Path) -> tuple[Path, ...]:
    """Where the files in `folder` may lie: there and, if it is models--OWNER--NAME/snapshots/REVISION of the Hub's
    cache or a folder in that, in the cache's blobs of the same model. All links are followed."""
    real = folder.resolve()
    models = (parent.parent for parent in real.parents if parent.name == "snapshots")
    return (real, *(model / "blobs" for model in models if model.name.startswith("models--")))


def is_strange_link(path: Path) -> bool:
    """Whether `path` is a link, other than one with which the Hub's cache puts a file into a folder of its own."""
    return path.is_symlink() and path.resolve().parent not in places_of_files(path.parent)[1:]
