"""Published weights for the commands: fetched before work begins on them, with progress for whoever looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..converters.batch.finding import Found
from ..converters.checkpoints.cache import fetched_place
from ..converters.outputs.folder import check_output
from ..errors import Paddle2TorchError
from ..mappings.registry import get_published, is_published
from ..workers.console import byte_progress, note

if TYPE_CHECKING:
    from .fetch import Fetcher


def check_room(name: str, output: Path, overwrite: bool = False) -> None:
    """Before minutes go into a download: raise OutputError where `output` cannot be made from a pretrained name."""
    check_output(output, fetched_place(get_published(name)), overwrite)


@contextmanager
def fetching(*, base_url: str | None, offline: bool, quiet: bool) -> Iterator[Fetcher]:
    """A fetcher that shows its progress, unless `quiet`, until the block ends."""
    from .fetch import Fetcher

    with byte_progress(quiet, line_seconds=10) as progress:
        yield Fetcher(base_url, offline, progress=progress, tell=_teller(quiet))


def make_available(source: str, *, base_url: str | None, offline: bool, quiet: bool) -> None:
    """Fetch a pretrained name that stands as a source; paths and what a cache holds are left alone. Raises as
    `Fetcher.fetch`."""
    if is_published(source) and not Path(source).exists():
        with fetching(base_url=base_url, offline=offline, quiet=quiet) as fetcher:
            fetcher.make_available(source)


def make_listed_available(found: Found, *, base_url: str | None, offline: bool, quiet: bool) -> None:
    """Fetch the pretrained names of a list; one that cannot be had fails later, as one of many."""
    for item in found.items:
        try:
            make_available(item.source, base_url=base_url, offline=offline, quiet=quiet)
        except Paddle2TorchError as error:
            note(f"{item.source}: {error}")


def obtaining(*, base_url: str | None, offline: bool, quiet: bool) -> Callable[[str], None]:
    """A function that fetches one name after the other; a server that cannot be reached is asked for one of them."""
    from .fetch import Fetcher

    fetcher = Fetcher(base_url, offline, tell=_teller(quiet))

    def obtain(name: str) -> None:
        with byte_progress(quiet, line_seconds=10) as fetcher.progress:
            fetcher.make_available(name)

    return obtain


def _teller(quiet: bool) -> Callable[[str], None]:
    return (lambda text: None) if quiet else note
