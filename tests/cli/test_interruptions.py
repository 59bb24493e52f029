"""Interrupts, closed streams and full disks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest


def big_source(folder: Path) -> Path:
    """A BertModel with 1 GiB of word embeddings, all a hole in the file, so that its conversion takes a while."""
    folder.mkdir()
    sizes = {"vocab_size": 1 << 25, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    sizes |= {"intermediate_size": 8, "max_position_embeddings": 8, "type_vocab_size": 2}
    (folder / "config.json").write_text(json.dumps({**sizes, "architectures": ["BertModel"]}))
    from paddle2torch.mappings.language.rules import Kind
    from paddle2torch.mappings.registry import FAMILIES

    header, offset = {}, 0
    for rule in FAMILIES["bert"].rules("BertModel", sizes, prefixed=False):
        if rule.kind is Kind.MAPPED:
            end = offset + 4 * rule.size
            header[rule.source] = {"dtype": "F32", "shape": list(rule.shape), "data_offsets": [offset, end]}
            offset = end
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_conversion_leaves_nothing(number: signal.Signals, work: Path) -> None:
    big_source(work / "big")
    command = [sys.executable, "-m", "paddle2torch", "convert", "big", "new/out"]

    def default_signals() -> None:
        # A shell that started the tests in the background has SIGINT ignored, which is inherited.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    child = subprocess.Popen(
        command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=default_signals
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 1 << 20 for path in work.glob("new/.*/*.safetensors")):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    child.send_signal(number)
    output, error = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert output == ""
    assert error.strip().splitlines() == ["Error: interrupted; unfinished output was removed"]
    assert sorted(path.name for path in work.iterdir()) == ["big"]


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--help"], ["inspect", "source", "--hash"]])
def test_a_closed_pipe_is_no_error(arguments: list[str], source: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "paddle2torch", *arguments]
    child = subprocess.run(command, cwd=source.parent, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (child.returncode, child.stderr) == (0, "")


def test_a_closed_pipe_for_messages_is_no_error(source: Path, tiny: Path) -> None:
    """As in `2>&1 | head`: a note that nobody reads changes neither the work nor the exit status."""
    shutil.copy(tiny / "model_state.pdparams", source.parent / "albert-chinese-tiny.pdparams")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "paddle2torch", "convert", "albert-chinese-tiny.pdparams", "out"]
    child = subprocess.run(command, cwd=source.parent, stdout=subprocess.PIPE, stderr=writer, text=True, timeout=60)
    os.close(writer)
    assert child.returncode == 0
    assert "out: AlbertModel" in child.stdout
    assert (source.parent / "out" / "config.json").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(closed: str, work: Path, tiny: Path) -> None:
    shutil.copy(tiny / "model_state.pdparams", work / "albert-chinese-tiny.pdparams")
    command = f"'{sys.executable}' -m paddle2torch convert albert-chinese-tiny.pdparams out --json {closed}"
    child = subprocess.run(["bash", "-c", command], cwd=work, capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    # What was meant for a closed stream does not turn up in the other.
    assert child.stdout == "" or json.loads(child.stdout)["architecture"] == "AlbertModel"
    assert all(line.startswith("guessed: ") for line in child.stderr.splitlines())
    listed = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m paddle2torch list {closed}"], cwd=work, capture_output=True, timeout=60
    )
    assert listed.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error(work: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "paddle2torch", "list"]
        child = subprocess.run(command, cwd=work, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert child.returncode == 2
    assert child.stderr == "Error: system: No space left on device\n"


def test_a_pipe_to_head(source: Path) -> None:
    command = f"set -o pipefail; '{sys.executable}' -m paddle2torch inspect source | head -1"
    child = subprocess.run(["bash", "-c", command], cwd=source.parent, capture_output=True, text=True, timeout=60)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.split() == ["name", "dtype", "shape", "bytes"]
