"""The certificate holds for the very bytes it was made for, and no others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.alterations import UNALTERED
from paddle2torch.converters.outputs.certificate import CERTIFICATE, validate_certificate
from paddle2torch.converters.outputs.record import metadata_of
from paddle2torch.converters.to_paddle import convert_to_paddle
from paddle2torch.errors import SourceChangedError, UnreadableFileError
from paddle2torch.verify.certificate import (
    check_certificate,
    check_stamps,
    make_certificate,
    stamp_files,
    write_certificate,
)
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.sides.pair import find_pair, open_pair

from .conftest import Seed


def certify(source: Path, converted: Path) -> tuple[Path, Path]:
    """A certificate of what needs no framework."""
    write_certificate(converted, certificate_of(source, converted))
    return source, converted


def certificate_of(source: Path, converted: Path) -> dict[str, Any]:
    report = verify_checkpoint(source, converted, checks=("weights",))
    with open_pair(find_pair(source, converted), converted, None, None) as pair:
        return make_certificate(report, pair.certified, source, converted)


@pytest.fixture
def certified(seed_small: Seed, tmp_path: Path) -> tuple[Path, Path]:
    source, converted = seed_small("AlbertForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    return certify(source, converted)


@pytest.fixture
def certified_back(seed_small: Seed, tmp_path: Path) -> tuple[Path, Path]:
    """The way back: a Hugging Face source, and the PaddleNLP folder that was converted from it."""
    seed_small("AlbertForMaskedLM")
    convert_checkpoint(tmp_path / "source", tmp_path / "torch")
    convert_to_paddle(tmp_path / "torch", tmp_path / "paddle")
    return certify(tmp_path / "torch", tmp_path / "paddle")


def edit(converted: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = converted / CERTIFICATE
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def agree(source: Path, converted: Path) -> None:
    """Give the certificate the hashes of what is there now, as whoever forges one would."""
    made = certificate_of(source, converted)
    edit(converted, lambda document: document.update(source=made["source"], output=made["output"]))


def test_unchanged_files_match(certified: tuple[Path, Path]) -> None:
    check = check_certificate(*certified)
    assert check.passed, check.problems
    document = json.loads((certified[1] / CERTIFICATE).read_text())
    assert document["passed"] is True
    assert document["source"]["name"] == certified[0].name
    assert "float64" in document["not_run"]
    assert str(certified[0].parent) not in json.dumps(document)
    assert len(document["source"]["files"]) == 2
    assert set(document["output"]["files"]) == {"config.json", "model.safetensors"}
    assert len(document["mapping"]["moves"]) == len(document["output"]["tensors"])
    assert document["mapping"]["dropped"][0]["source"] == "transformer.pooler.weight"


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("kind", ["weights", "config.json"])
@pytest.mark.parametrize("offset", [-1, -900])
def test_one_changed_byte_is_seen(certified: tuple[Path, Path], side: int, kind: str, offset: int) -> None:
    name = {"weights": ("model_state.pdparams", "model.safetensors")[side]}.get(kind, kind)
    path = certified[side] / name
    data = bytearray(path.read_bytes())
    if kind == "config.json":
        data = bytearray(data.replace(b"0.02", b"0.03"))
    elif side == 0:
        data[-2000 + offset] ^= 1
    else:
        data[offset] ^= 1
    path.write_bytes(bytes(data))
    check = check_certificate(*certified)
    assert not check.passed
    assert any(name in problem and "not what was verified" in problem for problem in check.problems)


def test_a_recorded_failure_never_passes(certified: tuple[Path, Path]) -> None:
    edit(certified[1], lambda document: document.update(passed=False))
    check = check_certificate(*certified)
    assert not check.passed
    assert "records a verification that failed" in check.where


def test_what_could_not_be_run_never_passes(certified: tuple[Path, Path]) -> None:
    edit(certified[1], lambda document: document.update(could_not_run={"float32": "no module named sentencepiece"}))
    check = check_certificate(*certified)
    assert check.problems == ("the check float32 could not be run: no module named sentencepiece",)
    assert validate_certificate(certified[1]) == list(check.problems)


def with_environments(document: dict[str, Any], *changes: dict[str, Any]) -> None:
    """Several torch environments in which all was as in the first one, but for the changes."""
    names = ("passed", "versions", "checks", "not_run", "could_not_run", "declared_differences")
    found = {name: document[name] for name in names}
    document["environments"] = [{"name": f"torch {i}", **found, **change} for i, change in enumerate(changes)]


def test_several_environments(certified: tuple[Path, Path]) -> None:
    """Each has its versions and its checks, and one that failed, or could not be run, is enough."""
    check = json.loads((certified[1] / CERTIFICATE).read_text())["checks"][0]
    edit(certified[1], lambda document: with_environments(document, {}, {}))
    assert check_certificate(*certified).passed
    failed = {"checks": [{**check, "passed": False, "where": "logits"}]}
    edit(certified[1], lambda document: with_environments(document, {}, failed))
    assert check_certificate(*certified).problems == ("the check weights found a difference with torch 1: logits",)
    edit(certified[1], lambda document: with_environments(document, failed, failed))
    assert check_certificate(*certified).problems == ("the check weights found a difference with torch 0: logits",)
    edit(certified[1], lambda document: with_environments(document, {}, {"passed": False}))
    assert check_certificate(*certified).problems == ("the certificate records a verification that failed",)
    edit(certified[1], lambda document: with_environments(document, {"could_not_run": {"layers": "why"}}, {}))
    assert check_certificate(*certified).problems == ("the check layers could not be run with torch 0: why",)


def test_a_lost_tensor_is_seen(certified: tuple[Path, Path]) -> None:
    name = "albert.embeddings.word_embeddings.weight"
    edit(certified[1], lambda document: document["output"]["tensors"].pop(name))
    assert f"converted tensor {name} is not in the certificate" in check_certificate(*certified).problems


FILES = {
    "an adapter": "adapter_model.safetensors",
    "an equal copy": "other.safetensors",
    "other weights": "pytorch_model.bin",
    "code": "modeling_x.py",
    "a hidden file": ".config.json",
    "a configuration by version": "config.4.57.0.json",
    "a vocabulary": "vocab.txt",
}


@pytest.mark.parametrize("way_back", [False, True], ids=["to torch", "to paddle"])
@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_every_file_of_the_folder_counts(name: str, way_back: bool, request: pytest.FixtureRequest) -> None:
    source, converted = request.getfixturevalue("certified_back" if way_back else "certified")
    assert check_certificate(source, converted).passed
    shutil.copy(converted / "config.json", converted / name)
    problem = f"converted file {name} is not in the certificate"
    assert problem in validate_certificate(converted)
    assert problem in check_certificate(source, converted).problems


@pytest.mark.parametrize("kind", ["folder", "link"])
@pytest.mark.parametrize("name", ["README.md", "onnx", "vocab.txt", ".git"])
def test_folders_and_links_are_covered_by_nothing(name: str, kind: str, certified: tuple[Path, Path]) -> None:
    if kind == "folder":
        (certified[1] / name).mkdir()
    else:
        (certified[1] / name).symlink_to(certified[0] / "config.json")
    assert check_certificate(*certified).problems == (
        f"converted {name} is a folder or a link; no certificate covers it",
    )


def test_what_is_not_of_the_conversion_does_not_count(certified: tuple[Path, Path]) -> None:
    for name in ("README.md", ".gitattributes"):
        (certified[1] / name).write_text("mine")
    assert check_certificate(*certified).passed


def flip(path: Path) -> None:
    arrays = load_file(path)
    name = sorted(arrays)[0]
    arrays[name].reshape(-1).view(np.uint8)[3] ^= 1
    save_file(arrays, path, metadata_of(UNALTERED))


FORGERIES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "weights": (lambda source, converted: flip(converted / "model.safetensors"), "differs in 1 of"),
    "a dropped tensor": (
        lambda source, converted: edit(converted, lambda d: d["mapping"]["dropped"].clear()),
        "the recorded mapping is not that of this source",
    ),
    "a transform": (
        lambda source, converted: edit(converted, lambda d: d["mapping"]["moves"][0].update(transform="other")),
        "the recorded mapping is not that of this source",
    ),
    "a family": (
        lambda source, converted: edit(
            converted, lambda d: d["mapping"].update(family="bert", architecture="BertForMaskedLM")
        ),
        "the source does not convert to what the certificate says",
    ),
    "a file that no conversion writes": (
        lambda source, converted: (converted / "pytorch_model.bin").write_bytes(b"x"),
        "converted file pytorch_model.bin is none that a conversion writes",
    ),
    "another architecture": (
        lambda source, converted: (converted / "config.json").write_text(
            (converted / "config.json").read_text().replace("AlbertForMaskedLM", "BertForMaskedLM")
        ),
        "config.json names the architectures ['BertForMaskedLM'], the weights were converted for AlbertForMaskedLM",
    ),
    "the record": (
        lambda source, converted: save_file(
            load_file(converted / "model.safetensors"), converted / "model.safetensors", {"format": "pt"}
        ),
        "the converted weights lack the record of this package",
    ),
    "that it is foreign": (
        lambda source, converted: edit(converted, lambda d: d.update(foreign=True)),
        "the certificate is that of a foreign folder, and this is none",
    ),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_a_certificate_that_was_edited_with_the_files_fails(case: str, certified: tuple[Path, Path]) -> None:
    change, problem = FORGERIES[case]
    change(*certified)
    agree(*certified)
    check = check_certificate(*certified)
    assert not check.passed
    assert problem in " ".join(check.problems)
    assert "is not what was verified" not in " ".join(check.problems)


def test_a_forged_way_back_fails(certified_back: tuple[Path, Path]) -> None:
    """The converted weights are those of another model of the same shapes."""
    source, converted = certified_back
    shutil.copytree(source, source.parent / "other")
    flip(source.parent / "other" / "model.safetensors")
    convert_to_paddle(source.parent / "other", source.parent / "other-paddle")
    shutil.copy(source.parent / "other-paddle" / "model_state.pdparams", converted)
    agree(source, converted)
    check = check_certificate(source, converted)
    assert not check.passed
    assert check.where.startswith("weights: ")


def test_index_and_tokenizer_are_bound_too(seed_small: Seed, tmp_path: Path) -> None:
    source, converted = seed_small("AlbertForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted, max_shard_size=20_000)
    (converted / "vocab.txt").write_text("[PAD]")
    certify(source, converted)
    assert validate_certificate(str(converted)) == validate_certificate(converted) == []
    for name in ("model.safetensors.index.json", "vocab.txt"):
        path = converted / name
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert f"{name} is not what was verified" in check_certificate(source, converted).where
        path.write_bytes(content)


def test_one_that_was_edited_back_in_time_is_seen(certified: tuple[Path, Path]) -> None:
    """The time of modification can be set at will; that of the last change cannot."""
    path = certified[1] / "model.safetensors"
    before, times = stamp_files(*certified), path.stat()
    contents = bytearray(path.read_bytes())
    contents[-5] ^= 64
    with path.open("r+b") as file:
        file.write(contents)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(SourceChangedError, match=r"model\.safetensors: changed while"):
        check_stamps(before, stamp_files(*certified))


@pytest.mark.parametrize("name", [".hidden", "vocab.txt", "onnx/"])
def test_what_comes_meanwhile_is_seen(name: str, certified: tuple[Path, Path]) -> None:
    before = stamp_files(*certified)
    path = certified[1] / name
    path.mkdir() if name.endswith("/") else path.touch()
    with pytest.raises(SourceChangedError, match="changed while"):
        check_stamps(before, stamp_files(*certified))


def test_a_folder_of_someone_else_is_called_foreign(seed_small: Seed, tmp_path: Path) -> None:
    source, converted = seed_small("AlbertForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    weights = converted / "model.safetensors"
    save_file(load_file(weights), weights, {"format": "pt"})
    certify(source, converted)
    assert json.loads((converted / CERTIFICATE).read_text())["foreign"] is True
    assert check_certificate(source, converted).passed


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": NaN}', "nonsense"])
def test_a_malformed_certificate_is_an_error(certified: tuple[Path, Path], text: str) -> None:
    (certified[1] / CERTIFICATE).write_text(text)
    with pytest.raises(UnreadableFileError, match=CERTIFICATE):
        check_certificate(*certified)


def test_an_old_certificate_says_so(certified: tuple[Path, Path]) -> None:
    edit(certified[1], lambda document: document.update(format=1))
    with pytest.raises(UnreadableFileError, match="is a certificate of format 1, this version reads format 2; verify"):
        check_certificate(*certified)


def test_an_absent_certificate_is_an_error(certified: tuple[Path, Path]) -> None:
    (certified[1] / CERTIFICATE).unlink()
    with pytest.raises(UnreadableFileError, match="paddle2torch verify"):
        check_certificate(*certified)


@pytest.mark.parametrize("way_back", [False, True], ids=["to torch", "to paddle"])
@pytest.mark.parametrize("side", ["source", "output"])
def test_no_certificate_for_bytes_that_were_not_verified(
    side: str, way_back: bool, seed_small: Seed, tmp_path: Path, runners: Runners
) -> None:
    """A file that changes between the checks and the hashes would be called proven although no check saw it."""
    source, converted = seed_small("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    if way_back:
        source, converted = converted, tmp_path / "back"
        convert_to_paddle(source, converted)

    def change(text: str) -> None:
        if text == "writing the certificate":
            folder = source if side == "source" else converted
            name = "model_state.pdparams" if (side == "output") is way_back else "model.safetensors"
            path = folder / name
            contents = bytearray(path.read_bytes())
            contents[-5] ^= 64
            path.write_bytes(contents)

    with pytest.raises(SourceChangedError, match="changed while"):
        verify_checkpoint(source, converted, runners=runners, certificate=True, progress=change)
    assert not (converted / CERTIFICATE).exists()
