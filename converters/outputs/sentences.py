"""The files beside a converted folder's own by which sentence-transformers makes one vector of a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigurationError
from ...mappings.language.family import Family

if TYPE_CHECKING:
    from ..formats.piecewise import Entry

POOLER, LINEAR_POOLER = "pooler", "pooler-linear"
"""What the backbone's pooler makes of the first token's last hidden state: with its activation, which is PaddleNLP's
`pooled_output`, or without, which PaddleNLP takes of SimBERT."""

POOLINGS = ("cls", "mean", POOLER, LINEAR_POOLER)
"""The first token's last hidden state, the mean of all that are no padding, or one of the two above."""

USUAL = "auto"
"""In place of one of them: the usual one of the family."""

POOLING_FOLDER, DENSE_FOLDER = "1_Pooling", "2_Dense"
"""The folders in a converted folder; they hold files whose names transformers uses for others."""

POOLING_FILE = f"{POOLING_FOLDER}/config.json"

DENSE_FILE, DENSE_WEIGHTS = f"{DENSE_FOLDER}/config.json", f"{DENSE_FOLDER}/model.safetensors"

FILES_BELOW = frozenset({POOLING_FILE, DENSE_FILE, DENSE_WEIGHTS})
"""All that a conversion writes into folders of a folder."""

_ACTIVATIONS = {POOLER: "torch.nn.modules.activation.Tanh", LINEAR_POOLER: "torch.nn.modules.linear.Identity"}

_POOLER = {"linear.weight": "pooler.dense.weight", "linear.bias": "pooler.dense.bias"}
"""sentence-transformers' names for the tensors of a dense layer -> those of the backbones' poolers."""

_SIMILARITY = {"cls": "dot", "mean": "cosine", POOLER: "cosine", LINEAR_POOLER: "cosine"}


def settle_pooling(asked: str, family: Family, architecture: str) -> str:
    """The pooling that was asked for, one of POOLINGS or USUAL. Raises ConfigurationError where there is none: for a
    family whose models make no vectors of sentences, for a class with a head, and without a usual one."""
    if asked not in (*POOLINGS, USUAL):
        raise ConfigurationError(f"unknown pooling {asked!r}; known are {', '.join((USUAL, *POOLINGS))}")
    if not family.embeds_sentences or architecture != family.base:
        raise ConfigurationError(
            f"{architecture} of family {family.name}: files for sentence-transformers go with "
            f"{', '.join(_backbones())} alone; convert without them"
        )
    if asked != USUAL:
        return asked
    if family.pooling is None:
        raise ConfigurationError(f"family {family.name} has no usual pooling; name one: {', '.join(POOLINGS)}")
    return family.pooling


def _backbones() -> list[str]:
    from ...mappings.registry import FAMILIES

    return [family.base for family in FAMILIES.values() if family.embeds_sentences]


def dense_entries(pooling: str, entries: Iterable[Entry]) -> list[Entry]:
    """The tensors of the dense layer that a pooling needs, made as those of the backbone's pooler among `entries` are;
    none for a pooling without one. Raises ConfigurationError where the backbone has no pooler."""
    if pooling not in _ACTIVATIONS:
        return []
    written = {entry.name: entry for entry in entries}
    if missing := [name for name in _POOLER.values() if name not in written]:
        raise ConfigurationError(
            f"the pooling {pooling} takes the backbone's pooler, and there is no {missing[0]}; choose cls or mean"
        )
    return [replace(written[name], name=own) for own, name in _POOLER.items()]


def sentence_documents(pooling: str, hidden_size: int, longest: int) -> dict[str, Any]:
    """The JSON documents, by their paths in the folder, in the form that versions 2 to 6 of the library read."""
    module = "sentence_transformers.models"
    modules = [("Transformer", ""), ("Pooling", POOLING_FOLDER)]
    dense = {}
    if pooling in _ACTIVATIONS:
        modules.append(("Dense", DENSE_FOLDER))
        dense[DENSE_FILE] = {
            "in_features": hidden_size,
            "out_features": hidden_size,
            "bias": True,
            "activation_function": _ACTIVATIONS[pooling],
        }
    return {
        "modules.json": [
            {"idx": number, "name": str(number), "path": path, "type": f"{module}.{kind}"}
            for number, (kind, path) in enumerate(modules)
        ],
        **dense,
        POOLING_FILE: {
            "word_embedding_dimension": hidden_size,
            "pooling_mode_cls_token": pooling != "mean",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        "sentence_bert_config.json": {"max_seq_length": longest, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {}, "similarity_fn_name": _SIMILARITY[pooling]},
    }


def entries_below(folder: Path) -> dict[str, Path]:
    """What lies in a folder, sorted, by its path in it: in place of the folders for sentence-transformers, what lies in
    them."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        inside = path.name in (POOLING_FOLDER, DENSE_FOLDER) and path.is_dir() and not path.is_symlink()
        # One that is empty counts as itself.
        for entry in (sorted(path.iterdir()) if inside else []) or [path]:
            found[entry.relative_to(folder).as_posix()] = entry
    return found
