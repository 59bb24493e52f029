"""Configurations: both of PaddleNLP's file forms read, Hugging Face's written so that transformers reads the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paddle2torch import convert_checkpoint
from paddle2torch.converters.checkpoints.configuration import (
    complete_fields,
    read_configuration,
    translate_configuration,
)
from paddle2torch.errors import ConfigurationError, UnreadableFileError
from paddle2torch.mappings.language.fields import UNFIXED, in_words
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED

from ...conftest import SMALL, TORCH_PYTHONS, run_child, torch_python_of

ARCHITECTURES = [(family.name, model.source) for family in FAMILIES.values() for model in family.models]


def complete(family: str, **fields: Any) -> dict[str, Any]:
    return complete_fields(FAMILIES[family], {**SMALL[family], **fields})


@pytest.fixture(scope="module")
def read_by_transformers(
    seeded: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Every architecture's configuration as PaddleNLP wrote it, as it was converted, and as AutoConfig reads that."""
    folder = tmp_path_factory.mktemp("converted")
    folders = [folder / architecture for _, architecture in ARCHITECTURES]
    pythons = [torch_python_of(FAMILIES[family]) for family, _ in ARCHITECTURES]
    sources = [seeded(architecture, num_labels=3) for _, architecture in ARCHITECTURES]
    for source, output in zip(sources, folders, strict=True):
        convert_checkpoint(source, output)
    script = Path(__file__).parents[2] / "mappings" / "torch_facts.py"
    read: dict[str, Any] = {}
    for python in TORCH_PYTHONS:
        own = [str(output) for output, wanted in zip(folders, pythons, strict=True) if wanted == python]
        answer = run_child(script, {"folders": own}, python=python)
        read |= dict(zip(own, answer["configurations"], strict=True))
    written = [json.loads((output / "config.json").read_text()) for output in folders]
    given = [json.loads((source / "config.json").read_text()) for source in sources]
    return {
        output.name: {"paddle": paddle, "read": read[str(output)], "written": document}
        for output, paddle, document in zip(folders, given, written, strict=True)
    }


@pytest.mark.parametrize(("family", "architecture"), ARCHITECTURES)
def test_transformers_reads_what_paddlenlp_wrote(
    family: str, architecture: str, read_by_transformers: dict[str, dict[str, Any]]
) -> None:
    paddle, read, written = (read_by_transformers[architecture][side] for side in ("paddle", "read", "written"))
    mapping = FAMILIES[family]
    fields = complete_fields(mapping, in_words(mapping.fields, paddle, architecture))
    for entry in mapping.fields:
        name = entry.target_name
        if entry.applies(fields):
            assert name in written, f"{name} is left to a default"
            assert read[name] == written[name] == entry.of_target(fields[entry.name]), name
        else:
            assert name not in written
    for name, value in mapping.constants.items():
        assert read[name] == written[name] == value
    assert read["architectures"] == [mapping.model(architecture).target_architecture]
    assert read["model_type"] == mapping.model_type
    assert written["dtype"] == "float32"
    labels = mapping.model(architecture).labels or 3
    assert read["id2label"] == {str(index): f"LABEL_{index}" for index in range(labels)}
    assert read["label2id"] == {f"LABEL_{index}": index for index in range(labels)}


@pytest.mark.parametrize("architecture", [name for _, name in ARCHITECTURES])
def test_fields_of_paddle_alone_are_left_out(
    architecture: str, read_by_transformers: dict[str, dict[str, Any]]
) -> None:
    written = read_by_transformers[architecture]["written"]
    assert not {"pool_act", "fuse", "add_pooling_layer", "paddlenlp_version", "torch_dtype"} & written.keys()
    assert list(written) == sorted(written)


OF_NO_MODEL = {"mobilebert": {"transformers_version"}, "squeezebert": {"num_labels"}}
"""What tables of PaddleNLP's say besides: of another library, and of a head."""


@pytest.mark.parametrize("name", PRETRAINED)
def test_configurations_of_pretrained_names_are_complete(name: str) -> None:
    entry = PRETRAINED[name]
    family = FAMILIES[entry.family]
    fields = complete_fields(family, entry.configuration)
    written = translate_configuration(family, family.base, fields, "float32", True)
    known = {field.name: field for field in family.fields}
    stated = {key: value for key, value in entry.configuration.items() if key in known and known[key].applies(fields)}
    for key, value in stated.items():
        runs = value if known[key].runs is UNFIXED else fields[key]
        assert written[known[key].target_name] == known[key].of_target(runs), key
    beside = {
        "model_type",
        "dtype",
        *OF_NO_MODEL.get(entry.family, ()),
        *family.left_out,
        *(name for name in known if not known[name].applies(fields)),
    }
    assert entry.configuration.keys() - stated.keys() <= beside


def test_no_configuration(tmp_path: Path) -> None:
    assert read_configuration(tmp_path) is None


def put(folder: Path, document: Any, name: str = "config.json") -> Path:
    (folder / name).write_text(json.dumps(document))
    return folder


def test_the_newer_file_wins(tmp_path: Path) -> None:
    put(tmp_path, {"hidden_size": 1}, "model_config.json")
    put(tmp_path, {"hidden_size": 2, "model_type": "bert", "architectures": ["BertModel"]})
    found = read_configuration(tmp_path)
    assert found is not None
    assert (found.fields, found.architecture, found.model_type) == ({"hidden_size": 2}, "BertModel", "bert")
    assert found.file == tmp_path / "config.json"


def test_nested_arguments(tmp_path: Path) -> None:
    """An outer value and the outermost class come first; both ways of nesting occur."""
    inner = {"hidden_size": 8, "vocab_size": 5, "init_class": "BertModel"}
    for nested in ({"init_args": [inner]}, {"init_args": inner}, {"bert": inner}):
        document = {**nested, "num_classes": 4, "dropout": 0.5, "vocab_size": 6, "init_class": "BertForMaskedLM"}
        found = read_configuration(put(tmp_path, document, "model_config.json"))
        assert found is not None
        assert found.architecture == "BertForMaskedLM"
        assert found.fields == {"hidden_size": 8, "vocab_size": 6, "num_labels": 4, "classifier_dropout": 0.5}


@pytest.mark.parametrize(("architectures", "found"), [([], None), ("BertModel", None), ([3], None), (None, None)])
def test_odd_architectures_name_none(architectures: Any, found: str | None, tmp_path: Path) -> None:
    configuration = read_configuration(put(tmp_path, {"architectures": architectures}))
    assert configuration is not None
    assert configuration.architecture == found


def test_a_file_that_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"config\.json: holds list"):
        read_configuration(put(tmp_path, []))


def test_defaults_are_paddlenlps() -> None:
    albert, bert = complete_fields(FAMILIES["albert"], {}), complete_fields(FAMILIES["bert"], {})
    assert (albert["inner_group_num"], albert["hidden_dropout_prob"], albert["eos_token_id"]) == (1, 0, 3)
    assert (bert["hidden_act"], bert["layer_norm_eps"], bert["num_labels"]) == ("gelu", 1e-12, 2)


def test_labels() -> None:
    fields = complete("bert", id2label={"0": "für", "1": "wider", "2": "未知"}, num_labels=7)
    assert fields["num_labels"] == 3
    written = translate_configuration(FAMILIES["bert"], "BertForTokenClassification", fields, "float32", True)
    assert written["id2label"] == {"0": "für", "1": "wider", "2": "未知"}
    assert written["label2id"] == {"für": 0, "wider": 1, "未知": 2}


@pytest.mark.parametrize("family", ["albert", "bert"])
def test_question_answering_has_two_labels(family: str) -> None:
    """PaddleNLP's head always has two outputs, Hugging Face's as many as there are labels."""
    architecture = next(m.target_architecture for m in FAMILIES[family].models if "QuestionAnswering" in m.source)
    for labels in (1, 2, 5):
        fields = complete(family, num_labels=labels)
        written = translate_configuration(FAMILIES[family], architecture, fields, "float32", True)
        assert list(written["id2label"]) == ["0", "1"]


def test_a_problem_type_is_carried_over() -> None:
    fields = complete("bert", problem_type="regression")
    written = translate_configuration(FAMILIES["bert"], "BertForSequenceClassification", fields, "float32", True)
    assert written["problem_type"] == "regression"


BAD_FIELDS = [
    ("hidden_size", "24"),
    ("hidden_size", True),
    ("hidden_size", 0),
    ("hidden_size", None),
    ("num_attention_heads", 2.0),
    ("num_hidden_layers", -1),
    ("num_labels", 0),
    ("num_labels", True),
    ("num_labels", "3"),
    ("layer_norm_eps", 0),
    ("layer_norm_eps", -1e-12),
    ("layer_norm_eps", "1e-12"),
    ("layer_norm_eps", float("nan")),
    ("layer_norm_eps", float("inf")),
    ("layer_norm_eps", None),
    ("layer_norm_eps", True),
    ("hidden_dropout_prob", "none"),
    ("hidden_dropout_prob", [0.1]),
    ("initializer_range", float("nan")),
    ("classifier_dropout", "x"),
    ("pad_token_id", -1),
    ("pad_token_id", 50),
    ("pad_token_id", 0.5),
    ("pad_token_id", "0"),
    ("vocab_size", "50"),
    ("vocab_size", None),
    ("hidden_act", None),
    ("hidden_act", ["gelu"]),
    ("hidden_act", "geluu"),
    ("id2label", []),
    ("id2label", ["a"]),
    ("id2label", {}),
    ("id2label", {"a": "x"}),
    ("id2label", {"0": 3}),
    ("id2label", {"0": ["x"]}),
    ("id2label", {"0": "\ud800"}),
    ("id2label", "labels"),
    ("problem_type", "poetry"),
    ("problem_type", {}),
]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS, ids=[f"{name}={value!r:.12}" for name, value in BAD_FIELDS])
def test_bad_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match="num_labels" if value == {} and name == "id2label" else name):
        complete("bert", **{name: value})


@pytest.mark.parametrize("name", ["num_hidden_groups", "inner_group_num"])
@pytest.mark.parametrize("value", [0, None, "1", 1.5])
def test_repetitions_must_be_whole_numbers(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        complete("albert", **{name: value})


def test_ids_may_be_null() -> None:
    assert complete("albert", bos_token_id=None, eos_token_id=None)["bos_token_id"] is None
