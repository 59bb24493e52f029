"""The check of the tokenizer: it holds for every kind of tokenizer on a few thousand lines, and every fault turns it
red. PaddleNLP and transformers both run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.converters.tokenizers.paddle import write_paddle_tokenizer
from paddle2torch.verify.checks.tokenizer import check_tokenizer
from paddle2torch.verify.reports.result import CheckResult, DeclaredDifferenceSeen
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.tokenizers.differences import (
    END,
    FINAL_SIGMA,
    MARKS,
    NUMBER_COMMA,
    PAIR_TRUNCATION,
    SYMBOLS,
    TIES,
    TOKENS_IN_TEXT,
)

from ...tokenizer_files import (
    SPIECES,
    corpus,
    equal_scores,
    make_vocabulary,
    real_vocabulary,
    train_spiece,
    write_config,
    write_lines,
)
from .tokenizer_faults import FAULTS, edit, set_flags

LINES = 2500

Make = Callable[[str], tuple[SourceTokenizer, Path]]

CHINESE = {"tokenizer_class": "AlbertTokenizer", "unk_token": "[UNK]", "pad_token": "[PAD]", "model_max_length": 512}
ENGLISH = {"tokenizer_class": "AlbertTokenizer"}

KINDS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "albert english": ("albert", "spiece.model", None),
    "albert english, accents and case kept": (
        "albert",
        "spiece.model",
        {**ENGLISH, "keep_accents": True, "do_lower_case": False, "padding_side": "left", "model_max_length": 64},
    ),
    "albert chinese": ("albert", "cased", {**CHINESE, "do_lower_case": False}),
    "albert chinese, lower case": ("albert", "cased", {**CHINESE, "do_lower_case": True, "padding_side": "left"}),
    "t5": ("t5", "t5", None),
    "t5, lower case and no accents": (
        "t5",
        "t5",
        {
            "tokenizer_class": "T5Tokenizer",
            "do_lower_case": True,
            "keep_accents": False,
            "padding_side": "left",
            "extra_ids": 7,
        },
    ),
    "mbart": ("mbart", "mbart", {"tokenizer_class": "MBartTokenizer"}),
    "mbart 50": ("mbart", "mbart", {"tokenizer_class": "MBart50Tokenizer", "src_lang": "fa_IR", "max_len": 64}),
    "bert uncased": ("bert", "real", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "max_len": 128}),
    "bert cased": (
        "bert",
        "cased",
        {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": False,
            "truncation_side": "left",
            "padding_side": "left",
        },
    ),
}


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("vocabularies")
    spiece = train_spiece(folder / "spiece.model")
    cased = write_lines(folder / "vocab.txt", make_vocabulary(spiece))
    own = {family: train_spiece(folder / f"{family}.model", **options) for family, options in SPIECES.items()}
    return {"spiece.model": spiece, "cased": cased, "real": real_vocabulary(), **own}


def name_of(vocabulary: str) -> str:
    """What the file of a vocabulary is called."""
    names = {"spiece.model": "spiece.model", "t5": "spiece.model", "mbart": "sentencepiece.bpe.model"}
    return names.get(vocabulary, "vocab.txt")


@pytest.fixture
def make(vocabularies: dict[str, Path], tmp_path: Path) -> Make:
    """`make(kind)`: the source's tokenizer, and the converted folder."""

    def make_one(kind: str) -> tuple[SourceTokenizer, Path]:
        family, vocabulary, config = KINDS[kind]
        source, converted = tmp_path / "source", tmp_path / "converted"
        source.mkdir()
        shutil.copyfile(vocabularies[vocabulary], source / name_of(vocabulary))
        if config is not None:
            write_config(source, **config)
        return convert(source, family, converted)

    return make_one


def convert(source: Path, family: str, converted: Path) -> tuple[SourceTokenizer, Path]:
    tokenizer = read_tokenizer(Source(source, ()), family)
    assert tokenizer is not None
    converted.mkdir()
    write_huggingface_tokenizer(tokenizer, converted)
    (converted / "config.json").write_text(json.dumps({"model_type": family}))
    return tokenizer, converted


def run(
    tokenizer: SourceTokenizer, converted: Path, runners: Runners, lines: list[str] | None
) -> tuple[CheckResult, tuple[DeclaredDifferenceSeen, ...]]:
    scratch = converted.parent / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    family = json.loads((converted / "config.json").read_text())["model_type"]
    return check_tokenizer(tokenizer, family, converted, runners, scratch, lines)


EXPECTED = {
    "albert english": {TOKENS_IN_TEXT, NUMBER_COMMA, TIES, FINAL_SIGMA, PAIR_TRUNCATION},
    "albert english, accents and case kept": {TOKENS_IN_TEXT, NUMBER_COMMA, TIES, MARKS, PAIR_TRUNCATION},
    "t5": {END, NUMBER_COMMA, TIES, MARKS, PAIR_TRUNCATION},
    "t5, lower case and no accents": {END, NUMBER_COMMA, TIES, FINAL_SIGMA, PAIR_TRUNCATION},
    "mbart": {MARKS, PAIR_TRUNCATION},
    "mbart 50": {MARKS, PAIR_TRUNCATION},
    "albert chinese": {TOKENS_IN_TEXT, PAIR_TRUNCATION},
    "albert chinese, lower case": {TOKENS_IN_TEXT, PAIR_TRUNCATION},
    "bert uncased": {PAIR_TRUNCATION},
    "bert cased": {PAIR_TRUNCATION},
}
"""The declared differences that the corpus must show, and no others."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_ids_types_and_masks(kind: str, make: Make, each_torch: Runners) -> None:
    tokenizer, converted = make(kind)
    check, seen = run(tokenizer, converted, each_torch, corpus(LINES))
    assert check.passed, check.problems
    assert check.details["lines"] == LINES
    assert check.details["rows"] > 6 * LINES
    declared = check.details["declared"]
    assert {name for name, counts in declared.items() if counts["different"]} == EXPECTED[kind]
    calls = {"cut off"} if kind == "mbart 50" else set()
    assert {one.name for one in seen} == {f"tokenizer: {name}" for name in EXPECTED[kind] | calls}
    # Most lines are in no class and must simply be equal.
    assert max([0, *(counts["concerned"] for name, counts in declared.items() if name != PAIR_TRUNCATION)]) < LINES / 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_on_the_lines_of_a_verification(kind: str, make: Make, each_torch: Runners) -> None:
    tokenizer, converted = make(kind)
    check, _ = run(tokenizer, converted, each_torch, None)
    assert check.passed, check.problems
    assert check.details["lines"] > 430 + len(tokenizer.ids) / 41


ADDED = (
    "a newtok b", "NewTok", "xnewtoky", "the [ENT] of", "a[ENT]b [ent]", "newtok, newtok.", "n\u00e9wtok", "new\x00tok",
    "x <E1> hello </E1>", "<e1>", "<\u00e91>", "<E1><e1> <E1>.", "NEWTOK", "[Ent]",
)  # fmt: skip
SPECIAL = ["[ENT]", "<e1>", "</e1>"]


@pytest.fixture
def with_added(vocabularies: dict[str, Path], tmp_path: Path) -> Make:
    """`with_added(kind)`: as `make`, with tokens beyond the vocabulary, special and other, lower and upper case."""

    def make_one(kind: str) -> tuple[SourceTokenizer, Path]:
        family, vocabulary, config = KINDS[kind]
        source = tmp_path / "source"
        source.mkdir()
        shutil.copyfile(vocabularies[vocabulary], source / name_of(vocabulary))
        write_config(source, **(config or ({"tokenizer_class": "T5Tokenizer"} if family == "t5" else ENGLISH)))
        plain = read_tokenizer(Source(source, ()), family)
        assert plain is not None
        count = len(plain.ids) + len(plain.settings.added)
        added = {token: count + place for place, token in enumerate(["NewTok", *SPECIAL])}
        (source / "added_tokens.json").write_text(json.dumps(added))
        special = [*plain.settings.additional, *SPECIAL]
        (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": special}))
        return convert(source, family, tmp_path / "converted")

    return make_one


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.startswith(("t5", "mbart"))]
    + ["albert english", "albert chinese", "bert uncased", "bert cased"],
)
def test_added_tokens_have_their_ids_on_both_sides(kind: str, with_added: Make, each_torch: Runners) -> None:
    tokenizer, converted = with_added(kind)
    check, seen = run(tokenizer, converted, each_torch, [*corpus(120), *ADDED])
    assert check.passed, check.problems
    names = {one.name for one in seen} - {f"tokenizer: {name}" for name in (*EXPECTED[kind], "cut off")}
    lower = ("bert uncased", "t5, lower case and no accents")
    assert names == ({"tokenizer: added tokens"} if kind in lower else set())
    check, _ = run(tokenizer, converted, each_torch, None)
    assert check.passed, check.problems
    # The first one beyond the vocabulary, which is not special: transformers adds special ones again.
    edit(
        converted / "tokenizer_config.json",
        lambda document: document["added_tokens_decoder"].pop(str(max(tokenizer.settings.added.values()) - 3)),
    )
    edit(converted / "tokenizer.json", lambda document: document["added_tokens"].pop(-4))
    assert not run(tokenizer, converted, each_torch, [*corpus(120), *ADDED])[0].passed


def test_special_tokens_are_found_however_they_are_typed(with_added: Make, each_torch: Runners) -> None:
    """PaddleNLP lower-cases a text before it looks for them; no declared difference excuses these lines."""
    tokenizer, converted = with_added("bert uncased")
    lines = ["x <E1> hello </E1>", "<e1>a<E1>", "NEWTOK and newtok", "[ENT] [ent]"]
    check, seen = run(tokenizer, converted, each_torch, lines)
    assert check.passed, check.problems
    assert {one.name for one in seen} <= {f"tokenizer: {PAIR_TRUNCATION}"}
    set_flags(normalized=False)(converted)
    check, _ = run(tokenizer, converted, each_torch, lines)
    assert not check.passed
    assert "single, 'x <E1> hello </E1>': input_ids from position 2" in check.problems[0]


FAULTY = [*corpus(90), "x<pad>y"]


@pytest.mark.parametrize(("kind", "fault"), [(kind, fault) for kind, faults in FAULTS.items() for fault in faults])
def test_a_fault_turns_the_check_red(kind: str, fault: str, make: Make, each_torch: Runners) -> None:
    tokenizer, converted = make(kind)
    FAULTS[kind][fault](converted)
    check, _ = run(tokenizer, converted, each_torch, FAULTY)
    assert not check.passed
    assert check.worst
    assert check.problems


@pytest.mark.parametrize("kind", FAULTS)
def test_the_unchanged_tokenizers_pass_on_the_lines_of_the_faults(kind: str, make: Make, each_torch: Runners) -> None:
    tokenizer, converted = make(kind)
    check, _ = run(tokenizer, converted, each_torch, FAULTY)
    assert check.passed, check.problems


def test_a_vocabulary_of_equal_scores_excuses_no_other_pieces(
    vocabularies: dict[str, Path], tmp_path: Path, each_torch: Runners
) -> None:
    """All cuts of a word into as many pieces have the same score then; only that of float64 is right."""
    source = tmp_path / "source"
    source.mkdir()
    equal_scores(vocabularies["spiece.model"], source / "spiece.model")
    tokenizer, converted = convert(source, "albert", tmp_path / "converted")
    check, _ = run(tokenizer, converted, each_torch, corpus(300))
    assert check.passed, check.problems

    def prefer_late(document: Any) -> None:
        # Less than rounding, and enough for other pieces.
        for place, piece in enumerate(document["model"]["vocab"]):
            piece[1] += place * 1e-9

    edit(converted / "tokenizer.json", prefer_late)
    check, _ = run(tokenizer, converted, each_torch, corpus(300))
    assert not check.passed


@pytest.mark.parametrize("config", [{"do_lower_case": True}, {"do_lower_case": False, "tokenize_chinese_chars": False}])
def test_a_foreign_tokenizer_differs_in_words_with_symbols_only(
    config: dict[str, Any], tmp_path: Path, each_torch: Runners
) -> None:
    """transformers' own class, which splits at punctuation but not at symbols, against PaddleNLP's made from it."""
    foreign, paddle = tmp_path / "foreign", tmp_path / "paddle"
    foreign.mkdir()
    paddle.mkdir()
    shutil.copyfile(real_vocabulary(), foreign / "vocab.txt")
    write_config(foreign, tokenizer_class="BertTokenizer", **config)
    (foreign / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert write_paddle_tokenizer(foreign, paddle, "bert") is not None
    tokenizer = read_tokenizer(Source(paddle, ()), "bert")
    assert tokenizer is not None
    lines = [*corpus(400), "今天25\u2103左右", "a \u2103 b", "x\u20acy z"]
    check, seen = check_tokenizer(tokenizer, "bert", foreign, each_torch, tmp_path, lines, original=True)
    assert check.passed, check.problems
    assert {one.name for one in seen} == {f"tokenizer: {SYMBOLS}", f"tokenizer: {PAIR_TRUNCATION}"}
    symbols = check.details["declared"][SYMBOLS]
    assert 0 < symbols["different"] < symbols["concerned"] < 150
