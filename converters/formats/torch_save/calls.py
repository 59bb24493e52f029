"""The calls in files of `torch.save`: tensors made of storages, parameters made of tensors, and plain values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ....errors import Paddle2TorchError, RefusedFileError
from ..byte_source import ByteSource
from ..dtypes import DTYPES, DType
from ..pickle_objects import ArrayRef, ArraySlot, Calls, Node, Span, Symbol, shown
from .archive import SAVE_AGAIN

MAX_GATHERED_BYTES = 1 << 30
"""What tensors whose elements lie apart or repeat may take beyond the size of the file: views can claim anything."""

_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}

_ROLES = {
    **{("torch", name): f"storage {dtype}" for name, dtype in _STORAGES.items()},
    # What checkpoints hold beside their tensors; `torch.load(weights_only=True)` knows it too.
    **{("torch", name): "value" for name in DTYPES},
    **{("torch", name): "plain" for name in ("Size", "device")},
    ("collections", "Counter"): "plain",
    **{(module, name): "plain" for module in ("builtins", "__builtin__") for name in ("set", "complex")},
    ("_codecs", "encode"): "encode",
    ("torch._utils", "_rebuild_tensor"): "tensor",
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_parameter"): "parameter",
    ("collections", "OrderedDict"): "ordered dict",
}


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage left in the file: `count` elements from byte `offset`."""

    dtype: DType
    count: int
    offset: int


Find = Callable[[str, DType, int], int]
"""Gives the byte at which a storage begins, by its key, element type and number of elements. Raises
Paddle2TorchError."""


class TorchCalls(Calls):
    """The permitted calls.

    `find` says where a storage begins. The id of an object outside the pickle is ('storage', class, key, device, number
    of elements), with None as one more of its `id_parts` in the older format.
    """

    persistent_ids = True
    integer_keys = True

    def __init__(self, source: ByteSource, file_size: int, find: Find, id_parts: int = 5) -> None:
        super().__init__(source)
        self._roles = _ROLES
        self._shapes = {
            "tensor": self._tensor,
            "parameter": self._parameter,
            "ordered dict": self._ordered_dict,
            "encode": self._encode,
            "plain": lambda arguments: arguments,
        }
        self._find = find
        self._id_parts = id_parts
        self._gathered_left = file_size + MAX_GATHERED_BYTES
        self._views: set[ArrayRef] = set()
        self.storages: dict[str, Storage] = {}

    def refused(self, message: str) -> RefusedFileError:
        """The error for a file that asks for something to be executed, or for more than plain tensors."""
        return RefusedFileError(
            f"{self._source.path}: {message}; nothing was executed. If you trust where it is from, {SAVE_AGAIN}"
        )

    def persistent(self, identifier: Node, at: int) -> Node:
        """The storage that an id stands for."""
        self._at = at
        if not isinstance(identifier, tuple) or len(identifier) != self._id_parts:
            raise self._odd_storage()
        word, kind, key, device, count, *rest = identifier
        if rest not in ([], [None]):
            raise self.unreadable(f"the storage before byte {at} is a part of another one; {SAVE_AGAIN}")
        if not (isinstance(kind, Symbol) and kind.role.startswith("storage ") and self.short_text(word) == "storage"):
            raise self._odd_storage()
        if not (isinstance(key, Span) and key.is_text and isinstance(device, Span) and device.is_text):
            raise self._odd_storage()
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 1 << 63:
            raise self._odd_storage()
        dtype = DTYPES[kind.role.removeprefix("storage ")]
        name = self.text(key)
        storage = Storage(dtype, count, self._find(name, dtype, count))
        if self.storages.setdefault(name, storage) != storage:
            raise self.unreadable(f"the storage {shown(name)} is used with two element types or sizes; {SAVE_AGAIN}")
        return storage

    def _odd_storage(self) -> Paddle2TorchError:
        return self.refused(f"names an object outside the pickle at byte {self._at} that is no storage of numbers")

    def _tensor(self, arguments: tuple[Node, ...]) -> Node:
        """_rebuild_tensor_v2(storage, first element, shape, strides, requires_grad, hooks), or _rebuild_tensor with the
        first four."""
        if len(arguments) == 4:
            arguments = (*arguments, False, {})
        if len(arguments) != 6:
            raise self.mismatch()
        storage, first, shape, strides, gradient, hooks = arguments
        if not isinstance(storage, Storage) or not isinstance(gradient, bool) or hooks != {}:
            raise self.mismatch()
        sizes = self.checked_shape(shape, storage.dtype)
        steps = _whole_numbers(strides)
        if steps is None or len(steps) != len(sizes) or _whole_numbers((first,)) is None or not isinstance(first, int):
            raise self.mismatch()
        if 0 in sizes:
            return ArraySlot(ArrayRef(storage.dtype, sizes, False, Span(storage.offset, 0, "raw")))
        reach = sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        if first + reach >= storage.count:
            raise self.unreadable(
                f"the tensor before byte {self._at} ends at element {first + reach} of a storage of {storage.count}; "
                "the file is damaged"
            )
        payload = Span(storage.offset + first * storage.dtype.itemsize, (reach + 1) * storage.dtype.itemsize, "raw")
        if _contiguous(sizes, steps):
            return ArraySlot(ArrayRef(storage.dtype, sizes, False, payload))
        if _contiguous(sizes[::-1], steps[::-1]):
            return ArraySlot(ArrayRef(storage.dtype, sizes, True, payload))
        return ArraySlot(self._counted(ArrayRef(storage.dtype, sizes, False, payload, steps)))

    def _counted(self, view: ArrayRef) -> ArrayRef:
        """A view whose elements have to be gathered; raises UnreadableFileError when all such would take too much."""
        if view not in self._views:
            self._views.add(view)
            self._gathered_left -= math.prod(view.shape) * view.dtype.itemsize
        if self._gathered_left < 0:
            raise self.unreadable(
                f"its views, such as the one of shape {list(view.shape)} and strides {list(view.steps or ())} before "
                f"byte {self._at}, repeat elements far more often than those of any checkpoint"
            )
        return view

    def _parameter(self, arguments: tuple[Node, ...]) -> Node:
        """_rebuild_parameter(tensor, requires_grad, hooks)."""
        if len(arguments) != 3 or arguments[2] != {} or not isinstance(arguments[1], bool):
            raise self.mismatch()
        if not isinstance(arguments[0], ArraySlot):
            raise self.mismatch()
        return arguments[0]

    def build(self, target: Node, state: Node, at: int) -> None:
        """Accepts the versions of modules that a state dict carries along, which no tensor depends on."""
        if not isinstance(target, dict) or not isinstance(state, dict) or set(state) != {"_metadata"}:
            raise self.refused(f"asks at byte {at} to set the state of something that is not a state dict")


def _whole_numbers(values: Node) -> tuple[int, ...] | None:
    """A tuple of numbers from 0 on, or None when `values` is anything else."""
    if not isinstance(values, tuple):
        return None
    numbers = tuple(
        value for value in values if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
    )
    return numbers if len(numbers) == len(values) else None


def _contiguous(sizes: tuple[int, ...], steps: tuple[int, ...]) -> bool:
    """Whether elements lie in C order without gaps; the stride of a dimension of one element says nothing."""
    expected = 1
    for size, step in zip(reversed(sizes), reversed(steps), strict=True):
        if size != 1:
            if step != expected:
                return False
            expected *= size
    return True
