"""The certificate holds for the very bytes it was made for, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint, recognise
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.certificate import CERTIFICATE
from paddle2torch.converters.to_paddle import convert_to_paddle
from paddle2torch.errors import SourceChangedError, UnreadableFileError
from paddle2torch.verify.certificate import check_certificate, make_certificate, write_certificate
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from .conftest import Seed


@pytest.fixture
def certified(seed_small: Seed, tmp_path: Path) -> tuple[Path, Path]:
    source, converted = seed_small("AlbertForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, checks=("weights",))
    with open_checkpoint(source) as checkpoint:
        plan = recognise(checkpoint).plan
    write_certificate(converted, make_certificate(report, plan, source, converted))
    return source, converted


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
    path = certified[1] / CERTIFICATE
    path.write_text(path.read_text().replace('"passed": true', '"passed": false', 1))
    check = check_certificate(*certified)
    assert not check.passed
    assert "records a verification that failed" in check.where


def test_a_lost_shard_entry_is_seen(certified: tuple[Path, Path]) -> None:
    path = certified[1] / CERTIFICATE
    document = json.loads(path.read_text())
    del document["output"]["tensors"]["albert.embeddings.word_embeddings.weight"]
    path.write_text(json.dumps(document))
    assert "is not in the certificate" in check_certificate(*certified).where


def test_index_and_tokenizer_are_bound_too(seed_small: Seed, tmp_path: Path) -> None:
    source, converted = seed_small("AlbertForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted, max_shard_size=20_000)
    (converted / "vocab.txt").write_text("[PAD]")
    report = verify_checkpoint(source, converted, checks=("weights",))
    with open_checkpoint(source) as checkpoint:
        plan = recognise(checkpoint).plan
    write_certificate(converted, make_certificate(report, plan, source, converted))
    assert check_certificate(source, converted).passed
    for name in ("model.safetensors.index.json", "vocab.txt"):
        path = converted / name
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert f"{name} is not what was verified" in check_certificate(source, converted).where
        path.write_bytes(content)
    # Written from the certificate, so that it cannot be in it.
    (converted / "README.md").write_text("card")
    (converted / "tokenizer.json").write_text("{}")
    assert check_certificate(source, converted).problems == ("converted file tokenizer.json is not in the certificate",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "passed": "yes"}', '{"format": 2}', "nonsense"])
def test_a_malformed_certificate_is_an_error(certified: tuple[Path, Path], text: str) -> None:
    (certified[1] / CERTIFICATE).write_text(text)
    with pytest.raises(UnreadableFileError, match=CERTIFICATE):
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
