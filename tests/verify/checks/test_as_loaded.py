"""The check of what a user gets from a folder's path alone: green for every architecture, with a tokenizer and without,
red for whatever changes what is loaded. It runs with every torch environment that is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.errors import WithdrawnError
from paddle2torch.mappings.language.tokenizers import SENTENCEPIECE, VOCABULARY_FILES, WORDPIECE
from paddle2torch.mappings.registry import FAMILIES
from paddle2torch.verify.checks import float32
from paddle2torch.verify.checks.float32 import FLOOR
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import CheckResult, Report
from paddle2torch.verify.runners.forward import Runners, Session

from ...conftest import OLDER_TORCH_PYTHON, TESTS, run_child
from ...tokenizer_files import (
    SPECIAL,
    SPIECES,
    make_vocabulary,
    special_tokens,
    train_spiece,
    write_config,
    write_lines,
)
from ..conftest import Seed

WITH_TOKENIZER = [
    (family.name, model.source)
    for family in FAMILIES.values()
    if family.tokenizer is not None and {SENTENCEPIECE, WORDPIECE} & {*family.tokenizer.default_class.kinds}
    for model in family.models
    # A class that insists on more has no default call.
    if not model.needs
]
"""The classes of families that have a tokenizer. Without one, all are loaded with the other checks."""

KINDS = {"albert": SENTENCEPIECE, "albert chinese": WORDPIECE}
"""The vocabulary of an ALBERT, which has two; of other families, the one that their default class prefers."""

SETTINGS: dict[str, dict[str, Any]] = {
    "albert": {"tokenizer_class": "AlbertTokenizer"},
    "albert chinese": {"tokenizer_class": "AlbertTokenizer", "unk_token": "[UNK]", "pad_token": "[PAD]"},
    "bert": {"tokenizer_class": "BertTokenizer", "do_lower_case": False},
}
"""What the tokenizer's configuration says; of other families, the class."""

MASKED = {"t5", "mbart"}
"""Families whose tokenizers give a mask unasked in PaddleNLP too."""

SeedText = Callable[..., Path]


@pytest.fixture
def runners(each_torch: Runners) -> Runners:
    """Runners with one of the torch environments."""
    return each_torch


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A vocabulary by kind, and by family where one has its own."""
    folder = tmp_path_factory.mktemp("vocabularies")
    spiece = train_spiece(folder / "spiece.model")
    words = write_lines(folder / "vocab.txt", make_vocabulary(spiece))
    own = {family: train_spiece(folder / f"{family}.model", **options) for family, options in SPIECES.items()}
    return {SENTENCEPIECE: spiece, WORDPIECE: words, **own}


@pytest.fixture
def seed_text(seed_small: Seed, vocabularies: dict[str, Path]) -> SeedText:
    """`seed_text(kind, architecture, **fields)`: a small checkpoint with a tokenizer beside it."""

    def seed_one(kind: str, architecture: str, **fields: Any) -> Path:
        facts = FAMILIES[kind.split(" ")[0]].tokenizer
        assert facts is not None
        default = facts.default_class
        vocabulary = vocabularies[kind if kind in SPIECES else KINDS.get(kind, default.kinds[0])]
        words = vocabulary.suffix == ".txt"
        lines = vocabulary.read_text("utf-8").splitlines() if words else []
        lines = [*special_tokens(FAMILIES[kind.split(" ")[0]]), *lines[len(SPECIAL) :]]
        pieces = 700 + bool(default.pieces.first) + len(default.pieces.behind(default.pieces.extra_ids or 0))
        source = seed_small(architecture, vocab_size=len(lines) if words else pieces, **fields)
        if words:
            write_lines(source / vocabulary.name, lines)
        else:
            shutil.copy(vocabulary, source / (default.sentencepiece_file or VOCABULARY_FILES[SENTENCEPIECE]))
        write_config(source, **SETTINGS.get(kind, {"tokenizer_class": facts.default}))
        return source

    return seed_one


def report_of(source: Path, converted: Path, runners: Runners) -> Report:
    return verify_checkpoint(source, converted, checks=("as_loaded",), runners=runners)


def check_of(source: Path, converted: Path, runners: Runners) -> CheckResult:
    (check,) = report_of(source, converted, runners).checks
    return check


def test_a_cache_is_no_output(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("BertModel", use_cache=True), tmp_path / "converted"
    convert_checkpoint(source, converted)
    check = check_of(source, converted, runners)
    assert check.passed, check.problems


@pytest.mark.parametrize(("family", "architecture"), WITH_TOKENIZER)
def test_every_model_with_its_tokenizer(
    family: str, architecture: str, seed_text: SeedText, tmp_path: Path, runners: Runners
) -> None:
    source, converted = seed_text(family, architecture), tmp_path / "converted"
    convert_checkpoint(source, converted)
    if FAMILIES[family].withdrawn is not None and runners.torch.python != OLDER_TORCH_PYTHON:
        with pytest.raises(WithdrawnError, match=f"^nothing was verified: .* cannot load {family}: "):
            report_of(source, converted, runners)
        return
    report = report_of(source, converted, runners)
    (check,) = report.checks
    assert check.passed, check.problems
    assert {state["case"] for state in check.details["states"]} >= {"text", "pairs"}
    # Tokenizers give no mask unless asked; where the model makes none either, padding is attended to.
    measured = {one.name: one.measured for one in report.declared_differences}.get("default_mask")
    known = FAMILIES[family]
    assert known.defaults is not None
    attended = not known.defaults.masks_padding and known.limits_of(architecture).mask is None and family not in MASKED
    if attended:
        # MobileBERT's narrow attention moves its states less: 5e-6 and 8e-6 were measured, float32 makes some 1e-7.
        assert measured is not None
        assert measured > (2e-6 if family == "mobilebert" else 1e-3)
    else:
        assert measured is None or measured < 1e-3


@pytest.mark.parametrize(
    ("kind", "architecture", "options"),
    [
        ("albert", "AlbertForMaskedLM", {"dtype": "float16"}),
        ("albert chinese", "AlbertForPretraining", {"dtype": "bfloat16", "zero_padding_row": True}),
        ("albert chinese", "AlbertModel", {"zero_padding_row": True, "max_shard_size": "8KB"}),
        ("bert", "BertForSequenceClassification", {"dtype": "bfloat16", "max_shard_size": "8KB"}),
    ],
)
def test_altered_output(
    kind: str, architecture: str, options: dict[str, Any], seed_text: SeedText, tmp_path: Path, runners: Runners
) -> None:
    source, converted = seed_text(kind, architecture), tmp_path / "converted"
    convert_checkpoint(source, converted, **options)
    check = check_of(source, converted, runners)
    assert check.passed, check.problems
    assert check.details["stated_dtype"] == options.get("dtype", "float32")


def test_rounding_is_measured_where_what_holds_in_any_case_does_not(
    seed_small: Seed, tmp_path: Path, runners: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, converted = seed_small("BertForMaskedLM"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    asked: list[bool] = []
    ask = Session.torch

    def torch(session: Session, *arguments: Any, **fields: Any) -> Any:
        asked.append("rounding" in fields)
        return ask(session, *arguments, **fields)

    monkeypatch.setattr(Session, "torch", torch)

    def largest_limit() -> float:
        asked.clear()
        check = check_of(source, converted, runners)
        assert check.passed, check.problems
        return max(float(state["limit"] / state["scale"]) for state in check.details["states"])

    assert largest_limit() == pytest.approx(FLOOR)
    assert asked[-1] is False
    # No difference is less than none.
    monkeypatch.setattr(float32, "FLOOR", 0.0)
    assert 0 < largest_limit() < FLOOR
    assert asked[-1] is True


@pytest.mark.parametrize(("kind", "architecture"), [("albert", "AlbertForMaskedLM"), ("bert", "BertModel")])
def test_the_way_back(kind: str, architecture: str, seed_text: SeedText, tmp_path: Path, runners: Runners) -> None:
    source, paddle = tmp_path / "torch", tmp_path / "paddle"
    convert_checkpoint(seed_text(kind, architecture), source)
    convert_checkpoint(source, paddle, to="paddle")
    check = check_of(source, paddle, runners)
    assert check.passed, check.problems
    config = paddle / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text("utf-8")), "hidden_act": "relu"}), "utf-8")
    assert not check_of(source, paddle, runners).passed


def test_ids_that_paddlenlp_masks_by_itself_are_measured(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("BertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted)
    (seen,) = [one for one in report_of(source, converted, runners).declared_differences if one.name == "default_mask"]
    assert seen.measured is not None
    assert 1e-3 < seen.measured < 1
    assert "does not attend to the padding id and transformers does" in seen.text


def test_padding_that_both_read_as_zeros_is_no_excuse(seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_small("AlbertModel"), tmp_path / "converted"
    convert_checkpoint(source, converted, zero_padding_row=True)
    report = report_of(source, converted, runners)
    assert report.passed
    assert "default_mask" not in {one.name for one in report.declared_differences}


def document(path: Path, **fields: Any) -> None:
    """Change fields of a JSON file; None removes one."""
    changed = {**json.loads(path.read_text("utf-8")), **fields}
    path.write_text(json.dumps({name: value for name, value in changed.items() if value is not None}), "utf-8")


def lower_case(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    steps = [{"type": "Lowercase"}, *([tokenizer["normalizer"]] if tokenizer["normalizer"] else [])]
    path.write_text(json.dumps({**tokenizer, "normalizer": {"type": "Sequence", "normalizers": steps}}), "utf-8")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "label2id swapped": (
        lambda folder: document(folder / "config.json", label2id={"LABEL_0": 1, "LABEL_1": 0, "LABEL_2": 2}),
        "label2id",
    ),
    "labels renamed": (
        lambda folder: document(folder / "config.json", id2label={"0": "LABEL_1", "1": "LABEL_0", "2": "LABEL_2"}),
        "id2label",
    ),
    "element type": (
        lambda folder: document(folder / "config.json", torch_dtype="float16", dtype=None),
        "element type in config.json is float16",
    ),
    "element type by its new name": (
        lambda folder: document(folder / "config.json", torch_dtype=None, dtype="bfloat16"),
        "element type in config.json is bfloat16",
    ),
    "another head": (
        lambda folder: document(folder / "config.json", architectures=["BertForTokenClassification"]),
        "architectures",
    ),
    "another family's head": (
        lambda folder: document(folder / "config.json", architectures=["AlbertForMaskedLM"]),
        "architectures",
    ),
    "no head": (lambda folder: document(folder / "config.json", architectures=None), "architectures"),
    "chunked": (lambda folder: document(folder / "config.json", chunk_size_feed_forward=4), "chunk"),
    "tuple": (lambda folder: document(folder / "config.json", return_dict=False), ""),
    "activation": (lambda folder: document(folder / "config.json", hidden_act="relu"), "last_hidden_state"),
    "epsilon": (lambda folder: document(folder / "config.json", layer_norm_eps=1e-2), "last_hidden_state"),
    "token types lost": (
        lambda folder: document(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"]),
        "the tokenizer gives attention_mask, input_ids, not",
    ),
    "mask lost": (
        lambda folder: document(folder / "tokenizer_config.json", model_input_names=["input_ids", "token_type_ids"]),
        "the tokenizer gives input_ids, token_type_ids, not",
    ),
    "another class of tokenizer": (
        lambda folder: document(folder / "tokenizer_config.json", tokenizer_class="DistilBertTokenizer"),
        "tokenizer",
    ),
    "lower case": (lower_case, "text: input_ids"),
    "another separator": (
        lambda folder: document(folder / "tokenizer_config.json", sep_token="[UNK]"),
        "special tokens",
    ),
    "another padding side": (
        lambda folder: document(folder / "tokenizer_config.json", padding_side="left"),
        "input_ids",
    ),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "AutoTokenizer"),
    "weights of nobody": (
        lambda folder: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:-4] + b"\x00\x00\x80\x3f"
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_changes_what_is_loaded_is_red(name: str, seed_text: SeedText, tmp_path: Path, runners: Runners) -> None:
    source, converted = seed_text("bert", "BertForSequenceClassification", num_labels=3), tmp_path / "converted"
    convert_checkpoint(source, converted)
    change, expected = FAULTS[name]
    change(converted)
    check = check_of(source, converted, runners)
    assert not check.passed
    assert any(expected in problem for problem in check.problems), check.problems


def test_pipelines_run_and_give_paddlenlps_probabilities(seed_text: SeedText, tmp_path: Path, runners: Runners) -> None:
    requests: list[list[Any]] = []
    known: list[list[Any]] = []
    pair = ["The bridge", "At nine"]
    for kind in ("albert", "albert chinese", "bert"):
        for task, head in (("text-classification", "SequenceClassification"), ("fill-mask", "MaskedLM")):
            # The epsilon that PaddleNLP's ALBERT head has anyway.
            architecture, converted = f"{kind.split(' ')[0].title()}For{head}", tmp_path / f"{task} {kind}"
            source = seed_text(kind, architecture, layer_norm_eps=1e-5, folder=f"source of {task} {kind}")
            convert_checkpoint(source, converted)
            classifies = task == "text-classification"
            inputs: Any = {"text": pair[0], "text_pair": pair[1]} if classifies else f"{pair[0]} [MASK] {pair[1]}"
            requests.append([task, str(converted), inputs, {"top_k": None if classifies else 5}])
            known.append([str(source), SETTINGS[kind]["tokenizer_class"], architecture, pair])
    found = run_child(TESTS / "load_with_pipelines.py", {"requests": requests}, python=runners.torch.python)
    wanted = run_child(TESTS / "paddlenlp_probabilities.py", {"requests": known})
    for labels, probabilities in zip(found[::2], wanted[::2], strict=True):
        assert {one["label"]: one["score"] for one in labels} == pytest.approx(probabilities, abs=1e-6)
    for words, (tokens, values) in zip(found[1::2], wanted[1::2], strict=True):
        assert [one["token"] for one in words] == tokens
        assert [one["score"] for one in words] == pytest.approx(values, rel=1e-4)
