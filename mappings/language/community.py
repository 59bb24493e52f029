"""PaddleNLP's community: names that lead to a folder below one address. What lies there is known only when it came."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from ...errors import MappingError, UnknownNameError
from .pretrained import stem_of

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
