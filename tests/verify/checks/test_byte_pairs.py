"""Byte-level BPE tokenizers, SKEP's and others that are declared here as a family would, give PaddleNLP's ids, and what
is wrong with one turns the check red. PaddleNLP and transformers both run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer, write_huggingface_tokenizer
from paddle2torch.converters.tokenizers.paddle import write_paddle_tokenizer
from paddle2torch.mappings.language.tokenizers import (
    BYTE_PAIRS,
    TokenizerClass,
    TokenizerFacts,
)
from paddle2torch.mappings.registry import FAMILIES, tokenizer_classes, tokenizer_facts
from paddle2torch.verify.checks.tokenizer import check_tokenizer
from paddle2torch.verify.reports.result import CheckResult
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.tokenizers.differences import JOINED_TOKENS, PAIR_TRUNCATION, SEPARATORS, UNKNOWN_CLASS

from ...replaced_families import replace_family
from ...tokenizer_files import corpus, train_byte_pairs, write_config

LINES = 400

SKEP = {
    "tokenizer_class": "SkepTokenizer",
    "do_lower_case": True,
    "use_bpe_encoder": True,
    "need_token_type_id": False,
    "add_two_sep_token_inter": True,
}

TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
(FAIRSEQ,) = (one.byte_pairs for one in tokenizer_facts("roberta").classes if one.name == "RobertaBPETokenizer")
END = "<|endoftext|>"
(GPT,) = (one.byte_pairs for one in tokenizer_facts("gpt").classes if one.name == "GPTTokenizer")
WITH_TOKENS = ["a  [MASK]  b", "[SEP]  x", "x [UNK]", "a , b isn't . c"]

OTHERS = {
    "RobertaBPETokenizer": (FAIRSEQ, TOKENS),
    "BartTokenizer": (FAIRSEQ, TOKENS),
    "GPTTokenizer": (GPT, (END,)),
}
"""Classes of other families with their vocabulary's special tokens, as those families would declare them."""

Pair = tuple[SourceTokenizer, Path]


def declare(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    own = TokenizerClass(name, (BYTE_PAIRS,), exact=True, byte_pairs=OTHERS[name][0])
    facts = TokenizerFacts((own,), name, target_kinds={"RobertaTokenizer": BYTE_PAIRS})
    replace_family(monkeypatch, replace(FAMILIES["bert"], tokenizer=facts))


@pytest.fixture(autouse=True)
def no_class_stays_declared() -> Iterator[None]:
    yield
    tokenizer_classes.cache_clear()


def train_skep(source: Path) -> None:
    source.mkdir()
    train_byte_pairs(source, vocabulary="encoder.json", merges="vocab.bpe", counted="vocab.txt")
    write_config(source, **SKEP)


def convert(source: Path, family: str = "skep") -> Pair:
    tokenizer = read_tokenizer(Source(source, ()), family)
    assert tokenizer is not None
    converted = source.parent / "converted"
    converted.mkdir()
    write_huggingface_tokenizer(tokenizer, converted)
    return tokenizer, converted


@pytest.fixture
def skep(tmp_path: Path) -> Pair:
    """SKEP's tokenizer and the folder that it was converted to."""
    train_skep(tmp_path / "source")
    return convert(tmp_path / "source")


def run(
    pair: Pair, runners: Runners, lines: list[str] | None, family: str = "skep"
) -> tuple[CheckResult, dict[str, int]]:
    """The check, and in how many rows each declared difference was seen."""
    tokenizer, converted = pair
    scratch = converted.parent / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    check, _ = check_tokenizer(tokenizer, family, converted, runners, scratch, lines)
    declared = check.details["declared"]
    return check, {name: counts["different"] for name, counts in declared.items() if counts["different"]}


def test_skep_gives_the_same_ids_and_masks(skep: Pair, each_torch: Runners) -> None:
    check, seen = run(skep, each_torch, corpus(LINES))
    assert check.passed, check.problems
    assert check.details["rows"] >= 7 * LINES
    assert seen.keys() == {PAIR_TRUNCATION}
    check, seen = run(skep, each_torch, None)
    assert check.passed, check.problems
    assert check.details["lines"] > 450
    assert seen.keys() <= {PAIR_TRUNCATION, SEPARATORS}


def test_what_is_declared_excuses_its_own_lines_only(skep: Pair, each_torch: Runners) -> None:
    lines = [
        "a [MASK]\x1c b",
        "\x1d [SEP] \x1e",
        "x \x1f[CLS]y",
        "an un\u0558known word",
        "\u0558",
        "plain [MASK] text",
    ]
    check, seen = run(skep, each_torch, lines)
    assert check.passed, check.problems
    assert seen[SEPARATORS] == 3
    assert seen.keys() <= {SEPARATORS, UNKNOWN_CLASS, PAIR_TRUNCATION}
    edit(skep[1] / "tokenizer.json", swap_ids)
    assert not run(skep, each_torch, ["an un\u0558known word"])[0].passed


def test_tokens_beyond_the_vocabulary(tmp_path: Path, each_torch: Runners) -> None:
    source = tmp_path / "source"
    train_skep(source)
    count = len(json.loads((source / "encoder.json").read_text("utf-8")))
    special = ["[ENT]", {"content": "<e1>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False}]
    added = {token: count + place for place, token in enumerate(("NewTok", "[ENT]", "<e1>"))}
    (source / "added_tokens.json").write_text(json.dumps(added))
    (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": special}))
    pair = convert(source)
    assert pair[0].settings.strips["<e1>"] == (True, False)
    lines = ["a NewTok b", "newtok", "xNewToky [ENT] z", "<e1>  a  <e1> [ENT][ENT]", "a  <e1>b"]
    check, seen = run(pair, each_torch, [*corpus(60), *lines])
    assert check.passed, check.problems
    assert seen.keys() == {PAIR_TRUNCATION, JOINED_TOKENS}
    set_flags(lstrip=False)(pair[1])
    assert not run(pair, each_torch, lines)[0].passed


@pytest.mark.parametrize("name", OTHERS)
def test_other_classes_give_the_same_ids_types_and_masks(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, each_torch: Runners
) -> None:
    declare(monkeypatch, name)
    source = tmp_path / "source"
    source.mkdir()
    train_byte_pairs(source, OTHERS[name][1])
    write_config(source, tokenizer_class=name)
    pair = convert(source, "bert")
    lines = [*corpus(150), "a <mask> b <s> c </s> d", f"a  {END}  b"]
    check, seen = run(pair, each_torch, lines, "bert")
    assert check.passed, check.problems
    assert seen.keys() <= {PAIR_TRUNCATION}


def test_token_types_that_a_model_needs_are_given(tmp_path: Path, each_torch: Runners) -> None:
    """DeBERTa's first version: the second text of a pair is of another type, which no other byte pairs are."""
    source = tmp_path / "source"
    source.mkdir()
    train_byte_pairs(source, ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"))
    write_config(source, tokenizer_class="DebertaTokenizer", do_lower_case=True)
    pair = convert(source, "deberta")
    config = json.loads((pair[1] / "tokenizer_config.json").read_text())
    assert config["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]
    check, seen = run(pair, each_torch, [*corpus(150), *WITH_TOKENS], "deberta")
    assert check.passed, check.problems
    assert seen.keys() <= {PAIR_TRUNCATION}
    check, seen = run(pair, each_torch, None, "deberta")
    assert check.passed, check.problems
    edit(pair[1] / "tokenizer_config.json", lambda document: document["model_input_names"].remove("token_type_ids"))
    assert not run(pair, each_torch, corpus(20), "deberta")[0].passed


def edit(path: Path, change: Callable[[Any], object]) -> None:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")


def swap_ids(document: Any) -> None:
    vocabulary = document["model"]["vocab"]
    vocabulary["w"], vocabulary["o"] = vocabulary["o"], vocabulary["w"]


def set_flags(**flags: bool) -> Callable[[Path], None]:
    """Change flags of every token in all files."""

    def change(folder: Path) -> None:
        edit(folder / "tokenizer.json", lambda document: [one.update(flags) for one in document["added_tokens"]])
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            edit(folder / name, in_config)

    def in_config(document: Any) -> None:
        entries = [*document.get("added_tokens_decoder", {}).values(), *document.values()]
        for entry in (*entries, *document.get("additional_special_tokens", ())):
            if isinstance(entry, dict) and "lstrip" in entry:
                entry.update(flags)

    return change


def of_json(change: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer.json", change)


def prefix_space(folder: Path) -> None:
    """In both files: transformers lets its own setting go before that of the fast tokenizer."""
    edit(folder / "tokenizer.json", lambda document: document["pre_tokenizer"].update(add_prefix_space=True))
    edit(folder / "tokenizer_config.json", lambda document: document.update(add_prefix_space=True))


def one_separator(document: Any) -> None:
    del document["post_processor"]["processors"][1]["pair"][2]


def drop_merge(document: Any) -> None:
    merges = document["model"]["merges"]
    merges.remove(next(pair for pair in reversed(merges) if pair[0].isalpha()))


def drop_early_merge(document: Any) -> None:
    """And what is made of it: the library refuses what is made of nothing."""
    model = document["model"]
    first = "".join(model["merges"][2].split(" "))
    model["merges"] = [pair for pair in model["merges"] if "".join(pair.split(" ")) != first]


ROWS = {
    "no lstrip",
    "no rstrip",
    "no merge",
    "no early merge",
    "merges in another order",
    "a blank before",
    "exchanged ids",
    "one separator",
    "lower case",
}
"""Faults that the ids show, whatever the files say."""

FAULTS: dict[str, Callable[[Path], object]] = {
    "no lstrip": set_flags(lstrip=False),
    "no rstrip": set_flags(rstrip=False),
    "no merge": of_json(drop_merge),
    "no early merge": of_json(drop_early_merge),
    "merges in another order": of_json(lambda document: document["model"]["merges"].reverse()),
    "a blank before": prefix_space,
    "exchanged ids": of_json(swap_ids),
    "one separator": of_json(one_separator),
    "no rule for words": of_json(lambda document: document["pre_tokenizer"].update(use_regex=False)),
    "lower case": of_json(lambda document: document.update(normalizer={"type": "Lowercase"})),
    "types given": lambda folder: edit(
        folder / "tokenizer_config.json", lambda document: document["model_input_names"].append("token_type_ids")
    ),
    "texts not cleaned up": lambda folder: edit(
        folder / "tokenizer_config.json",
        lambda document: document.update(
            {name: False for name in document if name.startswith("clean_up_tokenization_spaces")}
        ),
    ),
    "another length": lambda folder: edit(
        folder / "tokenizer_config.json", lambda document: document.update(model_max_length=128)
    ),
    "merges.txt of another vocabulary": lambda folder: (folder / "merges.txt").write_text("#version: 0.2\nt h\n"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(fault: str, skep: Pair, each_torch: Runners) -> None:
    FAULTS[fault](skep[1])
    check, _ = run(skep, each_torch, [*corpus(60), *WITH_TOKENS])
    assert not check.passed
    assert any(": input_ids from position" in problem for problem in check.problems) is (fault in ROWS)


def test_there_and_back(skep: Pair, tmp_path: Path, each_torch: Runners) -> None:
    """PaddleNLP loads what the way back writes, and gives the same with it."""
    back = tmp_path / "again" / "source"
    back.mkdir(parents=True)
    written = write_paddle_tokenizer(skep[1], back, "skep")
    assert written is not None
    assert written.tokenizer_class == "SkepTokenizer"
    for name in ("encoder.json", "vocab.bpe", "vocab.txt"):
        assert (back / name).read_bytes() == (tmp_path / "source" / name).read_bytes(), name
    tokenizer, converted = convert(back)
    for path in converted.iterdir():
        assert path.read_bytes() == (skep[1] / path.name).read_bytes(), path.name
    assert (tokenizer.ids, tokenizer.merges) == (skep[0].ids, skep[0].merges)
    check, _ = run((tokenizer, converted), each_torch, corpus(120))
    assert check.passed, check.problems


def test_the_way_back_of_a_token_without_a_role(skep: Pair, tmp_path: Path, each_torch: Runners) -> None:
    """transformers finds it as its entry says, and no other file names it."""
    converted, back = skep[1], tmp_path / "again" / "source"
    back.mkdir(parents=True)
    (token, index), *_ = ((token, index) for token, index in skep[0].ids.items() if token.isalpha() and len(token) > 3)
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    edit(converted / "tokenizer.json", lambda one: one["added_tokens"].append({"id": index, "content": token, **flags}))
    edit(
        converted / "tokenizer_config.json",
        lambda one: one["added_tokens_decoder"].update({str(index): {"content": token, **flags}}),
    )
    assert write_paddle_tokenizer(converted, back, "skep") is not None
    tokenizer = read_tokenizer(Source(back, ()), "skep")
    assert tokenizer is not None
    assert tokenizer.settings.additional == (token,)
    assert tokenizer.settings.strips[token] == (False, False)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    lines = [*corpus(60), f"a  {token}  b", f"x{token}y, {token}."]
    check, _ = check_tokenizer(tokenizer, "skep", converted, each_torch, scratch, lines, original=True)
    assert check.passed, check.problems
