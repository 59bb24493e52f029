"""Files like those of torch.save that were made to harm, or damaged: each is refused, and runs nothing.

None of them would harm another reader. A directory that lies is one only in this process, and what a guard is there
for is small here, as the guard is.
"""

from __future__ import annotations

import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from paddle2torch.converters.formats import pickle_index, pickle_objects
from paddle2torch.converters.formats.byte_source import ByteSource
from paddle2torch.converters.formats.pdparams import PdparamsFile
from paddle2torch.converters.formats.torch_save import archive as torch_archive
from paddle2torch.converters.formats.torch_save import calls as torch_calls
from paddle2torch.converters.formats.torch_save.file import open_torch_file
from paddle2torch.errors import Paddle2TorchError, RefusedFileError, UnreadableFileError

from .torch_parts import archive_of, integer, legacy_of, pickled, storage, tensor, text

VIEW_OF_NONE = storage(more=b"N")


def opened(folder: Path, data: bytes) -> PdparamsFile:
    path = folder / "pytorch_model.bin"
    path.write_bytes(data)
    return open_torch_file(path)


def refused(folder: Path, data: bytes, message: str) -> Paddle2TorchError:
    with pytest.raises(Paddle2TorchError, match=message) as caught:
        opened(folder, data)
    assert str(caught.value).startswith(f"{folder / 'pytorch_model.bin'}: ")
    assert "\n" not in str(caught.value)
    assert os.listdir(folder) == ["pytorch_model.bin"]
    return caught.value


@pytest.mark.parametrize(
    "data", [archive_of(pickled(tensor())), legacy_of(pickled(tensor(VIEW_OF_NONE)))], ids=["archive", "legacy"]
)
def test_the_assembled_files_are_whole(data: bytes, tmp_path: Path) -> None:
    with opened(tmp_path, data) as found:
        assert found.tensors["x"].read().tolist()[5] == [20.0, 21.0, 22.0, 23.0]


def test_tensors_of_the_oldest_kind(tmp_path: Path) -> None:
    value = b"ctorch._utils\n_rebuild_tensor\n(" + VIEW_OF_NONE + integer(2) + b"(K\x02K\x03t(K\x03K\x01ttR"
    with opened(tmp_path, legacy_of(pickled(value))) as found:
        assert found.tensors["x"].read().tolist() == [[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (b"cos\nsystem\n" + b"(" + text("touch harmed") + b"tR", RefusedFileError, "os.system"),
        (b"cbuiltins\neval\n" + b"(" + text("1") + b"tR", RefusedFileError, "builtins.eval"),
        (b"cnumpy.core.multiarray\n_reconstruct\n", RefusedFileError, "_reconstruct"),
        (b"ctorch.storage\nUntypedStorage\n", RefusedFileError, "UntypedStorage"),
        (b"ctorch\nFloatStorage\n(K\x01tR", RefusedFileError, "a call of torch.FloatStorage"),
        (b"ctorch\nfloat32\n(K\x01tR", RefusedFileError, "a call of torch.float32"),
        (b"ctorch\nfloat32\n}b", RefusedFileError, "to change torch.float32"),
        (b"ctorch\nFloatStorage\n", RefusedFileError, "as a value"),
        (b"ctorch\nSize\n", RefusedFileError, "as a value"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", RefusedFileError, "differs from the one in genuine files"),
        (tensor(more=b"}"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(hooks=b"K\x01"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(hooks=b"N"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(held=b"K\x00"), RefusedFileError, "differs from the one in genuine files"),
        (tensor(first=-1), RefusedFileError, "differs from the one in genuine files"),
        (tensor(strides=(-4, 1)), RefusedFileError, "differs from the one in genuine files"),
        (tensor(strides=(4,)), RefusedFileError, "differs from the one in genuine files"),
        (tensor(shape=(-6, 4)), UnreadableFileError, "none that an array can have"),
        (tensor(shape=(7, 4)), UnreadableFileError, "ends at element 27 of a storage of 24"),
        (tensor(strides=(5, 1)), UnreadableFileError, "ends at element 28 of a storage of 24"),
        (tensor(first=1), UnreadableFileError, "ends at element 24 of a storage of 24"),
        (tensor(held=storage(count=12)), UnreadableFileError, "has 96 bytes, but 12 elements"),
        (tensor(held=storage(count=-1)), RefusedFileError, "no storage of numbers"),
        (tensor(held=storage(kind="ShortStorage")), UnreadableFileError, "24 elements of int16"),
        (tensor(held=storage(kind="QInt8Storage")), RefusedFileError, "QInt8Storage"),
        (tensor(held=storage(key="1")), UnreadableFileError, "is not in the archive"),
        (tensor(held=storage(key="../data.pkl")), UnreadableFileError, "is not in the archive"),
        (tensor(held=storage(word="module")), RefusedFileError, "no storage of numbers"),
        (tensor(held=VIEW_OF_NONE), RefusedFileError, "no storage of numbers"),
        (b"K\x07Q", RefusedFileError, "no storage of numbers"),
        (b"Pos\n", RefusedFileError, "opcode PERSID"),
        (b"ctorch._utils\n_rebuild_parameter\n(K\x01\x89ccollections\nOrderedDict\n)RtR", RefusedFileError, "differs"),
        (b"ccollections\nOrderedDict\n)R}" + text("x") + b"K\x01sb", RefusedFileError, "set the state"),
        (tensor() + b"}" + text("_metadata") + b"}sb", RefusedFileError, "set the state"),
        (b"}\x88" + tensor() + b"s", UnreadableFileError, "a key that is not a string"),
        (b"}(K\x07" + tensor() + text("7") + b"Nu", UnreadableFileError, "has the key '7' twice"),
    ],
)
def test_a_harmful_pickle_is_refused(value: bytes, error: type[Exception], message: str, tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path, archive_of(pickled(value)), message), error)


def test_one_storage_of_two_types_is_refused(tmp_path: Path) -> None:
    value = b"](" + tensor() + tensor(held=storage(kind="IntStorage")) + b"e"
    refused(tmp_path, archive_of(pickled(value)), "two element types")


def test_limits_on_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_index, "MAX_KEY_BITS", 8)
    refused(tmp_path, archive_of(pickled(b"}M\x2c\x01Ns")), "a number of 9 bits as key")
    monkeypatch.setattr(pickle_objects, "MAX_ARRAY_BYTES", 96)
    refused(tmp_path, archive_of(pickled(tensor())), r"the shape \[6, 4\] before byte \d+ is too large for any machine")


def test_limits_on_what_is_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements can repeat without end, and one storage can be seen in any number of ways."""
    expanded = archive_of(pickled(tensor(shape=(40, 24), strides=(0, 1))))
    monkeypatch.setattr(torch_calls, "MAX_GATHERED_BYTES", 40 * 24 * 4 - len(expanded))
    with opened(tmp_path, expanded) as found:
        assert found.tensors["x"].read().shape == (40, 24)
    monkeypatch.setattr(torch_calls, "MAX_GATHERED_BYTES", 40 * 24 * 4 - len(expanded) - 1)
    refused(
        tmp_path, expanded, r"shape \[40, 24\] and strides \[0, 1\] before byte \d+, repeat elements far more often"
    )
    views = [tensor(first=first, shape=(3, 3), strides=(7, 2)) for first in range(4)]
    for values, fits in ((views, False), (views[:1] * 4, True)):
        data = archive_of(pickled(b"](" + b"".join(values) + b"e"))
        monkeypatch.setattr(torch_calls, "MAX_GATHERED_BYTES", 36 - len(data))
        if fits:
            opened(tmp_path, data).close()
        else:
            refused(tmp_path, data, "repeat elements")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a/constants.pkl": b""}, "TorchScript"),
        ({"a/code/x.py": b""}, "TorchScript"),
        ({"b/data.pkl": b""}, "not one of torch.save"),
    ],
)
def test_a_strange_member_is_refused(members: dict[str, bytes], message: str, tmp_path: Path) -> None:
    refused(tmp_path, archive_of(pickled(tensor()), members), message)


def test_a_big_endian_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, archive_of(pickled(tensor()), byte_order=b"big"), "byte order 'big'|byte order b'big'")


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, archive_of(pickled(tensor()), compression=zipfile.ZIP_DEFLATED), "is compressed")


def test_other_archives_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as written:
        written.writestr("word/document.xml", b"")
    refused(tmp_path, (tmp_path / "pytorch_model.bin").read_bytes(), r"not one of torch\.save")


Entries = list[zipfile.ZipInfo]
MEMBERS = ("a/data.pkl", "a/byteorder", "a/data/0", "a/data/1")


def sized(entry: zipfile.ZipInfo, size: int) -> None:
    entry.file_size = entry.compress_size = size


LIES: dict[str, tuple[Callable[[Entries], object], str]] = {
    "encrypted": (lambda entries: setattr(entries[2], "flag_bits", 1), "is encrypted"),
    "longer by one": (lambda entries: sized(entries[2], 97), "has 97 bytes|overlap"),
    "longer than the file": (lambda entries: sized(entries[2], 5000), "not where its directory says"),
    "shorter than its elements": (lambda entries: sized(entries[2], 92), "has 92 bytes, but 24 elements"),
    "of two sizes": (lambda entries: setattr(entries[2], "compress_size", 95), "is compressed"),
    "at another member": (lambda entries: setattr(entries[2], "header_offset", 0), "not where its directory says"),
    "at no member": (lambda entries: setattr(entries[2], "header_offset", 3), "not where its directory says"),
    "behind the end": (lambda entries: setattr(entries[2], "header_offset", 5000), "not where its directory says"),
    "over another": (lambda entries: sized(entries[2], 200), "members a/data/0 and a/data/1 overlap"),
    "twice": (lambda entries: entries.append(entries[1]), "holds the member a/byteorder twice"),
    "outside": (lambda entries: setattr(entries[3], "filename", "../outside"), r"not one of torch\.save"),
    "at the root": (lambda entries: setattr(entries[3], "filename", "/outside"), r"not one of torch\.save"),
}


@pytest.mark.parametrize("name", list(LIES))
def test_a_directory_that_lies_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is a good one: what its directory says is changed once it has been read."""
    change, message = LIES[name]
    real = torch_archive._entries

    def entries(archive: ByteSource) -> tuple[Entries, int]:
        found, begin = real(archive)
        assert tuple(entry.filename for entry in found) == MEMBERS
        change(found)
        return found, begin

    data = archive_of(pickled(tensor()), {"a/data/1": bytes(400)})
    opened(tmp_path, data).close()
    monkeypatch.setattr(torch_archive, "_entries", entries)
    refused(tmp_path, data, message)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_archive, "MAX_MEMBERS", 2)
    refused(tmp_path, archive_of(pickled(tensor())), "holds 3 members")


HELD = pickled(tensor(VIEW_OF_NONE))
LEGACY: dict[str, tuple[bytes, str]] = {
    "a call": (legacy_of(pickled(b"cos\nsystem\n(" + text("touch harmed") + b"tR")), "os.system"),
    "an id of the newer format": (legacy_of(pickled(tensor())), "no storage of numbers"),
    "a part of a storage": (
        legacy_of(pickled(tensor(storage(more=b"(" + text("v") + b"K\x00K\x0ct")))),
        "a part of another one; load it with PyTorch and save",
    ),
    "another version": (legacy_of(HELD, version=1000), "another version than 1001"),
    "big-endian": (legacy_of(HELD, system={"little_endian": False}), "not saved in the byte order little"),
    "no system": (legacy_of(HELD, system=[]), "not saved in the byte order little"),
    "no list of storages": (legacy_of(HELD, keys="0"), "no list of storages"),
    "no storage": (legacy_of(HELD, keys=(), counts=()), "the storage 0 is not in the file"),
    "another storage": (legacy_of(HELD, keys=("1",)), "not that of its tensors"),
    "one storage twice": (legacy_of(HELD, keys=("0", "0"), counts=(24, 24)), "not that of its tensors"),
    "a number as key": (legacy_of(HELD, keys=(0,)), "not that of its tensors"),
    "another size": (legacy_of(HELD, counts=(23,)), "has another size than announced"),
    "more bytes": (legacy_of(HELD, after=b"abc"), "3 bytes follow the last storage"),
}


@pytest.mark.parametrize("name", list(LEGACY))
def test_an_old_file_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    data, message = LEGACY[name]
    error = refused(tmp_path, data, message)
    assert isinstance(error, RefusedFileError) == (name in ("a call", "an id of the newer format"))


@pytest.mark.parametrize("data", [archive_of(pickled(tensor())), legacy_of(HELD)], ids=["archive", "legacy"])
def test_every_truncation_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    for length in range(15, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(UnreadableFileError):
            open_torch_file(path)


@pytest.mark.parametrize(("name", "checked"), [("shared", True), ("unchecked", False), ("shared.legacy", False)])
def test_any_damage_is_read_or_refused(name: str, checked: bool, torch_files: Path, tmp_path: Path) -> None:
    """Whatever the bytes are, the outcome is tensors within the file or an error of this package."""
    original = (torch_files / f"{name}.bin").read_bytes()
    chance = random.Random(3)
    path = tmp_path / "damaged.bin"
    outcomes = set()
    for _ in range(800):
        data = bytearray(original)
        for _ in range(chance.choice((1, 2, 8))):
            # The old format is told by its first bytes.
            data[chance.randrange(15, len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data))
        try:
            with open_torch_file(path) as found:
                for one in found.tensors.values():
                    assert len(one.read().tobytes()) == one.nbytes <= len(data)
            outcomes.add("read")
        except Paddle2TorchError as error:
            outcomes.add(type(error).__name__ if str(error).startswith(str(path)) else str(error))
    # Where there are checksums, damage to the pickle is found before it is read.
    assert outcomes == {"read", "UnreadableFileError", *(() if checked else ("RefusedFileError",))}


def test_storages_are_not_read_until_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening reads the directory, the headers and the pickle, so that it costs nothing for any size of tensor."""
    value = tensor(storage("1", 2 << 20), shape=(2 << 20,), strides=(1,))
    data = archive_of(pickled(value), {"a/data/1": bytes(8 << 20)})
    read: list[int] = []
    real = os.preadv

    def counting(descriptor: int, buffers: tuple[memoryview, ...], offset: int) -> int:
        read.append(sum(len(buffer) for buffer in buffers))
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", counting)
    with opened(tmp_path, data) as found:
        assert sum(read) < 4096
        assert found.tensors["x"].read().sum() == 0
