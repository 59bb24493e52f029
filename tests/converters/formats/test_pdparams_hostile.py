"""Hostile files: whatever would run code is refused by name, and runs nothing.

What a file asks for here is to make an empty file, or less: none would harm whoever opens it with something else.
"""

from __future__ import annotations

import ast
import pickle
import struct
from pathlib import Path

import pytest

from paddle2torch.converters.formats import pdparams
from paddle2torch.converters.formats.byte_source import MemorySource
from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.converters.formats.pickle_objects import Calls
from paddle2torch.errors import RefusedFileError

from .pickles import HEAD, NEW_ARRAY, array, dtype, entry, failure, state, symbol, text


def test_the_parts_make_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "file.pdparams"
    path.write_bytes(state(entry(array())))
    with open_pdparams(path) as opened:
        assert opened.tensors["w"].read().tobytes() == b"abcdefgh"


EXECUTING = {
    "system": symbol("posix", "system") + text("touch {canary}") + b"\x85R",
    "open": symbol("builtins", "open") + text("{canary}") + text("w") + b"\x86R",
    "python 2 open": symbol("__builtin__", "open") + text("{canary}") + text("w") + b"\x86R",
    "stack global": text("os") + text("system") + b"\x93" + text("touch {canary}") + b"\x85R",
    "eval": symbol("builtins", "eval") + text("open('{canary}', 'w')") + b"\x85R",
    "eval with names": symbol("builtins", "eval") + text("open('{canary}', 'w')") + b"}\x86R",
    "numpy load": symbol("numpy", "load") + text("{canary}") + b"\x85R",
    "imported module": symbol("colorsys", "rgb_to_hls") + b"K\x00K\x00K\x00\x87R",
}


@pytest.mark.parametrize("name", list(EXECUTING))
@pytest.mark.parametrize("place", ["root", "value", "beside a tensor", "key", "array state"])
def test_nothing_is_executed(tmp_path: Path, name: str, place: str) -> None:
    canary = tmp_path / "canary"
    code = EXECUTING[name]
    # The lengths before the strings must match once the canary's path is filled in.
    filled = b"".join(
        part if index % 2 == 0 else text(part.decode()) for index, part in enumerate(_split_texts(code, str(canary)))
    )
    data = {
        "root": HEAD + filled + b".",
        "value": state(entry(filled)),
        "beside a tensor": state(entry(array()), entry(filled, "v")),
        "key": state(filled + array()),
        "array state": HEAD + NEW_ARRAY + filled + b"b.",
    }[place]
    error = failure(tmp_path, data)
    assert isinstance(error, RefusedFileError)
    assert "nothing was executed" in str(error)
    assert not canary.exists()
    if name in ("system", "numpy load"):
        module = {"system": "posix.system", "numpy load": "numpy.load"}[name]
        assert module in str(error)
        assert f"at byte {data.index(b'c' + module.replace('.', chr(10)).encode())}" in str(error)


def _split_texts(code: bytes, canary: str) -> list[bytes]:
    """`code` cut into other bytes and strings by turns, with the canary's path put into the strings."""
    pieces = [b""]
    while code:
        if code[:1] == b"X" and len(pieces) % 2:
            (length,) = struct.unpack("<I", code[1:5])
            pieces += [code[5 : 5 + length].replace(b"{canary}", canary.encode()), b""]
            code = code[5 + length :]
        elif code[:1] == b"c":
            end = code.index(b"\n", code.index(b"\n") + 1) + 1
            pieces[-1] += code[:end]
            code = code[end:]
        else:
            pieces[-1] += code[:1]
            code = code[1:]
    return pieces


def test_the_canary_is_real(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pieces = _split_texts(EXECUTING["system"], str(canary))
    data = b"".join(piece if index % 2 == 0 else text(piece.decode()) for index, piece in enumerate(pieces))
    pickle.loads(HEAD + data + b".")
    assert canary.exists()


@pytest.mark.parametrize("name", ["tuple.mro", "tuple ", "Tuple", "bytes.fromhex", "eval\x00", "getattr", ""])
def test_a_name_is_permitted_as_a_whole_or_not_at_all(name: str) -> None:
    with pytest.raises(RefusedFileError, match="which no checkpoint needs; nothing was executed"):
        Calls(MemorySource(Path("file"), b"")).symbol("builtins", name, 0)


READER = (
    *("byte_source", "file_kinds", "payloads", "pdparams", "pickle_index", "pickle_objects", "tensors"),
    *("dtypes", "torch_save/file", "torch_save/archive", "torch_save/calls"),
)


@pytest.mark.parametrize("module", READER)
def test_no_module_of_the_reader_can_execute(module: str) -> None:
    source = (Path(str(pdparams.__file__)).parent / f"{module}.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        imported: set[str] = set()
        if isinstance(node, ast.Import):
            imported = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {str(node.module)}
        assert not imported & {"pickle", "_pickle", "marshal", "importlib", "shelve", "subprocess"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "compile", "__import__")


EVAL = symbol("builtins", "eval")
REFUSED = {
    "opcode INST": (HEAD + b"(icollections\nOrderedDict\n.", "opcode INST at byte 3"),
    "opcode OBJ": (HEAD + b"(o.", "opcode OBJ"),
    "opcode NEWOBJ": (state(entry(b")\x81")), "opcode NEWOBJ"),
    "opcode PERSID": (HEAD + b"Pabc\n.", "opcode PERSID"),
    "opcode BINPERSID": (HEAD + text("a") + b"Q.", "opcode BINPERSID"),
    "opcode EXT1": (HEAD + b"\x82\x01.", "opcode EXT1"),
    "opcode DUP": (HEAD + b"]2.", "opcode DUP"),
    "opcode NEXT_BUFFER": (b"\x80\x05\x97.", "opcode NEXT_BUFFER"),
    "eval of other text": (HEAD + EVAL + text("dato") + b"}" + text("data") + array() + b"s\x86R.", "builtins.eval"),
    "eval of other names": (HEAD + EVAL + text("data") + b"}" + text("date") + array() + b"s\x86R.", "builtins.eval"),
    "eval of no array": (HEAD + EVAL + text("data") + b"}" + text("data") + b"K\x01s\x86R.", "builtins.eval"),
    "eval of two names": (
        HEAD + EVAL + text("data") + b"}(" + entry(array(), "data") + entry(b"N", "x") + b"u\x86R.",
        "builtins.eval",
    ),
    "eval with locals": (
        HEAD + EVAL + text("data") + b"}" + text("data") + array() + b"s}\x87R.",
        "builtins.eval",
    ),
    "eval as a value": (state(entry(EVAL)), "builtins.eval as a value"),
    "object dtype": (
        state(entry(NEW_ARRAY + b"(K\x01K\x01\x85" + dtype("O8", "|", b"K\x3f") + b"\x89]Natb")),
        "objects",
    ),
    "list as payload": (state(entry(array(payload=b"]"))), "objects"),
    "call of a tensor": (HEAD + array() + b")R.", "not a function"),
    "call of a result": (HEAD + symbol("collections", "OrderedDict") + b")R)R.", "not a function"),
    "call of ndarray": (HEAD + symbol("numpy", "ndarray") + b"K\x02\x85\x85R.", "numpy.ndarray"),
    "state of a dict": (HEAD + b"}}b.", "set the state"),
    "state of a function": (HEAD + symbol("collections", "OrderedDict") + b"}b.", "change collections.OrderedDict"),
    "ordered dict of items": (HEAD + symbol("collections", "OrderedDict") + b"]\x85R.", "collections.OrderedDict"),
    "encode to another codec": (
        HEAD + symbol("_codecs", "encode") + text("a") + text("rot13") + b"\x86R.",
        "_codecs.encode",
    ),
    "bytes of something": (HEAD + symbol("builtins", "bytes") + b"K\x05\x85R.", "builtins.bytes"),
    "tuple of a list": (HEAD + symbol("builtins", "tuple") + b"]\x85R.", "builtins.tuple"),
    "arguments that are no tuple": (HEAD + symbol("builtins", "tuple") + b"]R.", "builtins.tuple"),
    "array of another class": (
        HEAD + symbol("numpy.core.multiarray", "_reconstruct") + symbol("numpy", "dtype") + b"K\x00\x85C\x01b\x87R.",
        "_reconstruct",
    ),
    "array of another start": (
        HEAD + symbol("numpy.core.multiarray", "_reconstruct") + symbol("numpy", "ndarray") + b"K\x07\x85C\x01b\x87R.",
        "_reconstruct",
    ),
    "buffer of a list": (
        HEAD + symbol("numpy.core.numeric", "_frombuffer") + b"(]" + dtype() + b"K\x02\x85" + text("C") + b"tR.",
        "_frombuffer",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_refused(tmp_path: Path, name: str) -> None:
    data, message = REFUSED[name]
    error = failure(tmp_path, data)
    assert isinstance(error, RefusedFileError), error
    assert message in str(error)
    assert "nothing was executed" in str(error)
