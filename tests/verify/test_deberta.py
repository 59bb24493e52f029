"""DeBERTa's first version and its later ones as their users have them: far apart tokens, what neither library takes,
what the configurations say, and the cast that float64 lifts. PaddleNLP and transformers both run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import ConfigurationError, TokenizerError
from paddle2torch.mappings.deberta import kinds_of
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED
from paddle2torch.verify.inputs import Inputs, inputs_from_rows
from paddle2torch.verify.job import ALL_CHECKS, verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.reports.text import report_lines
from paddle2torch.verify.runners.forward import Runners

from ..checkpoint_files import change
from ..conftest import TORCH_PYTHONS, Run, checks_of
from .conftest import Seed

NARROW = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 36}
"""The sizes that a published model is made small with; all else is as published."""

EVERYTHING = [name for name in checks_of("DebertaModel", ALL_CHECKS) if name != "tokenizer"]


def as_published(name: str) -> dict[str, Any]:
    """The configuration of a pretrained name but for its sizes."""
    given = {**PRETRAINED[name].configuration, **NARROW, "vocab_size": 50}
    own = {"embedding_size": 24, "attention_head_size": 6, "pooler_hidden_size": 24}
    return {**given, **{field: size for field, size in own.items() if field in given}}


def checked(source: Path, converted: Path, runners: Runners, inputs: Inputs | None = None) -> Report:
    return verify_checkpoint(source, converted, checks=EVERYTHING, inputs=inputs, runners=runners)


@pytest.mark.parametrize("name", [name for name, entry in PRETRAINED.items() if entry.family.startswith("deberta")])
def test_published_configurations_over_all_their_positions(
    name: str, seed_small: Seed, tmp_path: Path, both: Runners
) -> None:
    """Every distance of 512 tokens: beyond 128, the later versions put several into one bucket by a logarithm."""
    family = FAMILIES[PRETRAINED[name].family]
    source, converted = seed_small(family.base, **as_published(name)), tmp_path / "converted"
    convert_checkpoint(source, converted)
    row = np.random.default_rng(0).integers(1, 50, 512).tolist()
    report = checked(source, converted, both, inputs_from_rows([row], padding=0)).assert_passed()
    for side in report.sides:
        checks = {one.name: one for one in side.checks}
        assert checks["float64"].worst is not None
        assert checks["float64"].worst < 1e-12
        # They have no such tables.
        assert checks["embeddings"].details["coverage"].keys() == {"vocabulary"}


@pytest.mark.parametrize("architecture", ["DebertaModel", "DebertaV2ForTokenClassification"])
def test_padding_is_left_out_and_said(architecture: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = checked(source, converted, runners).assert_passed()
    assert [line.strip() for line in report_lines(report) if "not covered: rows with padding" in line]
    with pytest.raises(ConfigurationError, match="attention is NaN for padded tokens"):
        verify_checkpoint(source, converted, inputs=inputs_from_rows([[5, 6], [7]], 0), runners=runners)


def test_the_lifted_cast_is_said_and_measured(seed_small: Seed, tmp_path: Path, both: Runners) -> None:
    source, converted = seed_small("DebertaModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    report = verify_checkpoint(source, converted, certificate=True, runners=both).assert_passed()
    for side in report.sides:
        (seen,) = (one for one in side.declared_differences if one.name == "norm_in_float32")
        assert "with that cast lifted" in seen.text
        # Hugging Face's class as it is really computes in float32 there.
        assert seen.measured is not None
        assert 1e-8 < seen.measured < 1e-5
    assert "with that cast lifted" in (converted / "parity.json").read_text("utf-8")


def test_a_norm_that_differs_is_red_with_the_cast_lifted(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("DebertaModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    path = converted / "model.safetensors"
    tensors = load_file(path)
    # Less than float32 can tell from the rest of the sum.
    tensors["encoder.layer.0.output.LayerNorm.bias"][0] += np.float32(1e-6)
    save_file(tensors, path, metadata={"format": "pt"})
    failed = {one.name for one in checked(source, converted, runners).checks if not one.passed}
    assert {"weights", "float64", "layers"} <= failed


FIELDS: dict[str, tuple[str, Any]] = {
    "pos_att_type": ("DebertaModel", ["p2c"]),
    "relative_attention": ("DebertaModel", False),
    "position_biased_input": ("DebertaModel", False),
    "max_relative_positions": ("DebertaModel", 11),
    "share_att_key": ("DebertaV2Model", True),
    "position_buckets": ("DebertaV2Model", 10),
    "norm_rel_ebd": ("DebertaV2Model", "none"),
    "conv_kernel_size": ("DebertaV2Model", 0),
    "conv_act": ("DebertaV2Model", "tanh"),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_differs_is_red(field: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    architecture, value = FIELDS[field]
    source, converted = seed_small(architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)
    change(converted, **{field: value})
    failed = {one.name: one for one in checked(source, converted, runners).checks if not one.passed}
    # The convolution's activation is not asked for by its name: what it computes is another.
    assert {"files"} | ({"float64", "layers"} if field == "conv_act" else set()) <= failed.keys()
    # A model that its file does not fit cannot be asked.
    stated = [problem for problem in failed["config"].problems if field in problem] if "config" in failed else []
    assert stated or field == "conv_act" or "does not fit its" in failed["float64"].where


@pytest.mark.parametrize("value", ["c2p|p2c", ["p2c", "c2p"], "p2c", [], None])
def test_kinds_of_attention_in_every_form(value: Any, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    for architecture in ("DebertaModel", "DebertaV2Model"):
        folder = tmp_path / architecture
        source = seed_small(architecture, folder=f"{architecture} source", pos_att_type=value)
        convert_checkpoint(source, folder)
        assert json.loads((folder / "config.json").read_text())["pos_att_type"] == kinds_of(value)
        checked(source, folder, runners).assert_passed()


def test_impossible_configurations_are_refused_in_one_line(seed_small: Seed, tmp_path: Path, paddle2torch: Run) -> None:
    cases: dict[str, list[tuple[dict[str, Any], str]]] = {
        "DebertaModel": [
            ({"pos_att_type": ["p2p"]}, "pos_att_type is ['p2p']; a list of c2p and p2c is expected, each once"),
            ({"pos_att_type": 3}, "pos_att_type is 3; a list of c2p and p2c is expected, each once"),
            ({"talking_head": True}, "talking_head is true, whose equality is not established"),
            ({"z_steps": 2}, "z_steps is 2; Hugging Face's class has no such further steps"),
            ({"max_relative_positions": -2}, "max_relative_positions is -2; a number from -1 on is expected"),
            ({"num_attention_heads": 5}, "hidden_size 24 is not a multiple of num_attention_heads 5"),
            ({"max_relative_positions": "far"}, "max_relative_positions is 'far'; a number from -1 on is expected"),
        ],
        "DebertaV2Model": [
            ({"attention_head_size": 5}, "attention_head_size is 5; with 4 heads and hidden_size 24"),
            ({"norm_rel_ebd": None}, "norm_rel_ebd is None; a text is expected"),
            ({"conv_kernel_size": 4}, "conv_kernel_size is 4; an odd number is needed"),
            ({"conv_groups": 5}, "conv_groups is 5, which does not divide hidden_size 24"),
            ({"conv_groups": 0}, "conv_groups is 0, which does not divide hidden_size 24"),
            ({"position_buckets": 2}, "position_buckets is 2; a number from 4 on is needed, or -1"),
            ({"position_buckets": 28, "max_relative_positions": 9}, "have no bucket of their own"),
        ],
    }
    for architecture, changes in cases.items():
        source = seed_small(architecture, folder=architecture)
        for number, (fields, message) in enumerate(changes):
            copy = Path(shutil.copytree(source, tmp_path / f"{architecture}{number}"))
            change(copy, **fields)
            done = paddle2torch("convert", copy, tmp_path / "out")
            assert (done.returncode, done.stdout) == (2, ""), fields
            assert done.stderr.startswith("Error: ")
            assert message in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert not (tmp_path / "out").exists()


def test_the_first_classifier_needs_its_pooler_stated(seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("DebertaForSequenceClassification")
    path = source / "config.json"
    document = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({name: one for name, one in document.items() if not name.startswith("pooler_")}))
    with pytest.raises(ConfigurationError, match="state pooler_hidden_size 24 and pooler_dropout 0 in it"):
        convert_checkpoint(source, tmp_path / "converted")
    path.write_text(json.dumps({**document, "pooler_hidden_size": 12}))
    with pytest.raises(ConfigurationError, match="pooler_hidden_size is 12 and hidden_size 24"):
        convert_checkpoint(source, tmp_path / "converted")


@pytest.mark.parametrize(
    "architecture",
    [model.source for name in ("deberta", "deberta_v2") for model in FAMILIES[name].models],
)
def test_there_and_back(architecture: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """Bit by bit, and PaddleNLP's class runs with what is written for it."""
    source, converted, paddle, again = seed_small(architecture), *(tmp_path / name for name in ("c", "p", "a"))
    convert_checkpoint(source, converted)
    convert_checkpoint(converted, paddle, to="paddle")
    verify_checkpoint(converted, paddle, runners=runners).assert_passed()
    convert_checkpoint(paddle, again)
    assert (converted / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()
    assert (converted / "config.json").read_bytes() == (again / "config.json").read_bytes()


def test_a_sentencepiece_vocabulary_is_refused_and_not_left_out(seed_small: Seed, tmp_path: Path) -> None:
    source, converted = seed_small("DebertaV2Model"), tmp_path / "converted"
    (source / "spm.model").write_bytes(b"\n\x00")
    with pytest.raises(ConfigurationError, match=r"DebertaV2Tokenizer has not been compared .*--no-tokenizer"):
        convert_checkpoint(source, converted)
    convert_checkpoint(source, converted, no_tokenizer=True)
    (converted / "spm.model").write_bytes(b"\n\x00")
    with pytest.raises(TokenizerError, match="no counterpart for family deberta_v2"):
        convert_checkpoint(converted, tmp_path / "paddle", to="paddle")


def test_paddlenlps_own_model_type_says_the_family(seed_small: Seed, tmp_path: Path) -> None:
    source = seed_small("DebertaV2ForTokenClassification")
    document = json.loads((source / "config.json").read_text("utf-8"))
    assert document["model_type"] == "deberta-v2"
    del document["architectures"]
    (source / "config.json").write_text(json.dumps(document))
    done = convert_checkpoint(source, tmp_path / "converted", architecture=None)
    assert done.target_architecture == "DebertaV2ForTokenClassification"
    convert_checkpoint(tmp_path / "converted", tmp_path / "paddle", to="paddle")
    assert json.loads((tmp_path / "paddle" / "config.json").read_text("utf-8"))["model_type"] == "deberta-v2"


CLASS_DEFAULTS = """
import json, sys, torch
from transformers import CONFIG_MAPPING, AutoModel
kind, small, said = json.loads(sys.argv[1])
models = []
for own in ({}, said):
    torch.manual_seed(0)
    models.append(AutoModel.from_config(CONFIG_MAPPING[kind](**small, **own)).eval())
shapes = [{name: list(one.shape) for name, one in model.state_dict().items()} for model in models]
outputs = [model(torch.arange(8)[None])[0] for model in models]
print(json.dumps([shapes[0] == shapes[1], torch.equal(*outputs)]))
"""


@pytest.mark.parametrize("python", TORCH_PYTHONS)
@pytest.mark.parametrize("name", ["deberta", "deberta_v2"])
def test_what_a_configuration_does_not_say_is_what_transformers_class_takes(name: str, python: str) -> None:
    """Some defaults stand in its class alone: a model made with them stated is the one made without."""
    family = FAMILIES[name]
    small: dict[str, Any] = {**NARROW, "vocab_size": 50, "max_position_embeddings": 30}
    small |= {"relative_attention": True, "pos_att_type": ["c2p"]}
    said = {one.target_name: one.default_of_target for one in family.fields if one.compared and one.name not in small}
    assert {"max_relative_positions", "position_biased_input"} <= said.keys()
    request = json.dumps([family.model_type, small, said])
    child = subprocess.run(
        [python, "-c", CLASS_DEFAULTS, request], capture_output=True, text=True, timeout=300, check=True
    )
    assert json.loads(child.stdout.splitlines()[-1]) == [True, True]
