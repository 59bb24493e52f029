"""What is special in ELECTRA: the generator's epsilon, the discriminator's axes, heads that apply gelu, and the way
back of a head that Hugging Face's configuration can change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch import convert_checkpoint, verify_checkpoint
from paddle2torch.errors import ConfigurationError
from paddle2torch.verify.inputs import inputs_from_rows
from paddle2torch.verify.job import ALL_CHECKS, CHECKS
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import change, document
from ..conftest import TESTS, run_child, small_of
from .conftest import Seed

EPSILON = "mlm_head_epsilon"


def measured(report: Report) -> Mapping[str, float | None]:
    return {one.name: one.measured for one in report.declared_differences}


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_the_generator_normalises_with_an_epsilon_of_its_own(
    epsilon: float, seed_small: Seed, both: Runners, tmp_path: Path
) -> None:
    source, converted = seed_small("ElectraGenerator", layer_norm_eps=epsilon), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, runners=both).assert_passed()
    for side in report.sides:
        (seen,) = [one for one in side.declared_differences if one.name == EPSILON]
        assert seen.measured is not None
        assert 1e-7 < seen.measured < 0.1
        float64 = next(check for check in side.checks if check.name == "float64")
        assert float64.worst is not None
        assert float64.worst < 1e-12


def test_nothing_is_declared_where_the_epsilon_is_the_same(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    convert_checkpoint(seed_small("ElectraGenerator"), tmp_path / "converted")
    report = verify_checkpoint(tmp_path / "source", tmp_path / "converted", runners=runners).assert_passed()
    assert EPSILON not in measured(report)


@pytest.mark.parametrize("architecture", ["ElectraForQuestionAnswering", "ElectraModel"])
def test_nothing_is_declared_of_other_classes(
    architecture: str, seed_small: Seed, runners: Runners, tmp_path: Path
) -> None:
    convert_checkpoint(seed_small(architecture, layer_norm_eps=1e-5), tmp_path / "converted")
    report = verify_checkpoint(tmp_path / "source", tmp_path / "converted", runners=runners).assert_passed()
    assert EPSILON not in measured(report)


def test_the_declared_epsilon_hides_no_other_fault(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """Neither another epsilon in the layers nor another gain of the norm that is aligned."""
    source, converted = seed_small("ElectraGenerator", layer_norm_eps=1e-3), tmp_path / "converted"
    convert_checkpoint(source, converted)

    def red() -> set[str]:
        report = verify_checkpoint(source, tmp_path / "changed", runners=runners)
        return {check.name for check in report.checks if not check.passed}

    shutil.copytree(converted, tmp_path / "changed")
    change(tmp_path / "changed", layer_norm_eps=1e-12)
    assert {"config", "float64", "float32", "layers", "as_loaded", "files"} <= red()
    shutil.rmtree(tmp_path / "changed")
    shutil.copytree(converted, tmp_path / "changed")
    path = tmp_path / "changed" / "model.safetensors"
    tensors = load_file(path)
    tensors["generator_predictions.LayerNorm.weight"] *= np.float32(1.001)
    save_file(tensors, path, {"format": "pt"})
    assert {"weights", "float64", "float32", "as_loaded"} <= red()


@pytest.mark.parametrize(
    "architecture", ["ElectraGenerator", "ElectraForSequenceClassification", "ElectraForMultipleChoice"]
)
def test_another_activation_in_a_head_is_refused(architecture: str, seed_small: Seed, tmp_path: Path) -> None:
    """What the line advises is written by PaddleNLP, and converts."""
    with pytest.raises(
        ConfigurationError, match=r"head applies gelu whatever .* hidden_act, which is relu; the backbone"
    ):
        convert_checkpoint(seed_small(architecture, hidden_act="relu"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    convert_checkpoint(seed_small("ElectraModel", hidden_act="relu", folder="backbone"), tmp_path / "out")


@pytest.mark.parametrize("family", ["electra", "roformer"])
def test_what_a_head_refuses_concerns_no_other_class(family: str, seed_small: Seed, tmp_path: Path) -> None:
    """Also where no configuration names the class, and on the way back."""
    base, fields = {"electra": ("ElectraModel", {"hidden_act": "relu"}), "roformer": ("RoFormerModel", {})}[family]
    head = base.replace("Model", "ForSequenceClassification")
    fields = {**fields, "pool_act": "tanh"}
    for architecture, folder in ((base, "backbone"), (head, "head")):
        source = seed_small(architecture, folder=folder, **fields)
        stated = document(source)
        del stated["architectures"]
        (source / "config.json").write_text(json.dumps(stated))
    convert_checkpoint(tmp_path / "backbone", tmp_path / "out")
    convert_checkpoint(tmp_path / "out", tmp_path / "back", to="paddle")
    assert document(tmp_path / "back")["architectures"] == [base]
    # RoFormer's head has the tensors of others, too.
    said = {
        "electra": f"{head} cannot become {head}: Hugging Face's",
        "roformer": f"the tensors fit {head} and RoFormer",
    }
    with pytest.raises(ConfigurationError, match=said[family]):
        convert_checkpoint(tmp_path / "head", tmp_path / "none")


@pytest.mark.parametrize("architecture", ["ElectraDiscriminator", "ElectraForTokenClassification"])
def test_heads_that_follow_the_activation(
    architecture: str, seed_small: Seed, runners: Runners, tmp_path: Path
) -> None:
    source = seed_small(architecture, hidden_act="relu")
    convert_checkpoint(source, tmp_path / "converted")
    report = verify_checkpoint(source, tmp_path / "converted", runners=runners, checks=CHECKS)
    report.assert_passed()


@pytest.mark.parametrize(("field", "value"), [("summary_type", "last"), ("summary_activation", "tanh")])
def test_another_summary_does_not_lead_back(field: str, value: str, seed_small: Seed, tmp_path: Path) -> None:
    """PaddleNLP's head for multiple choice has no such choice; other classes do not read the field."""
    choice, backbone = tmp_path / "choice", tmp_path / "backbone"
    convert_checkpoint(seed_small("ElectraForMultipleChoice", folder="one"), choice)
    convert_checkpoint(seed_small("ElectraModel", folder="two"), backbone)
    for folder in (choice, backbone):
        change(folder, **{field: value})
    with pytest.raises(ConfigurationError, match=f"{field} is '{value}', and PaddleNLP's head computes as with"):
        convert_checkpoint(choice, tmp_path / "back", to="paddle")
    convert_checkpoint(backbone, tmp_path / "back", to="paddle")


def test_one_row_and_one_token(seed_small: Seed, runners: Runners, tmp_path: Path) -> None:
    """PaddleNLP's discriminator gives its logits without the axes of length 1, which is declared."""
    source, converted = seed_small("ElectraDiscriminator"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    for rows in ([[5, 6, 7]], [[5], [6]], [[5]]):
        given = inputs_from_rows(rows, padding=0)
        report = verify_checkpoint(source, converted, inputs=given, checks=ALL_CHECKS, runners=runners).assert_passed()
        assert "axis_of_one" in measured(report)


def test_the_two_models_of_total_pretraining(runners: Runners, tmp_path: Path) -> None:
    """They are refused as one; what the line advises is what PaddleNLP does, and both convert."""
    request = {"configuration": small_of("ElectraModel"), "folder": str(tmp_path)}
    run_child(TESTS / "verify" / "write_total_pretraining.py", request)
    with pytest.raises(
        ConfigurationError, match=r"model\.generator\.save_pretrained and model\.discriminator\.save_pre"
    ):
        convert_checkpoint(tmp_path / "total", tmp_path / "out")
    for part, target in (("generator", "ElectraForMaskedLM"), ("discriminator", "ElectraForPreTraining")):
        convert_checkpoint(tmp_path / part, tmp_path / f"{part} converted")
        assert document(tmp_path / f"{part} converted")["architectures"] == [target]
        verify_checkpoint(tmp_path / part, tmp_path / f"{part} converted", runners=runners).assert_passed()
