"""A hub on loopback: the endpoints that huggingface_hub calls, with memory for storage and faults on demand.

It keeps what a real hub keeps (repositories, commits, pull requests, large files by their sha256), refuses what a real
one refuses (no token, a stale parent commit, a large file with another hash), and records every request.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from .loopback_store import ATTRIBUTES, Fault, Refused, Repository, Seen, StoredFile

TOKEN = "hf_loopbackTokenThatNobodyMaySee"

FIRST_LINES = re.compile(r"^(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\n|$))")

LARGE = (".safetensors", ".pdparams", ".bin")
"""How the names end of files that a repository keeps out of git."""

LICENSES = {"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "other", "unknown"}


class LoopbackHub:
    """The hub; use it as a context manager. `namespaces` are those the token may write to. The files of `gated`
    repositories nobody gets, and of the next file that is larger only `cut` bytes arrive."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.namespaces = {"me", "my-org"}
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.warnings: list[str] = []
        self.renamed: dict[str, str] = {}
        self.gated: set[str] = set()
        self.cut: int | None = None
        self.stopped = threading.Event()
        self.lock = threading.RLock()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> LoopbackHub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(
        self,
        method: str,
        path: str,
        status: int | None = None,
        *,
        times: int = 1,
        message: str = "on purpose",
        after: bool = False,
        read: int = 0,
        stall: float = 0,
        action: Callable[[], object] | None = None,
        code: str | None = None,
    ) -> None:
        """Let the next `times` requests that fit go wrong; in `message`, {token} is the header that was sent."""
        self.faults.append(Fault(method, re.compile(path), status, times, message, after, read, stall, action, code))

    def put(self, repo_id: str, files: dict[str, bytes], private: bool = False) -> Repository:
        """A repository that is there already."""
        repository = self.repositories[repo_id] = Repository(private)
        stored = {".gitattributes": StoredFile(ATTRIBUTES, False)}
        stored |= {name: StoredFile(content, name.endswith(LARGE)) for name, content in files.items()}
        repository.add("main", stored)
        return repository

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a revision but the hub's own."""
        files = self.repositories[repo_id].at(revision) or {}
        return {name: file.content for name, file in files.items() if name != ".gitattributes"}

    def state(self) -> dict[str, Any]:
        """All that others can see, to compare before and after."""
        return {
            repo_id: (repository.private, dict(repository.refs), [request["num"] for request in repository.requests])
            for repo_id, repository in self.repositories.items()
        }

    def asked(self, method: str, path: str) -> list[Seen]:
        """The requests that fit."""
        return [one for one in self.seen if one.method == method and re.search(path, one.path)]

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and fault.path.search(path):
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _handle(self) -> None:
        split = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        fault = self.hub.take_fault(self.command, self.path)
        if fault is not None and fault.action is not None:
            fault.action()
            fault = None
        if fault is not None and fault.status is None and not fault.after:
            self.rfile.read(min(fault.read, length))
            self.hub.stopped.wait(fault.stall)
            self._drop()
            return
        body = self.rfile.read(length)
        self.hub.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        try:
            if fault is not None and not fault.after:
                sent = self.headers.get("Authorization", "")
                raise Refused(fault.status or 500, fault.message.replace("{token}", sent), fault.code)
            with self.hub.lock:
                answer = self._route(
                    split.path, {name: values[0] for name, values in parse_qs(split.query).items()}, body
                )
        except Refused as refused:
            self._refuse(refused)
            return
        if fault is not None:
            self._drop()
        elif isinstance(answer, StoredFile):
            self._send_file(answer)
        else:
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _refuse(self, refused: Refused) -> None:
        headers = {"X-Error-Message": refused.message, "Content-Type": "application/json"}
        if refused.status == 307:
            headers = {"Location": refused.message}
        if refused.code is not None:
            headers["X-Error-Code"] = refused.code
        document: dict[str, Any] = {"error": refused.message}
        if refused.code == "yaml":
            del headers["X-Error-Code"], headers["X-Error-Message"]
            document = {"errors": [{"message": refused.message}], "warnings": []}
        self._send(refused.status, json.dumps(document).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut is None or len(body) <= self.hub.cut or "ETag" not in headers:
            self.wfile.write(body)
            return
        self.wfile.write(body[: self.hub.cut])
        self.hub.cut = None
        self._drop()

    def _send_file(self, file: StoredFile) -> None:
        digest = hashlib.sha256(file.content).hexdigest() if file.large else file.git_sha1
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": self._commit, "Content-Type": "application/octet-stream"}
        first = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if first is None:
            self._send(200, file.content, headers)
            return
        start, size = int(first[1]), len(file.content)
        self._send(206, file.content[start:], {**headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"})

    def _route(self, path: str, query: dict[str, str], body: bytes) -> Any:
        for method, pattern, action in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match is not None and self.command in method.split("|"):
                return getattr(self, action)(query, body, *(unquote(part) for part in match.groups()))
        raise Refused(404, f"the loopback hub has no {self.command} {path}")

    # What follows are the endpoints: query, body, and the parts of the path.

    def _validate(self, query: dict[str, str], body: bytes) -> Any:
        content = json.loads(body)["content"]
        match = FIRST_LINES.search(content)
        try:
            data = yaml.safe_load(match[2]) if match else None
        except yaml.YAMLError as error:
            raise Refused(400, f"invalid YAML: {error}", "yaml") from error
        if not isinstance(data, dict):
            raise Refused(400, "the metadata are no dictionary", "yaml")
        if "license" in data and data["license"] not in LICENSES:
            raise Refused(400, f'"license" must be one of {sorted(LICENSES)}', "yaml")
        if not all(isinstance(tag, str) for tag in data.get("tags", [])):
            raise Refused(400, '"tags" must be texts', "yaml")
        if "language" in data and not re.fullmatch("[a-z]{2,3}", data["language"]):
            raise Refused(400, '"language" must be an ISO 639 code', "yaml")
        if "base_model" in data and not re.fullmatch(r"[\w.-]+/[\w.-]+", data["base_model"]):
            raise Refused(400, '"base_model" is not the name of a model', "yaml")
        return {"errors": [], "warnings": [{"message": text} for text in self.hub.warnings]}

    def _create(self, query: dict[str, str], body: bytes) -> Any:
        document = json.loads(body)
        repo_id = f"{document['organization']}/{document['name']}"
        self._may_write(document["organization"])
        if repo_id in self.hub.repositories:
            raise Refused(409, "You already created this model repo")
        self.hub.put(repo_id, {}, document.get("private") or document.get("visibility") == "private")
        return {"url": f"{self.hub.endpoint}/{repo_id}", "name": repo_id, "id": repo_id}

    def _delete(self, query: dict[str, str], body: bytes) -> Any:
        document = json.loads(body)
        self._may_write(document["organization"])
        self._repository(document["organization"], document["name"])
        del self.hub.repositories[f"{document['organization']}/{document['name']}"]
        return {}

    def _info(self, query: dict[str, str], body: bytes, owner: str, name: str, revision: str = "main") -> Any:
        repository = self._repository(owner, name)
        files = self._files(repository, revision)
        commit = repository.refs.get(revision, revision)
        siblings = [{"rfilename": path} for path in files]
        return {
            "_id": "0",
            "id": self.hub.renamed.get(f"{owner}/{name}", f"{owner}/{name}"),
            "modelId": f"{owner}/{name}",
            "sha": commit,
            "private": repository.private,
            "siblings": siblings,
            "tags": [],
        }

    def _tree(self, query: dict[str, str], body: bytes, owner: str, name: str, revision: str) -> Any:
        files = self._files(self._repository(owner, name), revision)
        return [file.entry(path) for path, file in sorted(files.items())]

    def _folder(self, query: dict[str, str], body: bytes, owner: str, name: str, revision: str, folder: str) -> Any:
        inside = [entry for entry in self._tree(query, body, owner, name, revision) if entry["path"].startswith(folder)]
        if not inside:
            raise Refused(404, f"{folder} does not exist", "EntryNotFound")
        return inside

    def _preupload(self, query: dict[str, str], body: bytes, owner: str, name: str, revision: str) -> Any:
        repository = self._repository(owner, name)
        self._may_write(owner, pull_request=query.get("create_pr") == "1")
        files = self._files(repository, revision)
        ignored = files[".gitignore"].content.decode().split() if ".gitignore" in files else []
        answers = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            base64.b64decode(file["sample"], validate=True)
            answer = {
                "path": path,
                "uploadMode": "lfs" if path.endswith(".safetensors") or file["size"] > 10 << 20 else "regular",
                "shouldIgnore": any(fnmatch.fnmatch(path, pattern) for pattern in ignored),
            }
            if path in files:
                stored = files[path]
                answer["oid"] = hashlib.sha256(stored.content).hexdigest() if stored.large else stored.git_sha1
            answers.append(answer)
        return {"files": answers}

    def _batch(self, query: dict[str, str], body: bytes, owner: str, name: str) -> Any:
        self._repository(owner, name)
        self._may_write(owner, pull_request=True)
        document = json.loads(body)
        assert document["operation"] == "upload"
        assert "basic" in document["transfers"]
        objects = []
        for one in document["objects"]:
            answer = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.objects:
                address = f"{self.hub.endpoint}/storage/{one['oid']}"
                answer["actions"] = {
                    "upload": {"href": f"{address}?size={one['size']}&signature=SIGNATURE-OF-THE-LOOPBACK-HUB"},
                    "verify": {"href": f"{address}/verify"},
                }
            objects.append(answer)
        return {"transfer": "basic", "objects": objects}

    def _store(self, query: dict[str, str], body: bytes, digest: str) -> Any:
        if "Authorization" in self.headers:
            # As storage that is no part of a hub does, for the token is none of its business.
            raise Refused(400, "only one way to sign a request is allowed")
        if query["signature"] != "SIGNATURE-OF-THE-LOOPBACK-HUB":
            raise Refused(403, "the signature does not match")
        if len(body) != int(query["size"]) or hashlib.sha256(body).hexdigest() != digest:
            raise Refused(400, "the bytes are not those that were announced")
        self.hub.objects[digest] = body
        return {}

    def _verify(self, query: dict[str, str], body: bytes, digest: str) -> Any:
        self._authorise()
        document = json.loads(body)
        if document["oid"] != digest or len(self.hub.objects.get(digest, b"")) != document["size"]:
            raise Refused(422, "the object is not there")
        return {}

    def _commit_files(self, query: dict[str, str], body: bytes, owner: str, name: str, revision: str) -> Any:
        repository = self._repository(owner, name)
        pull_request = query.get("create_pr") == "1"
        self._may_write(owner, pull_request=pull_request)
        items = [json.loads(line) for line in body.splitlines()]
        header = items.pop(0)
        assert header["key"] == "header"
        parent = header["value"].get("parentCommit", repository.refs["main"])
        if revision != "main" or (parent != repository.refs["main"] and not pull_request):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repository.commits[parent])
        for item in items:
            value = item["value"]
            path = value["path"]
            if item["key"] == "file":
                assert value["encoding"] == "base64"
                files[path] = StoredFile(base64.b64decode(value["content"], validate=True), False)
            elif item["key"] == "lfsFile":
                content = self.hub.objects.get(value["oid"])
                if content is None or len(content) != value["size"]:
                    raise Refused(400, f"the large file {path} was not uploaded")
                files[path] = StoredFile(content, True)
            elif item["key"] == "deletedFile":
                if path not in files:
                    raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
                del files[path]
            else:
                raise Refused(400, f"unknown operation {item['key']}")
        if not pull_request:
            commit = repository.add("main", files)
            return {
                "success": True,
                "commitOid": commit,
                "commitUrl": f"{self.hub.endpoint}/{owner}/{name}/commit/{commit}",
            }
        number = len(repository.requests) + 1
        commit = repository.add(f"refs/pr/{number}", files)
        title = header["value"]["summary"]
        repository.requests.append({"num": number, "title": title, "status": "open"})
        return {
            "success": True,
            "commitOid": commit,
            "commitUrl": f"{self.hub.endpoint}/{owner}/{name}/commit/{commit}",
            "pullRequestUrl": f"{self.hub.endpoint}/{owner}/{name}/discussions/{number}",
        }

    def _discussions(self, query: dict[str, str], body: bytes, owner: str, name: str) -> Any:
        repository = self._repository(owner, name)
        found = [
            {
                **request,
                "isPullRequest": True,
                "author": {"name": "me"},
                "createdAt": "2026-01-01T00:00:00.000Z",
                "repo": {"name": f"{owner}/{name}", "type": "model"},
            }
            for request in repository.requests
            if query.get("type") == "pull_request" and request["status"] == query.get("status")
        ]
        return {"discussions": found, "count": len(found), "start": 0}

    def _resolve(self, query: dict[str, str], body: bytes, owner: str, name: str, revision: str, path: str) -> Any:
        repository = self._repository(owner, name)
        files = self._files(repository, revision)
        if path not in files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        if f"{owner}/{name}" in self.hub.gated:
            raise Refused(403, "Access to this model is restricted", "GatedRepo")
        self._commit = repository.refs.get(revision, revision)
        return files[path]

    def _authorise(self) -> bool:
        """Whether the request carries the token; refuses a wrong one."""
        sent = self.headers.get("Authorization")
        if sent is not None and sent != f"Bearer {TOKEN}":
            raise Refused(401, "Invalid credentials in Authorization header")
        return sent is not None

    def _may_write(self, owner: str, pull_request: bool = False) -> None:
        if not self._authorise():
            raise Refused(401, "Invalid username or password.")
        if owner not in self.hub.namespaces and not pull_request:
            raise Refused(403, f"You don't have the rights to write to the namespace {owner}")

    def _repository(self, owner: str, name: str) -> Repository:
        known = self._authorise()
        repository = self.hub.repositories.get(f"{owner}/{name}")
        if repository is None and (now := self.hub.renamed.get(f"{owner}/{name}")) is not None:
            raise Refused(307, self.path.replace(f"{owner}/{name}", now))
        if repository is None or (repository.private and not known):
            raise Refused(404, "Repository not found", "RepoNotFound")
        return repository

    def _files(self, repository: Repository, revision: str) -> dict[str, StoredFile]:
        files = repository.at(revision)
        if files is None:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return files


_MODEL = "/api/models/([^/]+)/([^/]+)"

_ROUTES = (
    ("POST", "/api/validate-yaml", "_validate"),
    ("POST", "/api/repos/create", "_create"),
    ("DELETE", "/api/repos/delete", "_delete"),
    ("GET", _MODEL, "_info"),
    ("GET", f"{_MODEL}/revision/([^/]+)", "_info"),
    ("GET", f"{_MODEL}/tree/([^/]+)", "_tree"),
    ("GET", f"{_MODEL}/tree/([^/]+)/(.+)", "_folder"),
    ("POST", f"{_MODEL}/preupload/([^/]+)", "_preupload"),
    ("POST", f"{_MODEL}/commit/([^/]+)", "_commit_files"),
    ("GET", f"{_MODEL}/discussions", "_discussions"),
    ("POST", r"/([^/]+)/([^/]+)\.git/info/lfs/objects/batch", "_batch"),
    ("PUT", "/storage/([0-9a-f]{64})", "_store"),
    ("POST", "/storage/([0-9a-f]{64})/verify", "_verify"),
    ("GET|HEAD", "/([^/]+)/([^/]+)/resolve/([^/]+)/(.+)", "_resolve"),
)
"""Method, path and the function that answers."""
