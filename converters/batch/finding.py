"""Many checkpoints: found in a tree of folders, or named in a list file."""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from ...errors import UnreadableFileError
from ...mappings.language.pretrained import MARK
from ...mappings.registry import is_published
from ..checkpoints.snapshot import is_hub_name, parse_hub_name
from ..checkpoints.source import INDEX_FILES, TRAINING_FILE, WEIGHT_FILES
from ..formats.exports.file import SUFFIX as EXPORT
from ..outputs.sentences import DENSE_FOLDER

_FILES_OF_ONE = (*WEIGHT_FILES, *INDEX_FILES)

_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
"""What both libraries call their files; the metadata tell whose they are."""

_TORCH_ONLY = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Item:
    """One of many: a source, and the name of its output, a path below the folder of all outputs."""

    source: str
    name: str


@dataclass(frozen=True)
class Found:
    """What was found: `items` in a fixed order, and what was not taken, each with the reason: `left_out` on purpose,
    `failed` because it could not be looked at."""

    items: tuple[Item, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


def find_checkpoints(folder: str | Path, *, to: str = "torch", output: str | Path | None = None) -> Found:
    """Find every checkpoint in `folder` and below, in the order of their paths; each is named by its path there.

    A checkpoint is a folder with weights as `convert` takes them: PaddleNLP's, or Hugging Face's for `to="paddle"`;
    those of the other library, which may be converted ones, are none. Hidden folders and `output` are not looked into.
    A folder that several paths lead to is taken once, and links to a folder above do no harm. A checkpoint inside the
    folder of another one is left out, because its output would lie inside the other's. Raises UnreadableFileError when
    `folder` is none or holds no checkpoint.
    """
    if not str(folder):
        # As from a shell variable that is not set; Path would take it for the current folder.
        raise UnreadableFileError("the name of the folder is empty; a folder with checkpoints in it is expected")
    root = Path(folder)
    if not root.is_dir():
        raise UnreadableFileError(f"{root}: no such folder; a folder with checkpoints in it is expected")
    seen = {_identity(parent) for parent in Path(os.path.realpath(root)).parents}
    if output is not None and os.path.isdir(output) and _identity(Path(output)) != _identity(root):
        seen.add(_identity(Path(output)))
    taken: list[PurePath] = []
    failed: list[tuple[str, str]] = []
    links: list[PurePath] = [PurePath()]
    while links:
        # Links come after all that lies in the tree itself, which is taken under its own path.
        pending = [heapq.heappop(links)]
        while pending:
            place = pending.pop()
            try:
                identity = _identity(root / place)
                entries = [] if identity in seen else sorted(os.scandir(root / place), key=lambda entry: entry.name)
                seen.add(identity)
                files, inner = set(), []
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if not entry.is_dir():
                        files.add(entry.name)
                    elif entry.is_symlink():
                        heapq.heappush(links, place / entry.name)
                    else:
                        inner.append(place / entry.name)
                if _is_checkpoint(root / place, files, to):
                    taken.append(place)
                pending += reversed(inner)
            except OSError as error:
                failed.append((str(root / place), f"{root / place}: cannot be read: {error.strerror or error}"))
    if not taken and not failed:
        library = "Hugging Face" if to == "paddle" else "PaddleNLP"
        raise UnreadableFileError(f"{root}: holds no checkpoint of {library}, nor does any folder below it")
    outer = set(taken)
    items, left_out = [], []
    for place in sorted(taken):
        holder = next((parent for parent in place.parents if place.parts and parent in outer), None)
        if holder is None:
            items.append(Item(str(root / place), str(place)))
        elif place.name != DENSE_FOLDER or holder != place.parent:  # Else it belongs to that checkpoint.
            reason = f"lies inside the checkpoint {root / holder}; name it in a list file to take it"
            left_out.append((str(root / place), reason))
    return Found(tuple(items), tuple(left_out), tuple(failed))


def find_either(folder: str | Path, *, output: str | Path | None = None) -> tuple[Found, str]:
    """What `find_checkpoints` finds in `folder` and below, of PaddleNLP's if there are any, else of Hugging Face's; and
    the library to which they are converted. Raises UnreadableFileError as it does for PaddleNLP's."""
    try:
        return find_checkpoints(folder, output=output), "torch"
    except UnreadableFileError:
        with suppress(UnreadableFileError):
            return find_checkpoints(folder, to="paddle", output=output), "paddle"
        raise


def unmatched(found: Found, converted: Path, to: str) -> list[str]:
    """The checkpoints below `converted`, as they would be found for the way `to` a library, whose names none of `found`
    has."""
    try:
        there = find_checkpoints(converted, to=to)
    except UnreadableFileError:
        return []
    names = {item.name for item in found.items}
    return [item.source for item in there.items if item.name not in names]


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_checkpoint(folder: Path, files: Collection[str], to: str) -> bool:
    """Whether a folder with these files holds weights to convert; what cannot be read does, and its error is told."""
    shared = next((name for name in _SAFETENSORS if name in files), None)
    if to == "paddle":
        return any(name in files for name in _TORCH_ONLY) or (shared is not None and _format(folder / shared) != "np")
    own = any(
        name in _FILES_OF_ONE or (name.endswith((".pdparams", EXPORT)) and not TRAINING_FILE.fullmatch(name))
        for name in files
        if name not in _SAFETENSORS
    )
    return own or (shared is not None and _format(folder / shared) != "pt")


def _format(path: Path) -> str | None:
    """Who wrote a safetensors file, or the first one of an index: "pt" for Hugging Face and `convert`, "np" (or "pd")
    for PaddleNLP; None where that is not said or cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.name.endswith(".json"):
            path = path.with_name(sorted(set(json.loads(path.read_text("utf-8"))["weight_map"].values()))[0])
        with safe_open(str(path), framework="np") as opened:
            found: str | None = (opened.metadata() or {}).get("format")
        return "np" if found == "pd" else found
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def read_checkpoint_list(file: str | Path) -> Found:
    """The checkpoints that a list file names: one source per line and, after a tab, the name of its output.

    Sources are pretrained names, repositories of the Hub, folders or files; relative paths count from the folder of the
    list. Without a name, a relative source keeps its path, a repository is called OWNER/NAME, and any other by the last
    part of it. Empty lines, and lines that begin with #, say nothing. Raises UnknownNameError for what only begins like
    a repository, and UnreadableFileError for a file that cannot be read, that names nothing, or that has a
    line of another form.
    """
    path = Path(file)
    try:
        text = path.read_text("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    items = []
    for number, line in enumerate(text.split("\n"), 1):
        fields = [part.strip() for part in line.split("\t")]
        if not any(fields) or fields[0].startswith("#"):
            continue
        if len(fields) > 2 or not all(fields) or any(ord(character) < 32 for part in fields for character in part):
            raise UnreadableFileError(
                f"{path}: line {number}: a source is expected and, after a tab, perhaps the name of its output"
            )
        source = path.parent / fields[0]
        known = (is_published(fields[0]) or is_hub_name(fields[0])) and not source.exists()
        items.append(Item(fields[0] if known else str(source), fields[1] if fields[1:] else name_of(fields[0])))
    if not items:
        raise UnreadableFileError(f"{path}: names no checkpoint")
    return Found(tuple(items))


def name_of(source: str) -> str:
    """The name of the output of a source that was given without one."""
    if is_hub_name(source):
        source = parse_hub_name(source).output
    path = PurePath(source.removeprefix(MARK))
    if path.name in (*_FILES_OF_ONE, *_TORCH_ONLY):
        path = path.parent
    elif path.suffix == ".pdparams":
        path = path.with_suffix("")
    return path.name if path.is_absolute() else str(path)
