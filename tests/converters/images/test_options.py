"""The options of a conversion, for networks: casts, shards, weights alone, dry runs, existing outputs, and the options
that go with PaddleNLP's models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from paddle2torch import convert_checkpoint
from paddle2torch.errors import (
    CastError,
    ConfigurationError,
    DifferentOutputError,
    OutputError,
    Paddle2TorchError,
    UnknownNameError,
)

from ...cli.outcomes import error_line, listing, refused
from ...conftest import Run
from ...networks import SMALL, arrays_of, write_yaml
from .conftest import Write
from .renaming import expected

NAME = "small pp_ocrv5_mobile_rec"


def metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as opened:
        return dict(opened.metadata())


def test_a_cast(write: Write, tmp_path: Path) -> None:
    """It is rounded, recorded, and said."""
    done = convert_checkpoint(write(NAME), tmp_path / "out", dtype="float16")
    arrays = expected("pp_ocrv5_mobile_rec", arrays_of(SMALL[NAME].shapes))
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert written.keys() == arrays.keys()
    for name, array in arrays.items():
        assert written[name].dtype == np.float16
        assert written[name].tobytes() == array.astype(np.float16).tobytes(), name
    assert metadata(tmp_path / "out" / "model.safetensors")["paddle2torch.cast"] == "float16"
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float16"
    assert done.dtype == "float16"
    assert any("cast to float16: not bit-equal to the source" in line for line in done.lines())


def test_a_cast_of_a_fused_network(write: Write, tmp_path: Path) -> None:
    """What stands behind fused convolutions is as exact in fewer bits."""
    convert_checkpoint(write("small pp_ocrv5_mobile_det fused"), tmp_path / "out", dtype="float16")
    written = load_file(tmp_path / "out" / "model.safetensors")
    place = "model.backbone.encoder.blocks.0.layers.0.depthwise_convolution.conv_symmetric.0.normalization"
    gain, variance = written[f"{place}.weight"], written[f"{place}.running_var"]
    assert gain.dtype == np.float16
    assert (gain / np.sqrt(variance) == 1).all()


def test_a_cast_to_what_it_is_changes_nothing(write: Write, tmp_path: Path) -> None:
    source = write(NAME)
    convert_checkpoint(source, tmp_path / "plain")
    done = convert_checkpoint(source, tmp_path / "out", dtype="float32")
    assert done.alterations == ()
    assert listing(tmp_path / "out") == listing(tmp_path / "plain")


def test_a_network_in_half_precision_stays_so(write: Write, tmp_path: Path) -> None:
    arrays = arrays_of(SMALL["small slanet"].shapes, "float16")
    convert_checkpoint(write("small slanet", arrays), tmp_path / "out")
    written = load_file(tmp_path / "out" / "model.safetensors")
    for name, array in expected("slanet", arrays).items():
        assert written[name].dtype == np.float16
        assert written[name].tobytes() == array.tobytes()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float16"


def test_casts_that_are_none(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown element type 'int8'; weights are cast to float32, float16"):
        convert_checkpoint(write(NAME), tmp_path / "out", dtype="int8")
    arrays = arrays_of(SMALL["small slanet"].shapes)
    arrays["head.structure_generator.1.bias"][0] = 1e6
    with pytest.raises(CastError, match=r"head\.structure_generator"):
        convert_checkpoint(write("small slanet", arrays, folder="large"), tmp_path / "out", dtype="float16")
    assert not (tmp_path / "out").exists()


def test_weights_in_several_files(write: Write, tmp_path: Path) -> None:
    source = write(NAME)
    done = convert_checkpoint(source, tmp_path / "out", max_shard_size="200KB")
    whole = convert_checkpoint(source, tmp_path / "whole")
    assert len(done.files) > 2
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == done.nbytes == whole.nbytes
    assert set(index["weight_map"].values()) == set(done.files)
    together: dict[str, Any] = {}
    for name in done.files:
        part = load_file(tmp_path / "out" / name)
        assert {one for one, file in index["weight_map"].items() if file == name} == part.keys()
        assert sum(array.nbytes for array in part.values()) <= 200_000 or len(part) == 1
        together |= part
    written = load_file(tmp_path / "whole" / "model.safetensors")
    assert {name: array.tobytes() for name, array in together.items()} == {
        name: array.tobytes() for name, array in written.items()
    }


def test_the_weights_alone(write: Write, tmp_path: Path) -> None:
    """Neither a dictionary nor the preparation of pictures is needed then, and that there are none is recorded."""
    source = write(NAME, changed={"Eval": {"dataset": {"transforms": [{"OddResize": {}}]}}})
    (source / "dict.txt").unlink()
    with pytest.raises(ConfigurationError, match=r"names the dictionary \./dict\.txt"):
        convert_checkpoint(source, tmp_path / "out")
    done = convert_checkpoint(source, tmp_path / "out", no_tokenizer=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]
    assert metadata(tmp_path / "out" / "model.safetensors")["paddle2torch.no_tokenizer"] == "true"
    assert "AutoImageProcessor" not in "\n".join(done.loading_lines())
    assert not any("characters" in note for note in done.notes)


def test_a_preparation_that_is_refused_says_what_to_do(write: Write, tmp_path: Path) -> None:
    source = write("small slanet", changed={"Eval": {"dataset": {"transforms": [{"OddResize": {}}]}}})
    with pytest.raises(ConfigurationError) as caught:
        convert_checkpoint(source, tmp_path / "out")
    assert str(caught.value).startswith(f"{source / 'config.yml'}: pictures go through OddResize")
    assert "the weights alone convert, without an image processor, with --no-tokenizer" in str(caught.value)


def test_a_dry_run_writes_nothing(write: Write, tmp_path: Path) -> None:
    source = write(NAME)
    before = listing(tmp_path)
    done = convert_checkpoint(source, tmp_path / "out", dry_run=True)
    assert listing(tmp_path) == before
    assert done.planned
    real = convert_checkpoint(source, tmp_path / "out")
    assert (done.tensors, done.nbytes, done.files, done.notes) == (real.tensors, real.nbytes, real.files, real.notes)
    assert "a dry run: nothing is written" in done.lines()[0]


def test_a_dry_run_finds_what_does_not_fit(write: Write, tmp_path: Path) -> None:
    source = write(NAME)
    (source / "dict.txt").write_text("a\n")
    with pytest.raises(ConfigurationError, match="1 characters, the blank and the space make 3 classes"):
        convert_checkpoint(source, tmp_path / "out", dry_run=True)


def test_an_output_that_is_there_is_not_written_over(write: Write, tmp_path: Path) -> None:
    source = write("small slanet")
    convert_checkpoint(source, tmp_path / "out")
    before = listing(tmp_path / "out")
    with pytest.raises(OutputError, match="exists already"):
        convert_checkpoint(source, tmp_path / "out", dtype="float16")
    assert listing(tmp_path / "out") == before
    done = convert_checkpoint(source, tmp_path / "out", dtype="float16", overwrite=True)
    assert done.dtype == "float16"
    assert listing(tmp_path / "out") != before


def test_somebody_elses_folder_is_never_replaced(write: Write, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError):
        convert_checkpoint(write("small slanet"), tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_an_equal_output_is_kept(write: Write, tmp_path: Path) -> None:
    source = write(NAME)
    convert_checkpoint(source, tmp_path / "out", max_shard_size="500KB")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    done = convert_checkpoint(source, tmp_path / "out", max_shard_size="500KB", resume=True)
    assert done.kept
    assert "there already and equal" in done.lines()[0]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == times


@pytest.mark.parametrize("what", ["weights", "config.json", "preprocessor_config.json", "more", "cast", "less"])
def test_an_output_that_differs_is_not_kept(what: str, write: Write, tmp_path: Path) -> None:
    source, output = write("small slanet"), tmp_path / "out"
    convert_checkpoint(source, output)
    if what == "weights":
        weights = output / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif what == "more":
        (output / "tokenizer.json").write_text("{}")
    elif what == "less":
        (output / "preprocessor_config.json").unlink()
    elif what != "cast":
        document = json.loads((output / what).read_text())
        (output / what).write_text(json.dumps({**document, "odd": 1}))
    options: dict[str, Any] = {"dtype": "float16"} if what == "cast" else {}
    with pytest.raises(DifferentOutputError, match="exists already, and its"):
        convert_checkpoint(source, output, resume=True, **options)
    done = convert_checkpoint(source, output, resume=True, overwrite=True, **options)
    assert not done.kept
    assert convert_checkpoint(source, output, resume=True, **options).kept


def test_resuming_without_an_output_converts(write: Write, tmp_path: Path) -> None:
    assert not convert_checkpoint(write("small slanet"), tmp_path / "out", resume=True).kept
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"zero_padding_row": True}, "--zero-padding-row"),
        ({"sentence_transformers": "cls"}, "--sentence-transformers"),
        ({"architecture": "BertModel"}, "--architecture"),
        ({"target": "bert"}, "--target"),
    ],
)
def test_options_of_paddlenlps_models(options: dict[str, Any], named: str, write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        convert_checkpoint(write("small slanet"), tmp_path / "out", **options)
    assert str(caught.value) == f"{named} goes with PaddleNLP's models; this is a network that reads pictures"
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_is_named(write: Write, tmp_path: Path) -> None:
    """It comes before the one beside the weights, and says what these are."""
    source = write("small pp_lcnet", folder="one")
    other = write("small pp_lcnet_textline", arrays_of(SMALL["small pp_lcnet"].shapes), folder="two")
    document = json.loads((other / "config.yml").read_text())
    document["Arch"] |= {"class_num": 3, "class_expand": 24, "scale": 0.25}
    write_yaml(tmp_path / "train.yml", document)
    assert convert_checkpoint(source, tmp_path / "beside").family == "pp_lcnet"
    (source / "best_accuracy.pdparams").rename(source / "odd.pdparams")
    for path in (source, source / "odd.pdparams"):
        done = convert_checkpoint(path, tmp_path / "named", config=tmp_path / "train.yml", overwrite=True)
        assert done.family == "pp_lcnet_textline"


def test_dictionaries_of_a_copy_of_paddleocr(write: Write, tmp_path: Path) -> None:
    source = write(NAME, changed={"Global": {"character_dict_path": "./ppocr/a.txt", "use_space_char": True}})
    (library := tmp_path / "PaddleOCR" / "ppocr").mkdir(parents=True)
    (source / "dict.txt").rename(library / "a.txt")
    with pytest.raises(ConfigurationError, match="lies neither beside the weights nor at that path"):
        convert_checkpoint(source, tmp_path / "out")
    done = convert_checkpoint(source, tmp_path / "out", paddleocr=tmp_path / "PaddleOCR")
    assert "characters: 38 classes: the blank, 36 characters of a.txt and the space" in done.notes


def test_a_dictionary_with_a_model_of_paddlenlps(tmp_path: Path) -> None:
    (tmp_path / "dict.txt").write_text("a\n")
    with pytest.raises(Paddle2TorchError):
        convert_checkpoint("bert-base-chinese", tmp_path / "out", dictionary=tmp_path / "dict.txt")


@pytest.mark.parametrize("name", ["small pp_lcnet_textline", "small pp_ocrv5_mobile_det", "small slanext"])
def test_no_network_goes_back_to_paddle(name: str, write: Write, tmp_path: Path) -> None:
    source = write(name)
    convert_checkpoint(source, tmp_path / "out", family=SMALL[name].network.name)
    with pytest.raises(ConfigurationError) as caught:
        convert_checkpoint(tmp_path / "out", tmp_path / "back", to="paddle")
    assert str(caught.value) == (
        f"{tmp_path / 'out' / 'config.json'}: {SMALL[name].network.target} is a network that reads pictures, which is "
        "converted to torch alone; PaddleOCR and PaddleClas take the folder that the training left"
    )
    assert not (tmp_path / "back").exists()


def test_a_dictionary_goes_with_the_way_to_torch(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="config and dictionary go with the way to torch only"):
        convert_checkpoint(tmp_path, tmp_path / "back", to="paddle", dictionary=tmp_path / "dict.txt")


def test_on_the_command_line(write: Write, tmp_path: Path, paddle2torch: Run) -> None:
    """Options have their names there, and a refusal changes nothing."""
    source = write(NAME)
    (source / "dict.txt").rename(tmp_path / "mine.txt")
    line = refused(paddle2torch, tmp_path, "convert", "in", "out")
    assert "in/config.yml: names the dictionary ./dict.txt, which lies neither beside the weights" in line
    done = paddle2torch("convert", "in", "out", "--dict", "mine.txt", "--dtype", "bfloat16", "--max-shard-size", "1MB")
    assert done.returncode == 0, done.stderr
    assert "characters: 38 classes: the blank, 36 characters of mine.txt and the space" in done.stdout
    assert "cast to bfloat16" in done.stdout
    assert "AutoModelForTextRecognition" in done.stdout
    back = error_line(paddle2torch("convert", "out", "back", "--to", "paddle"))
    assert "is a network that reads pictures, which is converted to torch alone" in back
