"""Published weights for the commands: fetched before work begins on them, with progress for whoever looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..converters.batch.finding import Found
from ..converters.checkpoints.cache import fetched_place
from ..converters.checkpoints.snapshot import is_hub_name
from ..converters.checkpoints.source import is_paddle_folder
from ..converters.outputs.folder import check_output
from ..errors import Paddle2TorchError
from ..mappings.registry import get_published, is_published
from ..workers.console import byte_progress, note

if TYPE_CHECKING:
    from .fetch import Fetcher


def check_room(source: str, output: Path, overwrite: bool = False) -> None:
    """Before minutes go into a download: raise OutputError where `output` cannot be made from a pretrained name. Where
    other sources lie, is known only when they are there."""
    if is_published(source):
        check_output(output, fetched_place(get_published(source)), overwrite)


@contextmanager
def fetching(*, base_url: str | None, offline: bool, quiet: bool) -> Iterator[Fetcher]:
    """A fetcher that shows its progress, unless `quiet`, until the block ends."""
    from .fetch import Fetcher

    with byte_progress(quiet, line_seconds=10) as progress:
        yield Fetcher(base_url, offline, progress=progress, tell=_teller(quiet))


def make_available(
    source: str, *, base_url: str | None, offline: bool, quiet: bool, to: str = "torch", whole: bool = False
) -> str:
    """Fetch a pretrained name, or a repository of the Hub, that stands as a source; paths and what a cache holds are
    left alone. Gives the source to take in its place: for a repository, its folder in the Hub's cache.

    Raises as `Fetcher.fetch` and `fetch_repository`, which takes `to` and `whole`.
    """
    if Path(source).exists():
        return source
    if is_hub_name(source):
        from .sources.repository import fetch_repository

        return str(fetch_repository(source, to=to, whole=whole, offline=offline, quiet=quiet, tell=note))
    if is_published(source):
        with fetching(base_url=base_url, offline=offline, quiet=quiet) as fetcher:
            fetcher.make_available(source)
    return source


def make_pair_available(
    source: str, converted: Path, *, base_url: str | None, offline: bool, quiet: bool
) -> tuple[str, Path]:
    """Both sides of a verification as `make_available` gives them; the converted one may be a repository of the Hub
    too, and is then fetched whole."""
    get = partial(make_available, base_url=base_url, offline=offline, quiet=quiet)
    if is_hub_name(converted):
        converted = Path(get(str(converted), whole=True))
    return get(source, to="paddle" if is_paddle_folder(converted) else "torch"), converted


def make_listed_available(
    found: Found, *, base_url: str | None, offline: bool, quiet: bool, to: str = "torch"
) -> Found:
    """Fetch the pretrained names and the repositories of a list, which stand in what is returned as `make_available`
    gives them. A name that cannot be had fails later, as one of many; a repository is among the failed ones."""
    items, failed = [], list(found.failed)
    for item in found.items:
        source = item.source
        try:
            source = make_available(source, base_url=base_url, offline=offline, quiet=quiet, to=to)
        except Paddle2TorchError as error:
            note(f"{item.source}: {error}")
            if is_hub_name(source):
                failed.append((source, str(error)))
                continue
        items.append(replace(item, source=source))
    return replace(found, items=tuple(items), failed=tuple(failed))


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
