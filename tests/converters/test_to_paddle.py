"""Hugging Face folders converted to Paddle: names, configurations, what is refused and what is left on the disk."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.formats import pdparams_writer, piecewise, stretches, tensors
from paddle2torch.converters.formats.pdparams import open_pdparams
from paddle2torch.converters.formats.pdparams_writer import write_pdparams
from paddle2torch.converters.formats.piecewise import Entry
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import (
    ConfigurationError,
    OutputError,
    Paddle2TorchError,
    UnknownNameError,
    UnmatchedTensorsError,
    UnreadableFileError,
)
from paddle2torch.mappings.registry import FAMILIES

from ..conftest import SMALL, TORCH_PYTHONS, Run, small_of, torch_python_of, write_torch_checkpoints

Arrays = dict[str, np.ndarray[Any, Any]]
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def torch_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    models = [
        [name, name, small_of(name)]
        for name in ("AlbertModel", "AlbertForMaskedLM", "AlbertForPreTraining", "BertModel", "BertForMaskedLM")
    ]
    models.append(["untied", "AlbertForMaskedLM", {**SMALL["albert"], "tie_word_embeddings": False}])
    models.append(["bert-gelu_new", "BertModel", {**SMALL["bert"], "hidden_act": "gelu_new"}])
    models.append(["next-sentence", "BertForNextSentencePrediction", SMALL["bert"]])
    models.append(["decoder", "BertModel", {**SMALL["bert"], "is_decoder": True}])
    models.append(["relative", "BertModel", {**SMALL["bert"], "position_embedding_type": "relative_key"}])
    write_torch_checkpoints(folder, models)
    return folder


@pytest.fixture
def make(torch_folders: Path, tmp_path: Path) -> Make:
    """`make(name, change, form, **fields)`: a copy of a folder with changed weights and configuration; a field that
    is None is left out."""

    def copy(
        name: str, change: Callable[[Arrays], object] | None = None, form: str = "safetensors", **fields: Any
    ) -> Path:
        folder = tmp_path / "source"
        shutil.copytree(torch_folders / name / form, folder)
        configuration = {**json.loads((folder / "config.json").read_text()), **fields}
        kept = {field: value for field, value in configuration.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))
        if change is not None:
            arrays = load_file(folder / "model.safetensors")
            change(arrays)
            save_file(arrays, folder / "model.safetensors", {"format": "pt"})
        return folder

    return copy


def to_paddle(source: Path, **options: Any) -> dict[str, Any]:
    """Convert into the folder beside the source; the configuration that was written."""
    convert_checkpoint(source, source.parent / "paddle", to="paddle", **options)
    document: dict[str, Any] = json.loads((source.parent / "paddle" / "config.json").read_text())
    return document


def renamed(old: str, new: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        for name in list(arrays):
            arrays[name.replace(old, new)] = arrays.pop(name)

    return change


def read(path: Path) -> Arrays:
    with open_pdparams(path) as opened:
        return {name: tensor.read() for name, tensor in opened.tensors.items()}


def test_pythons_own_unpickler_reads_the_same(make: Make) -> None:
    source = make("AlbertForMaskedLM")
    to_paddle(source)
    path = source.parent / "paddle" / "model_state.pdparams"
    unpickled, own = pickle.loads(path.read_bytes()), read(path)
    assert list(unpickled) == list(own)
    for name, array in unpickled.items():
        assert (array.dtype, array.shape) == (own[name].dtype, own[name].shape)
        assert array.tobytes() == own[name].tobytes()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (7, 300), (3, 4, 5)])
def test_every_dtype_and_shape_is_written(dtype: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 2, shape).astype(dtype)
    path = tmp_path / "one.pdparams"
    path.write_bytes(pickle.dumps({"x": array, "other": np.zeros(3, np.float32)}, protocol=4))
    with open_pdparams(path) as opened:
        entries = [Entry(name, (tensor,)) for name, tensor in opened.tensors.items()]
        write_pdparams(tmp_path / "two.pdparams", entries, lambda count: None)
        pdparams_writer.compare_pdparams(tmp_path / "two.pdparams", entries, lambda count: None)
    found = pickle.loads((tmp_path / "two.pdparams").read_bytes())
    assert found["x"].dtype == array.dtype
    assert found["x"].shape == shape
    assert found["x"].tobytes() == array.tobytes()


def test_absent_fields_have_hugging_faces_defaults(tmp_path: Path) -> None:
    """The two libraries differ here: a folder that leaves the fields out is the model that transformers makes of it."""
    script = (
        "import json, sys; from transformers import CONFIG_MAPPING as known;"
        "print(json.dumps([known[name]().to_dict() for name in sys.argv[1:]]))"
    )
    theirs: dict[str, Any] = {}
    for python in TORCH_PYTHONS:
        names = [family.model_type for family in FAMILIES.values() if torch_python_of(family) == python]
        command = [python, "-c", script, *names]
        child = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        theirs |= dict(zip(names, json.loads(child.stdout.splitlines()[-1]), strict=True))
    for family in FAMILIES.values():
        defaults = theirs[family.model_type]
        own = {entry.name: entry.default_of_target for entry in family.fields}
        for entry in family.fields:
            if entry.default is None and callable(entry.runs):
                # It follows from the sizes.
                continue
            if entry.default is None and entry.target_like is not None:
                assert defaults[entry.target_name] == defaults[entry.target_like], f"{family.name}: {entry.name}"
                continue
            if entry.compared and entry.target_name not in defaults:
                # Its class has the default, not its configuration: test_deberta.py asks the class.
                continue
            # One that has a condition may be a field of PaddleNLP's alone, one of another name one of some heads.
            # What the live models are compared in, the class may know without its configuration having it.
            own_name = entry.when is None and entry.target is None and not entry.compared
            if own_name or entry.target_name in defaults:
                expected = [entry.default_of_target]
                # What follows from other fields may be stated by the class itself.
                expected += [entry.unstated(own)] if entry.target_like is not None else []
                assert defaults[entry.target_name] in expected, f"{family.name}: {entry.name}"


def test_a_field_that_is_absent_and_differs_is_written_out(make: Make) -> None:
    assert to_paddle(make("BertModel", type_vocab_size=None))["type_vocab_size"] == 2


def test_an_absent_activation_of_albert_is_gelu_new(make: Make) -> None:
    assert to_paddle(make("AlbertModel", hidden_act=None))["hidden_act"] == "gelu_new"


def test_labels_come_along(make: Make) -> None:
    found = to_paddle(make("BertModel", id2label={"0": "no", "1": "yes", "2": "so"}, problem_type="regression"))
    assert found["id2label"] == {"0": "no", "1": "yes", "2": "so"}
    assert found["problem_type"] == "regression"


def test_older_names_of_layer_norms_are_read(make: Make) -> None:
    def change(arrays: Arrays) -> None:
        renamed("LayerNorm.weight", "LayerNorm.gamma")(arrays)
        renamed("LayerNorm.bias", "LayerNorm.beta")(arrays)

    source = make("BertForMaskedLM", change)
    to_paddle(source)
    convert_checkpoint(source.parent / "paddle", source.parent / "back")
    before, after = load_file(source / "model.safetensors"), load_file(source.parent / "back" / "model.safetensors")
    renamed("LayerNorm.gamma", "LayerNorm.weight")(before)
    renamed("LayerNorm.beta", "LayerNorm.bias")(before)
    assert {name: array.tobytes() for name, array in before.items()} == {n: a.tobytes() for n, a in after.items()}


def test_a_base_model_saved_with_its_prefix_is_read(make: Make) -> None:
    def change(arrays: Arrays) -> None:
        for name in list(arrays):
            arrays[f"bert.{name}"] = arrays.pop(name)

    source = make("BertModel", change)
    to_paddle(source)
    assert "embeddings.word_embeddings.weight" in read(source.parent / "paddle" / "model_state.pdparams")


def test_a_pooler_beyond_the_class_is_kept(make: Make) -> None:
    """Published masked language models hold one although transformers' class has none; PaddleNLP's has."""

    def change(arrays: Arrays) -> None:
        arrays["albert.pooler.weight"] = np.ones((24, 24), np.float32)
        arrays["albert.pooler.bias"] = np.ones(24, np.float32)

    source = make("AlbertForMaskedLM", change)
    assert to_paddle(source)["add_pooling_layer"] is True
    assert read(source.parent / "paddle" / "model_state.pdparams")["transformer.pooler.bias"].sum() == 24


def test_the_twin_alone_is_enough(make: Make) -> None:
    """Which of two tied names a file keeps depends on the version that wrote it."""
    source = make("AlbertForMaskedLM", renamed("predictions.bias", "predictions.decoder.bias"))
    to_paddle(source)
    found = read(source.parent / "paddle" / "model_state.pdparams")
    assert found["predictions.bias"].tobytes() == found["predictions.decoder.bias"].tobytes()


def test_safetensors_are_taken_before_pytorchs_file(make: Make) -> None:
    source = make("BertModel")
    to_paddle(source)
    expected = (source.parent / "paddle" / "model_state.pdparams").read_bytes()
    (source / "pytorch_model.bin").write_bytes(b"damaged")
    to_paddle(source, overwrite=True)
    assert (source.parent / "paddle" / "model_state.pdparams").read_bytes() == expected


def test_training_files_are_set_aside(make: Make) -> None:
    source = make("BertModel")
    (source / "training_args.bin").write_bytes(b"")
    (source / "trainer_state.json").write_text("{}")
    done = convert_checkpoint(source, source.parent / "paddle", to="paddle")
    assert done.set_aside == ("trainer_state.json", "training_args.bin")


def drop(name: str) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.pop(name)


def put(name: str, array: np.ndarray[Any, Any]) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: array})


BIAS = np.full(50, 7, np.float32)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("BertModel", drop("pooler.dense.bias"), r"missing pooler\.dense\.bias"),
        ("BertModel", put("extra", BIAS), "no rule for extra"),
        ("BertModel", put("pooler.dense.bias", BIAS), r"pooler\.dense\.bias has shape \[50\], the configuration says"),
        ("BertModel", put("pooler.dense.bias", np.zeros(24, np.int32)), "holds int32, a floating-point type"),
        ("BertForMaskedLM", put("cls.seq_relationship.bias", BIAS), "no rule for cls.seq_relationship.bias"),
        ("AlbertForMaskedLM", put("albert.pooler.bias", np.zeros(24, np.float32)), r"missing albert\.pooler\.weight"),
        ("AlbertForMaskedLM", put("predictions.decoder.bias", BIAS), r"decoder\.bias differs from predictions\.bias"),
        ("BertForMaskedLM", put("cls.predictions.decoder.bias", BIAS), "differs from cls.predictions.bias"),
        ("untied", put("predictions.decoder.bias", BIAS), "save the model with both equal"),
        (
            "AlbertForMaskedLM",
            put("predictions.decoder.weight", np.zeros((50, 12), np.float32)),
            r"decoder\.weight differs from albert\.embeddings\.word_embeddings\.weight",
        ),
        ("BertModel", put("embeddings.position_ids", np.ones((1, 30), np.int64)), "does not hold 0, 1, 2"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    name: str, change: Callable[[Arrays], object], message: str, make: Make, tmp_path: Path
) -> None:
    source = make(name, change)
    with pytest.raises(UnmatchedTensorsError, match=message):
        convert_checkpoint(source, tmp_path / "paddle", to="paddle")
    assert sorted(os.listdir(tmp_path)) == ["source"]


def test_a_decoder_of_its_own_must_be_there(make: Make) -> None:
    with pytest.raises(UnmatchedTensorsError, match=r"missing predictions\.decoder\.weight"):
        to_paddle(make("AlbertForMaskedLM", tie_word_embeddings=False))


def test_another_class_that_fits_is_named(make: Make) -> None:
    source = make("BertForMaskedLM", architectures=["BertModel"])
    with pytest.raises(UnmatchedTensorsError, match="they fit BertForMaskedLM: choose with --architecture"):
        to_paddle(source)
    assert to_paddle(source, architecture="BertForMaskedLM")["architectures"] == ["BertForMaskedLM"]


def test_a_configuration_without_a_class_is_settled_by_the_tensors(make: Make) -> None:
    source = make("BertForMaskedLM", architectures=None)
    done = convert_checkpoint(source, source.parent / "paddle", to="paddle")
    assert done.guesses == ("architecture BertForMaskedLM, from the names of the tensors",)


@pytest.mark.parametrize(
    ("name", "fields", "error", "message"),
    [
        ("next-sentence", {}, UnknownNameError, "BertForNextSentencePrediction has no counterpart in PaddleNLP's bert"),
        ("BertModel", {"architectures": ["BertLMHeadModel"]}, UnknownNameError, "BertLMHeadModel has no counterpart"),
        ("decoder", {}, ConfigurationError, "is_decoder is True"),
        ("relative", {}, ConfigurationError, "position_embedding_type is 'relative_key'"),
        ("BertModel", {"pruned_heads": {"1": [0]}}, ConfigurationError, "pruned_heads is"),
        ("bert-gelu_new", {}, ConfigurationError, "hidden_act 'gelu_new' is not known to be equal"),
        ("BertModel", {"tie_word_embeddings": 1}, ConfigurationError, "tie_word_embeddings is 1"),
        ("BertModel", {"hidden_size": -1}, ConfigurationError, "hidden_size"),
        ("BertModel", {"model_type": "xlm", "architectures": ["XLMModel"]}, UnknownNameError, "'XLMModel'"),
        ("BertModel", {"model_type": None, "architectures": None}, ConfigurationError, "names neither model_type"),
    ],
)
def test_models_that_paddlenlp_lacks_are_refused(
    name: str, fields: dict[str, Any], error: type[Exception], message: str, make: Make
) -> None:
    with pytest.raises(error, match=message):
        to_paddle(make(name, **fields))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json: no such file"),
        (lambda folder: (folder / "config.json").write_text("[]"), "a JSON object is expected"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not a JSON file"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no model.safetensors or pytorch_model.bin"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "is plain text; the download failed"),
        (lambda folder: os.truncate(folder / "model.safetensors", 100), "is not a valid safetensors file"),
    ],
)
def test_a_damaged_folder_is_refused(damage: Callable[[Path], object], message: str, make: Make) -> None:
    source = make("BertModel")
    damage(source)
    with pytest.raises(UnreadableFileError, match=message):
        to_paddle(source)


def test_a_folder_of_paddlenlp_is_refused(make: Make) -> None:
    source = make("BertModel")
    to_paddle(source)
    with pytest.raises(UnreadableFileError, match="a Hugging Face folder is expected"):
        convert_checkpoint(source.parent / "paddle", source.parent / "again", to="paddle")


def test_the_forward_direction_says_where_to_go(make: Make) -> None:
    source = make("BertForMaskedLM")
    with pytest.raises(UnmatchedTensorsError, match=r"tensors of Hugging Face's BertForMaskedLM; .*--to paddle"):
        convert_checkpoint(source, source.parent / "torch")


def test_what_does_not_read_back_is_not_kept(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another byte comes to the disk than was hashed."""
    places: dict[str | None, int] = {}

    def hashed(name: str | None, block: Any, place: int, step: int) -> stretches.Stretch:
        places[name] = place
        return stretches.stretch_of(name, block, place, step)

    def damaging(descriptor: int, block: Any, place: int, step: int) -> None:
        if places.get("pooler.dense.bias") == place:
            block = block.copy()
            block.reshape(-1).view(np.uint8)[5] ^= 1
        stretches.write_strip(descriptor, block, place, step)

    monkeypatch.setattr(piecewise, "stretch_of", hashed)
    monkeypatch.setattr(piecewise, "write_strip", damaging)
    source = make("BertModel")
    with pytest.raises(OutputError, match=r"pooler\.dense\.bias did not read back"):
        to_paddle(source)
    assert sorted(os.listdir(source.parent)) == ["source"]


def test_the_output_is_only_replaced_when_it_is_one(make: Make) -> None:
    source = make("BertModel")
    to_paddle(source)
    with pytest.raises(OutputError, match="exists already"):
        to_paddle(source)
    to_paddle(source, overwrite=True)
    weights = source.parent / "paddle" / "model_state.pdparams"
    weights.write_bytes(pickle.dumps({"mine": np.zeros(3)}, protocol=4))
    with pytest.raises(OutputError, match=r"holds model_state\.pdparams, which no conversion wrote"):
        to_paddle(source, overwrite=True)


def test_pieces_of_any_size_give_the_same_file(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make("AlbertForMaskedLM")
    to_paddle(source)
    whole = (source.parent / "paddle" / "model_state.pdparams").read_bytes()
    monkeypatch.setattr(piecewise, "SMALL", 0)
    for module in (tensors, piecewise):
        monkeypatch.setattr(module, "STRIP_BYTES", 300)
    for name, value in {"BLOCK_BYTES": 700, "PLAIN_BYTES": 700, "BLOCK_ROWS": 5, "UNPADDED_BYTES": 16}.items():
        monkeypatch.setattr(tensors, name, value)
    to_paddle(source, overwrite=True)
    assert (source.parent / "paddle" / "model_state.pdparams").read_bytes() == whole


def test_the_command(make: Make, paddle2torch: Run) -> None:
    source = make("BertForMaskedLM")
    done = paddle2torch("convert", source, "paddle", "--to", "paddle")
    assert done.returncode == 0, done.stderr
    assert "BertForMaskedLM, 60 tensors" in done.stdout.splitlines()[0]
    assert "PaddleNLP initialises them at random" in done.stdout
    assert "bert.pooler.dense.weight, bert.pooler.dense.bias" in done.stdout
    answer = paddle2torch("convert", source, "paddle", "--to", "paddle", "--overwrite", "--json")
    document = json.loads(answer.stdout)
    assert (document["to"], document["architecture"]) == ("paddle", "BertForMaskedLM")
    assert document["random"] == ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    back = json.loads(paddle2torch("convert", "paddle", "torch", "--json").stdout)
    assert (back["to"], back["random"], back["made"]) == ("torch", [], [])


@pytest.mark.parametrize(
    "options", [("--dtype", "float16"), ("--max-shard-size", "1GB"), ("--zero-padding-row",), ("--to", "jax")]
)
def test_options_that_do_not_go_together_are_a_usage_error(
    options: tuple[str, ...], make: Make, paddle2torch: Run
) -> None:
    source = make("BertModel")
    done = paddle2torch("convert", source, "paddle", "--to", "paddle", *options)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert sorted(os.listdir(source.parent)) == ["source"]


def test_python_refuses_them_too(make: Make) -> None:
    source = make("BertModel")
    with pytest.raises(ConfigurationError, match="the way to torch only"):
        to_paddle(source, dtype="float16")
    with pytest.raises(UnknownNameError, match="unknown direction 'jax'"):
        convert_checkpoint(source, source.parent / "out", to="jax")


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """A model whose word embeddings alone are far larger than what a conversion may take."""
    rows, hidden = 400_000, 256
    fields = {**SMALL["bert"], "vocab_size": rows, "hidden_size": hidden, "intermediate_size": 2048}
    family = FAMILIES["bert"]
    arrays = {}
    for rule in family.rules("BertModel", fields, prefixed=False):
        if rule.target is not None:
            arrays[rule.target] = np.ones(rule.one_to_one.shape(rule.shapes), np.float32)
    source = tmp_path / "source"
    source.mkdir()
    save_file(arrays, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps({**fields, "architectures": ["BertModel"], "model_type": "bert"}))
    assert (source / "model.safetensors").stat().st_size > 400 << 20
    script = (
        "import re, sys; from paddle2torch import convert_checkpoint;"
        "convert_checkpoint(sys.argv[1], sys.argv[2], to='paddle');"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    child = subprocess.run(
        [sys.executable, "-c", script, str(source), str(tmp_path / "paddle")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) * 1024 < 250 << 20


def test_no_framework_is_needed(make: Make) -> None:
    source = make("AlbertForMaskedLM", form="bin")
    script = (
        "import sys; from paddle2torch import convert_checkpoint;"
        "convert_checkpoint(sys.argv[1], sys.argv[2], to='paddle');"
        "print([name for name in ('torch', 'paddle', 'transformers', 'paddlenlp') if name in sys.modules])"
    )
    child = subprocess.run(
        [sys.executable, "-c", script, str(source), str(source.parent / "paddle")], capture_output=True, text=True
    )
    assert child.stdout.strip() == "[]", child.stderr


def test_every_error_is_one_of_the_package(make: Make) -> None:
    source = make("BertModel", form="bin")
    (source / "pytorch_model.bin").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(Paddle2TorchError, match="is not a whole zip archive"):
        to_paddle(source)
