"""One file over HTTP: resumed after a broken connection, tried again with back-off, within bounds."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from ..errors import AbsentFileError, FetchError, UnreachableError
from .timed import OverdueError, TimedCalls

if TYPE_CHECKING:
    from requests import Response, Session

BLOCK = 1 << 16
"""Bytes read at a time."""

LARGEST = 64 << 30
"""Bytes that no checkpoint of a pretrained name has; a server that sends more is stopped."""

Progress = Callable[[str, int, int], None]
"""Called with the file's name, bytes done and bytes in all (0 while unknown)."""

_ADVICE = {
    401: "it wants credentials; check the base URL",
    403: "it refuses; check the base URL, and whether a proxy or a firewall stands in between",
    404: "it has no such file; check the base URL",
    407: "the proxy wants credentials; put them into HTTPS_PROXY",
    410: "the file is gone; check the base URL",
}


@dataclass(frozen=True)
class Patience:
    """How long and how often is tried. `attempts` is of requests per file, and no more than `connections` of them may
    end without a connection. `backoff_seconds` doubles with each failed one up to `longest_wait`, which is also the
    longest that a server may ask for with Retry-After. A server that is silent for `read_seconds` has stalled, which
    another attempt may mend; one that takes longer than `slow_seconds` for its answer or for BLOCK bytes of the file,
    however steadily they drip, is too slow."""

    attempts: int = 6
    connections: int = 3
    backoff_seconds: float = 1.0
    longest_wait: float = 60.0
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    slow_seconds: float = 60.0


@dataclass(frozen=True)
class Downloaded:
    """A complete file that is not in place yet: `etag` is the server's, where it names one."""

    partial: Path
    etag: str | None


@dataclass(frozen=True)
class _Begun:
    """What is known of a partial file: address, the server's validator, size in all."""

    url: str
    validator: str | None = None
    etag: str | None = None
    size: int | None = None


class _Interrupted(Exception):
    """An attempt that failed in a way that another may mend; `wait` is what the server asked for."""

    def __init__(self, reason: str, wait: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.unreachable = unreachable


def download(
    session: Session,
    url: str,
    target: Path,
    *,
    patience: Patience,
    progress: Progress,
    tell: Callable[[str], None],
) -> Downloaded:
    """Bring `url` to `TARGET.partial` beside `target`, continuing what an earlier attempt left there.

    A part is continued only when the server's entity tag or date says that it is of the same file. The file has as
    many bytes as the server announced. Raises FetchError, also where the disk has no room for them or the server is too
    slow, and UnreachableError when no connection could be made at all. An interrupt leaves the partial file and what
    is known of it, nothing else.
    """
    part, notes = partial_files(target)

    def report(done: int, size: int) -> None:
        progress(target.name, done, size)

    failures: list[_Interrupted] = []
    try:
        while len(failures) < patience.attempts and sum(one.unreachable for one in failures) < patience.connections:
            if failures:
                pause = _pause(patience, failures)
                tell(f"{target.name}: {failures[-1]}; trying again in {pause:g} s")
                time.sleep(pause)
            try:
                begun = _attempt(session, url, target, patience, report)
                return Downloaded(part, begun.etag)
            except _Interrupted as error:
                failures.append(error)
    finally:
        # What came from a server that names neither tag nor date cannot be continued; a whole file is to be taken.
        noted = _noted(notes, url)
        if noted is not None and noted.validator is None and noted.size != _size(part):
            discard(target)
    text = f"{shown(url)}: {failures[-1]}, after {len(failures)} attempts"
    if failures[-1].unreachable:
        raise UnreachableError(f"{text}; check the network, the proxy settings (HTTPS_PROXY) and the base URL")
    raise FetchError(f"{text}; try again later{_and_kept(target, url)}")


def partial_files(target: Path) -> tuple[Path, Path]:
    """The unfinished file beside `target`, and what is known of it."""
    return target.with_name(f"{target.name}.partial"), target.with_name(f"{target.name}.partial.json")


def kept(target: Path, url: str) -> str | None:
    """What an unfinished download of `url` left that the next one goes on from, in words; None for nothing."""
    part, notes = partial_files(target)
    have = _size(part)
    if not have or _begun(notes, url).validator is None:
        return None
    return f"{part} keeps what came, and the next fetch goes on from byte {have:,}"


def _and_kept(target: Path, url: str) -> str:
    text = kept(target, url)
    return "" if text is None else f"; {text}"


def discard(target: Path) -> None:
    """Delete what an unfinished download left."""
    _discard(*partial_files(target))


def _discard(*paths: Path) -> None:
    """Delete a part and what is known of it."""
    for path in paths:
        path.unlink(missing_ok=True)


def shown(url: str) -> str:
    """An address without user name, password and parameters, which may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def is_web_address(base: str) -> bool:
    """Whether addresses can be made by appending a path."""
    try:
        parts = urlsplit(base)
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        return has_host and not parts.query and not parts.fragment
    except ValueError:
        return False


def _attempt(
    session: Session,
    url: str,
    target: Path,
    patience: Patience,
    progress: Callable[[int, int], None],
) -> _Begun:
    part, notes = partial_files(target)
    begun = _begun(notes, url)
    have = _size(part)
    if begun.validator is None or (begun.size is not None and have > begun.size):
        have = 0
    if have and have == begun.size:
        return begun
    # What is stored and counted are the file's own bytes: nothing on the way may compress them.
    headers = {"Accept-Encoding": "identity"}
    if have and begun.validator is not None:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
    calls, response = TimedCalls(), None
    try:
        response = _request(calls, session, url, headers, patience)
        if response.status_code == 206 and have:
            _check_range(response, have, begun, part, notes)
        elif response.status_code == 200:
            have = 0
            begun = _describe(response, url)
            part.unlink(missing_ok=True)
            notes.write_text(json.dumps(vars(begun)), "utf-8")
        else:
            if response.status_code == 416 and have:
                _discard(part, notes)
                raise _Interrupted(f"the server has nothing after byte {have:,}, although {_of(have, begun)} had come")
            _refuse(response, url, patience)
        _check_space(part, have, begun)
        raw = response.raw
        read = partial(calls.call, patience.slow_seconds, lambda: bytes(raw.read(BLOCK, decode_content=False)))
        return _receive(read, part, have, begun, notes, progress)
    except OverdueError as error:
        raise FetchError(
            f"{shown(url)}: the server sends too slowly, less than {BLOCK:,} bytes in {patience.slow_seconds:g} s; try "
            f"again later{_and_kept(target, url)}"
        ) from error
    finally:
        # A response that is still being read cannot be closed by anybody else.
        calls.finish(response.close if response is not None else None)


def _request(calls: TimedCalls, session: Session, url: str, headers: dict[str, str], patience: Patience) -> Response:
    import requests

    timeout = (patience.connect_seconds, patience.read_seconds)
    try:
        response = calls.call(
            patience.slow_seconds, lambda: session.get(url, headers=headers, timeout=timeout, stream=True)
        )
    except requests.exceptions.SSLError as error:
        reason = f"no secure connection ({innermost(error)})"
        if not any(type(cause).__name__ == "SSLCertVerificationError" for cause in causes(error)):
            raise _Interrupted(reason) from error
        raise FetchError(
            f"{shown(url)}: {reason}; where a proxy inspects traffic, name its certificates in REQUESTS_CA_BUNDLE"
        ) from error
    except requests.exceptions.TooManyRedirects as error:
        raise FetchError(f"{shown(url)}: redirects without end; check the base URL") from error
    except requests.exceptions.ReadTimeout as error:
        raise _Interrupted(f"no answer within {patience.read_seconds:g} s") from error
    except requests.exceptions.ProxyError as error:
        raise _Interrupted(f"the proxy does not answer ({innermost(error)})", unreachable=True) from error
    except requests.exceptions.ConnectionError as error:
        # A server that accepts and then hangs up has been reached.
        unreachable = any(type(cause).__name__ in _NO_CONNECTION for cause in causes(error))
        raise _Interrupted(f"no connection ({innermost(error)})", unreachable=unreachable) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _Interrupted("the connection broke") from error
    except (requests.exceptions.RequestException, ValueError) as error:
        reason = " ".join(str(error).replace(url, shown(url)).split())[:200]
        raise FetchError(f"{shown(url)}: cannot be asked for: {reason}") from error
    # One hop in the clear is enough to choose what comes, also where the last one is encrypted again.
    plain = [hop.url for hop in (*response.history, response) if not hop.url.startswith("https:")]
    if url.startswith("https:") and plain:
        response.close()
        raise FetchError(f"{shown(url)}: redirects to {shown(plain[0])}, which is not encrypted")
    return response


_NO_CONNECTION = frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError", "ConnectTimeout"})


def _refuse(response: Response, url: str, patience: Patience) -> None:
    """Raise for an answer that brings no bytes: mendable ones as _Interrupted."""
    status = response.status_code
    if status in (408, 425, 429) or status >= 500:
        wait = _retry_after(response)
        if wait is not None and wait > patience.longest_wait:
            raise FetchError(
                f"{shown(url)}: the server answered {status} and asks to wait {wait:.0f} s, longer than "
                f"{patience.longest_wait:g} s; try again then"
            )
        raise _Interrupted(f"the server answered {status}", wait)
    kind = AbsentFileError if status in (404, 410) else FetchError
    raise kind(f"{shown(url)}: the server answered {status}: {_ADVICE.get(status, 'check the base URL')}")


def _retry_after(response: Response) -> float | None:
    """The seconds that the server asks to wait, from either form of Retry-After; None without or with a bad one."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    value = response.headers.get("Retry-After")
    try:
        return float(Retry().parse_retry_after(value)) if value is not None else None
    except InvalidHeader:
        return None


def _pause(patience: Patience, failures: list[_Interrupted]) -> float:
    """The seconds before the next attempt: what the server asked for, else back-off."""
    asked = failures[-1].wait
    if asked is not None:
        return asked
    return min(patience.longest_wait, float(patience.backoff_seconds * 2 ** (len(failures) - 1)))


def _describe(response: Response, url: str) -> _Begun:
    """What the headers of a full answer say of the file."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise FetchError(
            f"{shown(url)}: comes compressed ({encoding}), which was not asked for; check proxy and base URL"
        )
    etag = response.headers.get("ETag")
    # A weak tag does not promise the same bytes, so nothing can be continued by it.
    strong = etag if etag and not etag.startswith("W/") else None
    length = response.headers.get("Content-Length")
    size = int(length) if length is not None and length.isascii() and length.isdigit() else None
    if size is not None and size > LARGEST:
        raise FetchError(f"{shown(url)}: the server announces {size:,} bytes, more than any checkpoint has")
    return _Begun(shown(url), strong or response.headers.get("Last-Modified"), etag, size)


def _check_range(response: Response, have: int, begun: _Begun, part: Path, notes: Path) -> None:
    """The part that comes must be the one that is missing."""
    given = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", given)
    fits = match is not None and int(match[1]) == have and match[3] in ("*", str(begun.size))
    if not fits:
        _discard(part, notes)
        raise _Interrupted(f"the server sent another part ({given or 'without Content-Range'}) than the one missing")


def _check_space(part: Path, have: int, begun: _Begun) -> None:
    """Raise FetchError unless the disk has room for what is still to come."""
    free = shutil.disk_usage(part.parent).free
    if begun.size is not None and begun.size - have > free:
        raise FetchError(
            f"{begun.url}: {begun.size - have:,} bytes are still to come, and {part.parent} has {free:,} bytes free; "
            "make room there, or let PADDLE2TORCH_CACHE name a folder on another disk"
        )


def _receive(
    read: Callable[[], bytes], part: Path, have: int, begun: _Begun, notes: Path, progress: Callable[[int, int], None]
) -> _Begun:
    done = have
    progress(done, begun.size or 0)
    with part.open("ab") as file:
        while block := _read(read, done, begun):
            done += len(block)
            if done > (LARGEST if begun.size is None else begun.size):
                raise FetchError(f"{begun.url}: the server sends more than {done - len(block):,} bytes")
            file.write(block)
            progress(done, begun.size or 0)
        file.flush()
        os.fsync(file.fileno())
    if begun.size is not None and done < begun.size:
        raise _Interrupted(f"the connection ended at {_of(done, begun)}")
    complete = replace(begun, size=done)
    # Without an announced size, only the end of the answer said that this is all.
    notes.write_text(json.dumps(vars(complete)), "utf-8")
    return complete


def _read(read: Callable[[], bytes], done: int, begun: _Begun) -> bytes:
    """The next block as it came, empty at the end."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    try:
        return read()
    except ReadTimeoutError as error:
        raise _Interrupted(f"stalled at {_of(done, begun)}") from error
    except (HTTPError, OSError) as error:
        raise _Interrupted(f"the connection broke at {_of(done, begun)}") from error


def _of(done: int, begun: _Begun) -> str:
    return f"{done:,} of {begun.size:,} bytes" if begun.size is not None else f"{done:,} bytes"


def _begun(notes: Path, url: str) -> _Begun:
    """What is known of this address: what an earlier attempt noted, if one did."""
    return _noted(notes, url) or _Begun(shown(url))


def _noted(notes: Path, url: str) -> _Begun | None:
    """What an earlier attempt noted of this address; None for another or when the notes are unreadable."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        known = _Begun(**json.loads(notes.read_text("utf-8")))
        if known.url == shown(url) and isinstance(known.size, int | None):
            return known
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def causes(error: BaseException) -> list[BaseException]:
    """An exception and what led to it, outermost first."""
    found: list[BaseException] = []
    queue: list[Any] = [error]
    while queue:
        one = queue.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            queue += [getattr(one, "reason", None), *one.args, one.__cause__, one.__context__]
    return found


def innermost(error: BaseException) -> str:
    """What the operating system or the library said first, in words."""
    chain = causes(error)
    for one in chain:
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    return type(chain[-1]).__name__
