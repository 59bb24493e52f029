"""What PaddleNLP's own checkpoints are recognised as when names, configuration or class are not as it writes them."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.conversion import Conversion
from paddle2torch.errors import ConfigurationError, Paddle2TorchError, UnmatchedTensorsError
from paddle2torch.mappings.registry import FAMILIES

from ...conftest import SMALL

Arrays = dict[str, np.ndarray[Any, Any]]
Change = Callable[[Arrays], Any]
SEQUENCE = "BertForSequenceClassification"
OLD, NOW = "cls.predictions.decoder_weight", "cls.predictions.decoder.weight"
WORDS = "bert.embeddings.word_embeddings.weight"


@pytest.fixture
def make(checkpoints: Path, tmp_path: Path) -> Callable[..., Path]:
    """`make(architecture, change, **fields)`: what PaddleNLP wrote, with changed tensors and configuration; a field
    that is None is left out."""

    def copy(architecture: str, change: Change = dict, **fields: Any) -> Path:
        folder = tmp_path / "source"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(checkpoints / architecture / "pdparams", folder)
        with np.load(checkpoints / architecture / "values.npz") as values:
            changed = change(dict(values))
        (folder / "model_state.pdparams").write_bytes(pickle.dumps(changed, protocol=4))
        configuration = {**json.loads((folder / "config.json").read_text()), **fields}
        kept = {name: value for name, value in configuration.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))
        return folder

    return copy


def same(one: Path, other: Path) -> bool:
    names = ("config.json", "model.safetensors")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def refused(kind: type[Paddle2TorchError], source: Path, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        convert_checkpoint(source, source.parent / "out", **options)
    assert not (source.parent / "out").exists()
    return str(caught.value)


def renamed(old: str, new: str) -> Change:
    return lambda tensors: {
        new + name.removeprefix(old) if name.startswith(old) else name: one for name, one in tensors.items()
    }


WRAPPED: dict[str, tuple[Change, str]] = {
    "nested": (lambda tensors: {"state_dict": tensors, "epoch": 3}, "all {count} tensors lie under 'state_dict.'"),
    "beside nothing": (lambda tensors: {"model": tensors, "optimizer": {}}, "all {count} tensors lie under 'model.'"),
    "parallel": (renamed("", "_layers."), "all {count} tensors lie under '_layers.'"),
    "distilled": (renamed("", "Student.module."), "all {count} tensors lie under 'Student.module.'"),
}


@pytest.mark.parametrize("architecture", [SEQUENCE, "BertModel", "AlbertForMaskedLM", "AlbertModel"])
@pytest.mark.parametrize(("change", "guess"), WRAPPED.values(), ids=list(WRAPPED))
def test_a_model_under_one_more_name(
    architecture: str, change: Change, guess: str, make: Callable[..., Path], tmp_path: Path
) -> None:
    plain = convert_checkpoint(make(architecture), tmp_path / "plain")
    source = make(architecture, change)
    done = convert_checkpoint(source, tmp_path / "wrapped")
    assert not plain.guesses
    tensors = len(plain.tied + plain.ignored + plain.dropped) + plain.tensors
    assert done.guesses == (f"{guess.format(count=tensors)}; read so, they fit {architecture}",)
    assert same(tmp_path / "plain", tmp_path / "wrapped")


@pytest.mark.parametrize("front", ["ptm.", "encoder.", "", "net.ernie."])
def test_another_prefix_of_the_backbone(front: str, make: Callable[..., Path], tmp_path: Path) -> None:
    convert_checkpoint(make(SEQUENCE), tmp_path / "plain")
    done = convert_checkpoint(make(SEQUENCE, renamed("bert.", front)), tmp_path / "read")
    expected = f"'{front}' stands for 'bert.'" if front else "the backbone's tensors lack the prefix 'bert.'"
    assert done.guesses == (f"{expected}; read so, they fit {SEQUENCE}",)
    assert same(tmp_path / "plain", tmp_path / "read")


def test_what_is_wrong_below_a_prefix_is_named_in_one_line(make: Callable[..., Path]) -> None:
    line = refused(UnmatchedTensorsError, make(SEQUENCE, renamed("", "state_dict."), architectures=["BertModel"]))
    assert "all 57 tensors lie under 'state_dict.'; read so, the tensors do not fit BertModel: no rule for" in line
    assert f"they fit {SEQUENCE} or BertForTokenClassification: choose with --architecture" in line
    assert line.count("state_dict") == 1

    def lossy(tensors: Arrays) -> Arrays:
        return {f"x.{name}": one for name, one in tensors.items() if name != "classifier.bias"}

    assert "all 56 tensors lie under 'x.'; read so, the tensors do not fit" in refused(
        UnmatchedTensorsError, make(SEQUENCE, lossy)
    )


def test_tensors_beside_the_model_are_named(make: Callable[..., Path]) -> None:
    def with_moments(tensors: Arrays) -> Any:
        return {"model": tensors, "optimizer": {"beta1_pow": np.ones(1, np.float32)}}

    line = refused(UnmatchedTensorsError, make(SEQUENCE, with_moments))
    assert f"of 58 tensors 57 under 'model.' fit {SEQUENCE} once that is taken off; optimizer.beta1_pow" in line
    line = refused(UnmatchedTensorsError, make(SEQUENCE, lambda tensors: {"model": tensors, "ema": tensors}))
    assert "57 under 'model.' and 57 under 'ema.'" in line


def old(tensors: Arrays) -> Arrays:
    """As PaddleNLP up to 2.5.2 wrote it."""
    kept = {name: one for name, one in tensors.items() if not name.startswith("cls.predictions.decoder.")}
    return {**kept, OLD: tensors[WORDS]}


@pytest.mark.parametrize("architecture", ["BertForMaskedLM", "BertForPretraining"])
@pytest.mark.parametrize("before", ["", "state_dict."])
def test_an_old_decoder(architecture: str, before: str, make: Callable[..., Path], tmp_path: Path) -> None:
    tie = renamed(NOW, NOW)
    convert_checkpoint(make(architecture, lambda tensors: {**tie(tensors), NOW: tensors[WORDS]}), tmp_path / "new")
    done = convert_checkpoint(make(architecture, lambda tensors: renamed("", before)(old(tensors))), tmp_path / "old")
    assert done.notes == (f"{before}{OLD} is an old name of {NOW}, and is read as that",)
    assert f"{before}{OLD} is an old name of {NOW}, and is read as that" in done.lines()
    assert done.tie_word_embeddings
    assert same(tmp_path / "new", tmp_path / "old")


def test_an_old_decoder_that_contradicts_is_refused(make: Callable[..., Path]) -> None:
    """PaddleNLP never reads it: it computes with the word embeddings."""
    line = refused(UnmatchedTensorsError, make("BertForMaskedLM", lambda one: {**old(one), OLD: one[WORDS] + 1}))
    assert f"{OLD}, an old name of {NOW}, differs from {WORDS}: PaddleNLP computes with the latter" in line
    line = refused(UnmatchedTensorsError, make("BertForMaskedLM", lambda one: {**one, OLD: one[WORDS]}))
    assert f"{OLD} is an old name of {NOW}, and both are there" in line
    line = refused(ConfigurationError, make("BertForMaskedLM", old, tie_word_embeddings=False))
    assert "tie_word_embeddings is false" in line
    assert "initialised at random" in line


def test_a_head_under_the_configuration_of_a_backbone(make: Callable[..., Path], tmp_path: Path) -> None:
    fields = {"architectures": ["BertModel"], "id2label": None, "label2id": None, "num_labels": None}
    source = make(SEQUENCE, **fields)
    line = refused(UnmatchedTensorsError, source)
    assert f"they fit {SEQUENCE} with num_labels 3 or BertForTokenClassification with num_labels 3" in line
    done = convert_checkpoint(source, tmp_path / "chosen", architecture=SEQUENCE)
    assert done.guesses == ("num_labels 3, from the shapes of the tensors",)
    assert len(json.loads((tmp_path / "chosen" / "config.json").read_text())["id2label"]) == 3
    # What is stated is not overruled.
    line = refused(UnmatchedTensorsError, make(SEQUENCE, **{**fields, "num_labels": 2}), architecture=SEQUENCE)
    assert "classifier.weight has shape [24, 3], the configuration says [24, 2]" in line


def test_a_configuration_without_a_class_is_no_base_model(make: Callable[..., Path], tmp_path: Path) -> None:
    done = convert_checkpoint(make("BertForPretraining", architectures=None), tmp_path / "out")
    assert done.guesses == ("architecture BertForPretraining, from the names of the tensors",)
    assert done.architecture == "BertForPretraining"
    shutil.rmtree(tmp_path / "out")
    line = refused(ConfigurationError, make(SEQUENCE, architectures=None))
    assert f"the tensors fit {SEQUENCE} and BertForTokenClassification, and the configuration names no arch" in line


def bare(source: Path) -> Path:
    """The file of weights alone, under a name of its own."""
    moved = source.parent / "bare" / "weights.pdparams"
    moved.parent.mkdir(exist_ok=True)
    (source / "model_state.pdparams").rename(moved)
    return moved


def stated(family: str, *left_out: str) -> dict[str, Any]:
    """What the tensors do not tell of the small configuration of a family."""
    small = {entry.name: entry.default for entry in FAMILIES[family].fields} | dict(SMALL[family])
    told = {"num_attention_heads", "num_hidden_layers", "hidden_act", "layer_norm_eps", "pad_token_id"} - {*left_out}
    return {name: small[name] for name in told}


@pytest.mark.parametrize("architecture", [SEQUENCE, "AlbertForPretraining", "BertForMaskedLM", "AlbertModel"])
def test_sizes_follow_from_the_tensors(architecture: str, make: Callable[..., Path], tmp_path: Path) -> None:
    family = "albert" if architecture.startswith("Albert") else "bert"
    convert_checkpoint(make(architecture), tmp_path / "plain")
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(stated(family)))
    options: dict[str, Any] = {"family": family, "architecture": architecture, "config": facts}
    done: Conversion = convert_checkpoint(bare(make(architecture)), tmp_path / "out", **options)
    assert any("hidden_size 24" in guess and "from the shapes" in guess for guess in done.guesses)
    documents = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("plain", "out")]
    # How many labels there are is told by a head that has as many outputs.
    told = {"Pretraining", "SequenceClassification"} & {architecture.partition("For")[2]}
    for document in documents if not told else ():
        del document["id2label"], document["label2id"]
    assert documents[0] == documents[1]
    for field in stated(family):
        facts.write_text(json.dumps(stated(family, field)))
        if family == "bert" and field == "num_hidden_layers":
            continue
        assert f"nothing states {field}, which" in refused(ConfigurationError, done.source, **options)


def test_a_configuration_from_elsewhere(make: Callable[..., Path], tmp_path: Path) -> None:
    source = make(SEQUENCE)
    convert_checkpoint(source, tmp_path / "plain")
    weights = bare(source)
    line = refused(ConfigurationError, weights)
    assert "no configuration" in line
    assert "--config" in line
    assert "nothing states num_attention_heads, hidden_act" in refused(ConfigurationError, weights, family="bert")
    given = tmp_path / "given.cfg"
    shutil.copy(source / "config.json", given)
    assert convert_checkpoint(weights, tmp_path / "out", config=given).guesses == ()
    assert same(tmp_path / "plain", tmp_path / "out")
    # It takes the place of what lies beside the weights.
    (weights.parent / "config.json").write_text("{}")
    assert convert_checkpoint(weights, tmp_path / "out", config=given, overwrite=True).guesses == ()


LABELS: dict[str, tuple[Mapping[str, Any], str]] = {
    "swapped": ({"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 2, "b": 1, "c": 0}}, "is kept"),
    "one less": ({"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1}}, "is kept"),
    "alone": ({"id2label": None, "num_labels": 3, "label2id": {"a": 0, "b": 1, "c": 2}}, "without id2label"),
}


@pytest.mark.parametrize(("fields", "note"), LABELS.values(), ids=list(LABELS))
def test_names_of_labels_that_contradict_each_other(
    fields: Mapping[str, Any], note: str, make: Callable[..., Path], tmp_path: Path
) -> None:
    """In both directions; PaddleNLP and transformers name outputs by id2label."""
    assert convert_checkpoint(make(SEQUENCE), tmp_path / "torch").notes == ()
    done = convert_checkpoint(make(SEQUENCE, **fields), tmp_path / "torch", overwrite=True)
    [said] = done.notes
    assert note in said
    path = tmp_path / "torch" / "config.json"
    labels = fields["id2label"] or {str(index): f"LABEL_{index}" for index in range(3)}
    assert json.loads(path.read_text())["id2label"] == labels
    document = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
    back = convert_checkpoint(tmp_path / "torch", tmp_path / "paddle", to="paddle")
    assert back.notes == done.notes
    written = json.loads((tmp_path / "paddle" / "config.json").read_text())
    assert written["id2label"] == labels
    assert written["label2id"] == {label: int(index) for index, label in labels.items()}


@pytest.mark.parametrize("front", ["module.", "model.", "net.module."])
@pytest.mark.parametrize("architecture", [SEQUENCE, "AlbertForMaskedLM", "BertModel"])
def test_the_way_back_of_a_model_under_one_more_name(
    front: str, architecture: str, make: Callable[..., Path], tmp_path: Path
) -> None:
    source = tmp_path / "torch"
    convert_checkpoint(make(architecture), source)
    convert_checkpoint(source, tmp_path / "plain", to="paddle")
    tensors = load_file(source / "model.safetensors")
    save_file({front + name: one for name, one in tensors.items()}, source / "model.safetensors")
    done = convert_checkpoint(source, tmp_path / "wrapped", to="paddle")
    assert done.guesses == (f"all {len(tensors)} tensors lie under '{front}'; read so, they fit {done.architecture}",)
    for name in ("config.json", "model_state.pdparams"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "wrapped" / name).read_bytes()


@pytest.mark.parametrize(("new", "guess"), [("ptm.", "'ptm.' stands for 'bert.'"), ("", "lack the prefix 'bert.'")])
def test_the_way_back_of_another_prefix(new: str, guess: str, make: Callable[..., Path], tmp_path: Path) -> None:
    source = tmp_path / "torch"
    convert_checkpoint(make(SEQUENCE), source)
    convert_checkpoint(source, tmp_path / "plain", to="paddle")
    save_file(renamed("bert.", new)(load_file(source / "model.safetensors")), source / "model.safetensors")
    [said] = convert_checkpoint(source, tmp_path / "read", to="paddle").guesses
    assert guess in said
    name = "model_state.pdparams"
    assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "read" / name).read_bytes()


def test_the_way_back_of_a_head_under_a_backbones_configuration(make: Callable[..., Path], tmp_path: Path) -> None:
    source = tmp_path / "torch"
    convert_checkpoint(make(SEQUENCE), source)
    document = json.loads((source / "config.json").read_text())
    left = {name: value for name, value in document.items() if "label" not in name}
    (source / "config.json").write_text(json.dumps({**left, "architectures": ["BertModel"]}))
    line = refused(UnmatchedTensorsError, source, to="paddle")
    assert f"they fit {SEQUENCE} with num_labels 3 or BertForTokenClassification with num_labels 3" in line
