"""What the hub's client raises, said in one line without the token, and what to do about it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from json import JSONDecodeError
from typing import TypeVar

from ..errors import MissingDependencyError, Paddle2TorchError, PublishError

T = TypeVar("T")

_ADVICE = {
    400: "the hub does not accept what was sent; the message above says why",
    401: "the token is missing, wrong or expired: log in with `hf auth login`, or set HF_TOKEN to one that may write",
    403: "the token may not do this: it needs write permission for this repository or its namespace",
    404: "there is no such repository or namespace that this token can see; check REPO_ID",
    409: "another change to the repository was under way; try again",
    412: "the repository changed meanwhile; run the command again, it looks at the new state",
    413: "the hub does not take files of this size",
    416: "the hub does not take files of this size",
    429: "too many requests; wait a few minutes and try again",
}

# The client speaks HTTP by requests up to 0.36, by httpx in 1 and by httpx2 in 2; only one of them need be there.
_SILENT = frozenset({"requests.Timeout", "httpx.TimeoutException", "httpx2.TimeoutException"})
_UNCONNECTED = frozenset(
    {"requests.ConnectionError", "requests.ChunkedEncodingError"}
    | {
        f"{package}.{name}"
        for package in ("httpx", "httpx2")
        for name in ("NetworkError", "ProxyError", "RemoteProtocolError")
    }
)
_OTHER = frozenset(
    {"requests.RequestException"}
    | {f"{package}.{name}" for package in ("httpx", "httpx2") for name in ("HTTPError", "InvalidURL")}
)

_UNREACHABLE = "check the network and the proxy settings, and HF_ENDPOINT where the hub is another one"
_TRY_AGAIN = "the hub has a problem of its own; try again later"


def ask(
    doing: str,
    token: str | None,
    call: Callable[[], T],
    kind: type[Paddle2TorchError] = PublishError,
    known: Callable[[Exception], str | None] = lambda error: None,
) -> T:
    """The result of `call`; raises an error of this `kind` in place of anything that the client raises while `doing`
    it. `known` gives the message for the exceptions that mean something of their own there.

    Its message holds neither the token nor an address with a signature, and nothing is chained to it: the client's
    exceptions hold the requests with their headers. That takes a function: what a context manager raises is chained.
    """
    try:
        return call()
    except Paddle2TorchError:
        raise
    except Exception as error:
        failure = known(error) or f"{doing} failed: {explain(error)}"
    raise kind(without_secrets(failure, token))


def explain(error: BaseException) -> str:
    """The reason that an exception of the client gives, and what to do."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    chain = list(_causes(error))
    for one in chain:
        status = status_of(one)
        if status is not None:
            advice = _ADVICE.get(status, _TRY_AGAIN if status >= 500 else "the message above says why")
            said = getattr(one, "server_message", None)
            return f"the hub answered {status}{f' ({_short(said)})' if said else ''}: {advice}"
    for one in chain:
        if isinstance(one, OfflineModeIsEnabled):
            return "offline mode is on; unset HF_HUB_OFFLINE"
        if is_silence(one):
            return f"no answer in time; {_UNREACHABLE}"
        if _is_one_of(one, _UNCONNECTED):
            return f"no connection ({_innermost(chain)}); {_UNREACHABLE}"
    if isinstance(error, KeyError | TypeError | AttributeError | JSONDecodeError) or _is_one_of(error, _OTHER):
        return f"the answer is not that of a hub ({type(error).__name__}: {_short(str(error))}); is HF_ENDPOINT right?"
    return f"{_short(str(error)) or type(error).__name__}"


def is_silence(error: BaseException) -> bool:
    """Whether an exception of the client says that nothing was heard in time."""
    return _is_one_of(error, _SILENT)


def _is_one_of(error: BaseException, names: frozenset[str]) -> bool:
    """Whether one of the exception's classes is called PACKAGE.NAME of `names`."""
    return any(f"{kind.__module__.partition('.')[0]}.{kind.__name__}" in names for kind in type(error).__mro__)


def status_of(error: BaseException) -> int | None:
    """The status code that an exception of the client carries, if any."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def without_secrets(text: str, token: str | None) -> str:
    """The text without the token and without the parameters of addresses, which may sign a request."""
    if token:
        text = text.replace(token, "<token>")
    return re.sub(r"\?\S*=\S*", "?...", text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it, nearest first."""
    seen: list[BaseException] = []
    queue = [error]
    while queue:
        one = queue.pop(0)
        if one in seen:
            continue
        seen.append(one)
        yield one
        linked = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        queue += [other for other in linked if isinstance(other, BaseException)]


def _innermost(chain: list[BaseException]) -> str:
    """What the operating system or the connection said, in words."""
    for one in reversed(chain):
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
    return type(chain[-1]).__name__


def _short(text: str, most: int = 300) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 3] + "..."


def lacks_libraries(what: str, error: ImportError, otherwise: str = "") -> MissingDependencyError:
    """One line that says that `what` needs the libraries of the extra `hub`, with the command that installs them and
    what to do `otherwise`."""
    command = f"{shlex.quote(sys.executable)} -m pip install filelock huggingface-hub requests"
    return MissingDependencyError(f"{what} needs libraries that are not installed ({error}): {command}{otherwise}")
