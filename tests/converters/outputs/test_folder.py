"""An output folder appears complete or not at all, and nothing of anyone else's is ever replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle2torch.converters.outputs.alterations import UNALTERED
from paddle2torch.converters.outputs.card import marked
from paddle2torch.converters.outputs.folder import check_output, new_folder
from paddle2torch.converters.outputs.hashes import hash_files
from paddle2torch.converters.outputs.record import carries_record, metadata_of, own_record
from paddle2torch.errors import OutputError

WRITTEN = ["out", "out/config.json", "out/model.safetensors"]
"""What `write` leaves."""


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write(output: Path, overwrite: bool = False, text: str = "new") -> None:
    with new_folder(output, overwrite) as folder:
        (folder / "config.json").write_text(text)
        put_weights(folder / "model.safetensors")


def put_weights(path: Path, record: bool = True) -> None:
    """A file of weights with the record of a conversion, or as `save_pretrained` writes it."""
    save_file({"weight": np.zeros(2, np.float32)}, path, metadata_of(UNALTERED) if record else {"format": "pt"})


def fail(output: Path, error: type[BaseException], elsewhere: Path | None = None) -> None:
    """Fail in the middle, after someone else has made the file `elsewhere`."""
    with new_folder(output, True) as folder:
        (folder / "half").write_text("half")
        if elsewhere is not None:
            elsewhere.parent.mkdir(exist_ok=True)
            elsewhere.write_text("mine")
        raise error


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b" / "out"
    with new_folder(output, False) as folder:
        (folder / "config.json").write_text("new")
        assert not output.exists()
        assert folder.parent == output.parent
    assert everything(tmp_path) == ["a", "a/b", "a/b/out", "a/b/out/config.json"]


class Stopped(BaseException):
    """As an interrupt: no Exception."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Stopped])
def test_nothing_is_left_after_an_error(error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error):
        fail(tmp_path / "a" / "b" / "out", error)
    assert everything(tmp_path) == []


def test_a_parent_that_someone_else_uses_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fail(tmp_path / "a" / "b" / "out", Stopped, tmp_path / "a" / "mine")
    assert everything(tmp_path) == ["a", "a/mine"]


def test_overwriting(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    write(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "config.json").read_text() == "new"
    assert everything(tmp_path) == WRITTEN


def test_the_old_folder_stays_after_an_error(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    with pytest.raises(Stopped):
        fail(tmp_path / "out", Stopped)
    assert (tmp_path / "out" / "config.json").read_text() == "old"
    assert everything(tmp_path) == WRITTEN


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", text="old")
    rename = Path.rename

    def refuse(self: Path, target: Any) -> Path:
        if self.suffix == ".partial":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="out: cannot be put in place: Permission denied"):
        write(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "config.json").read_text() == "old"
    assert everything(tmp_path) == WRITTEN


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_appears_meanwhile_is_kept(overwrite: bool, tmp_path: Path) -> None:
    def run() -> None:
        with new_folder(tmp_path / "out", overwrite):
            put(tmp_path / "out", ["mine"])

    with pytest.raises(OutputError, match="holds mine" if overwrite else "exists already"):
        run()
    assert everything(tmp_path) == ["out", "out/mine"]


def test_a_folder_that_exists_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        write(tmp_path / "out")
    assert everything(tmp_path) == ["out"]


OWN = [
    ["config.json", "model.safetensors"],
    ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
    ["config.json", "model.safetensors", "tokenizer_config.json", "spiece.model", "parity.json"],
    ["config.json", "model.safetensors", "vocab.txt", "special_tokens_map.json"],
    [],
]
FOREIGN = [
    ["config.json", "model.safetensors", "pytorch_model.bin"],
    ["config.json", "model.safetensors", "adapter_config.json"],
    ["config.json", "model.safetensors", ".env"],
    ["config.json", "model_state.pdparams"],
    ["model.safetensors", "seeded_weights.json"],
    ["config.json", "notes.txt", "seeded_weights.json"],
    ["config.json", "tokenizer.json", "tokenizer_config.json"],
    ["notes.txt"],
    ["thesis.md"],
    [".git/config.json"],
    ["model.safetensors.bak"],
    ["model.safetensors", "README.md/thesis.txt"],
]


@pytest.mark.parametrize("names", OWN, ids=" ".join)
def test_what_this_package_writes_may_be_replaced(names: list[str], tmp_path: Path) -> None:
    put(tmp_path / "out", names)
    check_output(tmp_path / "out", tmp_path / "source", overwrite=True)
    write(tmp_path / "out", overwrite=True)
    assert everything(tmp_path) == WRITTEN


def refused(output: Path, reason: str) -> None:
    """--overwrite does not replace a folder, before the work and after it."""
    before = everything(output.parent)
    with pytest.raises(OutputError, match=reason):
        check_output(output, output.parent / "source", overwrite=True)
    with pytest.raises(OutputError, match=reason):
        write(output, overwrite=True)
    assert everything(output.parent) == before


@pytest.mark.parametrize("names", FOREIGN, ids=" ".join)
def test_what_others_wrote_may_not(names: list[str], tmp_path: Path) -> None:
    put(tmp_path / "out", names)
    refused(tmp_path / "out", "which no conversion wrote")


@pytest.mark.parametrize("names", OWN[:-1], ids=" ".join)
def test_names_alone_make_no_folder_ones_own(names: list[str], tmp_path: Path) -> None:
    """What `save_pretrained` writes has the names of a conversion's files."""
    put(tmp_path / "out", names)
    last = next(name for name in reversed(names) if name.endswith(".safetensors"))
    put_weights(tmp_path / "out" / last, record=False)
    refused(tmp_path / "out", rf"holds {last}, which no conversion wrote \(it lacks this package's record\)")


def test_seeded_weights_may_be_replaced_while_they_are_those(tmp_path: Path) -> None:
    put(tmp_path / "out", ["config.json", "model_state.pdparams"])
    weights = tmp_path / "out" / "model_state.pdparams"
    (tmp_path / "out" / "seeded_weights.json").write_text(json.dumps({"files": hash_files([weights])}))
    check_output(tmp_path / "out", tmp_path / "source", overwrite=True)
    weights.write_bytes(b"trained for a week")
    refused(tmp_path / "out", r"holds weights other than those that seeded_weights\.json speaks of")


def test_links_are_nobodys_output(tmp_path: Path) -> None:
    put(tmp_path / "out", ["model.safetensors"])
    (tmp_path / "vocab.txt").touch()
    (tmp_path / "out" / "vocab.txt").symlink_to(tmp_path / "vocab.txt")
    refused(tmp_path / "out", r"holds vocab\.txt, which no conversion wrote")


@pytest.mark.parametrize("kept", [-3, 64])
def test_a_damaged_file_of_its_own_may_be_replaced(kept: int, tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    path = tmp_path / "out" / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    write(tmp_path / "out", overwrite=True)
    assert len(path.read_bytes()) == len(whole)


CLAIM = (64).to_bytes(8, "little") + b'{"__metadata__":{"format":"pt","other":"paddle2torch"}}' + b" " * 11
"""A safetensors file that speaks of this package and has no such key."""


@pytest.mark.parametrize(
    "data", [b"", b"1234", b"\xff" * 16, (9).to_bytes(8, "little") + b'{"a": []}', b"2" * 99, CLAIM]
)
def test_what_is_no_file_of_weights_has_no_record(data: bytes, tmp_path: Path) -> None:
    for name in ("model.safetensors", "model_state.pdparams"):
        (tmp_path / name).write_bytes(data)
        assert not carries_record(tmp_path / name)
    assert not own_record(tmp_path)
    assert not own_record(tmp_path / "absent")


def test_a_users_card_survives(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    for name in ("README.md", ".gitattributes"):
        (tmp_path / "out" / name).write_text(f"my {name}")
    write(tmp_path / "out", overwrite=True)
    assert everything(tmp_path) == sorted([*WRITTEN, "out/README.md", "out/.gitattributes"])
    assert (tmp_path / "out" / "config.json").read_text() == "new"
    assert (tmp_path / "out" / "README.md").read_text() == "my README.md"
    assert (tmp_path / "out" / ".gitattributes").read_text() == "my .gitattributes"


@pytest.mark.parametrize("edited", [False, True])
def test_a_card_of_its_own_goes_with_what_it_speaks_of(edited: bool, tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    card = marked("# Proven\n")
    (tmp_path / "out" / "README.md").write_text(card.replace("Proven", "My proof") if edited else card)
    write(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "README.md").exists() is edited


def put(folder: Path, names: list[str]) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        if name.endswith(".safetensors"):
            put_weights(folder / name)
        else:
            (folder / name).touch()


def test_a_folder_inside_the_source_is_no_danger(tmp_path: Path) -> None:
    put(tmp_path / "source", ["config.json"])
    check_output(tmp_path / "source" / "out", tmp_path / "source", overwrite=False)


@pytest.mark.parametrize("output", ["source", "link", "file-link", ""])
def test_the_source_is_recognised_through_links(output: str, tmp_path: Path) -> None:
    put(tmp_path / "source", ["config.json"])
    (tmp_path / "link").symlink_to("source")
    (tmp_path / "file-link").symlink_to("source/config.json")
    with pytest.raises(OutputError, match="is or contains the source"):
        check_output(tmp_path / output, tmp_path / "link", overwrite=True)
