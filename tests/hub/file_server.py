"""A file server on loopback that misbehaves on demand, and a proxy that counts."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Seen:
    """A request: path, and the headers that ask for a part."""

    path: str
    range: str | None
    if_range: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """How one request is answered otherwise than it should be. `after` counts bytes of the body; then the connection
    is closed, silent for `stall` seconds, or brings the rest byte by byte, one in `drip` seconds; without `after` it is
    a header that drips so. `lie` is added to Content-Length. `part` replaces the Content-Range of a
    206 and `body` what is sent."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    after: int | None = None
    stall: float = 0.0
    drip: float = 0.0
    lie: int = 0
    ignore_range: bool = False
    part: str | None = None
    no_length: bool = False
    before: Callable[[], None] | None = None
    hang_up: bool = False


class FileServer:
    """Serves `files` by path with entity tags and ranges. `faults` are used up one per request, `always` is for every
    request after them. `pause` is waited before each 64 KiB."""

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        """With a certificate and its key, over TLS."""
        self.files: dict[str, bytes] = {}
        self.etag: Callable[[bytes], str | None] = lambda content: f'"{hashlib.md5(content).hexdigest()}"'
        self.modified: str | None = None
        self.faults: list[Fault] = []
        self.always: Fault | None = None
        self.pause = 0.0
        self.seen: list[Seen] = []
        self.sent = 0
        self._scheme = "http" if certificate is None else "https"
        self._server = _serve(type("Handler", (_FileHandler,), {"owner": self}))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def asked(self, ending: str) -> list[Seen]:
        """The requests for a path that ends so."""
        return [seen for seen in self.seen if seen.path.endswith(ending)]

    def __enter__(self) -> FileServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _FileHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FileServer

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        owner = self.owner
        owner.seen.append(
            Seen(self.path, self.headers.get("Range"), self.headers.get("If-Range"), dict(self.headers.items()))
        )
        self.close_connection = True
        fault = (owner.faults.pop(0) if owner.faults else owner.always) or Fault()
        if fault.before is not None:
            fault.before()
        if fault.hang_up:
            return
        if fault.drip and fault.after is None:
            self._drip(b"HTTP/1.1 200 OK\r\nX-Long: " + bytes(1000).replace(b"\0", b"x"), fault.drip)
            return
        if fault.status is not None and fault.status != 206:
            self._answer(fault.status, dict(fault.headers), fault.body or b"", fault)
            return
        content = owner.files.get(self.path)
        if content is None:
            self._answer(404, {}, b"<html>no such file</html>", fault)
            return
        etag = owner.etag(content)
        headers = {"Accept-Ranges": "bytes", **dict(fault.headers)}
        headers |= {"ETag": etag} if etag else {}
        headers |= {"Last-Modified": owner.modified} if owner.modified else {}
        first = self._first_byte(etag, fault)
        if first is not None and first >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"", fault)
        elif first is not None:
            headers["Content-Range"] = fault.part or f"bytes {first}-{len(content) - 1}/{len(content)}"
            self._answer(206, headers, content[first:], fault)
        else:
            self._answer(200, headers, content if fault.body is None else fault.body, fault)

    def _first_byte(self, etag: str | None, fault: Fault) -> int | None:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if match is None or fault.ignore_range or condition not in (None, etag, self.owner.modified):
            return None
        return int(match[1])

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not fault.no_length:
            self.send_header("Content-Length", str(len(body) + fault.lie))
        self.send_header("Connection", "close")
        self.end_headers()
        kept = body if fault.after is None else body[: fault.after]
        try:
            for start in range(0, len(kept), 1 << 16):
                time.sleep(self.owner.pause)
                self.wfile.write(kept[start : start + (1 << 16)])
                self.owner.sent += len(kept[start : start + (1 << 16)])
            self.wfile.flush()
            if fault.stall:
                time.sleep(fault.stall)
            if fault.drip:
                self._drip(body[len(kept) :], fault.drip)
        except OSError:
            pass  # the client went away, which is its right

    def _drip(self, content: bytes, seconds: float) -> None:
        with contextlib.suppress(OSError):  # the client went away
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(seconds)


class LoopbackProxy:
    """A proxy for plain HTTP that leads every request to one server, whatever host it names."""

    def __init__(self, target: FileServer) -> None:
        self.target = target
        self.asked: list[str] = []
        self._server = _serve(type("Handler", (_ProxyHandler,), {"owner": self}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LoopbackProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _ProxyHandler(BaseHTTPRequestHandler):
    owner: LoopbackProxy

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.owner.asked.append(self.path)
        connection = http.client.HTTPConnection("127.0.0.1", self.owner.target.port, timeout=10)
        connection.request("GET", urlsplit(self.path).path)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name in ("Content-Length", "ETag"):
            if value := answer.headers.get(name):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        connection.close()


def _serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def unused_port() -> int:
    """A port of loopback at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that nobody signed, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    made = subprocess.run(command, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    return certificate, key
