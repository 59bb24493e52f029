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
    FINAL_SIGMA,
    MARKS,
    NUMBER_COMMA,
    PAIR_TRUNCATION,
    SYMBOLS,
    TIES,
    TOKENS_IN_TEXT,
)

from ...tokenizer_files import (
    corpus,
    equal_scores,
    make_vocabulary,
    real_vocabulary,
    train_spiece,
    write_config,
    write_lines,
)

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
    return {"spiece.model": spiece, "cased": cased, "real": real_vocabulary()}


@pytest.fixture
def make(vocabularies: dict[str, Path], tmp_path: Path) -> Make:
    """`make(kind)`: the source's tokenizer, and the converted folder."""

    def make_one(kind: str) -> tuple[SourceTokenizer, Path]:
        family, vocabulary, config = KINDS[kind]
        source, converted = tmp_path / "source", tmp_path / "converted"
        source.mkdir()
        name = "spiece.model" if vocabulary == "spiece.model" else "vocab.txt"
        shutil.copyfile(vocabularies[vocabulary], source / name)
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
    assert {one.name for one in seen} == {f"tokenizer: {name}" for name in EXPECTED[kind]}
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
        name = "spiece.model" if vocabulary == "spiece.model" else "vocab.txt"
        shutil.copyfile(vocabularies[vocabulary], source / name)
        write_config(source, **(config or ENGLISH))
        plain = read_tokenizer(Source(source, ()), family)
        assert plain is not None
        added = {token: len(plain.ids) + place for place, token in enumerate(["NewTok", *SPECIAL])}
        (source / "added_tokens.json").write_text(json.dumps(added))
        (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": SPECIAL}))
        return convert(source, family, tmp_path / "converted")

    return make_one


@pytest.mark.parametrize("kind", ["albert english", "albert chinese", "bert uncased", "bert cased"])
def test_added_tokens_have_their_ids_on_both_sides(kind: str, with_added: Make, each_torch: Runners) -> None:
    tokenizer, converted = with_added(kind)
    check, seen = run(tokenizer, converted, each_torch, [*corpus(120), *ADDED])
    assert check.passed, check.problems
    names = {one.name for one in seen} - {f"tokenizer: {name}" for name in EXPECTED[kind]}
    assert names == ({"tokenizer: added tokens"} if kind == "bert uncased" else set())
    check, _ = run(tokenizer, converted, each_torch, None)
    assert check.passed, check.problems
    # The first one beyond the vocabulary, which is not special: transformers adds special ones again.
    edit(
        converted / "tokenizer_config.json",
        lambda document: document["added_tokens_decoder"].pop(str(len(tokenizer.ids))),
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


def edit(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")


def set_config(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer_config.json", lambda document: document.update(fields))


def set_flags(**flags: bool) -> Callable[[Path], None]:
    """Change flags of every added token, in both files."""

    def decoder(document: Any) -> None:
        for entry in document["added_tokens_decoder"].values():
            entry.update(flags)

    def added(document: Any) -> None:
        for entry in document["added_tokens"]:
            entry.update(flags)

    def change(folder: Path) -> None:
        edit(folder / "tokenizer_config.json", decoder)
        edit(folder / "tokenizer.json", added)

    return change


def swap_lines(folder: Path) -> None:
    lines = (folder / "vocab.txt").read_text("utf-8").split("\n")
    lines[40], lines[41] = lines[41], lines[40]
    (folder / "vocab.txt").write_text("\n".join(lines), "utf-8")


def swap_ids(folder: Path) -> None:
    def change(document: Any) -> None:
        vocabulary = document["model"]["vocab"]
        if isinstance(vocabulary, list):
            vocabulary[40], vocabulary[41] = vocabulary[41], vocabulary[40]
        else:
            first, second = list(vocabulary)[40:42]
            vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]

    edit(folder / "tokenizer.json", change)


def drop_step(*kinds: str) -> Callable[[Path], None]:
    """Take steps out of the fast tokenizer's normalizer."""

    def change(document: Any) -> None:
        steps = document["normalizer"]["normalizers"]
        kept = [step for step in steps if step["type"] not in kinds]
        assert len(kept) < len(steps)
        document["normalizer"]["normalizers"] = kept

    return lambda folder: edit(folder / "tokenizer.json", change)


def drop_whitespace_step(folder: Path) -> None:
    def change(document: Any) -> None:
        steps = document["normalizer"]["normalizers"]
        steps[:] = [step for step in steps if step.get("content") != " "]

    edit(folder / "tokenizer.json", change)


def plain_pre_tokenizer(folder: Path) -> None:
    """What transformers' own conversion gives: symbols inside words stay there."""
    edit(folder / "tokenizer.json", lambda document: document.update(pre_tokenizer={"type": "BertPreTokenizer"}))


def other_template(folder: Path) -> None:
    def change(document: Any) -> None:
        document["post_processor"]["pair"][-1]["SpecialToken"]["type_id"] = 0

    edit(folder / "tokenizer.json", change)


def lower_score(folder: Path) -> None:
    def change(document: Any) -> None:
        piece = next(entry for entry in document["model"]["vocab"] if entry[0] == "▁the")
        piece[1] -= 30

    edit(folder / "tokenizer.json", change)


def swap_words(one: str, other: str) -> Callable[[Path], None]:
    """A step in front that turns one word into another."""
    step = {"type": "Replace", "pattern": {"String": one}, "content": other}

    def change(document: Any) -> None:
        document["normalizer"]["normalizers"].insert(0, step)

    return lambda folder: edit(folder / "tokenizer.json", change)


def add_word(word: str) -> Callable[[Path], None]:
    """A piece of the vocabulary is made an added token."""

    def change(document: Any) -> None:
        vocabulary = document["model"]["vocab"]
        pieces = [entry[0] for entry in vocabulary] if isinstance(vocabulary, list) else list(vocabulary)
        entry = {**document["added_tokens"][0], "id": pieces.index(word), "content": word, "special": False}
        document["added_tokens"] = sorted([*document["added_tokens"], entry], key=lambda one: int(one["id"]))

    return lambda folder: edit(folder / "tokenizer.json", change)


def other_decoder(folder: Path) -> None:
    edit(folder / "tokenizer.json", lambda document: document.update(decoder={"type": "Fuse"}))


def empty_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


ALTERATIONS: dict[str, Callable[[Path], object]] = {
    "no token types asked for": set_config(model_input_names=["input_ids", "attention_mask"]),
    "no mask asked for": set_config(model_input_names=["input_ids", "token_type_ids"]),
    "another class": set_config(tokenizer_class="DistilBertTokenizer"),
    "special tokens split": set_config(split_special_tokens=True),
    "tokens are words of their own": set_flags(single_word=True),
    "decoded text is not cleaned up": set_config(clean_up_tokenization_spaces=False),
    "another decoder": other_decoder,
    "a token without a role": set_config(additional_special_tokens=["the"]),
}
"""Of both kinds: what a user loads gives other fields, ids or texts."""

ENGLISH_FAULTS: dict[str, Callable[[Path], object]] = {
    "do_lower_case flipped": set_config(do_lower_case=False),
    "keep_accents flipped": set_config(keep_accents=True),
    "remove_space flipped": set_config(remove_space=False, keep_accents=True),
    "lower case dropped": drop_step("Lowercase"),
    "accents kept": drop_step("NFKD"),
    "spaces kept": drop_whitespace_step,
    "ids swapped": swap_ids,
    "a score changed": lower_score,
    "types of pairs changed": other_template,
    "special token changed": set_config(mask_token="[SEP]"),
    "padding token changed": set_config(pad_token="<unk>"),
    "padding side changed": set_config(padding_side="left"),
    "maximum length changed": set_config(model_max_length=511),
    **ALTERATIONS,
    "a word replaced": swap_words("harbour", "kitchen"),
    "a word made a token": add_word("er"),
    "another vocabulary beside": lambda folder: (folder / "spiece.model").write_bytes(b""),
}
CHINESE_FAULTS: dict[str, Callable[[Path], object]] = {
    "do_lower_case flipped": set_config(do_lower_case=True),
    "lines swapped": swap_lines,
    "ids swapped": swap_ids,
    "special token changed": set_config(cls_token="[SEP]"),
    "padding side changed": set_config(padding_side="left"),
    "truncation side changed": set_config(truncation_side="left"),
    "maximum length changed": set_config(model_max_length=128),
    "symbols not split": plain_pre_tokenizer,
    "types of pairs changed": other_template,
    "chinese characters not split": set_config(tokenize_chinese_chars=False),
    "a file that transformers cannot read": empty_tokenizer,
    **ALTERATIONS,
    "a word replaced": swap_words("天气", "图书"),
    "a word made a token": add_word("the"),
}


FAULTS = {"albert english": ENGLISH_FAULTS, "albert chinese": CHINESE_FAULTS}


@pytest.mark.parametrize(("kind", "fault"), [(kind, fault) for kind, faults in FAULTS.items() for fault in faults])
def test_a_fault_turns_the_check_red(kind: str, fault: str, make: Make, each_torch: Runners) -> None:
    tokenizer, converted = make(kind)
    FAULTS[kind][fault](converted)
    check, _ = run(tokenizer, converted, each_torch, corpus(90))
    assert not check.passed
    assert check.worst
    assert check.problems


@pytest.mark.parametrize("kind", FAULTS)
def test_the_unchanged_tokenizers_pass_on_the_lines_of_the_faults(kind: str, make: Make, each_torch: Runners) -> None:
    tokenizer, converted = make(kind)
    check, _ = run(tokenizer, converted, each_torch, corpus(90))
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
