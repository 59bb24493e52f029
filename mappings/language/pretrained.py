"""What is known of one set of published weights, the tables that hold it, and what independent sources say that the
weights compute: acceptance data for a machine that has them. And names of PaddleNLP's community, which lead to a folder
below one address: what lies there is known only when it came."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ...errors import MappingError, UnknownNameError
from .tokenizers import MAX_LENGTH

MARK = "community:"
"""What stands before a name that the community's address is to be asked for, whether or not a table knows it."""

ADDRESS = "https://bj.bcebos.com/paddlenlp/models/community"
"""Where PaddleNLP looks for every name that its tables do not hold."""

CONFIGURATIONS = ("config.json", "model_config.json")
"""The file that says what the model is, and the one before 2023; one of them is there."""

WEIGHTS = "model_state.pdparams"

TOKENIZER = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "spiece.model",
    "spm.model",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "encoder.json",
    "vocab.bpe",
)
"""The files of tokenizers, none of which every folder has. Also those that no conversion reads are asked for, so that
their conversion is refused and not left out."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")


@dataclass(frozen=True)
class Pretrained:
    """A pretrained name of PaddleNLP.

    `configuration` holds PaddleNLP's fields, `parameters` the exact number of elements per architecture (tied tensors
    counted once, buffers and what a conversion drops not at all). `tokenizer_urls` are the files of the tokenizer, the
    vocabulary first. `counterpart` is the same model on the Hugging Face Hub where one is known, `license` that of the
    counterpart where one is stated. `max_length` is the number of tokens that PaddleNLP's tokenizer of that name
    takes, its `max_model_input_sizes`. `architecture` is the PaddleNLP class that the weights are published for, where
    that is not the family's base.
    """

    name: str
    family: str
    language: str
    configuration: Mapping[str, Any]
    weights_url: str
    tokenizer_urls: tuple[str, ...]
    parameters: Mapping[str, int]
    counterpart: str | None
    license: str | None
    max_length: int = MAX_LENGTH
    architecture: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """The addresses by the names that the files have here: NAME.pdparams, NAME.vocab.txt and the like, whatever
        they are called where they are published."""
        named = {f"{self.stem}.{_ending(url)}": url for url in self.tokenizer_urls}
        return {self.weights_file: self.weights_url, **named}

    @property
    def stem(self) -> str:
        """What its folder and its files are called."""
        return stem_of(self.name)

    @property
    def key(self) -> str:
        """What it is asked for by."""
        return self.name

    @property
    def weights_file(self) -> str:
        """What its file of weights is called in that folder."""
        return f"{self.stem}.pdparams"


@dataclass(frozen=True)
class HiddenSlice:
    """Values of the last hidden state of one row of ids: of positions and of channels from `first` on, float32.

    `tolerance` is absolute.
    """

    input_ids: tuple[int, ...]
    attention_mask: tuple[int, ...]
    first: tuple[int, int]
    values: tuple[tuple[float, ...], ...]
    tolerance: float


@dataclass(frozen=True)
class TopWords:
    """The most probable words for the mask in a text, best first."""

    text: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class TextIds:
    """The ids of a text, with or without the special tokens around it."""

    text: str
    ids: tuple[int, ...]
    special: bool


@dataclass(frozen=True)
class Reference:
    """What is known of one set of published weights; empty where nothing is.

    `pieces` is the number of pieces of the tokenizer, `special_ids` are ids by role, such as "cls".
    """

    hidden: HiddenSlice | None = None
    words: tuple[TopWords, ...] = ()
    ids: tuple[TextIds, ...] = ()
    pieces: int | None = None
    special_ids: Mapping[str, int] = field(default_factory=dict)


def stem_of(name: str) -> str:
    """What files and folders of a pretrained name are called: OWNER--NAME of OWNER/NAME, since a slash would make a
    folder of its first part."""
    return name.replace("/", "--")


def name_of_stem(stem: str) -> str:
    """The pretrained name whose files and folders are called so; no name holds two hyphens side by side."""
    return stem.replace("--", "/")


@dataclass(frozen=True)
class Community:
    """A name of the community's. `family`, `language` and `tokenizer`, PaddleNLP's class, are known of those that the
    tables in names/community hold."""

    name: str
    family: str | None = None
    language: str | None = None
    tokenizer: str | None = None

    @property
    def key(self) -> str:
        """The name with its mark, which no other name has."""
        return f"{MARK}{self.name}"

    @property
    def stem(self) -> str:
        """What its folder is called."""
        return f"community--{stem_of(self.name)}"

    @property
    def weights_file(self) -> str:
        """What its file of weights is called in that folder."""
        return WEIGHTS


def unlisted(name: str) -> Community:
    """A name that stood after the mark. Raises UnknownNameError for what can be none, such as one that leads out of
    the address."""
    if not _NAME.fullmatch(name) or ".." in name or "--" in name:
        raise UnknownNameError(f"{MARK}{name}: is no name of the form {MARK}NAME or {MARK}OWNER/NAME")
    return Community(name)


def read_community(family: str, table: str) -> list[Community]:
    """The community's names of a family from the text of its table: comma-separated, the headings name, language and
    tokenizer. Raises MappingError for a row without all three."""
    entries = []
    for line, row in enumerate(csv.DictReader(table.splitlines()), 2):
        if set(row) != {"name", "language", "tokenizer"} or not all(row.values()):
            raise MappingError(f"names/community/{family}.csv, line {line}: name, language and tokenizer are expected")
        entries.append(Community(unlisted(row["name"]).name, family, row["language"], row["tokenizer"]))
    return entries


TOKENIZER_ENDINGS = (
    *("spiece.model", "spm.model", "sentencepiece.bpe.model", "sentencepiece.model"),
    *("vocab.txt", "vocab.bpe", "encoder.json", "vocab.json", "merges.txt"),
)
"""What the addresses of tokenizer files end in, which says what they are."""


def _ending(url: str) -> str:
    return next(ending for ending in TOKENIZER_ENDINGS if url.endswith(ending))


_PARAMETERS = "parameters of "

_TEXTS = ("name", "language", "weights", "tokenizer", "counterpart", "license")
"""The columns that are no configuration fields and no numbers."""

_LENGTH, _CLASS = "max_length", "class"
"""The columns of the tokenizers' lengths and of the classes: without one, or where its cell is empty, the length is
MAX_LENGTH and the class the family's base."""


def read_names(family: str, table: str) -> list[Pretrained]:
    """The pretrained names of a family from the text of its table in names/, comma-separated with a line of headings.

    A column is one of _TEXTS, _LENGTH, _CLASS, "parameters of CLASS", or a field of PaddleNLP's configuration whose
    value is written as in JSON, a plain text without quotation marks; an empty cell is a field that the configuration
    does not have. The addresses of a tokenizer of several files are separated by blanks. Raises MappingError for a
    table that lacks a column or a value, or names a tokenizer file of an unknown kind.
    """
    entries = []
    rows = csv.DictReader(table.splitlines())
    columns = rows.fieldnames or ()
    counts = [column for column in columns if column.startswith(_PARAMETERS)]
    fields = sorted(set(columns).difference(_TEXTS, (_LENGTH, _CLASS), counts))
    for line, row in enumerate(rows, 2):
        if None in row or None in row.values() or not row.get("name"):
            raise MappingError(f"names/{family}.csv, line {line}: does not have a value for every column, or no name")
        if missing := [column for column in _TEXTS if column not in row]:
            raise MappingError(f"names/{family}.csv: has no column {missing[0]}")
        tokenizer = tuple(row["tokenizer"].split())
        if not tokenizer or not all(url.endswith(TOKENIZER_ENDINGS) for url in tokenizer):
            raise MappingError(
                f"names/{family}.csv, line {line}: tokenizer files end in {', '.join(TOKENIZER_ENDINGS)}"
            )
        entries.append(
            Pretrained(
                name=row["name"],
                family=family,
                language=row["language"],
                configuration={column: _value(row[column]) for column in fields if row[column]},
                weights_url=row["weights"],
                tokenizer_urls=tokenizer,
                parameters={column.removeprefix(_PARAMETERS): int(row[column]) for column in counts if row[column]},
                counterpart=row["counterpart"] or None,
                license=row["license"] or None,
                max_length=int(row.get(_LENGTH) or MAX_LENGTH),
                architecture=row.get(_CLASS) or None,
            )
        )
    return entries


@cache
def _value(cell: str) -> Any:
    """A cell's value; tables hold few different ones, and every conversion reads them."""
    try:
        return json.loads(cell)
    except ValueError:
        return cell
