"""What a declared difference excuses, without a framework: the parts of a line, other pieces, a moved token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle2torch.converters.checkpoints.source import Source
from paddle2torch.converters.tokenizers.huggingface import SourceTokenizer, read_tokenizer
from paddle2torch.mappings.language.tokenizers import WORDPIECE, Layout
from paddle2torch.mappings.mpnet import MPNET
from paddle2torch.verify.tokenizers.comparison import Encoded, are_equal, odd_token_moved, scores_of_same_text
from paddle2torch.verify.tokenizers.corpus import make_lines, with_every_piece
from paddle2torch.verify.tokenizers.differences import (
    ADDED_TOKENS,
    FINAL_SIGMA,
    MARKS,
    SYMBOLS,
    TOKENS_IN_TEXT,
    Part,
    Planner,
)

from ...tokenizer_files import train_spiece, write_config, write_lines


@pytest.fixture(scope="module")
def spiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_spiece(tmp_path_factory.mktemp("spiece") / "spiece.model")


def read(folder: Path, family: str, **config: Any) -> SourceTokenizer:
    write_config(folder, **config)
    tokenizer = read_tokenizer(Source(folder, ()), family)
    assert tokenizer is not None
    return tokenizer


@pytest.fixture
def english(spiece: Path, tmp_path: Path) -> SourceTokenizer:
    shutil.copyfile(spiece, tmp_path / "spiece.model")
    return read(tmp_path, "albert", tokenizer_class="AlbertTokenizer")


@pytest.fixture
def bert(tmp_path: Path) -> SourceTokenizer:
    write_lines(tmp_path / "vocab.txt", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
    (tmp_path / "added_tokens.json").write_text(json.dumps({"NewTok": 7, "<e1>": 8}))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["<e1>"]}))
    return read(tmp_path, "bert", tokenizer_class="BertTokenizer")


def test_a_token_in_a_text_leaves_the_rest_to_be_compared(english: SourceTokenizer) -> None:
    plan = Planner(english).plan("Paris is [MASK] of \U0001d6ba, [CLS][cls]")
    mask, cls = english.ids["[MASK]"], english.ids["[CLS]"]
    assert plan.names == {TOKENS_IN_TEXT, FINAL_SIGMA}
    assert plan.parts == (
        Part("Paris is "),
        Part("[MASK]", token=mask),
        Part("of \u03c3,"),
        Part("[CLS]", token=cls),
        Part("[cls]"),
    )
    assert Planner(english).plan("Paris is [Mask] of").names == frozenset()


def test_only_words_with_a_mark_are_left_to_the_converted_tokenizer(spiece: Path, tmp_path: Path) -> None:
    shutil.copyfile(spiece, tmp_path / "spiece.model")
    planner = Planner(read(tmp_path, "albert", tokenizer_class="AlbertTokenizer", keep_accents=True))
    plan = planner.plan("an \u00e9t\u00e9 is  e\u0327\u0301te [SEP] x")
    assert plan.names == {MARKS, TOKENS_IN_TEXT}
    assert plan.parts[:2] == (Part("an \u00e9t\u00e9 is"), Part("e\u0327\u0301te", own=True))
    assert planner.plan("an \u00e9t\u00e9 is").names == frozenset()


def test_added_tokens_are_declared_only_where_normalization_brings_them_out(bert: SourceTokenizer) -> None:
    planner = Planner(bert)
    for line in ("a NEWTOK b", "<E1> a [MASK]", "[mask] newtokb"):
        assert planner.plan(line).names == frozenset(), line
    plan = planner.plan("a n\u00e9wtok [MASK]<\u00e91>")
    assert plan.names == {ADDED_TOKENS}
    tokens = [part.token for part in plan.parts]
    assert tokens == [None, 7, None, 4, 8]


def test_symbols_are_declared_for_foreign_tokenizers_only(bert: SourceTokenizer) -> None:
    assert Planner(bert).plan("a 25\u2103 b").names == frozenset()
    plan = Planner(bert, original=True).plan("a 25\u2103 b \u2103 a")
    assert plan.names == {SYMBOLS}
    assert plan.parts == (Part("a"), Part("25\u2103", own=True), Part("b \u2103 a"))


def test_the_corpus_holds_every_piece_and_every_token_as_it_is_typed(english: SourceTokenizer) -> None:
    pieces = list(english.ids)
    lines = " " + " ".join(with_every_piece(pieces))
    assert all(piece.replace("\u2581", " ") in lines for piece in pieces)
    made = make_lines(pieces, 10, tokens=["<e1>", "NewTok"])
    for typed in ("<e1>", "<E1>", "NewTok", "newtok", "NEWTOK", "Newtok"):
        assert {f"a {typed} b", f"x{typed}y, {typed}."} <= set(made)
    assert made == make_lines(pieces, 10, tokens=["<e1>", "NewTok"])


def test_equal_scores_excuse_only_the_same_text_with_the_same_score(english: SourceTokenizer) -> None:
    tokenizer = english
    assert tokenizer.model is not None
    pieces, ids = tokenizer.model.pieces, tokenizer.ids
    cls, sep, mask = ids["[CLS]"], ids["[SEP]"], ids["[MASK]"]
    # Two ways around a piece and its repetition: one, two and two, one.
    double = next(p.text for p in pieces if len(p.text) == 2 and p.text[0] == p.text[1] and p.text[0] in ids)
    one, two = ids[double[0]], ids[double]

    def excused(first: list[int], second: list[int]) -> bool:
        scores = scores_of_same_text(tokenizer, first, second)
        return scores is not None and are_equal(scores)

    assert excused([cls, one, two, sep], [cls, two, one, sep])
    assert not excused([cls, one, one, one, sep], [cls, two, one, sep])
    assert not excused([cls, one, two, sep], [cls, two, two, sep])
    assert not excused([cls, one, mask, two, sep], [cls, two, mask, one, sep])
    assert not excused([cls, one, two, sep], [cls, two, one])
    assert not excused([cls, one, two, sep], [cls, two, len(pieces)])


def test_only_the_odd_token_of_a_truncated_pair_may_move() -> None:
    def encoded(row: list[int], first: int) -> Encoded:
        types = [0] * first + [1] * (len(row) - first)
        whole = [2, 10, 11, 12, 3, 20, 21, 22, 23, 3]
        rows = {
            "cut": {"input_ids": row, "token_type_ids": types, "attention_mask": [1] * len(row)},
            "pair": {"input_ids": whole, "token_type_ids": [0] * 5 + [1] * 5, "attention_mask": [1] * 10},
        }
        arrays = {case: {name: [np.asarray(one)] for name, one in fields.items()} for case, fields in rows.items()}
        return Encoded(arrays, {}, [], {"truncation_side": "right"})

    def moved(row: list[int], first: int, length: int = 8) -> bool:
        case = {"name": "cut", "whole": "pair", "places": [0], "options": {"max_length": length}, "lengths": [(3, 4)]}
        wanted = encoded([2, 10, 11, 12, 3, 20, 21, 3], 5)
        return odd_token_moved(case, 0, wanted, encoded(row, first).row("cut", 0), Layout())

    assert moved([2, 10, 11, 3, 20, 21, 22, 3], 4)
    assert not moved([2, 10, 11, 3, 20, 21, 23, 3], 4)
    assert not moved([2, 10, 11, 3, 20, 21, 22, 3], 5)
    assert not moved([2, 10, 3, 20, 21, 22, 23, 3], 3)
    assert not moved([2, 10, 11, 3, 20, 21, 22, 3], 4, length=9)


def test_the_odd_token_moves_likewise_between_two_separators_and_without_types() -> None:
    whole = [0, 10, 11, 12, 2, 2, 20, 21, 22, 23, 2]

    def row(ids: list[int]) -> dict[str, Any]:
        return {
            "input_ids": np.asarray(ids),
            "token_type_ids": np.zeros(len(ids), int),
            "attention_mask": np.ones(len(ids), int),
        }

    rows = {name: [values] for name, values in row(whole).items()}
    wanted = Encoded({"pair": rows}, {}, [], {"truncation_side": "right"})
    case = {"name": "cut", "whole": "pair", "places": [0], "lengths": [(3, 4)], "options": {"max_length": 9}}
    assert MPNET.tokenizer is not None
    layout = MPNET.tokenizer.default_class.layout_with(WORDPIECE)
    assert odd_token_moved(case, 0, wanted, row([0, 10, 11, 2, 2, 20, 21, 22, 2]), layout)
    assert not odd_token_moved(case, 0, wanted, row([0, 10, 11, 12, 2, 2, 20, 21, 2]), layout)
    assert not odd_token_moved(case, 0, wanted, row([0, 10, 11, 2, 20, 21, 22, 23, 2]), layout)
