"""What people take for a model and is none, or not in a form that has a mapping: one line says so, in every command."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ...cli.outcomes import refused
from ...conftest import SMALL, Run, run_child

LORA = "holds a LoRA adapter; merge it into its model first"
PREFIX = "holds the prefix of a prefix tuning, which is no model; give the .pdparams of its model"
FUSED = "as PaddleNLP writes them for a model with fuse=True; there is no mapping for them"
NO_TENSOR = "; give the file of the model's weights"
PROGRAM = "give the .pdparams of the training"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Paddle and PaddleNLP wrote; shared, never changed."""
    folder = tmp_path_factory.mktemp("lookalikes")
    request = {"folder": str(folder), "configuration": SMALL["bert"]}
    run_child(Path(__file__).with_name("write_lookalikes.py"), request)
    return folder


@pytest.fixture
def work(written: Path, checkpoints: Path, tmp_path: Path) -> Path:
    """A folder to run commands in, with a converted folder to verify against."""
    work = tmp_path / "work"
    work.mkdir()
    save_file({"x": np.zeros(2, np.float32)}, work / "model.safetensors", {"format": "pt"})
    (work / "converted").mkdir()
    (work / "model.safetensors").rename(work / "converted" / "model.safetensors")
    (work / "converted" / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "model_type": "bert"}))
    return work


def lines(paddle2torch: Run, work: Path, source: Path | str) -> list[str]:
    """What convert and verify say of a source."""
    said = [
        refused(paddle2torch, work, "convert", source, "out"),
        refused(paddle2torch, work, "verify", source, "converted"),
    ]
    return [line.partition(": ")[2] for line in said]


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("lora", "lora_model_state.pdparams", LORA),
        ("lora with biases", "lora_model_state.pdparams", LORA),
        ("lora beside its model", "model_state.pdparams", LORA),
        ("prefix", "prefix_model_state.pdparams", PREFIX),
        ("prefix with a projection", "prefix_model_state.pdparams", PREFIX),
        ("fused", "model_state.pdparams", f"(encoder.0.fused_attn.qkv_weight), {FUSED}"),
        ("fused with a head", "model_state.pdparams", f"(bert.encoder.0.fused_attn.qkv_weight), {FUSED}"),
    ],
)
def test_adapters_and_fused_layers(
    name: str, file: str, text: str, written: Path, paddle2torch: Run, work: Path
) -> None:
    shutil.copytree(written / name, work / "source")
    for line in lines(paddle2torch, work, "source"):
        assert line.startswith(f"source/{file}: ")
        assert text in line
    listed = paddle2torch("inspect", "source", cwd=work)
    assert listed.returncode == 0
    assert text in listed.stdout.splitlines()[-1]


def test_an_adapter_under_another_name(written: Path, paddle2torch: Run, work: Path) -> None:
    shutil.copy(written / "lora" / "lora_model_state.pdparams", work / "best.pdparams")
    assert lines(paddle2torch, work, "best.pdparams") == [f"best.pdparams: {LORA}"] * 2
    assert json.loads(paddle2torch("inspect", "best.pdparams", "--json", cwd=work).stdout)["notes"] == [LORA]


@pytest.mark.parametrize("name", ["lora_A.weight", "lora_B.default.weight", "lora_embedding_A"])
def test_an_adapter_in_the_names_of_hugging_face(name: str, paddle2torch: Run, work: Path) -> None:
    tensors = {f"base_model.model.bert.encoder.layer.0.attention.self.query.{name}": np.zeros((2, 4), np.float32)}
    (work / "source").mkdir()
    shutil.copy(work / "converted" / "config.json", work / "source")
    save_file(tensors, work / "source" / "adapter_model.safetensors", {"format": "pt"})
    said = "source: holds only an adapter (adapter_model.safetensors); merge it into its model first"
    for direction in ("torch", "paddle"):
        assert said in refused(paddle2torch, work, "convert", "source", "out", "--to", direction)
    assert said in refused(paddle2torch, work, "inspect", "source")
    for file in ("source/adapter_model.safetensors", "source/model.safetensors"):
        (work / "source" / "adapter_model.safetensors").rename(work / file)
        for direction in ("torch", "paddle"):
            line = refused(paddle2torch, work, "convert", file, "out", "--to", direction)
            assert f"{file}: {LORA}" in line
        (work / file).rename(work / "source" / "adapter_model.safetensors")


def test_a_name_that_only_resembles_an_adapters_is_none(checkpoints: Path, paddle2torch: Run, work: Path) -> None:
    """The merged model may well keep the file's name."""
    shutil.copytree(checkpoints / "BertModel" / "pdparams", work / "source")
    (work / "source" / "model_state.pdparams").rename(work / "source" / "lora_model_state.pdparams")
    done = paddle2torch("convert", "source", "out", cwd=work)
    assert done.returncode == 0, done.stderr
    assert json.loads(paddle2torch("inspect", "source", "--json", cwd=work).stdout)["notes"] == []


@pytest.mark.parametrize("name", ["program", "old program"])
def test_exported_programs(name: str, written: Path, paddle2torch: Run, work: Path) -> None:
    shutil.copytree(written / name, work / "source")
    (work / "source" / "config.json").write_text("{}")
    (work / "source" / "optimizer.pdopt").touch()
    said = "source: holds only an exported program (model.pdiparams); give the .pdparams of the training"
    assert lines(paddle2torch, work, "source") == [said, said]
    assert said in refused(paddle2torch, work, "inspect", "source")
    assert said in refused(paddle2torch, work, "convert", "source", "out", "--to", "paddle")
    files = sorted(path.name for path in (written / name).iterdir())
    readable = "model.pdiparams" if name == "old program" else None
    assert len(files) == {"program": 2, "old program": 3}[name]
    for file in files:
        for command, *others in (["inspect"], ["convert", "out"], ["convert", "out", "--to", "paddle"]):
            if (command, file) == ("inspect", readable):
                # Of Paddle 2's, the tensors have names.
                listed = paddle2torch(command, f"source/{file}", cwd=work)
                assert listed.returncode == 0
                line = listed.stdout.splitlines()[-1]
            else:
                line = refused(paddle2torch, work, command, f"source/{file}", *others)
            assert f"source/{file}: " in line
            assert PROGRAM in line


@pytest.mark.parametrize(
    ("file", "held"),
    [
        ("model.pdopt", "holds no tensor, only LR_Scheduler"),
        ("empty.pdparams", "holds no tensor"),
        ("numbers.pdparams", "holds no tensor, only epoch, name, rates"),
    ],
)
def test_files_without_any_tensor(file: str, held: str, written: Path, paddle2torch: Run, work: Path) -> None:
    shutil.copy(written / "no tensor" / file, work)
    assert lines(paddle2torch, work, file) == [f"{file}: {held}{NO_TENSOR}"] * 2
    for options in ([], ["--json"], ["--hash"]):
        assert f"{file}: {held}{NO_TENSOR}" in refused(paddle2torch, work, "inspect", file, *options)


def test_a_safetensors_file_without_any_tensor(paddle2torch: Run, work: Path) -> None:
    save_file({}, work / "model.safetensors")
    assert lines(paddle2torch, work, "model.safetensors") == [f"model.safetensors: holds no tensor{NO_TENSOR}"] * 2
    assert f"holds no tensor{NO_TENSOR}" in refused(paddle2torch, work, "inspect", "model.safetensors")


def zipped(source: Path, archive: Path, compression: int) -> None:
    with zipfile.ZipFile(archive, "w", compression) as file:
        for path in source.rglob("*"):
            file.write(path, path.relative_to(source.parent))


def packed(source: Path, archive: Path, mode: str) -> None:
    with tarfile.open(archive, mode) as file:  # type: ignore[call-overload]
        file.add(source, "model")


ARCHIVES: dict[str, Callable[[Path, Path], None]] = {
    "model.zip": lambda source, archive: zipped(source, archive, zipfile.ZIP_STORED),
    "small.zip": lambda source, archive: zipped(source, archive, zipfile.ZIP_DEFLATED),
    "model.tar": lambda source, archive: packed(source, archive, "w"),
    "model.tar.gz": lambda source, archive: packed(source, archive, "w:gz"),
    "model.tar.xz": lambda source, archive: packed(source, archive, "w:xz"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_of_a_folder(name: str, checkpoints: Path, paddle2torch: Run, work: Path) -> None:
    (work / "source").mkdir()
    ARCHIVES[name](checkpoints / "BertModel" / "pdparams", work / "source" / name)
    alone = f"source: holds only an archive ({name}); unpack it first"
    assert lines(paddle2torch, work, "source") == [alone] * 2
    for given in (name, "model_state.pdparams"):
        (work / "source" / name).rename(work / given)
        assert refused(paddle2torch, work, "convert", given, "out").endswith("; unpack it first")
        assert refused(paddle2torch, work, "inspect", given).endswith("; unpack it first")
        (work / given).rename(work / "source" / name)
