"""Tokenizer files that are odd but that PaddleNLP reads: what is written gives PaddleNLP's ids in both transformers, or
nothing is written. PaddleNLP and transformers both run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.tokenizers.huggingface import read_tokenizer, write_huggingface_tokenizer
from paddle2torch.verify.checks.tokenizer import check_tokenizer
from paddle2torch.verify.runners.forward import Runners
from paddle2torch.verify.tokenizers.differences import NORMALIZED_TOKENS, NUMBER_COMMA

from ...tokenizer_files import ENGLISH, SPECIAL, make_vocabulary, train_spiece, write_config, write_lines

WORDS = [*SPECIAL, "hello", "world", "##s", "new", "tok", "a", "b", "x", "<", ">", "e", "1", "[", "]", "ent", "##w"]
SIZE = len(WORDS)

TEXTS = [
    "hello worlds", "Hello HELLO", "x [MASK] newtok", "NEWTOK NewTok Newtok", "nicetok", "[ENT] [ent] <e1> <E1>",
    "he\u2028llo", "", "new tok", "world\ufeff hello", "[PAD] [UNK] [CLS]",
]  # fmt: skip

CLASSES: dict[str, dict[str, Any]] = {
    "bert": {"tokenizer_class": "BertTokenizer", "do_lower_case": True},
    "albert": {"tokenizer_class": "AlbertTokenizer", "do_lower_case": True, "unk_token": "[UNK]", "pad_token": "[PAD]"},
}

Odd = tuple[bytes, Mapping[str, Any], "str | None"]


def odd(lines: Sequence[str], note: str | None, end: str = "", **documents: Any) -> Odd:
    """A vocabulary, other files of a tokenizer, and words of the note that is expected."""
    return ("".join(f"{line}\n" for line in lines) + end).encode(), documents, note


def in_place(index: int, line: str) -> list[str]:
    return [*WORDS[:index], line, *WORDS[index + 1 :]]


ENT = {"additional_special_tokens": ["[ENT]"]}

READ: dict[str, Odd] = {
    "a word at the end once more": odd([*WORDS, "hello"], "'hello' has the id 21, not 5"),
    "a word in the middle once more": odd([*WORDS[:8], "hello", *WORDS[8:]], "'hello' has the id 8, not 5"),
    "a mask once more": odd([*WORDS, "[MASK]"], "'[MASK]' has the id 21, not 4"),
    "the unknown token once more": odd([*WORDS, "[UNK]"], "'[UNK]' has the id 21, not 1"),
    "an empty line at the end": odd(WORDS, "empty lines (1)", end="\n"),
    "empty lines in the middle": odd([*WORDS[:8], "", "", *WORDS[8:]], "empty lines (2)"),
    "empty lines before an added token": odd(
        WORDS,
        "empty lines (2)",
        end="\n\n",
        added_tokens={"[ENT]": SIZE + 1, "NewTok": SIZE + 2},
        special_tokens_map=ENT,
    ),
    "a blank after a word": odd(in_place(5, "hello "), "byte order mark at an end (1)"),
    "a blank before a word": odd(in_place(5, "\u3000hello"), "byte order mark at an end (1)"),
    "a separator in a word": odd(in_place(5, "he\u2028llo"), None),
    "CRLF": ("".join(f"{line}\r\n" for line in WORDS).encode(), {}, None),
    "CR": ("".join(f"{line}\r" for line in WORDS).encode(), {}, None),
    "no end of the last line": ("\n".join(WORDS).encode(), {}, None),
    "a byte order mark before a word": odd(["\ufeffhello", *SPECIAL, *WORDS[6:]], "byte order mark at an end (1)"),
    "an added token that is a word": odd(WORDS, "'hello' is passed over", added_tokens={"hello": SIZE}),
    "an added token that is a word in lower case": odd(WORDS, "'Hello' is passed", added_tokens={"Hello": SIZE}),
    "two added tokens of one lower case": odd(
        WORDS, "'newtok' is passed over", added_tokens={"NewTok": SIZE, "newtok": SIZE + 1}
    ),
    "an empty added token": odd(WORDS, "it is empty", added_tokens={"": SIZE}),
    "special tokens that are nowhere": odd(
        WORDS, "'[ENT]' (21), '<e1>' (22)", special_tokens_map={"additional_special_tokens": ["[ENT]", "<e1>"]}
    ),
}
"""What PaddleNLP reads with either class."""

READ_BY_BERT: dict[str, Odd] = {
    "a byte order mark before the padding token": odd(
        ["\ufeff[PAD]", *WORDS[1:]], "'[PAD]' (21; its line in the vocabulary reads '\\ufeff[PAD]'"
    ),
    "a blank after the mask token": odd(
        in_place(4, "[MASK] "), "'[MASK]' (21; its line in the vocabulary reads '[MASK] '"
    ),
    "no mask token": odd([word for word in WORDS if word != "[MASK]"], "'[MASK]' (20)"),
    "a class token that was added": odd(
        [word for word in WORDS if word != "[CLS]"], None, added_tokens={"[CLS]": SIZE - 1}
    ),
}
"""AlbertTokenizer's inner tokenizer takes these tokens for the unknown one."""

CASES = [(family, name) for family in CLASSES for name in READ] + [("bert", name) for name in READ_BY_BERT]


@pytest.mark.parametrize(("family", "name"), CASES)
def test_odd_files_give_paddlenlps_ids(family: str, name: str, tmp_path: Path, each_torch: Runners) -> None:
    vocabulary, documents, note = {**READ, **READ_BY_BERT}[name]
    source, converted, scratch = (tmp_path / one for one in ("source", "converted", "scratch"))
    for folder in (source, converted, scratch):
        folder.mkdir()
    (source / "vocab.txt").write_bytes(vocabulary)
    for stem, document in documents.items():
        (source / f"{stem}.json").write_text(json.dumps(document))
    write_config(source, **CLASSES[family])
    tokenizer = read_tokenizer(Source(source, ()), family, 30)
    assert tokenizer is not None
    assert any(note in one for one in tokenizer.notes) if note is not None else not tokenizer.notes
    assert write_huggingface_tokenizer(tokenizer, converted).notes == tokenizer.notes
    check, _ = check_tokenizer(tokenizer, family, converted, each_torch, scratch, TEXTS)
    assert check.passed, check.problems


@pytest.fixture(scope="module")
def spiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model")


PLAIN = ["ΟΔΟΣ", "Éa", "İx", "Straße", "中A", "ﬀA", "Abc Def"]
MARKED = ["<É>", "<é2>", "【E】", "<Σ>"]


@pytest.mark.parametrize("kind", ["bert", "albert", "albert english"])
def test_added_tokens_of_any_writing_hold_or_are_declared(
    kind: str, spiece: Path, tmp_path: Path, each_torch: Runners
) -> None:
    """On the corpus of a verification, which holds each of them in the cases that people type."""
    family = kind.split()[0]
    source, converted, scratch = (tmp_path / one for one in ("source", "converted", "scratch"))
    for folder in (source, converted, scratch):
        folder.mkdir()
    if kind == "albert english":
        shutil.copyfile(spiece, source / "spiece.model")
        write_config(source, tokenizer_class="AlbertTokenizer")
        count = 700
    else:
        lines = make_vocabulary(spiece)
        write_lines(source / "vocab.txt", lines)
        write_config(source, **CLASSES[family])
        count = len(lines)
    added = {token: count + place for place, token in enumerate([*PLAIN, *MARKED])}
    (source / "added_tokens.json").write_text(json.dumps(added))
    (source / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": MARKED}))
    tokenizer = read_tokenizer(Source(source, ()), family)
    assert tokenizer is not None
    write_huggingface_tokenizer(tokenizer, converted)
    check, _ = check_tokenizer(tokenizer, family, converted, each_torch, scratch)
    assert check.passed, check.problems
    given_back = check.details["declared"].get(NORMALIZED_TOKENS, {"different": 0})["different"]
    assert given_back == 0 if "4.57" in str(each_torch.torch.python) else given_back > 0


def test_a_number_before_a_comma_beside_an_added_token_is_declared(
    spiece: Path, tmp_path: Path, each_torch: Runners
) -> None:
    source, converted, scratch = (tmp_path / one for one in ("source", "converted", "scratch"))
    for folder in (source, converted, scratch):
        folder.mkdir()
    shutil.copyfile(spiece, source / "spiece.model")
    write_config(source, tokenizer_class="AlbertTokenizer")
    (source / "added_tokens.json").write_text(json.dumps({"newtok": 700}))
    tokenizer = read_tokenizer(Source(source, ()), "albert")
    assert tokenizer is not None
    write_huggingface_tokenizer(tokenizer, converted)
    lines = [f"newtok {line} 1,2 4,b 6,7 {number}," for line in ENGLISH for number in range(9)] + list(ENGLISH)
    check, _ = check_tokenizer(tokenizer, "albert", converted, each_torch, scratch, lines)
    assert check.passed, check.problems
    assert check.details["declared"][NUMBER_COMMA]["different"]
