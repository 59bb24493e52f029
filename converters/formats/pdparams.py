"""Reads `.pdparams` and `.pdopt` files: finds their tensors without loading them and without running anything."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from ...errors import UnreadableFileError
from .byte_source import ByteSource, MemorySource, at_start
from .file_kinds import refuse_other_kinds
from .payloads import JoinedSource, Opener, Payloads
from .pickle_index import PickleIndex
from .pickle_objects import ArrayRef, ArraySlot, Node, Span, Symbol, shown
from .tensors import FEW_BYTES, Tensor

NAME_TABLE = "StructuredToParameterName@@"
"""Key of the table from structured names to Paddle's parameter names; often stale, never needed."""

SPLIT_TABLE = "UnpackBigParamInfor@@"
"""Key of the table that says which entries are parts of one large array."""

MAX_DEPTH = 100
MAX_NAME_CHARACTERS = 64 << 10
MAX_ALL_NAMES_CHARACTERS = 32 << 20
MAX_SHARED_NODES = 100_000
NODES_AN_OPERATION = 10
"""Objects may be met again wherever they are shared: so often in all, and so often for each operation of the pickle."""


@dataclass(frozen=True)
class PdparamsFile:
    """An open file: its tensors by name in the file's order, and the names of the entries that hold no tensor.

    The tensors read from `source` for as long as this is open. A dict or list without any tensor in it is one entry
    of `ignored`.
    """

    source: ByteSource
    tensors: dict[str, Tensor]
    ignored: tuple[str, ...]

    def check_unchanged(self) -> None:
        """Raise SourceChangedError when the file changed since it was opened."""
        self.source.check_unchanged()

    def close(self) -> None:
        """Close the file and delete what was decoded from it; the tensors cannot be read afterwards."""
        self.source.close()

    def __enter__(self) -> PdparamsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_pdparams(path: Path) -> PdparamsFile:
    """Find the tensors of the `.pdparams` or `.pdopt` file at `path`; their values stay in the file.

    Names of nested dicts and lists are joined with dots. A file that holds one tensor calls it `tensor`, a list
    calls its tensors `0`, `1` and so on. uint16 is bfloat16, as it is for Paddle.

    Raises UnreadableFileError when the file is of another kind, truncated, or contradicts itself, and
    RefusedFileError when it asks for something to be executed. Either message begins with the path.
    """
    # These ask without raising, whatever the path is; opening it then says what is wrong.
    if os.path.isdir(path):
        raise UnreadableFileError(f"{path}: is a folder; give the .pdparams file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UnreadableFileError(f"{path}: is not a regular file; copy it to one first")
    source = ByteSource(path)
    try:
        refuse_other_kinds(source)
        # A small file is there before its pickle is asked for the name of each tensor.
        few = source.size <= FEW_BYTES
        index = PickleIndex(MemorySource(path, source.read(source.size, 0)) if few else source)
        root = index.read()
        collector = TensorCollector(source, index)
        collector.collect_root(root)
        source.check_unchanged()
    except BaseException:
        source.close()
        raise
    return PdparamsFile(source, collector.tensors, tuple(collector.ignored))


@dataclass(frozen=True)
class _Split:
    """A large array that is stored as several parts."""

    name: str
    shape: Node
    parts: list[str]


class TensorCollector:
    """Walks the tree that a pickle holds and gathers its tensors, whose elements lie in `source`."""

    def __init__(self, source: ByteSource, index: PickleIndex) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.ignored: list[str] = []
        self._source = source
        self._payloads = Payloads(source)
        self._calls = index.calls
        # Parts of the tree may be shared, so a small file can hold a tree of any size; a genuine one shares little.
        self._nodes_left = MAX_SHARED_NODES + NODES_AN_OPERATION * index.operations
        self._characters_left = MAX_ALL_NAMES_CHARACTERS
        self._open: set[int] = set()

    def collect_root(self, root: Node) -> None:
        """Gather everything in `root`."""
        array = self._array_in(root)
        if array is not None:
            self._add("tensor", array)
        elif isinstance(root, (dict, list, tuple)):
            self._container(root, None, 0)
        else:
            raise self._bad("holds no dict, list or tensor; it is no checkpoint")

    def _bad(self, message: str) -> UnreadableFileError:
        return self._calls.unreadable(message)

    def _collect(self, node: Node, name: str, depth: int) -> bool:
        """Gather the tensors in `node`; says whether there was one."""
        self._spend(1)
        array = self._array_in(node)
        if array is not None:
            self._add(name, array)
            return True
        if isinstance(node, Symbol) and node.role != "value":
            raise self._calls.refused(f"holds the function {node.name} as a value, which no checkpoint needs")
        if not isinstance(node, (dict, list, tuple)):
            self.ignored.append(name)
            return False
        ignored_before = len(self.ignored)
        found = self._container(node, name, depth + 1)
        if not found:
            self.ignored[ignored_before:] = [name]
        return found

    def _container(self, node: Node, name: str | None, depth: int) -> bool:
        if id(node) in self._open:
            raise self._bad("contains itself; the file is damaged")
        if depth > MAX_DEPTH:
            raise self._bad(f"is nested more than {MAX_DEPTH} deep, far more than any checkpoint")
        self._open.add(id(node))
        found = False
        if isinstance(node, dict):
            found = self._dict(node, name, depth)
        elif isinstance(node, (list, tuple)):
            for index, value in enumerate(node):
                found |= self._collect(value, self._joined(name, str(index)), depth)
        self._open.discard(id(node))
        return found

    def _dict(self, entries: dict[str, Node], name: str | None, depth: int) -> bool:
        splits = self._splits(entries)
        by_first = {split.parts[0]: split for split in splits}
        parts = {part for split in splits for part in split.parts}
        found = False
        for key, value in entries.items():
            if key == NAME_TABLE:
                self._check_name_table(value)
            elif key in by_first:
                self._add_split(entries, by_first[key], name)
                found = True
            elif key != SPLIT_TABLE and key not in parts:
                found |= self._collect(value, self._joined(name, key), depth)
        return found

    def _check_name_table(self, table: Node) -> None:
        """Dropping the table loses nothing as long as it holds nothing but strings."""
        if not isinstance(table, dict):
            raise self._bad(f"its entry {NAME_TABLE} is not a table of names; the file is damaged")
        self._spend(len(table))
        if not all(isinstance(value, Span) and value.is_text for value in table.values()):
            raise self._bad(f"its entry {NAME_TABLE} is not a table of names; the file is damaged")

    def _splits(self, entries: dict[str, Node]) -> list[_Split]:
        if SPLIT_TABLE not in entries:
            return []
        table = entries[SPLIT_TABLE]
        if not isinstance(table, dict):
            raise self._bad_split(SPLIT_TABLE)
        splits: list[_Split] = []
        used: set[str] = set()
        for name, value in table.items():
            if not isinstance(value, dict) or set(value) != {"OriginShape", "slices"} or name in entries:
                raise self._bad_split(name)
            slices = value["slices"]
            if not isinstance(slices, list) or not slices:
                raise self._bad_split(name)
            parts: list[str] = []
            for part in slices:
                self._spend(1)
                key = self._calls.text(part) if isinstance(part, Span) and part.is_text else None
                if key is None or key not in entries or key in used:
                    raise self._bad_split(name)
                used.add(key)
                parts.append(key)
            splits.append(_Split(name, value["OriginShape"], parts))
        return splits

    def _bad_split(self, name: str) -> UnreadableFileError:
        return self._bad(f"the parts of the split array '{shown(name)}' do not fit together; the file is damaged")

    def _add_split(self, entries: dict[str, Node], split: _Split, parent: str | None) -> None:
        arrays = [self._array_in(entries[part]) for part in split.parts]
        first = arrays[0]
        if first is None:
            raise self._bad_split(split.name)
        shape = self._calls.checked_shape(split.shape, first.dtype)
        openers: list[tuple[Opener, int]] = []
        for array in arrays:
            if array is None or array.dtype != first.dtype or len(array.shape) != 1:
                raise self._bad_split(split.name)
            nbytes = array.shape[0] * array.dtype.itemsize
            openers.append((self._payloads.opener(array, nbytes), nbytes))
        if sum(nbytes for _, nbytes in openers) != math.prod(shape) * first.dtype.itemsize:
            raise self._bad_split(split.name)
        joined = JoinedSource(self._source.path, openers)
        name = self._joined(parent, split.name)
        self._insert(Tensor(name, first.dtype, shape, partial(at_start, joined)))

    def _array_in(self, node: Node) -> ArrayRef | None:
        """The array that `node` is, bare or paired with its parameter name, as Paddle writes nested tensors."""
        if isinstance(node, tuple) and len(node) == 2 and isinstance(node[0], Span) and node[0].is_text:
            node = node[1]
        if not isinstance(node, ArraySlot):
            return None
        if node.array is None:
            raise self._bad("holds an array without contents; the file is damaged")
        return node.array

    def _add(self, name: str, array: ArrayRef) -> None:
        nbytes = math.prod(array.shape) * array.dtype.itemsize
        opener = self._payloads.opener(array, nbytes)
        self._insert(Tensor(name, array.dtype, array.shape, opener, array.fortran))

    def _insert(self, tensor: Tensor) -> None:
        if tensor.name in self.tensors:
            raise self._bad(f"two tensors have the name '{shown(tensor.name)}' once nested names are joined")
        self.tensors[tensor.name] = tensor

    def _joined(self, parent: str | None, key: str) -> str:
        name = key if parent is None else f"{parent}.{key}"
        self._characters_left -= len(name)
        if len(name) > MAX_NAME_CHARACTERS or self._characters_left < 0:
            raise self._bad("its names are far longer than those of any checkpoint")
        return name

    def _spend(self, nodes: int) -> None:
        self._nodes_left -= nodes
        if self._nodes_left < 0:
            raise self._bad("its parts refer to each other so often that it would never end; it is no checkpoint")
