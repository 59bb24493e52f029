"""The schema of certificates: it allows what is written, and every field that is wrong is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from paddle2torch.converters.outputs.certificate import certificate_schema
from paddle2torch.converters.outputs.schema import problems

SHA256 = "0123456789abcdef" * 4
CHECK = {
    "name": "float64",
    "passed": True,
    "worst": 1e-14,
    "limit": 1e-9,
    "where": "hidden state 3",
    "measure": "largest difference",
    "problems": [],
}
FOUND = {
    "passed": True,
    "versions": {"torch": "2.13.0"},
    "checks": [CHECK],
    "not_run": ["gradients"],
    "could_not_run": {"layers": "no module named sentencepiece"},
    "declared_differences": [{"name": "padding", "text": "rows of zeros", "measured": None}],
}
SIDE = {
    "name": "mine",
    "files": {"config.json": {"sha256": SHA256, "bytes": 0}},
    "tensors": {"bias": {"dtype": "float32", "shape": [2, 0], "sha256": SHA256}},
}
WHOLE: dict[str, Any] = {
    "format": 2,
    "tool": {"name": "paddle2torch", "version": "1"},
    "created": "2026-03-01T12:00:00+00:00",
    "foreign": False,
    "weights": "local",
    "direction": "PaddleNLP to Hugging Face",
    "source": SIDE,
    "output": SIDE,
    "mapping": {
        "family": "bert",
        "architecture": "BertModel",
        "target_architecture": "BertModel",
        "tie_word_embeddings": True,
        "moves": [
            {"source": "a", "target": "b", "transform": "identity"},
            {"sources": ["a", "b"], "target": "c", "transform": "concatenate"},
        ],
        "tied": [{"source": "d", "twin": "a"}],
        "dropped": [{"source": "e", "reason": "no place"}],
        "ignored": ["f"],
        "made": ["g"],
        "random": ["h"],
    },
    **FOUND,
    "environments": [{"name": "transformers 5.24.0", **FOUND}],
    "inputs_digest": SHA256,
}


def found(document: Any) -> list[str]:
    return list(problems(document, certificate_schema()))


def test_a_whole_certificate_is_allowed() -> None:
    assert found(WHOLE) == []
    assert found({**WHOLE, "inputs_digest": None, "later": [1]}) == []
    for number in ("nan", "inf", "-inf", 3, None):
        assert found({**WHOLE, "checks": [{**CHECK, "worst": number}]}) == []


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value in a document."""
    if place:
        yield place
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield from places(one, (*place, name))


def changed(place: tuple[str | int, ...], value: Any, remove: bool = False) -> Any:
    document = copy.deepcopy(WHOLE)
    holder: Any = document
    for name in place[:-1]:
        holder = holder[name]
    if remove:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return document


PLACES = list(places(WHOLE))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: "/".join(map(str, place)))
def test_a_value_of_another_kind_is_named(place: tuple[str | int, ...]) -> None:
    """A set of values no place allows all of: every field has a type."""
    wrong = [value for value in (7.5, True, "text", None, [1], {"x": 1}) if found(changed(place, value))]
    assert len(wrong) >= 3
    assert any("/".join(map(str, place)) in line for value in wrong for line in found(changed(place, value)))


def is_optional(place: tuple[str | int, ...]) -> bool:
    """Some certificates lack these: a source's name, either form of a move's sources, what only the way back has, and
    the entries of what is listed by name."""
    if place[:2] == ("mapping", "moves"):
        return place[-1] in ("source", "sources")
    listed = len(place) > 1 and place[-2] in ("files", "tensors", "versions", "could_not_run")
    return listed or place in (("source", "name"), ("output", "name"), ("mapping", "made"), ("mapping", "random"))


@pytest.mark.parametrize(
    "place", [place for place in PLACES if isinstance(place[-1], str)], ids=lambda place: "/".join(map(str, place))
)
def test_a_field_that_is_missing_is_named(place: tuple[str | int, ...]) -> None:
    lines = found(changed(place, None, remove=True))
    assert bool(lines) is not is_optional(place)
    assert all(f"lacks {place[-1]!r}" in line for line in lines)


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        (("format",), 2.0, "format is 2.0; 2 is expected"),
        (("passed",), 1, "passed is 1; a boolean is expected"),
        (("weights",), "fine", 'weights is "fine"; "published" or "seeded" or "hub" or "local" is expected'),
        (("checks", 0, "worst"), "big", 'checks/0/worst is "big", which is none of what is allowed there'),
        (
            ("output", "files", "config.json", "bytes"),
            -1,
            "output/files/config.json/bytes is -1; at least 0 is",
        ),
        (("output", "files", "config.json", "bytes"), True, "output/files/config.json/bytes is true; an integer is"),
        (("mapping", "ignored"), "x" * 99, "mapping/ignored is " + '"' + "x" * 59 + "...; an array is expected"),
    ],
)
def test_what_is_said_of_it(place: tuple[str | int, ...], value: Any, line: str) -> None:
    assert [one for one in found(changed(place, value)) if one.startswith(line)]


@pytest.mark.parametrize("sha256", ["", SHA256[:-1], SHA256 + "0", SHA256.upper(), SHA256 + "\n", "`rm`"])
def test_a_hash_looks_like_one(sha256: str) -> None:
    assert "which does not look like" in found(changed(("output", "files", "config.json", "sha256"), sha256))[0]


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_what_is_no_object_is_none(document: object) -> None:
    assert found(document)[0] == f"the document is {json.dumps(document)}; an object is expected"


def test_a_word_that_is_not_known_allows_nothing() -> None:
    with pytest.raises(LookupError, match="the word 'maxLength', which is not known here"):
        list(problems("text", {"type": "string", "maxLength": 2}))
