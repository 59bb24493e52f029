"""A command gets folders, names or tensors that do not fit."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from paddle2torch.converters.checkpoints.configuration import read_configuration
from paddle2torch.errors import UnreadableFileError
from paddle2torch.mappings.registry import PRETRAINED

from ..conftest import Run
from .outcomes import put_field, put_tensors, refused, tensors_of


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
        ("{}", "choose with --family"),
        ('{"model_type": "nowhere"}', "unknown family 'nowhere'"),
        ('{"architectures": ["NowhereModel"]}', "belongs to no known family"),
    ],
    ids=["text", "list", "string", "not utf-8", "empty", "family", "architecture"],
)
def test_a_bad_configuration_file(text: str, message: str, paddle2torch: Run, source: Path) -> None:
    (source / "config.json").write_bytes(text.encode("latin-1"))
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert message in line
    assert "source/config.json" in line


def test_a_configuration_that_is_nested_too_deep(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python's own parser raises then; no file that is nested so deep is kept here."""

    def too_deep(text: str) -> object:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(json, "loads", too_deep)
    with pytest.raises(
        UnreadableFileError, match=r"config\.json: is not a JSON file: maximum recursion depth exceeded"
    ):
        read_configuration(source)


def test_an_unknown_family(paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--family", "brt")
    assert "unknown family 'brt'; did you mean bert" in line


def test_an_unknown_architecture(paddle2torch: Run, source: Path) -> None:
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--architecture", "BertForEverything")
    assert "unknown architecture 'BertForEverything'" in line
    assert "BertForPretraining" in line


@pytest.mark.parametrize("families", [("brt", "pp_lcnet_textline"), ("pp_lcnet_textline", "brt")])
def test_no_family_of_several_is_passed_over(families: tuple[str, str], paddle2torch: Run, work: Path) -> None:
    """A gate over fewer than was asked for would pass for all."""
    given = [word for family in families for word in ("--family", family)]
    assert "unknown family 'brt'" in refused(paddle2torch, work, "gate", *given, "--seeded")


@pytest.mark.parametrize("command", ["convert", "inspect", "seed", "gate"])
def test_a_typo_in_a_pretrained_name(command: str, paddle2torch: Run, work: Path) -> None:
    arguments = ["albert-bse-v2", *(["out"] if command in ("convert", "seed") else [])]
    assert "did you mean albert-base-v2" in refused(paddle2torch, work, command, *arguments)


def test_a_pretrained_name_that_is_not_cached(paddle2torch: Run, work: Path) -> None:
    line = refused(paddle2torch, work, "convert", "albert-base-v2", "out")
    assert PRETRAINED["albert-base-v2"].weights_url in line
    assert "offline" in line
    assert "paddle2torch seed" in line


def test_a_tensor_without_a_rule(paddle2torch: Run, source: Path) -> None:
    tensors = tensors_of(source)
    for layer in range(3):
        tensors[f"encoder.layers.{layer}.norm3.weight"] = np.zeros(24, np.float32)
    put_tensors(source, tensors)
    line = refused(paddle2torch, source.parent, "convert", "source", "out")
    assert "no rule for encoder.layers.{0..2}.norm3.weight (nearest rule: encoder.layers.{0..2}.norm" in line


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


def test_names_and_configuration_from_elsewhere_in_the_commands(paddle2torch: Run, source: Path) -> None:
    """Guesses are printed, by convert and by inspect."""
    put_tensors(source, {f"Student.{name}": one for name, one in tensors_of(source).items()})
    guess = "guessed: all 55 tensors lie under 'Student.'; read so, they fit BertModel"
    done = paddle2torch("convert", source, "out")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [guess]
    (source / "config.json").rename(source.parent / "given.json")
    assert "name a file with --config" in refused(paddle2torch, source.parent, "convert", "source", "out")
    for options in (["--config", "given.json"], ["--family", "bert", "--config", "given.json"]):
        shown = paddle2torch("inspect", "source", *options, cwd=source.parent)
        assert shown.stdout.splitlines()[-3:] == [
            "BertModel of bert, converts to Hugging Face's BertModel",
            "no tokenizer: there is none beside the weights",
            guess,
        ]
    document = json.loads(paddle2torch("inspect", "source", *options, "--json", cwd=source.parent).stdout)
    assert document["recognised"]["architecture"] == "BertModel"
    assert document["recognised"]["configuration"]["hidden_size"] == 24
    assert len(document["recognised"]["renamed"]) == len(document["tensors"]) == 55


@pytest.mark.parametrize("options", [["--to", "paddle"], ["--tree"]])
def test_a_configuration_goes_with_one_source_of_paddles(options: list[str], paddle2torch: Run, source: Path) -> None:
    (source.parent / "given.json").write_text("{}")
    line = refused(paddle2torch, source.parent, "convert", "source", "out", "--config", "given.json", *options)
    assert "--config and --dict go with one SOURCE of Paddle's" in line
