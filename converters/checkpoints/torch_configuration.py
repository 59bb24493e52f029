"""Configurations the other way: Hugging Face's read, PaddleNLP's written with every field explicit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError, UnreadableFileError
from ...mappings.language.family import Family
from ...mappings.language.fields import REQUIRED, UNFIXED, Field, as_stored
from ...mappings.language.matching.inverse import InversePlan
from ...mappings.registry import FAMILIES
from .configuration import complete_fields, label_fields

CONFIG_FILE = "config.json"

_FIXED: dict[str, Any] = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
}
"""Fields of Hugging Face that PaddleNLP's models have no counterpart for, with the only value they stand for."""

_SHARED = ("problem_type", "finetuning_task", "sep_token_id", "task_specific_params", "tokenizer_class")
"""Fields outside the tables that PaddleNLP knows under the same name; carried over where a source has them."""

_RESTATED = frozenset(
    ["architectures", "model_type", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "tie_word_embeddings"]
) | {"transformers_version", "_name_or_path"}
"""Fields that the configuration which is written states anew, or that say nothing of the model."""


@dataclass(frozen=True)
class TorchConfiguration:
    """Hugging Face's config.json as it is; `architecture` and `model_type` where it names them."""

    fields: Mapping[str, Any]
    file: Path
    architecture: str | None
    model_type: str | None


def read_torch_configuration(folder: Path) -> TorchConfiguration:
    """The config.json in a folder. Raises UnreadableFileError when it is absent or no JSON object."""
    path = folder / CONFIG_FILE
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UnreadableFileError(f"{path}: no such file; a Hugging Face folder holds it beside the weights") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path}: is not a JSON file: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableFileError(f"{path}: holds {type(document).__name__}, a JSON object is expected")
    classes, model_type = document.get("architectures"), document.get("model_type")
    first = classes[0] if isinstance(classes, list) and classes else None
    return TorchConfiguration(
        document,
        path,
        first if isinstance(first, str) else None,
        model_type if isinstance(model_type, str) else None,
    )


def complete_torch_fields(family: Family, configuration: TorchConfiguration) -> dict[str, Any]:
    """Hugging Face's fields with Hugging Face's defaults for absent ones and `num_labels` settled, checked.

    Raises ConfigurationError for a missing or impossible value, and for one that PaddleNLP has no counterpart for.
    """
    fields = configuration.fields
    for name, value in _FIXED.items():
        if fields.get(name, value) not in (value, None):
            raise ConfigurationError(
                f"{configuration.file}: {name} is {fields[name]!r}; PaddleNLP's {family.name} has no counterpart for "
                f"anything but {value!r}"
            )
    own = {entry.name for entry in family.fields if entry.target is None}
    renamed = {entry.target_name for entry in family.fields if entry.target is not None} - own
    given = {
        **family.source_constants,
        **{entry.name: entry.default_of_target for entry in family.fields if entry.default_of_target is not REQUIRED},
        **{name: value for name, value in fields.items() if name not in renamed},
        **{entry.name: fields[entry.target_name] for entry in family.fields if entry.target in fields},
    }
    for entry in family.fields:
        if entry.target_like is not None and fields.get(entry.target_name) is None:
            given[entry.name] = entry.unstated(given)
        if entry.name in given:
            given[entry.name] = entry.formed(_read(entry, given[entry.name], configuration.file))
    complete = complete_fields(family, given)
    for entry in family.fields:
        if entry.name not in given or (given[entry.name] is None and callable(entry.runs)):
            # It says nothing: the value follows from others.
            continue
        if given[entry.name] != complete[entry.name]:
            others = _computing_with(given[entry.name], entry.target_name, family.model_type)
            raise ConfigurationError(
                f"{configuration.file}: {entry.target_name} is {given[entry.name]!r}; PaddleNLP's {family.name} "
                f"computes with {complete[entry.name]!r} whatever its configuration says"
                + (f", with {given[entry.name]!r} does {' or '.join(others)}: choose with --family" if others else "")
            )
    tie = complete.setdefault("tie_word_embeddings", True)
    if not isinstance(tie, bool):
        raise ConfigurationError(f"{configuration.file}: tie_word_embeddings is {tie!r}; true or false is expected")
    return complete


def _read(entry: Field, value: Any, file: Path) -> Any:
    """A value in PaddleNLP's words. Raises ConfigurationError."""
    try:
        return entry.of_source(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from error


def _computing_with(value: Any, field: str, model_type: str) -> list[str]:
    """The families of Hugging Face's `model_type` whose models compute with this value of a field."""
    return [
        family.name
        for family in FAMILIES.values()
        if family.model_type == model_type
        and any(entry.target_name == field and entry.runs in (UNFIXED, value) for entry in family.fields)
    ]


def paddle_configuration(plan: InversePlan, complete: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """PaddleNLP's config.json for Hugging Face's `complete` fields; `dtype` is that of the weights."""
    family = plan.family
    document: dict[str, Any] = {
        "architectures": [plan.architecture],
        "model_type": family.source_type or family.name,
        "dtype": dtype,
        "tie_word_embeddings": plan.tie_word_embeddings,
        **label_fields(complete),
        **family.source_constants,
        **as_stored(family.fields, {entry.name: complete[entry.name] for entry in family.fields}),
        **{name: complete[name] for name in _SHARED if complete.get(name) is not None},
    }
    if family.pooler_field is not None:
        document[family.pooler_field] = plan.pooler
    return dict(sorted(document.items()))


def left_out_fields(family: Family, configuration: TorchConfiguration) -> tuple[str, ...]:
    """The fields of Hugging Face's configuration that PaddleNLP's models do not know, sorted.

    A field that is null says nothing that could be lost: transformers 5 writes `bos_token_id: null` for a BERT. Nor
    does one that says under another field's usual name what that says.
    """
    known = {entry.target_name for entry in family.fields} | {*_FIXED, *_SHARED, *_RESTATED, *family.constants}
    again = {
        entry.name
        for entry in family.fields
        if entry.target is not None and configuration.fields.get(entry.target) == configuration.fields.get(entry.name)
    }
    said = (name for name, value in configuration.fields.items() if value is not None and name not in again)
    return tuple(sorted(name for name in said if name not in known))
