"""The real command line: what it prints, its exit statuses, and bad input of every kind."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.mappings.registry import PRETRAINED

from .conftest import Run

Seeded = Callable[..., Path]


def listing(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, hidden ones included, with the bytes of each file."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() or path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_dir() or path.is_symlink() or path.is_file()
    }


def error_line(finished: subprocess.CompletedProcess[str]) -> str:
    """The one line of an expected failure; everything else about the outcome is asserted here."""
    assert finished.returncode == 2, finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
    lines = finished.stderr.splitlines()
    assert len(lines) == 1, finished.stderr
    assert lines[0].startswith("Error: ")
    return lines[0]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that a command runs in; nothing but what a test puts there may be in it afterwards."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def source(work: Path, seeded: Seeded) -> Path:
    """A copy, to be spoiled, of a small BertModel that PaddleNLP wrote."""
    shutil.copytree(seeded("BertModel"), work / "source")
    return work / "source"


def refused(paddle2torch: Run, work: Path, *arguments: str | Path, home: Path | None = None) -> str:
    """Run a command that must fail: its error line, after checking that it changed nothing."""
    before = listing(work)
    finished = paddle2torch(*arguments, cwd=work, home=home)
    line = error_line(finished)
    assert listing(work) == before
    assert finished.stdout == ""
    return line


def tensors_of(source: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of a .pdparams file that Paddle wrote; such a file of the tests' own is safe to unpickle."""
    state = pickle.loads((source / "model_state.pdparams").read_bytes())
    return {
        name: value[1] if isinstance(value, tuple) else value
        for name, value in state.items()
        if name != "StructuredToParameterName@@"
    }


def put_tensors(source: Path, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    (source / "model_state.pdparams").write_bytes(pickle.dumps(tensors, protocol=4))


def put_field(source: Path, **fields: Any) -> None:
    path = source / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


# Files that are no checkpoint


@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_missing_path(command: str, paddle2torch: Run, work: Path) -> None:
    arguments = ["missing/model.pdparams", *(["out"] if command == "convert" else [])]
    assert "missing/model.pdparams: no such file or folder" in refused(paddle2torch, work, command, *arguments)


CONTENTS = {
    "text": (b"just some text\n", "plain text"),
    "html": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
    "empty": (b"", "empty"),
    "zip": (b"PK\x03\x04" + bytes(60), "zip"),
}


@pytest.mark.parametrize(("content", "message"), CONTENTS.values(), ids=list(CONTENTS))
@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_file_of_another_kind(command: str, content: bytes, message: str, paddle2torch: Run, source: Path) -> None:
    (source / "model_state.pdparams").write_bytes(content)
    arguments: list[str | Path] = [source, *(["out"] if command == "convert" else [])]
    line = refused(paddle2torch, source.parent, command, *arguments)
    assert "model_state.pdparams" in line
    assert message in line


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_file(keep: float, paddle2torch: Run, source: Path) -> None:
    weights = source / "model_state.pdparams"
    data = weights.read_bytes()
    weights.write_bytes(data[: int(len(data) * keep)])
    assert "model_state.pdparams" in refused(paddle2torch, source.parent, "convert", source, "out")


def test_a_truncated_safetensors_file(paddle2torch: Run, source: Path) -> None:
    tensors = tensors_of(source)
    (source / "model_state.pdparams").unlink()
    save_file(tensors, source / "model.safetensors")
    data = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(data[:-10])
    assert "model.safetensors" in refused(paddle2torch, source.parent, "convert", source, "out")


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("command", ["convert", "inspect"])
def test_a_pickle_with_a_foreign_global(command: str, paddle2torch: Run, source: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    state: dict[str, Any] = {**tensors_of(source), "canary": Canary(canary)}
    (source / "model_state.pdparams").write_bytes(pickle.dumps(state, protocol=4))
    arguments: list[str | Path] = [source, *(["out"] if command == "convert" else [])]
    line = refused(paddle2torch, source.parent, command, *arguments)
    assert "model_state.pdparams" in line
    assert "mkdir" in line
    assert not canary.exists()


def test_a_pipe_is_no_checkpoint(paddle2torch: Run, work: Path) -> None:
    """Opening a named pipe would wait forever for a writer."""
    os.mkfifo(work / "pipe.pdparams")
    assert "pipe.pdparams: is not a regular file" in refused(paddle2torch, work, "inspect", "pipe.pdparams")


def test_an_empty_name_is_not_the_current_folder(paddle2torch: Run, source: Path) -> None:
    """As from a shell variable that is not set."""
    before = listing(source)
    finished = paddle2torch("convert", "", "../out", cwd=source)
    assert "empty" in error_line(finished)
    assert listing(source) == before
    assert not (source.parent / "out").exists()


# Folders whose parts do not fit


def test_a_folder_without_weights(paddle2torch: Run, source: Path) -> None:
    (source / "model_state.pdparams").unlink()
    assert "source: holds no weights" in refused(paddle2torch, source.parent, "convert", "source", "out")


def test_a_folder_with_two_sets_of_weights(paddle2torch: Run, source: Path) -> None:
    save_file(tensors_of(source), source / "model.safetensors")
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "several sets of weights (model_state.pdparams, model.safetensors)" in line


BAD_INDICES = {
    "missing shard": ({"weight_map": {"a": "gone.pdparams"}}, "lists the shard gone.pdparams, which is missing"),
    "outside": ({"weight_map": {"a": "../source2/x.pdparams"}}, "not the name of a file beside it"),
    "parent": ({"weight_map": {"a": ".."}}, "not the name of a file beside it"),
    "absolute": ({"weight_map": {"a": "/etc/passwd"}}, "'/etc/passwd', which is not the name of a file beside it"),
    "number": ({"weight_map": {"a": 3}}, "not the name of a file beside it"),
    "list": ([], "is not an index of shards"),
    "no map": ({}, "is not an index of shards"),
    "map is a list": ({"weight_map": ["x"]}, "is not an index of shards"),
    "values are lists": ({"weight_map": {"a": ["x"]}}, "is not an index of shards"),
    "empty map": ({"weight_map": {}}, "lists no shard"),
    "itself": ({"weight_map": {"a": "model_state.pdparams.index.json"}}, "model_state.pdparams.index.json"),
}


@pytest.mark.parametrize(("index", "message"), BAD_INDICES.values(), ids=list(BAD_INDICES))
def test_a_bad_index(index: object, message: str, paddle2torch: Run, source: Path) -> None:
    (source / "model_state.pdparams").unlink()
    (source / "model_state.pdparams.index.json").write_text(json.dumps(index))
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "source/model_state.pdparams.index.json" in line
    assert message in line


def test_an_index_that_disagrees_with_its_shards(paddle2torch: Run, source: Path) -> None:
    """Also where there is one shard only, and where the index itself is given."""
    (source / "model_state.pdparams").rename(source / "shard.pdparams")
    index = {"weight_map": dict.fromkeys([*list(tensors_of_shard(source))[1:], "phantom.weight"], "shard.pdparams")}
    (source / "model_state.pdparams.index.json").write_text(json.dumps(index))
    for given in ("source", "source/model_state.pdparams.index.json"):
        line = refused(paddle2torch, source.parent, "convert", given, "out")
        assert "disagrees with its shards about embeddings.word_embeddings.weight, phantom.weight" in line


def tensors_of_shard(source: Path) -> dict[str, Any]:
    state: dict[str, Any] = pickle.loads((source / "shard.pdparams").read_bytes())
    return {name: value for name, value in state.items() if name != "StructuredToParameterName@@"}


def test_no_configuration(paddle2torch: Run, source: Path) -> None:
    (source / "config.json").unlink()
    assert "source: no configuration" in refused(paddle2torch, source.parent, "convert", "source", "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "is not a JSON file"),
        ("[1, 2]", "a JSON object is expected"),
        ('"text"', "a JSON object is expected"),
        ("\xff\xfe", "is not a JSON file"),
        ("[" * 100_000, "is not a JSON file"),
        ("{}", "choose with --family"),
        ('{"model_type": "ernie"}', "unknown family 'ernie'"),
        ('{"architectures": ["ErnieModel"]}', "belongs to no known family"),
    ],
    ids=["text", "list", "string", "not utf-8", "deep", "empty", "family", "architecture"],
)
def test_a_bad_configuration_file(text: str, message: str, paddle2torch: Run, source: Path) -> None:
    (source / "config.json").write_bytes(text.encode("latin-1"))
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert message in line
    assert "source/config.json" in line


# Names


def test_an_unknown_family(paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--family", "brt")
    assert "unknown family 'brt'; did you mean bert" in line


def test_an_unknown_architecture(paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--architecture", "BertForEverything")
    assert "unknown architecture 'BertForEverything'" in line
    assert "BertForPretraining" in line


@pytest.mark.parametrize("command", ["convert", "inspect", "seed", "gate"])
def test_a_typo_in_a_pretrained_name(command: str, paddle2torch: Run, work: Path) -> None:
    arguments = ["albert-bse-v2", *(["out"] if command in ("convert", "seed") else [])]
    assert "did you mean albert-base-v2" in refused(paddle2torch, work, command, *arguments)


def test_a_pretrained_name_that_is_not_cached(paddle2torch: Run, work: Path) -> None:
    line = refused(paddle2torch, work, "convert", "albert-base-v2", "out")
    assert PRETRAINED["albert-base-v2"].weights_url in line
    assert "offline" in line
    assert "paddle2torch seed" in line


# Tensors that do not fit


def test_a_tensor_without_a_rule(paddle2torch: Run, source: Path) -> None:
    tensors = tensors_of(source)
    for layer in range(2):
        tensors[f"encoder.layers.{layer}.norm3.weight"] = np.zeros(24, np.float32)
    put_tensors(source, tensors)
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "no rule for encoder.layers.{0..1}.norm3.weight (nearest rule: encoder.layers.{0..1}.norm" in line


def test_a_missing_tensor(paddle2torch: Run, source: Path) -> None:
    tensors = tensors_of(source)
    del tensors["encoder.layers.0.norm1.bias"], tensors["encoder.layers.1.norm1.bias"]
    put_tensors(source, tensors)
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "missing encoder.layers.{0..1}.norm1.bias" in line


def test_a_shape_that_contradicts_the_configuration(paddle2torch: Run, source: Path) -> None:
    put_field(source, vocab_size=51)
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "embeddings.word_embeddings.weight has shape [50, 24], the configuration says [51, 24]" in line


def test_a_name_with_control_characters_is_shown_safely(paddle2torch: Run, source: Path) -> None:
    name = "a\x1b[31mred\nsecond line"
    (source / "model_state.pdparams").write_bytes(
        pickle.dumps({**tensors_of(source), name: np.zeros(2, np.float32)}, protocol=4)
    )
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "\x1b" not in line
    shown = paddle2torch("inspect", source)
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout
    assert "a\\x1b[31mred\\nsecond line" in shown.stdout
    document = json.loads(paddle2torch("inspect", source, "--json").stdout)
    assert name in {tensor["name"] for tensor in document["tensors"]}


# Outputs that may not be replaced


@pytest.mark.parametrize("kind", ["folder", "file", "link", "dangling link", "looping link"])
def test_an_existing_output(kind: str, paddle2torch: Run, source: Path) -> None:
    out = source.parent / "out"
    make(out, kind)
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "out: exists already" in line
    assert "--overwrite" in line


def make(out: Path, kind: str) -> None:
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        if kind == "link":
            (out.parent / "elsewhere").mkdir()
        out.symlink_to(out if kind == "looping link" else out.parent / "elsewhere")


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "looping link"])
def test_overwrite_replaces_folders_only(kind: str, paddle2torch: Run, source: Path) -> None:
    make(source.parent / "out", kind)
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--overwrite")
    assert "out: is not a folder" in line


@pytest.mark.parametrize("foreign", ["thesis.docx", "notes.txt", "data.json", "own/config.json", "other.pdparams"])
def test_overwrite_keeps_foreign_files(foreign: str, paddle2torch: Run, source: Path) -> None:
    path = source.parent / "out" / foreign
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--overwrite")
    assert f"out: holds {foreign.split('/')[0]}, which no conversion wrote" in line


def test_overwrite_keeps_another_paddlenlp_folder(paddle2torch: Run, source: Path) -> None:
    """Someone's own weights are not a conversion's output, whatever their names."""
    shutil.copytree(source, source.parent / "precious")
    line = refused(paddle2torch, source.parent, "convert", "source", "precious", "--overwrite")
    assert "precious: holds model_state.pdparams" in line


@pytest.mark.parametrize("output", ["source", ".", "source/../source", ".."])
def test_overwrite_keeps_the_source(output: str, paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "convert", "source", output, "--overwrite")
    assert f"{Path(output)}: is or contains the source" in line


def test_overwrite_keeps_the_folder_that_the_sources_links_lead_to(paddle2torch: Run, source: Path) -> None:
    real = source.parent / "real"
    real.mkdir()
    (source / "model_state.pdparams").rename(real / "model_state.pdparams")
    (source / "model_state.pdparams").symlink_to(real / "model_state.pdparams")
    line = refused(paddle2torch, source.parent, "convert", "source", "real", "--overwrite")
    assert "real: is or contains the source" in line


def test_a_parent_that_is_a_file(paddle2torch: Run, source: Path) -> None:
    (source.parent / "file").write_text("mine")
    line = refused(paddle2torch, source.parent, "convert", "source", "file/out")
    assert "file/out" in line


def test_overwrite_replaces_what_a_conversion_wrote(paddle2torch: Run, source: Path) -> None:
    first = paddle2torch("convert", "source", "deep/down/out", cwd=source.parent)
    assert first.returncode == 0, first.stderr
    put_field(source, layer_norm_eps=1e-5)
    again = paddle2torch("convert", "source", "deep/down/out", "--overwrite", cwd=source.parent)
    assert again.returncode == 0, again.stderr
    out = source.parent / "deep" / "down" / "out"
    assert json.loads((out / "config.json").read_text())["layer_norm_eps"] == 1e-5
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]


def test_an_empty_folder_may_be_overwritten(paddle2torch: Run, source: Path) -> None:
    (source.parent / "out").mkdir()
    assert paddle2torch("convert", "source", "out", "--overwrite", cwd=source.parent).returncode == 0


def test_a_failed_conversion_leaves_the_old_output(paddle2torch: Run, source: Path) -> None:
    assert paddle2torch("convert", "source", "out", cwd=source.parent).returncode == 0
    put_field(source, hidden_size=25)
    refused(paddle2torch, source.parent, "convert", "source", "out", "--overwrite")


# Interruptions


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


# Usage


def test_no_arguments(paddle2torch: Run) -> None:
    finished = paddle2torch()
    assert "convert" in finished.stdout
    assert error_line(finished) == "Error: paddle2torch: a command is missing; those above are known"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convrt"], "No such command 'convrt'"),
        (["convert"], "Missing argument 'SOURCE'"),
        (["convert", "a"], "Missing argument 'OUTPUT'"),
        (["convert", "a", "b", "c"], "unexpected extra argument"),
        (["convert", "a", "b", "--nope"], "No such option"),
        (["list", "--family", "brt"], "unknown family 'brt'; did you mean bert"),
        (["gate"], "give pretrained names, or --all"),
        (["gate", "--all", "albert-base-v1"], "give pretrained names, or --all"),
        (["gate", "albert-base-v1", "--check", ","], "names no check"),
        (["gate", "albert-base-v1", "--seeded", "--check", "nope"], "unknown check 'nope'"),
        (["gate", "albert-base-v1", "--jobs", "0"], "--jobs"),
        (["gate", "albert-base-v1", "albert-large-v1"], "of albert-base-v1, albert-large-v1 are neither in the"),
        (["verify", "a", "b"], "a: no such file or folder"),
        (["seed", "albert-chinese-tiny", "out", "--architecture", "AlbertForNothing"], "AlbertForNothing"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, paddle2torch: Run, work: Path) -> None:
    assert message in refused(paddle2torch, work, *arguments)


def test_an_unknown_check_lists_the_known(paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "verify", "source", "out", "--check", "weights,wieghts")
    assert "unknown check 'wieghts'; known are weights, config, " in line


def test_verify_without_a_converted_folder(paddle2torch: Run, source: Path) -> None:
    assert "out: no such folder" in refused(paddle2torch, source.parent, "verify", "source", "out")


def test_errors_leave_standard_output_empty_with_json(paddle2torch: Run, work: Path) -> None:
    for arguments in (["inspect", "x.pdparams"], ["convert", "x.pdparams", "out"], ["gate", "albert-base-v1"]):
        refused(paddle2torch, work, *arguments, "--json")


# What works


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["convert", "--help"], ["--version"]])
def test_help_and_version(arguments: list[str], paddle2torch: Run) -> None:
    finished = paddle2torch(*arguments)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "paddle2torch" in finished.stdout


def test_list(paddle2torch: Run) -> None:
    finished = paddle2torch("list")
    assert finished.returncode == 0
    lines = finished.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(PRETRAINED)
    assert all(line == line.rstrip() for line in lines)
    assert "11,683,584" in lines[1]
    document = json.loads(paddle2torch("list", "--json", "--family", "albert").stdout)
    assert [model["name"] for model in document["models"]] == list(PRETRAINED)
    assert not any(model["cached"] for model in document["models"])
    assert json.loads(paddle2torch("list", "--json", "--family", "bert").stdout) == {"models": []}


def test_convert_and_inspect_print_one_json_document(paddle2torch: Run, source: Path) -> None:
    finished = paddle2torch("convert", "source", "out", "--json", cwd=source.parent)
    assert (finished.returncode, finished.stderr) == (0, "")
    document = json.loads(finished.stdout)
    assert (document["architecture"], document["family"]) == ("BertModel", "bert")
    written = load_file(source.parent / "out" / "model.safetensors")
    assert document["tensors"] == len(written)
    assert document["parameters"] == sum(array.size for array in written.values())
    assert document["nbytes"] == sum(array.nbytes for array in written.values())
    finished = paddle2torch("inspect", "out", "--json", "--hash", cwd=source.parent)
    assert (finished.returncode, finished.stderr) == (0, "")
    tensors = json.loads(finished.stdout)["tensors"]
    assert {tensor["name"] for tensor in tensors} == set(written)
    assert all(set(tensor) == {"name", "dtype", "shape", "nbytes", "sha256"} for tensor in tensors)


def test_convert_says_what_it_did(paddle2torch: Run, work: Path, seeded: Seeded) -> None:
    finished = paddle2torch("convert", seeded("AlbertForMaskedLM"), "out", cwd=work)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "out: AlbertForMaskedLM" in finished.stdout
    assert "dropped, AlbertForMaskedLM of Hugging Face has no pooler: transformer.pooler.{bias,weight}" in (
        finished.stdout.replace(
            "transformer.pooler.weight, transformer.pooler.bias", "transformer.pooler.{bias,weight}"
        )
    )


def test_a_cached_name_converts(paddle2torch: Run, work: Path, tiny: Path) -> None:
    home = work / "home"
    folder = home / "models" / "albert-chinese-tiny"
    folder.mkdir(parents=True)
    shutil.copy(tiny / "model_state.pdparams", folder / "albert-chinese-tiny.pdparams")
    finished = paddle2torch("convert", "albert-chinese-tiny", "out", cwd=work, home=home)
    assert finished.returncode == 0, finished.stderr
    assert "4,080,520 parameters" in finished.stdout
    assert finished.stderr == "guessed: architecture AlbertModel, from the names of the tensors\n"
    document = json.loads(paddle2torch("list", "--json", home=home).stdout)
    assert [model["name"] for model in document["models"] if model["cached"]] == ["albert-chinese-tiny"]


def test_inspect_reads_tensors_beside_a_broken_configuration(paddle2torch: Run, source: Path) -> None:
    (source / "config.json").write_text("broken")
    for given in (source, source / "model_state.pdparams"):
        finished = paddle2torch("inspect", given)
        assert finished.returncode == 0, finished.stderr
        assert "embeddings.word_embeddings.weight" in finished.stdout


def test_seed_overwrite_keeps_foreign_files(paddle2torch: Run, work: Path) -> None:
    (work / "out").mkdir()
    (work / "out" / "thesis.docx").write_text("mine")
    line = refused(paddle2torch, work, "seed", "albert-chinese-tiny", "out", "--overwrite")
    assert "out: holds thesis.docx" in line
