"""What Paddle 2 exports is read by the program and the names beside it, or refused: whatever is cut off, does not
belong together or would run something."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from paddle2torch.converters.formats.exports import file
from paddle2torch.converters.formats.exports.file import files_of_export, open_export
from paddle2torch.errors import RefusedFileError, SourceChangedError, UnreadableFileError

from ..pickles import HEAD as PROTOCOL
from ..pickles import symbol, text
from .made_up import FLOAT32, HEAD, TENSORS, Export, Held, description, failure, message, program, variable

KINDS = {
    **{0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64"},
    **{20: "uint8", 21: "int8", 22: "bfloat16", 23: "complex64", 24: "complex128"},
}
"""Paddle's numbers of element types."""

SIZES = {"bool": 1, "uint8": 1, "int8": 1, "int16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "float32": 4}


def test_tensors_have_their_names_in_training(tmp_path: Path) -> None:
    with open_export(Export().write(tmp_path)) as opened:
        assert list(opened.tensors) == ["backbone.conv1.conv.weight", "head.fc.bias", "head.fc.weight"]
        assert opened.tensors["head.fc.weight"].read().tolist() == [[0, 1, 2], [3, 4, 5]]
        assert opened.tensors["backbone.conv1.conv.weight"].read().tolist() == [[[[7]], [[8]]]]
        assert opened.tensors["head.fc.bias"].read().tolist() == [9, 10, 11]
        assert opened.ignored == ()


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_element_type(kind: int, tmp_path: Path) -> None:
    name = KINDS[kind]
    size = SIZES.get(name, 16 if name == "complex128" else 8)
    data = bytes(index % 2 for index in range(6 * size))
    path = Export({"a": Held(kind, (2, 3), data, "x"), "b": Held(kind, (), data[:size], "y")}).write(tmp_path)
    with open_export(path) as opened:
        assert opened.tensors["x"].dtype.name == name
        assert opened.tensors["x"].read().tobytes() == data
        assert opened.tensors["x"].shape == (2, 3)
        assert opened.tensors["y"].shape == ()


def test_an_empty_tensor(tmp_path: Path) -> None:
    path = Export({"a": Held(FLOAT32, (0, 3), b"", "x"), "b": Held(FLOAT32, (1,), b"abcd", "y")}).write(tmp_path)
    with open_export(path) as opened:
        assert opened.tensors["x"].shape == (0, 3)
        assert opened.tensors["y"].read().tobytes() == b"abcd"


def test_shapes_may_be_packed(tmp_path: Path) -> None:
    """Both ways in which the wire format writes several numbers."""
    dense = message(3, message(1, b"\x08\x05" + message(2, b"\x02\x03")))
    packed = message(3, message(1, b"linear_0.w_0") + message(2, b"\x08\x07" + dense) + b"\x18\x01")
    others = {name: held for name, held in TENSORS.items() if name != "linear_0.w_0"}
    path = Export(model=program(others, packed)).write(tmp_path)
    with open_export(path) as opened:
        assert opened.tensors["head.fc.weight"].shape == (2, 3)


def test_the_three_files(tmp_path: Path) -> None:
    path = Export().write(tmp_path, "model.v2")
    assert files_of_export(path) == (*(path, tmp_path / "model.v2.pdmodel", tmp_path / "model.v2.pdiparams.info"),)
    open_export(path).close()


def test_weights_that_are_cut_off_anywhere(tmp_path: Path) -> None:
    path = Export().write(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        error = failure(path)
        assert isinstance(error, UnreadableFileError)
        assert "it is truncated, fetch it again" in str(error) or "is too long" in str(error)


def test_bytes_behind_the_last_tensor(tmp_path: Path) -> None:
    path = Export().write(tmp_path)
    length = path.stat().st_size
    with path.open("ab") as opened:
        opened.write(b"\0" * 5)
    message = str(failure(path))
    assert f"5 bytes follow the last tensor of inference.pdmodel at byte {length}" in message
    assert "the two do not belong together, or the file is damaged" in message


@pytest.mark.parametrize("which", ["pdmodel", "pdiparams.info"])
def test_the_other_files_cut_off_anywhere(which: str, tmp_path: Path) -> None:
    path = Export().write(tmp_path)
    other = tmp_path / f"inference.{which}"
    whole = other.read_bytes()
    # Behind its blocks, a program says its version alone; behind the last opcode of a pickle nothing comes.
    for length in range(len(whole) - 4 if which == "pdmodel" else len(whole)):
        other.write_bytes(whole[:length])
        assert isinstance(failure(path, other), UnreadableFileError)


def test_a_program_without_tensors(tmp_path: Path) -> None:
    path = Export(model=program({})).write(tmp_path)
    assert "is no program of Paddle that has tensors" in str(failure(path, tmp_path / "inference.pdmodel"))


OTHERS: dict[str, tuple[dict[str, Held], str]] = {
    "another shape": (
        {"linear_0.b_0": Held(FLOAT32, (4,), b"", "head.fc.bias")},
        "head.fc.bias (linear_0.b_0) is float32 [3], the program says float32 [4]; the two do not belong together",
    ),
    "another element type": (
        {"linear_0.b_0": Held(6, (3,), b"", "head.fc.bias")},
        "is float32 [3], the program says float64 [3]",
    ),
    "a tensor more": (
        {"linear_1.b_0": Held(FLOAT32, (3,), b"", "head.fc.more")},
        "in the middle of head.fc.more; it is truncated",
    ),
}


@pytest.mark.parametrize("what", list(OTHERS))
def test_a_program_of_another_model(what: str, tmp_path: Path) -> None:
    changed, message = OTHERS[what]
    tensors = {**TENSORS, **changed}
    path = Export(tensors, weights=b"".join(TENSORS[name].record for name in sorted(TENSORS))).write(tmp_path)
    assert message in str(failure(path))


def test_a_variable_without_a_name_in_training(tmp_path: Path) -> None:
    table = tmp_path / "inference.pdiparams.info"
    path = Export({**TENSORS, "odd_0.w_0": Held(FLOAT32, (1,), b"abcd", None)}).write(tmp_path)
    assert "has no name for the variable odd_0.w_0 of inference.pdmodel" in str(failure(path, table))


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    table = tmp_path / "inference.pdiparams.info"
    path = Export({**TENSORS, "odd_0.w_0": Held(FLOAT32, (1,), b"abcd", "head.fc.bias")}).write(tmp_path)
    assert "has the name head.fc.bias twice" in str(failure(path, table))


@pytest.mark.parametrize("content", [{}, [1, 2], {"a": {}}, {"a": "b"}, {"a": {"structured_name": 3}}, "text", None])
def test_a_table_that_names_nothing(content: object, tmp_path: Path) -> None:
    path = Export(info=pickle.dumps(content, protocol=2)).write(tmp_path)
    table = tmp_path / "inference.pdiparams.info"
    assert "holds no names of tensors, which Paddle's export writes there" in str(failure(path, table))


@pytest.mark.parametrize("missing", ["pdmodel", "pdiparams.info"])
def test_without_a_file_beside_it_the_message_says_what_to_do(missing: str, tmp_path: Path) -> None:
    path = Export().write(tmp_path)
    (tmp_path / f"inference.{missing}").unlink()
    message = str(failure(path))
    assert f"inference.{missing} is not beside it, and without it the tensors have no names" in message
    assert "give the .pdparams of the training, which is a folder with best_accuracy.pdparams and config.yml" in message


def test_an_export_of_paddle_3(tmp_path: Path) -> None:
    path = Export().write(tmp_path)
    (tmp_path / "inference.pdmodel").unlink()
    (tmp_path / "inference.pdiparams.info").unlink()
    (tmp_path / "inference.json").write_text("{}")
    message = str(failure(path))
    assert "is an export of Paddle 3 (inference.json beside it)" in message
    assert "give the .pdparams of the training" in message


@pytest.mark.parametrize("place", ["root", "table", "name", "fact"])
@pytest.mark.parametrize("what", ["mkdir", "open", "eval", "stack global"])
def test_a_table_of_names_runs_nothing(what: str, place: str, tmp_path: Path) -> None:
    # The length of the path before it must match, so that the parts are made with it.
    canary = str(tmp_path / "canary")
    parts = {
        "mkdir": symbol("posix", "mkdir") + text(canary) + b"\x85R",
        "open": symbol("builtins", "open") + text(canary) + text("w") + b"\x86R",
        "eval": symbol("builtins", "eval") + text(f"open({canary!r}, 'w')") + b"\x85R",
        "stack global": text("os") + text("mkdir") + b"\x93" + text(canary) + b"\x85R",
    }
    call = parts[what]
    info = {
        "root": PROTOCOL + call + b".",
        "table": PROTOCOL + b"}(" + text("linear_0.w_0") + call + b"u.",
        "name": PROTOCOL + b"}(" + call + b"}u.",
        "fact": PROTOCOL + b"}(" + text("linear_0.w_0") + b"}(" + text("structured_name") + call + b"uu.",
    }[place]
    path = Export(info=info).write(tmp_path)
    assert isinstance(failure(path, tmp_path / "inference.pdiparams.info"), RefusedFileError)
    assert not Path(canary).exists()


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (25, (3,), "a tensor has the unknown element type 25"),
        (13, (3,), "a tensor has the unknown element type 13"),
        (FLOAT32, (1 << 31,), "a tensor has the shape [2147483648]"),
        (FLOAT32, (-1, 3), "a tensor has the shape [18446744073709551615, 3]"),
    ],
)
def test_odd_descriptions(kind: int, shape: tuple[int, ...], message: str, tmp_path: Path) -> None:
    odd = {**TENSORS, "a": Held(kind, shape, b"", "x")}
    assert message in str(failure(Export(odd).write(tmp_path), tmp_path / "inference.pdmodel"))
    sound = {**TENSORS, "a": Held(FLOAT32, (3,), b"", "x")}
    path = Export(sound, weights=b"".join(odd[name].record for name in sorted(odd))).write(tmp_path)
    assert message in str(failure(path))


@pytest.mark.parametrize(
    ("head", "length", "message"),
    [
        (
            struct.pack("<IQI", 1, 0, 0),
            None,
            "no plain tensor begins at byte 0, backbone.conv1.conv.weight is expected",
        ),
        (struct.pack("<IQI", 0, 1, 0), None, "no plain tensor begins at byte 0"),
        (struct.pack("<IQI", 0, 0, 1), None, "no plain tensor begins at byte 0"),
        (HEAD, 2000, "the description of backbone.conv1.conv.weight at byte 20 is too long"),
        (HEAD, (1 << 32) - 1, "is too long"),
        (HEAD, 1, "the description of backbone.conv1.conv.weight: a number is cut off"),
        (HEAD, 0, "a tensor has the unknown element type -1"),
    ],
)
def test_odd_records(head: bytes, length: int | None, message: str, tmp_path: Path) -> None:
    written = description(FLOAT32, (1, 2, 1, 1))
    rest = b"".join(TENSORS[name].record for name in sorted(TENSORS)[1:]) + b"\0" * 4096
    record = head + struct.pack("<I", len(written) if length is None else length) + written + b"\0" * 8
    assert message in str(failure(Export(weights=record + rest).write(tmp_path)))


def test_a_program_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Export().write(tmp_path)
    model, table = tmp_path / "inference.pdmodel", tmp_path / "inference.pdiparams.info"
    monkeypatch.setattr(file, "MOST_BYTES", model.stat().st_size - 1)
    assert "a program has at most" in str(failure(path, model))
    table.write_bytes(table.read_bytes() + b"\0" * 5000)
    monkeypatch.setattr(file, "MOST_BYTES", model.stat().st_size)
    assert "a table of names has at most" in str(failure(path, table))


def test_weights_that_change_are_noticed(tmp_path: Path) -> None:
    path = Export().write(tmp_path)
    with open_export(path) as opened:
        opened.check_unchanged()
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(SourceChangedError):
            opened.check_unchanged()


def test_later_blocks_are_read_too(tmp_path: Path) -> None:
    """A program with a loop has more than one."""
    first = {name: held for name, held in TENSORS.items() if "conv" not in name}
    (second,) = set(TENSORS) - set(first)
    held = TENSORS[second]
    model = program(first) + message(1, variable(second, held.kind, held.shape))
    with open_export(Export(model=model).write(tmp_path)) as opened:
        assert len(opened.tensors) == len(TENSORS)
        assert np.array_equal(opened.tensors["head.fc.bias"].read(), np.array([9, 10, 11], np.float32))
