"""The hub's own client, quiet, with a limit on every wait, and the token from its standard places."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import PublishError
from .errors import is_silence

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 300.0
"""How long the hub may be silent; a commit of many large files takes it minutes."""

SILENCES = 2
"""How often the hub may be silent that long before the client gives up."""

CREATIONS = 4
"""How often the client may ask for the same new repository."""


def find_token() -> str | None:
    """The token of HF_TOKEN or of `hf auth login`, None without one.

    Raises PublishError for one that cannot be a token, without showing it.
    """
    from huggingface_hub import get_token

    token = get_token()
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise PublishError(
            "the token (HF_TOKEN, or the file that `hf auth login` wrote) holds blanks or letters that no token has"
        )
    return token


@contextmanager
def hub_client(token: str | None, tell: Callable[[str], None], quiet: bool) -> Iterator[HfApi]:
    """The client for the block; its log, which shows addresses, is off, and its warnings go to `tell`.

    The endpoint is the client's: HF_ENDPOINT, else the public hub. Progress bars show on a terminal unless `quiet`.
    """
    import huggingface_hub
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    log = logging.getLogger("huggingface_hub")
    level, bars = log.level, not are_progress_bars_disabled()
    with warnings.catch_warnings(record=True) as caught, _limits():
        warnings.simplefilter("always", UserWarning)
        log.setLevel(logging.CRITICAL)
        if bars and (quiet or not sys.stderr.isatty()):
            disable_progress_bars()
        try:
            yield huggingface_hub.HfApi(token=token or False, library_name="paddle2torch", library_version=__version__)
        finally:
            if bars:
                enable_progress_bars()
            log.setLevel(level)
    for one in caught:
        if one.category is UserWarning:
            tell(f"the hub's client warns: {one.message}")


@contextmanager
def _limits() -> Iterator[None]:
    """A limit on every wait of the client that has none, for the block.

    The client asks to create a repository again and again, without a pause, while the hub says that another change is
    under way; here it gives up after CREATIONS. From 1 on it asks a silent hub six times; here after SILENCES.

    The client shows nobody its factory of sessions and makes new ones as it likes, for threads and after lost
    connections. So it is `send` of their class that is replaced, which leaves a factory of the caller's in use.
    """
    from huggingface_hub import get_session

    # A Session of requests up to 0.36, a Client of httpx in 1 and of httpx2 in 2.
    kind: Any = type(get_session())
    send, created, silences = kind.send, 0, 0

    def limited(session: object, request: Any, **options: Any) -> Any:
        nonlocal created, silences
        if str(request.url).endswith("/api/repos/create"):
            created += 1
            if created > CREATIONS:
                raise PublishError("the hub is busy with another change of the same owner; try again later")
            time.sleep(created - 1)
        _limit(request, options)
        try:
            return send(session, request, **options)
        except Exception as error:
            silences += is_silence(error)
            if is_silence(error) and silences >= SILENCES:
                # Of a class that the client does not try again for.
                raise TimeoutError("no answer") from error
            raise

    kind.send = limited
    try:
        yield
    finally:
        kind.send = send


def _limit(request: Any, options: dict[str, Any]) -> None:
    """Limit the waits of a request that has no limit: in its extensions for httpx, in its options for requests."""
    if not hasattr(request, "extensions"):
        options["timeout"] = options.get("timeout") or (CONNECT_SECONDS, ANSWER_SECONDS)
    elif not any(request.extensions.get("timeout", {}).values()):
        limits = dict.fromkeys(("connect", "pool"), CONNECT_SECONDS) | dict.fromkeys(("read", "write"), ANSWER_SECONDS)
        request.extensions = {**request.extensions, "timeout": limits}
