"""From a name, a folder or a file to the files of a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from paddle2torch.converters.checkpoints.cache import paddlenlp_cache
from paddle2torch.converters.checkpoints.source import cached_folder, find_source, find_weights
from paddle2torch.errors import UnknownNameError, UnreadableFileError
from paddle2torch.mappings.registry import PRETRAINED

NAME = "albert-base-v2"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of NAME in a cache that holds nothing yet."""
    monkeypatch.setenv("PPNLP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PADDLE2TORCH_CACHE", str(tmp_path / "own"))
    return tmp_path / "home" / "models" / NAME


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_cache_is_paddlenlps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PPNLP_HOME", "/somewhere")
    assert paddlenlp_cache() == Path("/somewhere/models")
    for unset in (True, False):
        monkeypatch.delenv("PPNLP_HOME") if unset else monkeypatch.setenv("PPNLP_HOME", "")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert paddlenlp_cache() == tmp_path / ".paddlenlp" / "models"


@pytest.mark.parametrize("file", [f"{NAME}.pdparams", "model_state.pdparams", "model.safetensors"])
def test_a_name_is_looked_up_in_the_cache(file: str, cache: Path) -> None:
    assert cached_folder(NAME) is None
    touch(cache / file)
    assert cached_folder(NAME) == cache
    source = find_source(NAME)
    assert (source.path, source.files, source.pretrained, source.looked_up) == (cache, (cache / file,), NAME, True)
    assert source.configuration is not None
    assert source.configuration.fields == dict(PRETRAINED[NAME].configuration)


def test_a_name_that_is_not_cached(cache: Path) -> None:
    cache.mkdir(parents=True)
    with pytest.raises(UnreadableFileError, match="nor in PaddleNLP's cache"):
        find_source(NAME)


def test_a_path_comes_before_a_name(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(cache / f"{NAME}.pdparams", tmp_path / NAME / "model_state.pdparams")
    monkeypatch.chdir(tmp_path)
    source = find_source(NAME)
    assert source.files == (Path(NAME, "model_state.pdparams"),)
    assert not source.looked_up
    # The folder's name says what is in it.
    assert source.pretrained == NAME


def test_the_configuration_beside_the_weights_comes_before_the_published_one(tmp_path: Path) -> None:
    touch(tmp_path / f"{NAME}.pdparams")
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    for given in (tmp_path, tmp_path / f"{NAME}.pdparams"):
        configuration = find_source(given).configuration
        assert configuration is not None
        assert configuration.fields == {"hidden_size": 8}


def test_a_folder_with_a_single_file_of_any_name(tmp_path: Path) -> None:
    touch(tmp_path / "epoch-3.pdparams")
    assert find_source(tmp_path).files == (tmp_path / "epoch-3.pdparams",)
    touch(tmp_path / "epoch-4.pdparams")
    with pytest.raises(UnreadableFileError, match=r"several sets of weights \(epoch-3.pdparams, epoch-4.pdparams\)"):
        find_source(tmp_path)
    touch(tmp_path / "model_state.pdparams")
    assert find_source(tmp_path).files == (tmp_path / "model_state.pdparams",)


def put_index(folder: Path, name: str, *shards: str) -> Path:
    weight_map = {f"tensor.{index}": shard for index, shard in enumerate(shards)}
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder / name


@pytest.mark.parametrize("kind", ["model_state.pdparams", "model.safetensors"])
def test_shards_come_in_the_order_of_the_index(kind: str, tmp_path: Path) -> None:
    names = [f"{number}-{kind}" for number in (2, 1, 3)]
    touch(*(tmp_path / name for name in names))
    index = put_index(tmp_path, f"{kind}.index.json", *names, names[0])
    for given in (tmp_path, index):
        source = find_source(given)
        assert source.files == tuple(tmp_path / name for name in names)
        assert source.index == index


INDEX = "model_state.pdparams.index.json"
SHARDS = ("a.pdparams", "b.pdparams")


def in_the_hubs_cache(model: Path, revision: str = "0123") -> Path:
    """The snapshot of a sharded model, all of it links into the blobs of the model, as the Hub's client leaves it."""
    snapshot = model / "snapshots" / revision
    touch(*(model / "blobs" / name for name in SHARDS))
    put_index(model / "blobs", INDEX, *SHARDS)
    snapshot.mkdir(parents=True)
    for name in (INDEX, *SHARDS):
        (snapshot / name).symlink_to(os.path.relpath(model / "blobs" / name, snapshot))
    return snapshot


@pytest.mark.parametrize("revision", ["0123", "0123/large/sub"])
def test_shards_in_the_hubs_cache(revision: str, tmp_path: Path) -> None:
    snapshot = in_the_hubs_cache(tmp_path / "models--owner--name", revision)
    (tmp_path / "link").symlink_to(snapshot)
    for folder in (snapshot, tmp_path / "link"):
        assert find_source(folder).files == find_source(folder / INDEX).files == tuple(folder / name for name in SHARDS)


def elsewhere(snapshot: Path, model: Path) -> None:
    relink(snapshot / "a.pdparams", model.parent / "secret")


def in_the_models_folder(snapshot: Path, model: Path) -> None:
    touch(model / "refs" / "secret")
    relink(snapshot / "a.pdparams", model / "refs" / "secret")


def in_another_models_blobs(snapshot: Path, model: Path) -> None:
    touch(model.parent / "models--owner--other" / "blobs" / "secret")
    relink(snapshot / "a.pdparams", model.parent / "models--owner--other" / "blobs" / "secret")


def in_another_snapshot(snapshot: Path, model: Path) -> None:
    touch(model / "snapshots" / "4567" / "secret")
    relink(snapshot / "a.pdparams", model / "snapshots" / "4567" / "secret")


def below_the_blobs(snapshot: Path, model: Path) -> None:
    touch(model / "blobs" / "deeper" / "secret")
    relink(snapshot / "a.pdparams", model / "blobs" / "deeper" / "secret")


def from_the_blobs_elsewhere(snapshot: Path, model: Path) -> None:
    relink(model / "blobs" / "a.pdparams", model.parent / "secret")


def blobs_elsewhere(snapshot: Path, model: Path) -> None:
    (model / "blobs").rename(model.parent / "real")
    (model / "blobs").symlink_to(model.parent / "real")


def relink(path: Path, target: Path) -> None:
    path.unlink()
    path.symlink_to(target)


@pytest.mark.parametrize(
    "change",
    [
        elsewhere,
        in_the_models_folder,
        in_another_models_blobs,
        in_another_snapshot,
        below_the_blobs,
        from_the_blobs_elsewhere,
        blobs_elsewhere,
    ],
    ids=lambda change: change.__name__,
)
def test_a_link_out_of_the_models_blobs_is_refused(change: Callable[[Path, Path], None], tmp_path: Path) -> None:
    touch(tmp_path / "secret")
    model = tmp_path / "models--owner--name"
    snapshot = in_the_hubs_cache(model)
    change(snapshot, model)
    with pytest.raises(UnreadableFileError, match="leads out of the folder"):
        find_source(snapshot)


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Also where folders are only called like some of the Hub's cache."""
    for name in ("in", "snapshots/0123", "datasets--owner--name/snapshots/0123", "models--owner--name/0123"):
        folder = tmp_path / name
        touch(folder / "b.pdparams", folder.parent.parent / "blobs" / "secret")
        (folder / "a.pdparams").symlink_to(folder.parent.parent / "blobs" / "secret")
        put_index(folder, INDEX, *SHARDS)
        with pytest.raises(UnreadableFileError, match="leads out of the folder"):
            find_source(folder)


@pytest.mark.parametrize("text", ["nothing/here", "here.pdparams", "./albert-base-v2", "albert-base-v2/"])
def test_a_path_is_not_taken_for_a_name(
    text: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableFileError, match="no such file or folder"):
        find_source(text)


def test_a_near_name_is_suggested(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match=r"albert-base-v3: no such file or folder, .*did you mean albert-base"):
        find_source("albert-base-v3")


def test_weights_of_a_converted_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="no such folder"):
        find_weights(tmp_path / "gone")
    with pytest.raises(UnreadableFileError, match=r"holds no model\.safetensors"):
        find_weights(tmp_path)
    touch(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    put_index(tmp_path, "model.safetensors.index.json", "a.safetensors", "b.safetensors")
    assert find_weights(tmp_path) == (tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    touch(tmp_path / "model.safetensors")
    assert find_weights(tmp_path) == (tmp_path / "model.safetensors",)
