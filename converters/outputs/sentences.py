"""The files beside a converted folder's own by which sentence-transformers makes one vector of a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from ...mappings.language.family import Family

POOLINGS = ("cls", "mean")
"""The first token's last hidden state, or the mean of all that are no padding."""

USUAL = "auto"
"""In place of one of them: the usual one of the family."""

POOLING_FOLDER = "1_Pooling"
"""The one folder in a converted folder; it holds one file, whose name transformers uses for another."""

POOLING_FILE = f"{POOLING_FOLDER}/config.json"

_SIMILARITY = {"cls": "dot", "mean": "cosine"}


def settle_pooling(asked: str, family: Family, architecture: str) -> str:
    """The pooling that was asked for, one of POOLINGS or USUAL. Raises ConfigurationError where there is none: for a
    family whose models make no vectors of sentences, for a class with a head, and without a usual one."""
    if asked not in (*POOLINGS, USUAL):
        raise ConfigurationError(f"unknown pooling {asked!r}; known are {', '.join((USUAL, *POOLINGS))}")
    if not family.embeds_sentences or architecture != family.base:
        raise ConfigurationError(
            f"{architecture} of family {family.name} makes no vectors of sentences: sentence-transformers files go "
            "with the backbones of families that do; convert without them"
        )
    if asked != USUAL:
        return asked
    if family.pooling is None:
        raise ConfigurationError(
            f"family {family.name} has no usual pooling that sentence-transformers files can express; choose "
            f"{' or '.join(POOLINGS)}"
        )
    return family.pooling


def sentence_documents(pooling: str, hidden_size: int, longest: int) -> dict[str, Any]:
    """The JSON documents, by their paths in the folder, in the form that versions 2 to 6 of the library read."""
    module = "sentence_transformers.models"
    return {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
            {"idx": 1, "name": "1", "path": POOLING_FOLDER, "type": f"{module}.Pooling"},
        ],
        POOLING_FILE: {
            "word_embedding_dimension": hidden_size,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "sentence_bert_config.json": {"max_seq_length": longest, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {}, "similarity_fn_name": _SIMILARITY[pooling]},
    }


def entries_below(folder: Path) -> dict[str, Path]:
    """What lies in a folder, sorted, by its path in it: in place of the folder of the pooling, what lies there."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        inside = path.name == POOLING_FOLDER and path.is_dir() and not path.is_symlink()
        # One that is empty counts as itself.
        for entry in (sorted(path.iterdir()) if inside else []) or [path]:
            found[entry.relative_to(folder).as_posix()] = entry
    return found
