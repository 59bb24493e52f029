"""The names of PaddleNLP's community that are listed, against PaddleNLP's own tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle2torch.errors import MappingError, UnknownNameError
from paddle2torch.mappings.language.pretrained import TOKENIZER, read_community
from paddle2torch.mappings.language.tokenizers import VOCABULARY_FILES
from paddle2torch.mappings.registry import (
    COMMUNITY,
    FAMILIES,
    FOLDER,
    PRETRAINED,
    find_published,
    get_published,
    meant_name,
    tokenizer_classes,
)

from ..conftest import run_child

LISTED = [
    entry
    for table in sorted((FOLDER / "names" / "community").glob("*.csv"))
    for entry in read_community(table.stem, table.read_text("utf-8"))
]


def test_they_are_those_that_only_paddlenlps_tokenizers_know() -> None:
    """Those of its other families, such as Bloom and Falcon, may come when their family does."""
    known = run_child(Path(__file__).with_name("community_facts.py"), {})
    listed = {entry.name: entry.tokenizer for entry in LISTED}
    assert listed.items() <= known.items()
    assert [name for name in known.keys() - listed.keys() if known[name] in tokenizer_classes()] == []


def test_those_of_known_families_are_registered() -> None:
    assert {entry.name for entry in LISTED if entry.family in FAMILIES} == set(COMMUNITY)
    assert PRETRAINED.keys().isdisjoint(COMMUNITY)
    # Otherwise their tokenizer would be taken to be another one.
    assert {entry.tokenizer for entry in COMMUNITY.values()} <= tokenizer_classes().keys()


def test_every_vocabulary_that_can_be_converted_is_asked_for() -> None:
    assert set(VOCABULARY_FILES.values()) <= set(TOKENIZER)


def test_both_spellings_are_one() -> None:
    for name, entry in COMMUNITY.items():
        assert find_published(name) is find_published(f"community:{name}") is entry
    unlisted = get_published("community:some/model")
    assert (unlisted.key, unlisted.stem) == ("community:some/model", "community--some--model")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("uer/chinese-roberta-tny", "uer/chinese-roberta-tiny"),
        ("uer-chinese-roberta-tiny", "uer/chinese-roberta-tiny"),
        ("cl-tohoku/bert-base-japanes", "cl-tohoku/bert-base-japanese"),
        ("ernie-3.0-nano-z", "ernie-3.0-nano-zh"),
    ],
)
def test_a_typo_of_a_name_that_may_be_a_path_gets_the_near_names(typed: str, meant: str) -> None:
    assert find_published(typed) is None
    assert f"did you mean {meant}" in meant_name(typed)
    with pytest.raises(UnknownNameError, match=f"did you mean {meant}"):
        get_published(typed)


@pytest.mark.parametrize("path", ["my/model", "output/checkpoint-500", "x.pdparams", "/data/bert"])
def test_a_path_is_no_typo(path: str) -> None:
    assert meant_name(path) == ""


@pytest.mark.parametrize("table", ["name,language\nx,English\n", "name,language,tokenizer\nx,English,\n"])
def test_a_row_without_a_value_is_refused(table: str) -> None:
    with pytest.raises(MappingError, match=r"names/community/bert\.csv, line 2"):
        read_community("bert", table)
