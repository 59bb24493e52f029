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

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from requests import PreparedRequest, Response, Session

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 300.0
"""How long the hub may be silent; a commit of many large files takes it minutes."""

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
    from huggingface_hub.utils import _http
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    log = logging.getLogger("huggingface_hub")
    level, bars, sessions = log.level, not are_progress_bars_disabled(), _http._GLOBAL_BACKEND_FACTORY
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        log.setLevel(logging.CRITICAL)
        if bars and (quiet or not sys.stderr.isatty()):
            disable_progress_bars()
        huggingface_hub.configure_http_backend(lambda: _limited(sessions()))
        try:
            yield huggingface_hub.HfApi(token=token or False, library_name="paddle2torch", library_version=__version__)
        finally:
            huggingface_hub.configure_http_backend(sessions)
            if bars:
                enable_progress_bars()
            log.setLevel(level)
    for one in caught:
        if one.category is UserWarning:
            tell(f"the hub's client warns: {one.message}")


def _limited(session: Session) -> Session:
    """The session with a limit on every wait that has none.

    The client asks to create a repository again and again, without a pause, while the hub says that another change is
    under way; here it gives up after CREATIONS.
    """
    send, created = session.send, 0

    def limited(request: PreparedRequest, **options: Any) -> Response:
        nonlocal created
        if str(request.url).endswith("/api/repos/create"):
            created += 1
            if created > CREATIONS:
                raise PublishError("the hub is busy with another change of the same owner; try again later")
            time.sleep(created - 1)
        if options.get("timeout") is None:
            options["timeout"] = (CONNECT_SECONDS, ANSWER_SECONDS)
        return send(request, **options)

    session.send = limited  # type: ignore[method-assign]
    return session
