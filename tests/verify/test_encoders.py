"""What is special in families whose models become those of another: epsilons, tensors that nothing reads, classes that
return plain tensors, and the way back to one of several families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.errors import ConfigurationError
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import change, document
from .conftest import Seed


def disturb(folder: Path, name: str) -> None:
    """Change one value of a converted tensor."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors[name].reshape(-1)[7] += np.float32(0.5)
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize("architecture", ["ErnieGramModel", "SkepModel"])
def test_the_epsilon_that_runs(architecture: str, seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """PaddleNLP's configuration has no such field; one that is there all the same changes nothing."""
    source, converted = seed_small(architecture, layer_norm_eps=1e-3), tmp_path / "converted"
    assert document(source)["layer_norm_eps"] == 1e-3
    convert_checkpoint(source, converted)
    assert document(converted)["layer_norm_eps"] == 1e-5
    verify_checkpoint(source, converted, runners=runners).assert_passed()
    change(converted, layer_norm_eps=1e-3)
    report = verify_checkpoint(source, converted, runners=runners, checks=("float64", "float32"))
    assert {check.name for check in report.checks if not check.passed} == {"float64", "float32"}


def test_the_way_back_of_an_epsilon(seed_small: Seed, tmp_path: Path) -> None:
    """The class is that of another family, which computes with another epsilon: those that fit are named."""
    converted, back = tmp_path / "converted", tmp_path / "back"
    convert_checkpoint(seed_small("ErnieGramModel"), converted)
    with pytest.raises(ConfigurationError, match=r"is 1e-05; .* with 1e-05 does ernie_gram or skep: choose with --fam"):
        convert_checkpoint(converted, back, to="paddle")
    change(converted, layer_norm_eps=1e-12)
    with pytest.raises(ConfigurationError, match=r"ernie_gram computes with 1e-05 .*with 1e-12 does ernie: choose"):
        convert_checkpoint(converted, back, to="paddle", family="ernie_gram")
    change(converted, layer_norm_eps=1e-4)
    with pytest.raises(ConfigurationError, match=r"computes with 1e-12 whatever its configuration says$"):
        convert_checkpoint(converted, back, to="paddle")
    assert not back.exists()


@pytest.mark.parametrize("architecture", ["MegatronBertModel", "NystromformerModel"])
def test_positions_of_another_kind_are_refused(architecture: str, seed_small: Seed, tmp_path: Path) -> None:
    """PaddleNLP's models add positions only if they are absolute."""
    source = seed_small(architecture)
    change(source, position_embedding_type="none")
    with pytest.raises(ConfigurationError, match="position_embedding_type is 'none', with which PaddleNLP's model"):
        convert_checkpoint(source, tmp_path / "out")


def test_a_folder_without_architectures_is_known_by_its_type(seed_small: Seed, tmp_path: Path) -> None:
    """Hugging Face's model_type is not always the name of a family."""
    convert_checkpoint(seed_small("MegatronBertForMaskedLM"), tmp_path / "torch")
    change(tmp_path / "torch", architectures=None)
    done = convert_checkpoint(tmp_path / "torch", tmp_path / "back", to="paddle")
    assert done.target_architecture in ("MegatronBertForMaskedLM", "MegatronBertForCausalLM")


def test_an_embedding_of_another_width_is_refused(seed_small: Seed, tmp_path: Path) -> None:
    """PaddleNLP cannot run one, and takes 768 where nothing is said."""
    source = seed_small("ErnieGramModel")
    unsaid = {name: value for name, value in document(source).items() if name != "embedding_size"}
    for stated, width in (({"embedding_size": 12}, 12), ({}, 768)):
        (source / "config.json").write_text(json.dumps({**unsaid, **stated}))
        with pytest.raises(ConfigurationError, match=f"embedding_size {width} is not hidden_size 24: PaddleNLP"):
            convert_checkpoint(source, tmp_path / "out")


@pytest.mark.parametrize("options", [{}, {"architecture": "RoFormerModel"}])
def test_another_activation_in_the_pooler_is_refused(options: dict[str, Any], seed_small: Seed, tmp_path: Path) -> None:
    """It is PaddleNLP's default. No option leads past it; what the line advises is written by PaddleNLP, and works."""
    source = seed_small("RoFormerForSequenceClassification", pool_act="tanh")
    with pytest.raises(ConfigurationError, match=r"tanh \(pool_act\).*save it with PaddleNLP's model\.roformer\.save"):
        convert_checkpoint(source, tmp_path / "out", **options)
    convert_checkpoint(seed_small("RoFormerModel", pool_act="tanh", folder="backbone"), tmp_path / "out")


def test_tables_and_layers_that_nothing_reads_are_dropped_by_name(seed_small: Seed, tmp_path: Path) -> None:
    gram = convert_checkpoint(seed_small("ErnieGramModel", rel_pos_size=5, folder="gram"), tmp_path / "one")
    assert gram.dropped == ("embeddings.rel_pos_embeddings.weight",)
    assert gram.drop_reason == "PaddleNLP's ERNIE-Gram makes this table and never reads it"
    tiny = convert_checkpoint(seed_small("TinyBertForQuestionAnswering", folder="tiny"), tmp_path / "two")
    fits = [f"tinybert.fit_denses.{number}.{leaf}" for number in range(4) for leaf in ("weight", "bias")]
    fits += ["tinybert.fit_dense.weight", "tinybert.fit_dense.bias"]
    pooler = ["tinybert.pooler.dense.weight", "tinybert.pooler.dense.bias"]
    assert list(tiny.drop_reasons.values()) == [tuple(fits), tuple(pooler)]
    assert [line for line in tiny.lines() if line.startswith("dropped")] == [
        f"dropped, {reason}: {', '.join(names)}" for reason, names in tiny.drop_reasons.items()
    ]


@pytest.mark.parametrize("architecture", ["TinyBertForPretraining", "ErnieGramForQuestionAnswering", "PPMiniLMModel"])
def test_there_and_back(architecture: str, seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """Hugging Face's class is that of several families: which is meant, verify reads in the PaddleNLP folder."""
    source, converted, back = seed_small(architecture), tmp_path / "converted", tmp_path / "back"
    convert_checkpoint(source, converted)
    family = document(source)["model_type"]
    done = convert_checkpoint(converted, back, to="paddle", family=family, architecture=architecture)
    assert document(back)["architectures"] == [architecture]
    with open_checkpoint(source) as before, open_checkpoint(back) as after:
        assert before.tensors.keys() - after.tensors.keys() == set(done.random)
        for name, tensor in after.tensors.items():
            assert tensor.read().tobytes() == before.tensors[name].read().tobytes(), name
    verify_checkpoint(converted, back, runners=runners).assert_passed()


def test_a_paddlenlp_folder_of_another_class_is_no_way_back(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """What it names counts only where that becomes the source's class."""
    converted, back = tmp_path / "converted", tmp_path / "back"
    convert_checkpoint(seed_small("TinyBertModel"), converted)
    convert_checkpoint(converted, back, to="paddle", family="tinybert")
    change(back, architectures=["TinyBertForMultipleChoice"])
    report = verify_checkpoint(converted, back, runners=runners)
    assert not report.passed
    assert "BertModel" in report.checks[0].problems[0]


def test_what_is_not_returned_is_compared_as_loaded(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """PaddleNLP's TinyBertForPretraining returns the hidden states alone, Hugging Face's class the pooler's output
    too."""
    source, converted = seed_small("TinyBertForPretraining"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    assert verify_checkpoint(source, converted, runners=runners, checks=("as_loaded",)).passed
    disturb(converted, "pooler.dense.weight")
    report = verify_checkpoint(source, converted, runners=runners, checks=("as_loaded",))
    (check,) = report.checks
    assert not check.passed
    assert any("pooler" in problem for problem in check.problems)


@pytest.mark.parametrize("architecture", ["PPMiniLMForQuestionAnswering", "PPMiniLMForMultipleChoice"])
def test_classes_that_return_plain_tensors(
    architecture: str, seed_small: Seed, runners: Runners, tmp_path: Path
) -> None:
    """Their encoder is asked for the hidden states, also when a difference is traced to a module."""
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)
    verify_checkpoint(source, converted, runners=runners).assert_passed()
    disturb(converted, "bert.encoder.layer.1.intermediate.dense.weight")
    report = verify_checkpoint(source, converted, runners=runners, checks=("layers",))
    (check,) = report.checks
    assert not check.passed
    assert check.details["guilty"]["target"] == "bert.encoder.layer.1.intermediate.dense"
