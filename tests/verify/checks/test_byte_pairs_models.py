"""A model with a byte-level BPE tokenizer as its users get it, there and back. PaddleNLP and transformers both run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paddle2torch.converters.job import convert_checkpoint
from paddle2torch.verify.job import verify_checkpoint
from paddle2torch.verify.reports.result import Report
from paddle2torch.verify.runners.forward import Runners

from ...tokenizer_files import train_byte_pairs, write_config
from ..conftest import Seed

CONFIG = {
    "tokenizer_class": "SkepTokenizer",
    "use_bpe_encoder": True,
    "need_token_type_id": False,
    "add_two_sep_token_inter": True,
}


@pytest.fixture
def runners(each_torch: Runners) -> Runners:
    """Runners with one of the torch environments."""
    return each_torch


@pytest.fixture
def source(seed_small: Seed) -> Path:
    """A small SKEP without token types, as the one that was made of a RoBERTa."""
    folder = seed_small("SkepForSequenceClassification", vocab_size=800, type_vocab_size=0, pad_token_id=1)
    tokens = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
    train_byte_pairs(folder, tokens, vocabulary="encoder.json", merges="vocab.bpe", counted="vocab.txt")
    write_config(folder, **CONFIG)
    return folder


def proven(source: Path, converted: Path, runners: Runners, family: str = "skep") -> Report:
    checks = ("as_loaded", "files", "tokenizer")
    return verify_checkpoint(source, converted, checks=checks, family=family, runners=runners)


def test_there_and_back(source: Path, tmp_path: Path, runners: Runners) -> None:
    converted, paddle = tmp_path / "converted", tmp_path / "paddle"
    convert_checkpoint(source, converted)
    report = proven(source, converted, runners)
    assert report.passed, [check.problems for check in report.checks]
    assert {check.name for check in report.checks} == {"as_loaded", "files", "tokenizer"}
    (loaded,) = (check for check in report.checks if check.name == "as_loaded")
    assert {state["case"] for state in loaded.details["states"]} >= {"text", "pairs"}
    # ERNIE-Gram's models are the same class of Hugging Face's.
    convert_checkpoint(converted, paddle, to="paddle", family="skep")
    report = proven(converted, paddle, runners)
    assert report.passed, [check.problems for check in report.checks]


def spaced(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        document = json.loads((folder / name).read_text("utf-8"))
        document.get("pre_tokenizer", document)["add_prefix_space"] = True
        (folder / name).write_text(json.dumps(document), "utf-8")


def unstripped(folder: Path) -> None:
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text("utf-8"))
    for entry in document["added_tokens"]:
        entry["lstrip"] = False
    path.write_text(json.dumps(document), "utf-8")


def assert_there_and_back(
    source: Path, family: str, tokenizer_class: str, runners: Runners, target: str | None = None
) -> None:
    """A source that holds a vocabulary: as loaded, tokenizer and files are proven, and so they are of the way back."""
    converted, paddle = source.parent / "converted", source.parent / "paddle"
    write_config(source, tokenizer_class=tokenizer_class)
    convert_checkpoint(source, converted, target=target)
    report = proven(source, converted, runners, family)
    assert report.passed, [check.problems for check in report.checks]
    assert {check.name for check in report.checks} == {"as_loaded", "files", "tokenizer"}
    convert_checkpoint(converted, paddle, to="paddle")
    assert json.loads((paddle / "tokenizer_config.json").read_text())["tokenizer_class"] == tokenizer_class
    report = proven(converted, paddle, runners, family)
    assert report.passed, [check.problems for check in report.checks]


@pytest.mark.parametrize("target", [None, "bert"])
def test_a_roberta_there_and_back(target: str | None, seed_small: Seed, runners: Runners) -> None:
    """Its usual tokenizer reads another vocabulary: on the way back, the class is that of this one."""
    source = seed_small("RobertaForSequenceClassification", vocab_size=800, pad_token_id=1)
    train_byte_pairs(source, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    assert_there_and_back(source, "roberta", "RobertaBPETokenizer", runners, target)


@pytest.mark.parametrize("types", [0, 2])
def test_a_deberta_there_and_back(types: int, seed_small: Seed, runners: Runners) -> None:
    """Of the published ones, whose models have no token types, the tokenizers give them all the same."""
    source = seed_small("DebertaForSequenceClassification", vocab_size=800, type_vocab_size=types)
    train_byte_pairs(source, ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"))
    assert_there_and_back(source, "deberta", "DebertaTokenizer", runners)


@pytest.mark.parametrize("task", ["SequenceClassification", "ConditionalGeneration"])
def test_a_bart_there_and_back(task: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """Its tokenizer gives token types, which none of its models takes; a label is read where the text ends."""
    source = seed_small(f"BartFor{task}", vocab_size=800)
    converted, paddle = tmp_path / "converted", tmp_path / "paddle"
    train_byte_pairs(source, ("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    write_config(source, tokenizer_class="BartTokenizer")
    convert_checkpoint(source, converted)
    report = proven(source, converted, runners, "bart")
    assert report.passed, [check.problems for check in report.checks]
    assert {check.name for check in report.checks} == {"as_loaded", "files", "tokenizer"}
    (loaded,) = (check for check in report.checks if check.name == "as_loaded")
    assert {state["case"] for state in loaded.details["states"]} == {"text", "pairs"}
    convert_checkpoint(converted, paddle, to="paddle")
    assert json.loads((paddle / "tokenizer_config.json").read_text())["tokenizer_class"] == "BartTokenizer"
    report = proven(converted, paddle, runners, "bart")
    assert report.passed, [check.problems for check in report.checks]


@pytest.mark.parametrize("architecture", ["GPTForSequenceClassification", "GPTForCausalLM"])
def test_a_gpt_there_and_back(architecture: str, seed_small: Seed, tmp_path: Path, runners: Runners) -> None:
    """Its one special token ends a text and pads it, and PaddleNLP's model takes none of the types that are given."""
    source = seed_small(architecture, vocab_size=800, eos_token_id=0, bos_token_id=0)
    converted, paddle = tmp_path / "converted", tmp_path / "paddle"
    train_byte_pairs(source, ("<|endoftext|>",))
    write_config(source, tokenizer_class="GPTTokenizer")
    convert_checkpoint(source, converted)
    report = proven(source, converted, runners, "gpt")
    assert report.passed, [check.problems for check in report.checks]
    assert {check.name for check in report.checks} == {"as_loaded", "files", "tokenizer"}
    assert "return_token_type_ids=False" in str([seen.text for seen in report.declared_differences])
    convert_checkpoint(converted, paddle, to="paddle")
    assert json.loads((paddle / "tokenizer_config.json").read_text())["tokenizer_class"] == "GPTTokenizer"
    report = proven(converted, paddle, runners, "gpt")
    assert report.passed, [check.problems for check in report.checks]


@pytest.mark.parametrize("change", [spaced, unstripped])
def test_a_changed_folder_is_red(
    change: Callable[[Path], None], source: Path, tmp_path: Path, runners: Runners
) -> None:
    converted = tmp_path / "converted"
    convert_checkpoint(source, converted)
    change(converted)
    failed = {check.name for check in proven(source, converted, runners).checks if not check.passed}
    assert failed >= {"files", "tokenizer"}


def test_a_file_too_many_or_too_few(source: Path, tmp_path: Path, runners: Runners) -> None:
    converted = tmp_path / "converted"
    convert_checkpoint(source, converted)
    shutil.copyfile(source / "vocab.txt", converted / "vocab.txt")
    assert not proven(source, converted, runners).passed
    (converted / "vocab.txt").unlink()
    (converted / "merges.txt").unlink()
    failed = [check.name for check in proven(source, converted, runners).checks if not check.passed]
    assert failed == ["files", "tokenizer"]
