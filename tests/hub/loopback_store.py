"""What the loopback hub keeps and answers with: files, repositories, requests, refusals and faults."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ATTRIBUTES = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


@dataclass(frozen=True)
class StoredFile:
    """A file of a commit; `large` ones are kept outside of git."""

    content: bytes
    large: bool

    @property
    def git_sha1(self) -> str:
        content = self.content
        if self.large:
            digest = hashlib.sha256(content).hexdigest()
            content = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": "file",
            "path": path,
            "size": len(self.content),
            "oid": self.git_sha1,
        }
        if self.large:
            digest = hashlib.sha256(self.content).hexdigest()
            document["lfs"] = {"oid": digest, "size": len(self.content), "pointerSize": 130}
        return document


@dataclass
class Repository:
    """Commits by their name; `refs` leads from branches and pull requests to them."""

    private: bool
    commits: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def add(self, ref: str, files: dict[str, StoredFile]) -> str:
        name = hashlib.sha1(f"{ref} {len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[name] = files
        self.refs[ref] = name
        return name

    def at(self, revision: str) -> dict[str, StoredFile] | None:
        return self.commits.get(self.refs.get(revision, revision))


@dataclass
class Fault:
    """What happens to a request instead of, or with `after`, as well as what it asks for.

    A status answers with it; none drops the connection, after `read` bytes of the request's body or `stall` seconds.
    `action` is called first, for what others do meanwhile; with nothing else wanted the request then goes its way.
    """

    method: str
    path: re.Pattern[str]
    status: int | None
    times: int
    message: str
    after: bool
    read: int
    stall: float
    action: Callable[[], object] | None
    code: str | None


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Refused(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
