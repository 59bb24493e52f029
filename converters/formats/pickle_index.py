"""A walk over a pickle that finds the arrays in it, without Python's unpickler and without running anything.

Only the opcodes that genuine checkpoints need are known. Large strings and bytes are stepped over, so the cost
depends on the number of objects and not on the size of the tensors.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Literal

from ...errors import Paddle2TorchError, RefusedFileError
from .byte_source import ByteSource
from .pickle_objects import Calls, Node, Span, Symbol, shown

WINDOW_BYTES = 16 << 10
"""Read at a time."""

MAX_OPERATIONS = 2_000_000
"""A checkpoint takes about forty operations a tensor; this bounds time and memory for a file made only of them."""

MAX_GLOBAL_BYTES = 256
"""Longest module or function name in a file."""

MAX_KEY_BITS = 64
"""Largest whole number that may be a key."""

_STOP = 0x2E

# Opcodes of the pickle format that no checkpoint needs, by name for the message.
_FOREIGN = {
    0x30: "POP",
    0x31: "POP_MARK",
    0x32: "DUP",
    0x46: "FLOAT",
    0x49: "INT",
    0x4C: "LONG",
    0x50: "PERSID",
    0x51: "BINPERSID",
    0x53: "STRING",
    0x56: "UNICODE",
    0x64: "DICT",
    0x67: "GET",
    0x69: "INST",
    0x6C: "LIST",
    0x6F: "OBJ",
    0x70: "PUT",
    0x81: "NEWOBJ",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    0x8B: "LONG4",
    0x8F: "EMPTY_SET",
    0x90: "ADDITEMS",
    0x91: "FROZENSET",
    0x92: "NEWOBJ_EX",
    0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
}


class PickleIndex:
    """The contents of the pickle that fills `source` from its first byte to its last, or of one of several in it.

    `read` gives the tree: dict with str keys, list, tuple, int, float, bool, None, `Span` for bytes and strings,
    `ArraySlot` for arrays. The tree may share parts and, in a hostile file, contain itself.
    """

    def __init__(
        self, source: ByteSource, calls: Calls | None = None, start: int = 0, is_followed: bool = False
    ) -> None:
        """`calls` are the permitted ones; default are those of Paddle's files. The pickle begins at byte `start`;
        something else may come behind it if it `is_followed`."""
        self.calls = calls or Calls(source)
        self.operations = 0
        self._source = source
        self._window = b""
        self._window_start = start
        self._position = start
        self._is_followed = is_followed
        self._at = start
        self._stack: list[Node] = []
        self._marks: list[int] = []
        self._memo: dict[int, Node] = {}
        self._handlers = self._all_handlers()

    def read(self) -> Node:
        """The root of the tree.

        Raises RefusedFileError for an opcode, function or call that no checkpoint needs, UnreadableFileError for a
        file that is truncated or contradicts itself. Time and memory depend on the number of opcodes only.
        """
        self._header()
        while True:
            self._at = self._position
            start = self._at - self._window_start
            # As `_take` does, without a call for each of what may be a million operations.
            if start < len(self._window):
                code = self._window[start]
                self._position += 1
            else:
                code = self._take(1)[0]
            if code == _STOP:
                return self._finish()
            handler = self._handlers.get(code)
            if handler is None:
                raise self._unknown(code)
            self.operations += 1
            if self.operations > MAX_OPERATIONS:
                raise self._bad(f"has more than {MAX_OPERATIONS} pickle operations, far more than any checkpoint")
            handler()

    @property
    def end(self) -> int:
        """The byte behind what has been read."""
        return self._position

    def _header(self) -> None:
        head = self._take(2)
        if head[0] != 0x80 or not 2 <= head[1] <= 5:
            raise self._bad("is not a pickle of protocol 2 to 5, which Paddle writes")

    def _finish(self) -> Node:
        if self._marks or len(self._stack) != 1:
            raise self._bad(f"the pickle ends at byte {self._at} with {len(self._stack)} objects instead of one")
        extra = self._source.size - self._position
        if extra and not self._is_followed:
            raise self._bad(f"{extra} bytes follow the end of the pickle at byte {self._position}; the file is damaged")
        return self._stack[0]

    def _unknown(self, code: int) -> Paddle2TorchError:
        name = _FOREIGN.get(code)
        if name is None:
            return self._bad(f"byte 0x{code:02x} at {self._at} is no pickle opcode; the file is damaged")
        return self._refused(f"uses the pickle opcode {name} at byte {self._at}, which no checkpoint needs")

    def _bad(self, message: str) -> Paddle2TorchError:
        return self.calls.unreadable(message)

    def _refused(self, message: str) -> RefusedFileError:
        return self.calls.refused(message)

    # Reading.

    def _take(self, count: int) -> bytes:
        """The next `count` bytes; only for the small fixed parts."""
        start = self._position - self._window_start
        if start + count > len(self._window):
            left = self._source.size - self._position
            if left < count:
                raise self._bad(
                    f"ends at byte {self._source.size} in the middle of the pickle; it is truncated, fetch it again"
                )
            self._window = self._source.read(min(left, max(count, WINDOW_BYTES)), self._position)
            self._window_start = self._position
            start = 0
        self._position += count
        return self._window[start : start + count]

    def _unsigned(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little")

    def _span(self, length: int, encoding: Literal["raw", "text", "python2"]) -> Span:
        """Step over `length` bytes."""
        left = self._source.size - self._position
        if length > left:
            raise self._bad(
                f"announces {length} bytes at byte {self._at} but only {left} are left; it is truncated, fetch it again"
            )
        span = Span(self._position, length, encoding)
        self._position += length
        return span

    def _line(self) -> str:
        start = self._position - self._window_start
        end = self._window.find(b"\n", start, start + MAX_GLOBAL_BYTES + 1)
        if end >= 0:
            self._position += end + 1 - start
            return self._window[start:end].decode("utf-8", "backslashreplace")
        # It reaches beyond the window, or is too long.
        line = bytearray()
        while (byte := self._take(1)) != b"\n":
            line += byte
            if len(line) > MAX_GLOBAL_BYTES:
                raise self._bad(f"the function name at byte {self._at} is too long; the file is damaged")
        return line.decode("utf-8", "backslashreplace")

    # The stack.

    def _push(self, value: Node) -> None:
        self._stack.append(value)

    def _need(self, count: int) -> None:
        """Raise UnreadableFileError unless so many objects lie above the last mark."""
        if len(self._stack) < count + (self._marks[-1] if self._marks else 0):
            raise self._bad(f"an object is missing at byte {self._at}; the file is damaged")

    def _pop(self) -> Node:
        self._need(1)
        return self._stack.pop()

    def _top(self) -> Node:
        self._need(1)
        return self._stack[-1]

    def _pop_to_mark(self) -> list[Node]:
        if not self._marks:
            raise self._bad(f"a mark is missing at byte {self._at}; the file is damaged")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _remember(self, index: int) -> None:
        self._memo[index] = self._top()

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise self._bad(f"refers at byte {self._at} to an object that it never stored; the file is damaged")
        self._stack.append(self._memo[index])

    # Operations with more to them than one expression.

    def _frame(self) -> None:
        length = self._unsigned(8)
        if length > self._source.size - self._position:
            raise self._bad(f"announces a frame of {length} bytes at byte {self._at}; it is truncated, fetch it again")

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _binstring(self) -> None:
        length = int.from_bytes(self._take(4), "little", signed=True)
        if length < 0:
            raise self._bad(f"announces {length} bytes at byte {self._at}; the file is damaged")
        self._push(self._span(length, "python2"))

    def _tuple_of(self, count: int) -> None:
        self._need(count)
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _store(self, target: Node, key: Node, value: Node) -> None:
        if not isinstance(target, dict):
            raise self._bad(f"stores under a key in something that is not a dict at byte {self._at}")
        if isinstance(key, Span) and key.is_text:
            name = self.calls.text(key)
        elif self.calls.integer_keys and isinstance(key, int) and not isinstance(key, bool):
            name = self._digits(key)
        else:
            raise self._bad(f"has a key that is not a string before byte {self._at}; only names are expected")
        if name in target:
            raise self._bad(f"has the key '{shown(name)}' twice in one dict (byte {self._at}); the file is damaged")
        target[name] = value

    def _digits(self, key: int) -> str:
        # Python refuses to write numbers of thousands of digits, and takes long for those that it writes.
        if key.bit_length() > MAX_KEY_BITS:
            raise self._bad(f"has a number of {key.bit_length()} bits as key before byte {self._at}; it is no name")
        return str(key)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._store(self._top(), key, value)

    def _set_items(self) -> None:
        items = self._pop_to_mark()
        target = self._top()
        if len(items) % 2:
            raise self._bad(f"has a key without a value at byte {self._at}; the file is damaged")
        for index in range(0, len(items), 2):
            self._store(target, items[index], items[index + 1])

    def _append(self, items: list[Node]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise self._bad(f"appends to something that is not a list at byte {self._at}; the file is damaged")
        target.extend(items)

    def _global(self) -> None:
        module = self._line()
        name = self._line()
        self._push(self.calls.symbol(module, name, self._at))

    def _stack_global(self) -> None:
        parts: list[str] = []
        for part in (self._pop(), self._pop()):
            if not isinstance(part, Span) or part.encoding != "text" or part.length > MAX_GLOBAL_BYTES:
                raise self._bad(f"the function name before byte {self._at} is not a name; the file is damaged")
            parts.append(self.calls.text(part))
        name, module = parts
        self._push(self.calls.symbol(module, name, self._at))

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        self._push(self.calls.call(function, arguments, self._at))

    def _persistent(self) -> None:
        self._push(self.calls.persistent(self._pop(), self._at))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Symbol):
            raise self._refused(f"asks at byte {self._at} to change {target.name}")
        self.calls.build(target, state, self._at)

    def _all_handlers(self) -> dict[int, Callable[[], None]]:
        """One handler for each opcode that a genuine checkpoint needs."""
        push, unsigned, span = self._push, self._unsigned, self._span
        return {
            ord("("): self._mark,
            ord("}"): lambda: push({}),
            ord("]"): lambda: push([]),
            ord(")"): lambda: push(()),
            ord("t"): lambda: push(tuple(self._pop_to_mark())),
            0x85: lambda: self._tuple_of(1),
            0x86: lambda: self._tuple_of(2),
            0x87: lambda: self._tuple_of(3),
            ord("s"): self._set_item,
            ord("u"): self._set_items,
            ord("a"): lambda: self._append([self._pop()]),
            ord("e"): lambda: self._append(self._pop_to_mark()),
            ord("N"): lambda: push(None),
            0x88: lambda: push(True),
            0x89: lambda: push(False),
            ord("J"): lambda: push(int.from_bytes(self._take(4), "little", signed=True)),
            ord("K"): lambda: push(unsigned(1)),
            ord("M"): lambda: push(unsigned(2)),
            0x8A: lambda: push(int.from_bytes(self._take(unsigned(1)), "little", signed=True)),
            ord("G"): lambda: push(struct.unpack(">d", self._take(8))[0]),
            0x8C: lambda: push(span(unsigned(1), "text")),
            ord("X"): lambda: push(span(unsigned(4), "text")),
            0x8D: lambda: push(span(unsigned(8), "text")),
            ord("C"): lambda: push(span(unsigned(1), "raw")),
            ord("B"): lambda: push(span(unsigned(4), "raw")),
            0x8E: lambda: push(span(unsigned(8), "raw")),
            0x96: lambda: push(span(unsigned(8), "raw")),
            ord("U"): lambda: push(span(unsigned(1), "python2")),
            ord("T"): self._binstring,
            ord("q"): lambda: self._remember(unsigned(1)),
            ord("r"): lambda: self._remember(unsigned(4)),
            0x94: lambda: self._remember(len(self._memo)),
            ord("h"): lambda: self._recall(unsigned(1)),
            ord("j"): lambda: self._recall(unsigned(4)),
            0x95: self._frame,
            ord("c"): self._global,
            0x93: self._stack_global,
            ord("R"): self._reduce,
            ord("b"): self._build,
            **({0x51: self._persistent} if self.calls.persistent_ids else {}),
        }
