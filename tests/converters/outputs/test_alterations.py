"""Cast, sharded and zero-padded output, loaded by transformers and compared with the source."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from paddle2torch import convert_checkpoint
from paddle2torch.converters.formats.shards import parse_size
from paddle2torch.errors import CastError, ConfigurationError, UnknownNameError

from ...conftest import TORCH_PYTHON, Run
from ..test_convert import expected, spoil, unties, values_of

LOAD = """
import json, sys, numpy, torch, transformers
for line in sys.stdin:
    loader, folder, out = json.loads(line)
    found = getattr(transformers, loader)
    model, loading = found.from_pretrained(folder, output_loading_info=True, torch_dtype="auto")
    problems = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")
    assert not any(loading[kind] for kind in problems), loading
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    numpy.savez(out, **{name: tensor.float().numpy() for name, tensor in state.items()})
    print(*sorted({str(tensor.dtype) for tensor in state.values() if tensor.is_floating_point()}), flush=True)
"""

State = dict[str, np.ndarray[Any, Any]]
Load = Callable[[Path, str], tuple[str, State]]


@pytest.fixture(scope="module")
def load_with_transformers() -> Iterator[Load]:
    """The element types and, as float32, the state of the model that transformers makes of a folder: one process."""
    command = [TORCH_PYTHON, "-c", LOAD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        pipes = child.stdin, child.stdout

        def load(folder: Path, loader: str) -> tuple[str, State]:
            out = folder.parent / "state.npz"
            print(json.dumps([loader, str(folder), str(out)]), file=pipes[0], flush=True)
            answer = pipes[1].readline().strip()
            assert answer, "transformers does not load it; see what it wrote to standard error"
            with np.load(out) as loaded:
                return answer, {name: loaded[name] for name in loaded.files}

        yield load
        child.stdin.close()


def rounded(values: np.ndarray[Any, Any], dtype: str) -> np.ndarray[Any, Any]:
    """Rounded to `dtype`, as float32; bfloat16 by arithmetic on the distances to both neighbours."""
    if dtype == "float16":
        return values.astype("f2").astype("f4")
    below = (values.view("u4") & 0xFFFF0000).view("f4")
    above = ((values.view("u4") & 0xFFFF0000) + np.uint32(0x10000)).view("f4")
    up = np.abs(above.astype("f8") - values) < np.abs(values - below.astype("f8"))
    even = (above.view("u4") >> 16) & 1 == 0
    tie = np.abs(above.astype("f8") - values) == np.abs(values - below.astype("f8"))
    return np.where(up | (tie & even), above, below)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("architecture", ["AlbertForPretraining", "BertModel"])
def test_a_cast_is_every_value_rounded(
    architecture: str, dtype: str, checkpoints: Path, tmp_path: Path, load_with_transformers: Load
) -> None:
    out = tmp_path / "out"
    done = convert_checkpoint(checkpoints / architecture / "pdparams", out, dtype=dtype)
    assert done.dtype == dtype
    assert "not bit-equal" in " ".join(done.lines())
    with safe_open(out / "model.safetensors", framework="np") as opened:
        assert opened.metadata() == {"format": "pt", "paddle2torch": "1", "paddle2torch.cast": dtype}
    assert json.loads((out / "config.json").read_text())["dtype"] == dtype
    loader = "AutoModelForPreTraining" if architecture.endswith("Pretraining") else "AutoModel"
    dtypes, state = load_with_transformers(out, loader)
    assert dtypes == f"torch.{dtype}"
    for name, values in expected(architecture, values_of(checkpoints / architecture), unties(architecture)).items():
        assert state[name].tobytes() == rounded(values, dtype).tobytes(), name


def test_a_cast_to_what_it_is_changes_nothing(checkpoints: Path, tmp_path: Path) -> None:
    source = checkpoints / "AlbertModel" / "pdparams"
    assert convert_checkpoint(source, tmp_path / "cast", dtype="float32").alterations == ()
    convert_checkpoint(source, tmp_path / "plain")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "cast" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_widens_to_float32(
    dtype: str, checkpoints: Path, tmp_path: Path, load_with_transformers: Load
) -> None:
    source = checkpoints / "BertModel"
    done = convert_checkpoint(source / dtype, tmp_path / "out", dtype="float32")
    assert done.dtype == "float32"
    _, state = load_with_transformers(tmp_path / "out", "AutoModel")
    for name, values in expected("BertModel", values_of(source), untied=False).items():
        assert np.abs(state[name] - values).max() <= np.abs(values).max() * 2.0**-8
        halves = values_of(source, f"values-{dtype}")
        assert name not in halves or state[name].shape == halves[name].shape


def test_a_weight_that_float16_cannot_hold_is_refused_and_leaves_nothing(checkpoints: Path, tmp_path: Path) -> None:
    arrays = values_of(checkpoints / "BertModel")
    arrays["pooler.dense.weight"][1, 2] = 7e4
    source = spoil(checkpoints, "BertModel", tmp_path / "in", arrays)
    with pytest.raises(CastError, match=r"^pooler\.dense\.weight holds 70000\.0.*choose bfloat16"):
        convert_checkpoint(source, tmp_path / "out", dtype="float16")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    convert_checkpoint(source, tmp_path / "out", dtype="bfloat16")


@pytest.mark.parametrize("architecture", ["AlbertForPretraining", "BertForMaskedLM"])
def test_shards_are_loaded_by_transformers(
    architecture: str, checkpoints: Path, tmp_path: Path, load_with_transformers: Load
) -> None:
    out = tmp_path / "out"
    done = convert_checkpoint(checkpoints / architecture / "pdparams", out, max_shard_size="12KB")
    index = json.loads((out / "model.safetensors.index.json").read_text())
    arrays = expected(architecture, values_of(checkpoints / architecture), unties(architecture))
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in arrays.values()) == done.nbytes
    assert index["weight_map"].keys() == arrays.keys()
    assert len(done.files) > 3
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*done.files, "config.json", "model.safetensors.index.json"]
    )
    for name in done.files:
        with safe_open(out / name, framework="np") as opened:
            held = list(opened.keys())
        assert {key for key, file in index["weight_map"].items() if file == name} == set(held)
        assert len(held) == 1 or sum(arrays[key].nbytes for key in held) <= 12_000
    loader = "AutoModelForPreTraining" if architecture.endswith("Pretraining") else "AutoModelForMaskedLM"
    _, state = load_with_transformers(out, loader)
    for name, array in arrays.items():
        assert state[name].tobytes() == array.tobytes(), name
    # The folder of shards may be replaced like any other.
    convert_checkpoint(checkpoints / architecture / "pdparams", out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("500MB", 500_000_000), ("2 GiB", 2 << 30), ("1.5kb", 1500), ("12B", 12)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "0", "0.2B", "5PB", "1e3", "nan", "1 0MB", "٣MB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match=r"size|byte"):
        parse_size(text)


@pytest.mark.parametrize("architecture", ["AlbertModel", "AlbertForMaskedLM", "AlbertForPretraining"])
def test_the_padding_row_becomes_zeros_and_the_decoder_keeps_its_own(
    architecture: str, checkpoints: Path, tmp_path: Path, load_with_transformers: Load
) -> None:
    out = tmp_path / "out"
    done = convert_checkpoint(checkpoints / architecture / "pdparams", out, zero_padding_row=True)
    assert "the stored row is lost" in " ".join(done.lines())
    values = values_of(checkpoints / architecture)
    arrays = expected(architecture, values, untied=architecture != "AlbertModel")
    words = next(name for name in arrays if name.endswith("word_embeddings.weight"))
    padding = json.loads((out / "config.json").read_text())["pad_token_id"]
    assert np.abs(arrays[words][padding]).max() > 0
    arrays[words] = arrays[words].copy()
    arrays[words][padding] = 0
    if architecture == "AlbertForMaskedLM":
        arrays["predictions.decoder.weight"] = values["transformer.embeddings.word_embeddings.weight"]
    loader = {"AlbertModel": "AutoModel", "AlbertForMaskedLM": "AutoModelForMaskedLM"}
    _, state = load_with_transformers(out, loader.get(architecture, "AutoModelForPreTraining"))
    for name, array in arrays.items():
        assert state[name].tobytes() == array.tobytes(), name
    with safe_open(out / "model.safetensors", framework="np") as opened:
        assert opened.metadata()["paddle2torch.zero_padding_row"] == str(padding)


def test_zeros_are_refused_where_paddle_reads_the_stored_row(checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="another model"):
        convert_checkpoint(checkpoints / "BertModel" / "pdparams", tmp_path / "out", zero_padding_row=True)
    source = spoil(checkpoints, "AlbertModel", tmp_path / "in", pad_token_id=7)
    document = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**document, "pad_token_id": None}))
    with pytest.raises(ConfigurationError, match="pad_token_id is null"):
        convert_checkpoint(source, tmp_path / "out", zero_padding_row=True)
    assert not (tmp_path / "out").exists()


def test_the_command_line(checkpoints: Path, tmp_path: Path, paddle2torch: Run) -> None:
    source, out = str(checkpoints / "AlbertModel" / "pdparams"), str(tmp_path / "out")
    done = paddle2torch("convert", source, out, "--dtype", "bfloat16", "--max-shard-size", "9kB", "--json")
    document = json.loads(done.stdout)
    assert document["dtype"] == "bfloat16"
    assert len(document["files"]) > 1
    assert document["alterations"][0].startswith("cast to bfloat16: not bit-equal")
    for options, message in (
        (("--dtype", "int8"), "Error: unknown element type 'int8'; weights are cast to float32, float16, bfloat16"),
        (("--max-shard-size", "much"), "Error: 'much' is no size"),
    ):
        refused = paddle2torch("convert", source, str(tmp_path / "no"), *options)
        assert refused.returncode == 2
        assert refused.stderr.startswith(message)
        assert not (tmp_path / "no").exists()
