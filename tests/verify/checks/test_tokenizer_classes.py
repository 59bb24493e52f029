"""Tokenizer classes of ERNIE's relatives, declared as a family would: each gives PaddleNLP's ids with its own settings
and tokens. PaddleNLP and transformers both run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.converters.tokenizers.paddle import write_paddle_tokenizer
from paddle2torch.errors import ConfigurationError, TokenizerError
from paddle2torch.mappings.language.tokenizers import (
    MAX_LENGTH,
    WORDPIECE,
    OnlyValue,
    TokenizerClass,
    TokenizerFacts,
    wordpiece_class,
)
from paddle2torch.mappings.registry import FAMILIES, PRETRAINED, tokenizer_classes
from paddle2torch.verify.checks.tokenizer import check_tokenizer
from paddle2torch.verify.runners.forward import Runners

from ...replaced_families import replace_family
from ...tokenizer_files import corpus, make_vocabulary, train_spiece, write_config, write_lines

CLASSES = (
    wordpiece_class("ErnieTokenizer"),
    wordpiece_class("ErnieGramTokenizer"),
    wordpiece_class("NeZhaTokenizer", exact=True),
    wordpiece_class(
        "RoFormerTokenizer", exact=True, only={"use_jieba": OnlyValue(False, False, "cuts words by jieba")}
    ),
    wordpiece_class("SkepTokenizer", exact=True, only={"use_bpe_encoder": OnlyValue(False, False, "cuts bytes")}),
    TokenizerClass("PPMiniLMTokenizer", (WORDPIECE,)),
    TokenizerClass("TinyBertTokenizer", (WORDPIECE,)),
    TokenizerClass("ElectraTokenizer", (WORDPIECE,)),
    # Its call has other names for the options.
    TokenizerClass("DistilBertTokenizer", (WORDPIECE,), gives_types=False),
)

SETTINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "cased": {"do_lower_case": False},
    "what only some take": {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False},
}

ADDED = ("a newtok b", "NewTok", "NEWTOK newtok", "[ENT][ent]", "<e1> <E1>", "n\u00e9wtok", "[mask] [MASK]")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return make_vocabulary(train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model"))


@pytest.fixture(autouse=True)
def no_class_stays_declared() -> Iterator[None]:
    yield
    tokenizer_classes.cache_clear()


@pytest.fixture(autouse=True)
def declared(no_class_stays_declared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family with several classes; the second of two names is longer than most."""
    facts = TokenizerFacts(
        CLASSES,
        "ErnieTokenizer",
        {"short": {"do_lower_case": True}, "long": {"do_lower_case": False}},
        target_kinds={"BertTokenizer": WORDPIECE},
    )
    replace_family(monkeypatch, replace(FAMILIES["bert"], tokenizer=facts))
    longer = replace(PRETRAINED["ernie-3.0-nano-zh"], name="long", family="bert", max_length=2048)
    monkeypatch.setitem(PRETRAINED, "long", longer)


def read(folder: Path) -> SourceTokenizer:
    tokenizer = read_tokenizer(Source(folder, ()), "bert")
    assert tokenizer is not None
    return tokenizer


@pytest.mark.parametrize("name", [entry.name for entry in CLASSES])
@pytest.mark.parametrize("settings", SETTINGS)
def test_every_class_gives_paddlenlps_ids(
    settings: str, name: str, vocabulary: list[str], tmp_path: Path, each_torch: Runners
) -> None:
    source, converted, scratch = (tmp_path / one for one in ("source", "converted", "scratch"))
    for folder in (source, converted, scratch):
        folder.mkdir()
    write_lines(source / "vocab.txt", vocabulary)
    write_config(source, tokenizer_class=name, **SETTINGS[settings])
    added = {token: len(vocabulary) + place for place, token in enumerate(("NewTok", "[ENT]", "<e1>"))}
    (source / "added_tokens.json").write_text(json.dumps(added))
    (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["[ENT]", "<e1>"]}))
    tokenizer = read(source)
    write_huggingface_tokenizer(tokenizer, converted)
    check, _ = check_tokenizer(tokenizer, "bert", converted, each_torch, scratch, [*corpus(60), *ADDED])
    assert check.passed, check.problems


def test_a_setting_without_counterpart_is_refused(vocabulary: list[str], tmp_path: Path) -> None:
    write_lines(tmp_path / "vocab.txt", vocabulary)
    write_config(tmp_path, tokenizer_class="RoFormerTokenizer", use_jieba=True)
    with pytest.raises(ConfigurationError, match="use_jieba is True: RoFormerTokenizer then cuts words by jieba"):
        read(tmp_path)
    write_config(tmp_path, tokenizer_class="RoFormerTokenizer")
    assert read(tmp_path).settings.paddle_class.name == "RoFormerTokenizer"


@pytest.mark.parametrize(("name", "length"), [("short", MAX_LENGTH), ("long", 2048)])
def test_a_published_tokenizer_has_its_own_length(
    name: str, length: int, vocabulary: list[str], tmp_path: Path
) -> None:
    write_lines(tmp_path / f"{name}.vocab.txt", vocabulary)
    settings = read(tmp_path).settings
    assert (settings.paddle_class.name, settings.model_max_length) == ("ErnieTokenizer", length)


def test_the_way_back_writes_what_the_class_takes(vocabulary: list[str], tmp_path: Path) -> None:
    foreign, paddle = tmp_path / "foreign", tmp_path / "paddle"
    for folder in (foreign, paddle):
        folder.mkdir()
    write_lines(foreign / "vocab.txt", vocabulary)
    write_config(foreign, tokenizer_class="BertTokenizer", do_lower_case=True, strip_accents=True)
    assert write_paddle_tokenizer(foreign, paddle, "bert") is not None
    written = json.loads((paddle / "tokenizer_config.json").read_text())
    assert written["tokenizer_class"] == "ErnieTokenizer"
    assert "strip_accents" not in written
    write_config(foreign, tokenizer_class="BertTokenizer", do_lower_case=True, strip_accents=False)
    with pytest.raises(TokenizerError, match="strip_accents is False, a setting that ErnieTokenizer of PaddleNLP does"):
        write_paddle_tokenizer(foreign, paddle, "bert")
