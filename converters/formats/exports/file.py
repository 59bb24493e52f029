"""Reads what Paddle 2 exports for inference: `.pdiparams`, tensors one behind the other without names; beside it
`.pdmodel`, the program whose variables they are, and `.pdiparams.info`, the names that these had in training.

No code of any of the three runs: the first two are read by the wire format of protocol buffers, the third, a pickle
without a single call in genuine files, by the reader of .pdparams files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from ....errors import UnreadableFileError
from ..byte_source import ByteSource
from ..dtypes import DTYPES, DType
from ..pdparams import PdparamsFile
from ..pickle_index import PickleIndex
from ..pickle_objects import Calls, Node, Span, shown
from ..tensors import Tensor
from .wire import Fields, as_bytes, as_number, as_numbers, fields_of, submessage

SUFFIX = ".pdiparams"

MOST_BYTES = 64 << 20
"""More than any program or table of names holds."""

MOST_DESCRIPTION = 1 << 10
"""More than the description of any tensor takes."""

_DENSE = 7
"""A variable that is a tensor, in Paddle's framework.proto (VarType.Type.DENSE_TENSOR, formerly LOD_TENSOR)."""

_TYPES = {
    **{0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64"},
    **{20: "uint8", 21: "int8", 22: "bfloat16", 23: "complex64", 24: "complex128"},
}
"""Element types of Paddle's framework.proto (VarType.Type)."""


def open_export(path: Path) -> PdparamsFile:
    """Find the tensors of the `.pdiparams` file at `path`, under the names that they had in training; their values stay
    in the file.

    Raises UnreadableFileError when the program or the names are not beside it, as for exports of Paddle 3, when one of
    the three is truncated or contradicts another, and RefusedFileError when the table of names asks for something to be
    executed.
    """
    program, table = path.with_suffix(".pdmodel"), path.with_name(path.name + ".info")
    if not program.is_file() or not table.is_file():
        raise UnreadableFileError(_nameless(path, program if not program.is_file() else table))
    source = ByteSource(path)
    try:
        variables = _variables(program)
        names = _names(table)
        tensors: dict[str, Tensor] = {}
        position = 0
        for variable, expected in variables.items():
            name = names.get(variable)
            if name is None:
                raise UnreadableFileError(f"{table}: has no name for the variable {shown(variable)} of {program.name}")
            if name in tensors:
                raise UnreadableFileError(f"{table}: has the name {shown(name)} twice")
            tensors[name], position = _tensor(source, position, name, variable, expected)
        if position != source.size:
            raise UnreadableFileError(
                f"{path}: {source.size - position} bytes follow the last tensor of {program.name} at byte {position}; "
                "the two do not belong together, or the file is damaged"
            )
        source.check_unchanged()
    except BaseException:
        source.close()
        raise
    return PdparamsFile(source, tensors, ())


def files_of_export(path: Path) -> tuple[Path, ...]:
    """The file of an export's weights, and the two beside it that are read too."""
    return (path, path.with_suffix(".pdmodel"), path.with_name(path.name + ".info"))


def _nameless(path: Path, missing: Path) -> str:
    why = f"{missing.name} is not beside it, and without it the tensors have no names"
    if path.with_suffix(".json").is_file():
        why = f"is an export of Paddle 3 ({path.with_suffix('.json').name} beside it), whose tensors have no names"
    return (
        f"{path}: {why}; give the .pdparams of the training, which is a folder with best_accuracy.pdparams and "
        "config.yml where PaddleOCR trained"
    )


def _message(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UnreadableFileError(f"{path}: has {size:,} bytes; a program has at most {MOST_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error


def _variables(program: Path) -> dict[str, tuple[DType, tuple[int, ...]]]:
    """The persistent tensors of a program in the order in which they are saved, that of their names."""
    found: dict[str, tuple[DType, tuple[int, ...]]] = {}
    try:
        blocks = fields_of(_message(program)).get(1, [])
        for block in blocks:
            for entry in fields_of(as_bytes(block)).get(3, []):
                variable = fields_of(as_bytes(entry))
                kind = submessage(variable, 2)
                if as_number(variable, 3, 0) and as_number(kind, 1, 0) == _DENSE:
                    name = as_bytes(variable[1][-1]).decode("utf-8")
                    found[name] = _description(submessage(submessage(kind, 3), 1))
    except (ValueError, KeyError) as error:
        raise UnreadableFileError(f"{program}: is no complete program of Paddle: {error}") from error
    if not found:
        raise UnreadableFileError(f"{program}: is no program of Paddle that has tensors")
    return dict(sorted(found.items()))


def _description(message: Fields) -> tuple[DType, tuple[int, ...]]:
    """Element type and shape. Raises ValueError."""
    kind = as_number(message, 1, -1)
    if kind not in _TYPES:
        raise ValueError(f"a tensor has the unknown element type {kind}")
    shape = tuple(as_numbers(message, 2))
    if any(size >= 1 << 31 for size in shape):
        raise ValueError(f"a tensor has the shape {list(shape)}")
    return DTYPES[_TYPES[kind]], shape


def _names(table: Path) -> dict[str, str]:
    """The names in training of a program's variables."""
    source = ByteSource(table)
    try:
        if source.size > MOST_BYTES:
            raise UnreadableFileError(
                f"{table}: has {source.size:,} bytes; a table of names has at most {MOST_BYTES:,}"
            )
        index = PickleIndex(source)
        root = index.read()
        found = _named(root, index.calls) if isinstance(root, dict) else {}
    finally:
        source.close()
    if not found:
        raise UnreadableFileError(f"{table}: holds no names of tensors, which Paddle's export writes there")
    return found


def _named(root: Mapping[str, Node], calls: Calls) -> dict[str, str]:
    names = {}
    for variable, facts in root.items():
        name = facts.get("structured_name") if isinstance(facts, dict) else None
        if isinstance(name, Span) and name.is_text:
            names[variable] = calls.text(name)
    return names


def _tensor(
    source: ByteSource, start: int, name: str, variable: str, expected: tuple[DType, tuple[int, ...]]
) -> tuple[Tensor, int]:
    """The tensor whose record begins at a byte, which must be what the program says, and the byte behind it."""

    def number(at: int, size: int) -> int:
        if at + size > source.size:
            raise UnreadableFileError(
                f"{source.path}: ends at byte {source.size} in the middle of {shown(name)}; it is truncated, fetch it "
                "again"
            )
        return int.from_bytes(source.read(size, at), "little")

    # A version, the levels of a ragged tensor, a version again, and the description with its length before it.
    if number(start, 4) or number(start + 4, 8) or number(start + 12, 4):
        raise UnreadableFileError(f"{source.path}: no plain tensor begins at byte {start}, {shown(name)} is expected")
    length, at = number(start + 16, 4), start + 20
    if length > MOST_DESCRIPTION or at + length > source.size:
        raise UnreadableFileError(f"{source.path}: the description of {shown(name)} at byte {at} is too long")
    try:
        found = _description(fields_of(source.read(length, at)))
    except ValueError as error:
        raise UnreadableFileError(f"{source.path}: the description of {shown(name)}: {error}") from error
    dtype, shape = found
    if found != expected:
        raise UnreadableFileError(
            f"{source.path}: {shown(name)} ({variable}) is {dtype.name} {list(shape)}, the program says "
            f"{expected[0].name} {list(expected[1])}; the two do not belong together"
        )
    begin = at + length
    end = begin + math.prod(shape) * dtype.itemsize
    if end > source.size:
        raise UnreadableFileError(
            f"{source.path}: ends at byte {source.size}, {shown(name)} would at {end}; it is truncated, fetch it again"
        )
    return Tensor(name, dtype, shape, lambda: (source, begin)), end
