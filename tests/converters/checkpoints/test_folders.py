"""Folders as users have them: each kind converts, or is refused with a message that says what is missing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.errors import Paddle2TorchError

from ...conftest import Run
from ..test_convert import expected, spoil, unties, values_of

MODEL = "AlbertForSequenceClassification"


OF_THE_TASK = ("architectures", "model_type", "num_labels", "id2label", "label2id")


def write_config(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]], name: str = "config.json") -> None:
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / name).write_text(json.dumps(change(document)))


def nested(document: dict[str, Any]) -> dict[str, Any]:
    """The file before 2023: the base's arguments inside those of the task's class."""
    task = {"init_class": document["architectures"][0], "num_classes": 3, "dropout": 0.2}
    base = {name: value for name, value in document.items() if name not in OF_THE_TASK}
    return {"init_args": [{**base, "init_class": "AlbertModel"}], **task}


def nested_object(document: dict[str, Any]) -> dict[str, Any]:
    """The same with the base under a name of its own."""
    task = {"init_class": document["architectures"][0], "num_classes": 3}
    base = {name: value for name, value in document.items() if name not in OF_THE_TASK}
    return {"albert": {**base, "init_class": "AlbertModel"}, **task}


def only_needed(document: dict[str, Any]) -> dict[str, Any]:
    """Without every field that PaddleNLP has a default for and that holds it, as its saving of differences leaves."""
    kept: tuple[str, ...] = (
        "vocab_size",
        "embedding_size",
        "hidden_size",
        "num_hidden_layers",
        "num_hidden_groups",
        "inner_group_num",
    )
    kept += ("num_attention_heads", "intermediate_size", "max_position_embeddings", "hidden_act", "type_vocab_size")
    return {name: document[name] for name in (*kept, "architectures", "model_type", "id2label") if name in document}


def classes(document: dict[str, Any]) -> dict[str, Any]:
    """The older name of the number of labels."""
    labels = ("num_labels", "id2label", "label2id")
    return {**{name: value for name, value in document.items() if name not in labels}, "num_classes": 3}


def named_labels(document: dict[str, Any]) -> dict[str, Any]:
    """Labels with names, and their number left to them."""
    document.pop("num_labels", None)
    return {**document, "id2label": {"0": "no", "1": "yes", "2": "maybe"}, "label2id": {"no": 0, "yes": 1, "maybe": 2}}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (nested, "model_config.json"),
        (nested_object, "model_config.json"),
        (only_needed, "config.json"),
        (classes, "config.json"),
        (named_labels, "config.json"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_configurations(change: Any, name: str, checkpoints: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(checkpoints / MODEL / "pdparams", source)
    write_config(source, change, name)
    done = convert_checkpoint(source, tmp_path / "out")
    assert done.architecture == MODEL
    document = json.loads((tmp_path / "out" / "config.json").read_text())
    assert len(document["id2label"]) == 3
    assert document["id2label"]["1"] == ("yes" if change is named_labels else "LABEL_1")
    assert_weights(tmp_path / "out", checkpoints)


def assert_weights(folder: Path, checkpoints: Path, architecture: str = MODEL) -> None:
    loaded = load_file(folder / "model.safetensors")
    arrays = expected(architecture, values_of(checkpoints / architecture), unties(architecture))
    assert loaded.keys() == arrays.keys()
    assert all(loaded[name].tobytes() == array.tobytes() for name, array in arrays.items())


@pytest.mark.parametrize("name", ["model_state.pdparams", "albert-base-v2.pdparams", "best.pdparams", "model.pdparams"])
def test_weights_of_any_name(name: str, checkpoints: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(checkpoints / MODEL / "pdparams", source)
    (source / "model_state.pdparams").rename(source / name)
    convert_checkpoint(source, tmp_path / "out")
    assert_weights(tmp_path / "out", checkpoints)


def in_the_hubs_cache(folder: Path, cache: Path) -> Path:
    """The files of a folder as the Hub's client keeps them: a snapshot of links to blobs named by hash."""
    model = cache / f"models--owner--{folder.name}"
    snapshot = model / "snapshots" / ("0a" * 20)
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    for path in folder.iterdir():
        blob = hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, model / "blobs" / blob)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob}")
    return snapshot


@pytest.mark.parametrize("form", ["pdparams", "sharded-pdparams", "safetensors", "sharded-safetensors"])
def test_the_hubs_cache_in_both_directions(form: str, checkpoints: Path, tmp_path: Path) -> None:
    source = in_the_hubs_cache(checkpoints / MODEL / form, tmp_path / "cache")
    convert_checkpoint(source, tmp_path / "out", max_shard_size="50KB")
    plain = tmp_path / "plain"
    convert_checkpoint(checkpoints / MODEL / form, plain, max_shard_size="50KB")
    assert content(tmp_path / "out") == content(plain)
    assert len(list(plain.glob("*.safetensors"))) > 1
    assert verify_checkpoint(source, plain, checks=("weights",)).passed

    torch = in_the_hubs_cache(plain, tmp_path / "cache")
    assert verify_checkpoint(checkpoints / MODEL / form, torch, checks=("weights",)).passed
    convert_checkpoint(torch, tmp_path / "back", to="paddle")
    convert_checkpoint(plain, tmp_path / "plain-back", to="paddle")
    assert content(tmp_path / "back") == content(tmp_path / "plain-back")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


TRAINING = ("optimizer.pdopt", "scheduler.pdparams", "scaler.pdparams", "rng_state.pth", "trainer_state.json")


@pytest.mark.parametrize("name", ["model_state.pdparams", "best.pdparams"])
def test_files_of_training_are_set_aside_by_name(
    name: str, checkpoints: Path, tmp_path: Path, paddle2torch: Run
) -> None:
    source = tmp_path / "in"
    shutil.copytree(checkpoints / MODEL / "pdparams", source)
    (source / "model_state.pdparams").rename(source / name)
    for extra in (*TRAINING, "training_args.bin", "notes.txt"):
        (source / extra).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    (source / "checkpoint-500").mkdir()
    done = paddle2torch("convert", str(source), str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("files of training"))
    assert line.split(": ")[1].split(", ") == sorted([*TRAINING, "training_args.bin", "checkpoint-500"])
    assert_weights(tmp_path / "out", checkpoints)


def test_a_checkpoint_known_by_its_name_only(tiny: Path, tmp_path: Path, paddle2torch: Run) -> None:
    folder = tmp_path / "albert-chinese-tiny"
    folder.mkdir()
    shutil.copy(tiny / "model_state.pdparams", folder / "whatever.pdparams")
    done = paddle2torch("convert", str(folder), str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "guessed: configuration, from the name: the published configuration of albert-chinese-tiny" in done.stderr
    assert "guessed: architecture AlbertModel" in done.stderr


def refused(source: Path, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(Paddle2TorchError) as caught:
        convert_checkpoint(source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    return str(caught.value)


def test_base_weights_under_a_task_architecture(checkpoints: Path, tmp_path: Path) -> None:
    """PaddleNLP would make up a head at random; here it is missing by name, and the way out is named."""
    arrays = values_of(checkpoints / "AlbertModel")
    source = spoil(checkpoints, "AlbertModel", tmp_path / "in", arrays, architectures=[MODEL])
    message = refused(source, tmp_path)
    assert "missing classifier.weight, classifier.bias" in message
    assert "they fit AlbertModel: choose with --architecture" in message
    assert convert_checkpoint(source, tmp_path / "out", architecture="AlbertModel").target_architecture == "AlbertModel"


def test_a_head_without_base_prefix_and_the_base_of_a_task(checkpoints: Path, tmp_path: Path) -> None:
    """The backbone of a task model alone still carries the task's prefix."""
    arrays = {name: array for name, array in values_of(checkpoints / MODEL).items() if name.startswith("transformer.")}
    source = spoil(checkpoints, "AlbertModel", tmp_path / "in", arrays)
    convert_checkpoint(source, tmp_path / "out")
    loaded = load_file(tmp_path / "out" / "model.safetensors")
    turned = arrays["transformer.pooler.weight"].T
    assert loaded["pooler.weight"].tobytes() == np.ascontiguousarray(turned).tobytes()


def test_a_task_under_the_base_architecture(checkpoints: Path, tmp_path: Path) -> None:
    source = spoil(checkpoints, MODEL, tmp_path / "in", architectures=["AlbertModel"])
    message = refused(source, tmp_path)
    assert "no rule for classifier.bias" in message
    assert MODEL in message
    assert convert_checkpoint(source, tmp_path / "out", architecture=MODEL).architecture == MODEL


def test_two_numbers_of_labels_that_differ(checkpoints: Path, tmp_path: Path) -> None:
    source = spoil(checkpoints, MODEL, tmp_path / "in", num_classes=5, num_labels=3)
    assert "num_classes is 5 and num_labels, which means the same, is 3; keep one" in refused(source, tmp_path)


def test_what_is_missing_is_named(checkpoints: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert "holds no weights; model_state.pdparams" in refused(folder, tmp_path)
    (folder / "optimizer.pdopt").touch()
    (folder / "scheduler.pdparams").touch()
    assert "holds no weights; model_state.pdparams" in refused(folder, tmp_path)
    shutil.copytree(checkpoints / MODEL / "pdparams", folder / "checkpoint-500")
    line = refused(folder, tmp_path)
    assert "its folders checkpoint-500 do; pass the one that is meant, or all of them with --tree" in line
    # What other trainings leave, and an export; a folder of optimizer states is none.
    for name in ("a/best_accuracy.pdparams", "b/inference.pdiparams", "c/scheduler.pdparams"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    assert "its folders a, b, checkpoint-500 do; " in refused(folder, tmp_path)

    lost = tmp_path / "sharded"
    shutil.copytree(checkpoints / MODEL / "sharded-pdparams", lost)
    shard = sorted(lost.glob("model_state-*.pdparams"))[1]
    shard.unlink()
    assert f"lists the shard {shard.name}, which is missing" in refused(lost, tmp_path)

    bare = tmp_path / "bare"
    bare.mkdir()
    save_file(values_of(checkpoints / MODEL), bare / "model.safetensors")
    assert "neither config.json nor model_config.json lies beside the weights" in refused(bare, tmp_path)

    wrong = spoil(checkpoints, MODEL, tmp_path / "wrong", hidden_size=None)
    assert "the configuration says" in refused(wrong, tmp_path)


def test_other_weights_beside_those_that_are_read_are_named(seeded: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(seeded("AlbertModel"), tmp_path / "folder"))
    for name in ("best.pdparams", "optimizer.pdparams"):
        shutil.copy(folder / "model_state.pdparams", folder / name)
    done = convert_checkpoint(folder, tmp_path / "out")
    (note,) = done.notes
    assert note == "model_state.pdparams is read, and not best.pdparams beside it; pass the file if that is meant"
    assert done.set_aside == ("optimizer.pdparams",)
