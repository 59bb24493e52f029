"""What the pickle inside a checkpoint is made of, and the few calls that it may contain.

A pickle names functions and asks for them to be called. Here a name is only a symbol: a call is compared with the
one shape of arguments that a genuine file uses, and its result is written down without calling anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ...errors import RefusedFileError, UnreadableFileError
from .byte_source import ByteSource
from .dtypes import DTYPES, DType

MAX_TEXT_BYTES = 64 << 10
"""Longest string that is looked at, on disk; no tensor has such a name."""

MAX_DIMENSIONS = 32
"""What every supported numpy can hold."""

MAX_ARRAY_BYTES = 1 << 63
"""No array has so many, for numpy insists that its size and each of its sizes fit a machine word."""

Node = object
"""dict, list, tuple, int, float, bool, None, or one of the classes below."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes or a string left in the file: `length` bytes from `offset`.

    `encoding` is `raw` for bytes, `latin1` for bytes written as UTF-8 text with one character a byte, `text` for a
    string in UTF-8, and `python2` for a string of Python 2, which may be either.
    """

    offset: int
    length: int
    encoding: Literal["raw", "latin1", "text", "python2"]

    @property
    def is_text(self) -> bool:
        """Whether this may serve as a name."""
        return self.encoding in ("text", "python2")


@dataclass(frozen=True, slots=True)
class Symbol:
    """The name of a permitted function or class, and the part it plays."""

    name: str
    role: str


@dataclass(slots=True)
class DTypeRef:
    """A numpy dtype; complete once its byte order has been read."""

    dtype: DType
    complete: bool = False


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """An array left in the file: its elements are `payload`, in Fortran order if `fortran`.

    With `steps`, the elements to go from one to the next along each dimension, they lie apart or repeat, and `payload`
    reaches from the first to the last.
    """

    dtype: DType
    shape: tuple[int, ...]
    fortran: bool
    payload: Span
    steps: tuple[int, ...] | None = None


@dataclass(slots=True)
class ArraySlot:
    """An array as the pickle makes it: announced first, filled in later."""

    array: ArrayRef | None = None


@dataclass(frozen=True, slots=True)
class NumpyScalar:
    """A single numpy number outside an array; its value is never needed."""

    dtype: DType


_ROLES: dict[tuple[str, str], str] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "ordered dict",
}
for _core in ("numpy.core", "numpy._core"):
    _ROLES[f"{_core}.multiarray", "_reconstruct"] = "array"
    _ROLES[f"{_core}.multiarray", "scalar"] = "scalar"
    _ROLES[f"{_core}.numeric", "_frombuffer"] = "buffer"
for _builtins in ("builtins", "__builtin__"):
    _ROLES[_builtins, "tuple"] = "tuple"
    _ROLES[_builtins, "bytes"] = "bytes"
    _ROLES[_builtins, "eval"] = "eval"

_DTYPE_CODES = {
    "b1": "bool",
    "u1": "uint8",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u2": "bfloat16",  # Paddle has no uint16 and stores bfloat16 under its name.
    "u4": "uint32",
    "u8": "uint64",
    "f2": "float16",
    "f4": "float32",
    "f8": "float64",
    "c8": "complex64",
    "c16": "complex128",
}


def shown(text: str) -> str:
    """`text` fit for a message: escaped and not too long."""
    plain = ascii(text)[1:-1]
    return plain if len(plain) <= 120 else plain[:117] + "..."


class Calls:
    """The permitted calls. Every method raises RefusedFileError or UnreadableFileError and nothing else."""

    persistent_ids = False
    """Whether objects outside the pickle, named by an id, are permitted."""

    integer_keys = False
    """Whether whole numbers may be keys of dicts; they are names by their digits."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._roles: Mapping[tuple[str, str], str] = _ROLES
        self._texts: dict[int, str] = {}
        self._at = 0
        self._symbol = Symbol("", "")
        self._shapes: dict[str, Callable[[tuple[Node, ...]], Node]] = {
            "array": self._array,
            "scalar": self._scalar,
            "buffer": self._buffer,
            "dtype": self._dtype,
            "encode": self._encode,
            "ordered dict": self._ordered_dict,
            "tuple": self._tuple,
            "bytes": self._bytes,
            "eval": self._eval,
        }

    def unreadable(self, message: str) -> UnreadableFileError:
        """The error for a file that is damaged or contradicts itself."""
        return UnreadableFileError(f"{self._source.path}: {message}")

    def refused(self, message: str) -> RefusedFileError:
        """The error for a file that asks for something to be executed."""
        return RefusedFileError(f"{self._source.path}: {message}; nothing was executed. Do not trust this file")

    def text(self, span: Span) -> str:
        """The string that `span` holds, read from the file once."""
        known = self._texts.get(span.offset)
        if known is not None:
            return known
        if span.length > MAX_TEXT_BYTES:
            raise self.unreadable(f"the name at byte {span.offset} has {span.length} bytes; no tensor has such a name")
        try:
            text = self._source.read(span.length, span.offset).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.unreadable(f"the name at byte {span.offset} is not UTF-8; the file is damaged") from error
        self._texts[span.offset] = text
        return text

    def symbol(self, module: str, name: str, at: int) -> Symbol:
        """The symbol for a global; raises RefusedFileError for every one that no checkpoint needs."""
        role = self._roles.get((module, name))
        full = shown(f"{module}.{name}")
        if role is None:
            raise self.refused(f"asks for {full} at byte {at}, which no checkpoint needs")
        return Symbol(full, role)

    def persistent(self, identifier: Node, at: int) -> Node:
        """The object that an id stands for; raises RefusedFileError unless it is a permitted one."""
        raise self.refused(f"names an object outside the file at byte {at}")

    def call(self, function: Node, arguments: Node, at: int) -> Node:
        """What `function(*arguments)` stands for; raises RefusedFileError unless it is a permitted call."""
        if not isinstance(function, Symbol):
            raise self.refused(f"asks at byte {at} to call something that is not a function")
        self._symbol, self._at = function, at
        shape = self._shapes.get(function.role)
        if shape is None or not isinstance(arguments, tuple):
            raise self.mismatch()
        return shape(arguments)

    def build(self, target: Node, state: Node, at: int) -> None:
        """Give an array its contents, or a dtype its byte order; raises RefusedFileError for anything else."""
        self._at = at
        if isinstance(target, ArraySlot):
            self._fill_array(target, state)
        elif isinstance(target, DTypeRef):
            self._complete_dtype(target, state)
        else:
            raise self.refused(f"asks at byte {at} to set the state of something that is not an array")

    def mismatch(self) -> RefusedFileError:
        """The error for a permitted function that is called in another way than genuine files do."""
        return self.refused(
            f"asks at byte {self._at} for a call of {self._symbol.name} that differs from the one in genuine files"
        )

    def short_text(self, value: Node) -> str | None:
        """A short string such as a dtype code, or None when `value` is anything else."""
        if isinstance(value, Span) and value.is_text and value.length <= 16:
            return self.text(value)
        return None

    def _is_letter_b(self, value: Node) -> bool:
        if not isinstance(value, Span) or value.encoding == "text" or value.length != 1:
            return False
        return self._source.read(1, value.offset) == b"b"

    def _array(self, arguments: tuple[Node, ...]) -> Node:
        if len(arguments) != 3:
            raise self.mismatch()
        kind, shape, letter = arguments
        if not (isinstance(kind, Symbol) and kind.role == "ndarray" and shape == (0,) and self._is_letter_b(letter)):
            raise self.mismatch()
        return ArraySlot()

    def _scalar(self, arguments: tuple[Node, ...]) -> Node:
        if len(arguments) != 2 or not isinstance(arguments[1], Span):
            raise self.mismatch()
        dtype = self._finished_dtype(arguments[0])
        self._check_payload(arguments[1], dtype.itemsize)
        return NumpyScalar(dtype)

    def _buffer(self, arguments: tuple[Node, ...]) -> Node:
        if len(arguments) != 4:
            raise self.mismatch()
        payload, dtype, shape, order = arguments
        letter = self.short_text(order)
        if not isinstance(payload, Span) or letter not in ("C", "F"):
            raise self.mismatch()
        return ArraySlot(self._checked_array(shape, dtype, letter == "F", payload))

    def _dtype(self, arguments: tuple[Node, ...]) -> Node:
        if len(arguments) != 3 or any(flag not in (0, 1) for flag in arguments[1:]):
            raise self.mismatch()
        code = self.short_text(arguments[0])
        if code is None:
            raise self.mismatch()
        if code.startswith("O"):
            raise self._object_array()
        name = _DTYPE_CODES.get(code)
        if name is None:
            raise self.unreadable(f"the dtype '{shown(code)}' at byte {self._at} is none that a tensor has")
        return DTypeRef(DTYPES[name])

    def _encode(self, arguments: tuple[Node, ...]) -> Node:
        if len(arguments) != 2 or self.short_text(arguments[1]) != "latin1":
            raise self.mismatch()
        text = arguments[0]
        if not isinstance(text, Span) or text.encoding != "text":
            raise self.mismatch()
        return Span(text.offset, text.length, "latin1")

    def _ordered_dict(self, arguments: tuple[Node, ...]) -> Node:
        if arguments:
            raise self.mismatch()
        return {}

    def _tuple(self, arguments: tuple[Node, ...]) -> Node:
        if len(arguments) != 1 or not isinstance(arguments[0], tuple):
            raise self.mismatch()
        return arguments[0]

    def _bytes(self, arguments: tuple[Node, ...]) -> Node:
        if arguments:
            raise self.mismatch()
        return Span(self._at, 0, "raw")

    def _eval(self, arguments: tuple[Node, ...]) -> Node:
        """The one odd call that Paddle itself writes for a nested static tensor: eval('data', {'data': array})."""
        if len(arguments) != 2 or self.short_text(arguments[0]) != "data":
            raise self.mismatch()
        names = arguments[1]
        if not isinstance(names, dict) or list(names) != ["data"]:
            raise self.mismatch()
        slot = names["data"]
        if not isinstance(slot, ArraySlot) or slot.array is None:
            raise self.mismatch()
        return slot

    def _complete_dtype(self, target: DTypeRef, state: Node) -> None:
        if not isinstance(state, tuple) or len(state) != 8 or target.complete:
            raise self.unreadable(f"the dtype at byte {self._at} is not one that numpy writes; the file is damaged")
        order = self.short_text(state[1])
        if order == ">" and target.dtype.itemsize > 1:
            raise self.unreadable(
                f"holds big-endian arrays (dtype at byte {self._at}); save it again on a little-endian machine"
            )
        expected = "|" if target.dtype.itemsize == 1 else "<"
        if order != expected or state[0] not in (3, 4) or state[2:] != (None, None, None, -1, -1, 0):
            raise self.unreadable(f"the dtype at byte {self._at} contradicts itself; the file is damaged")
        target.complete = True

    def _fill_array(self, target: ArraySlot, state: Node) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or state[0] != 1 or target.array is not None:
            raise self.unreadable(f"the array at byte {self._at} is not one that numpy writes; the file is damaged")
        _, shape, dtype, fortran, payload = state
        if isinstance(payload, list):
            raise self._object_array()
        if fortran not in (0, 1) or not isinstance(payload, Span):
            raise self.unreadable(f"the array at byte {self._at} is not one that numpy writes; the file is damaged")
        target.array = self._checked_array(shape, dtype, bool(fortran), payload)

    def _object_array(self) -> RefusedFileError:
        return self.refused(f"holds an array of Python objects (byte {self._at}), which is no tensor")

    def _finished_dtype(self, value: Node) -> DType:
        if not isinstance(value, DTypeRef) or not value.complete:
            raise self.unreadable(f"something other than a dtype stands at byte {self._at}; the file is damaged")
        return value.dtype

    def _checked_array(self, shape: Node, dtype: Node, fortran: bool, payload: Span) -> ArrayRef:
        element = self._finished_dtype(dtype)
        sizes = self.checked_shape(shape, element)
        self._check_payload(payload, math.prod(sizes) * element.itemsize)
        return ArrayRef(element, sizes, fortran and len(sizes) > 1, payload)

    def checked_shape(self, shape: Node, dtype: DType) -> tuple[int, ...]:
        """`shape` as sizes; raises UnreadableFileError unless it is one that an array can have."""
        if not isinstance(shape, tuple) or len(shape) > MAX_DIMENSIONS:
            raise self.unreadable(f"the shape before byte {self._at} is none that an array can have")
        sizes: list[int] = []
        for size in shape:
            if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
                raise self.unreadable(f"the shape before byte {self._at} is none that an array can have")
            sizes.append(size)
        # The sizes must fit a machine word even where another size is zero: numpy insists on that too.
        if math.prod(max(size, 1) for size in sizes) * dtype.itemsize >= MAX_ARRAY_BYTES:
            raise self.unreadable(f"the shape {sizes} before byte {self._at} is too large for any machine")
        return tuple(sizes)

    def _check_payload(self, payload: Span, count: int) -> None:
        """Compare the bytes on disk with the `count` bytes that the shape asks for."""
        if payload.encoding == "text":
            raise self.unreadable(f"the array at byte {self._at} holds text instead of bytes; the file is damaged")
        # As UTF-8 a byte takes one byte or two; the exact count is known only after decoding.
        most = 2 * count if payload.encoding == "latin1" else count
        if not count <= payload.length <= most:
            raise self.unreadable(
                f"the array at byte {self._at} needs {count} bytes by its shape but {payload.length} are stored; "
                "the file is damaged"
            )
