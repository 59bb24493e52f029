"""Whatever happens during a conversion, its output is complete and right or absent, and the source is untouched."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import OutputError, Paddle2TorchError, SourceChangedError
from paddle2torch.mappings.language.rules import Kind
from paddle2torch.mappings.registry import get_family

CONFIGURATION: dict[str, Any] = {
    "vocab_size": 2000,
    "embedding_size": 128,
    "hidden_size": 1024,
    "num_hidden_layers": 2,
    "num_hidden_groups": 1,
    "inner_group_num": 1,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 55 MB, large enough to be interrupted in; its writer is plain pickle, in Paddle's form."""
    folder = tmp_path_factory.mktemp("faults") / "source"
    folder.mkdir()
    generator = np.random.default_rng(5)
    state = {
        rule.source: generator.standard_normal(rule.shape, dtype=np.float32)
        for rule in get_family("albert").rules("AlbertModel", CONFIGURATION, prefixed=False)
        if rule.kind is Kind.MAPPED
    }
    with (folder / "model_state.pdparams").open("wb") as file:
        pickle.dump(state, file, protocol=4)
    document = {**CONFIGURATION, "architectures": ["AlbertModel"], "model_type": "albert"}
    (folder / "config.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def right(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of what an undisturbed conversion writes."""
    output = tmp_path_factory.mktemp("right") / "output"
    convert_checkpoint(source, output)
    return hashes(output)


@pytest.fixture(autouse=True)
def source_untouched(source: Path) -> Iterator[None]:
    before = hashes(source)
    yield
    assert hashes(source) == before


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def start(source: Path, output: Path, *options: str, **popen: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "paddle2torch", "convert", str(source), str(output), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)


def assert_absent_or_right(output: Path, right: dict[str, str]) -> bool:
    """Whether the output is there; when it is, it must be complete."""
    if not output.exists():
        return False
    assert hashes(output) == right
    return True


def refused(finished: subprocess.Popen[str]) -> str:
    _, errors = finished.communicate(timeout=120)
    assert finished.returncode == 2, errors
    assert errors.startswith("Error: ")
    assert len(errors.splitlines()) == 1
    return errors


def test_less_memory_gives_the_same(source: Path, right: dict[str, str], tmp_path: Path) -> None:
    child = start(source, tmp_path / "output", "--low-memory")
    assert child.wait(timeout=120) == 0
    assert assert_absent_or_right(tmp_path / "output", right)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_at_random_moments(number: int, source: Path, right: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "output"
    started = time.perf_counter()
    start(source, tmp_path / "timing").communicate(timeout=120)
    whole = time.perf_counter() - started
    moments = random.Random(11)
    outcomes = set()
    for _ in range(10):
        child = start(source, output)
        time.sleep(whole * moments.uniform(0.1, 1.0))
        child.send_signal(number)
        child.communicate(timeout=120)
        outcomes.add(assert_absent_or_right(output, right))
        if output.exists():
            for path in output.iterdir():
                path.unlink()
            output.rmdir()
    assert False in outcomes
    # What dead runs left behind is in nobody's way.
    child = start(source, output)
    assert child.wait(timeout=120) == 0
    assert assert_absent_or_right(output, right)


def test_a_limit_on_the_size_of_files(source: Path, tmp_path: Path) -> None:
    limit = 20 << 20

    def few_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    errors = refused(start(source, tmp_path / "output", preexec_fn=few_bytes))
    assert "model.safetensors" in errors
    assert "File too large" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(source: Path, small_disk: Path) -> None:
    errors = refused(start(source, small_disk / "output"))
    assert "No space left on device" in errors
    assert list(small_disk.iterdir()) == []


def test_a_read_only_folder(source: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    errors = refused(start(source, small_disk / "output"))
    assert "Read-only file system" in errors


def copy_of(source: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("stage", ["write", "compare"])
@pytest.mark.parametrize("size", [0, 1 << 20, 50 << 20])
def test_a_source_that_shrinks(stage: str, size: int, source: Path, tmp_path: Path) -> None:
    copied = copy_of(source, tmp_path / "copy")
    done = False

    def shrink(now: str, count: int, total: int) -> None:
        nonlocal done
        if now == stage and not done:
            done = True
            os.truncate(copied / "model_state.pdparams", size)

    with pytest.raises(SourceChangedError, match=r"model_state\.pdparams"):
        convert_checkpoint(copied, tmp_path / "output", progress=shrink)
    assert done
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize("stage", ["write", "compare"])
def test_a_source_that_changes(stage: str, source: Path, tmp_path: Path) -> None:
    copied = copy_of(source, tmp_path / "copy")
    done = False

    def change(now: str, count: int, total: int) -> None:
        nonlocal done
        if now == stage and not done:
            done = True
            with (copied / "model_state.pdparams").open("r+b") as file:
                file.seek(30 << 20)
                file.write(b"\x01\x02\x03\x04")

    # Either the comparison sees it or the file's time does.
    with pytest.raises((SourceChangedError, OutputError)):
        convert_checkpoint(copied, tmp_path / "output", progress=change)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_an_exception_in_the_caller_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def interrupt(now: str, count: int, total: int) -> None:
        if count > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_checkpoint(source, tmp_path / "output", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_several_conversions_into_one_output(
    options: tuple[str, ...], source: Path, right: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    children = [start(source, output, *options) for _ in range(4)]
    finished = [(child.communicate(timeout=120), child.returncode) for child in children]
    assert {status for _, status in finished} <= {0, 2}
    assert any(status == 0 for _, status in finished)
    assert all(errors.startswith("Error: ") for (_, errors), status in finished if status == 2)
    assert assert_absent_or_right(output, right)
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_damage_on_the_disk_is_seen(source: Path, tmp_path: Path) -> None:
    """A byte that changes between writing and reading back."""
    done = False

    def damage(now: str, count: int, total: int) -> None:
        nonlocal done
        if now == "write" and count == total:
            done = True
            (partial,) = tmp_path.glob(".output.*.partial/model.safetensors")
            with partial.open("r+b") as file:
                file.seek(-5, os.SEEK_END)
                byte = file.read(1)
                file.seek(-5, os.SEEK_END)
                file.write(bytes([byte[0] ^ 1]))

    with pytest.raises(Paddle2TorchError, match="did not read back"):
        convert_checkpoint(source, tmp_path / "output", progress=damage)
    assert done
    assert list(tmp_path.iterdir()) == []
