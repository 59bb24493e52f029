"""Configurations: PaddleNLP's read in its two file forms, Hugging Face's written with every field explicit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..mappings.errors import ConfigurationError, UnreadableFileError
from ..mappings.schema import REQUIRED, Family

CONFIG_FILES = ("config.json", "model_config.json")
"""PaddleNLP's file since 2023, and the one before."""

_ALIASES = {"num_classes": "num_labels", "dropout": "classifier_dropout"}
"""Older names of fields, as PaddleNLP itself translates them."""

_CARRIED = ("problem_type",)
"""Fields outside the tables that Hugging Face knows under the same name; carried over where a source has them."""


@dataclass(frozen=True)
class SourceConfiguration:
    """PaddleNLP's fields, flat; `architecture` and `model_type` where the file names them; `origin` for messages."""

    fields: dict[str, Any]
    origin: str
    architecture: str | None = None
    model_type: str | None = None
    file: Path | None = field(default=None)


def read_configuration(folder: Path) -> SourceConfiguration | None:
    """The configuration in a folder, or None when it has none.

    Raises UnreadableFileError for a file that is no JSON object.
    """
    for name in CONFIG_FILES:
        path = folder / name
        if path.is_file():
            return _parse(path)
    return None


def _parse(path: Path) -> SourceConfiguration:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path}: is not a JSON file: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableFileError(f"{path}: holds {type(document).__name__}, a JSON object is expected")
    fields: dict[str, Any] = {}
    classes: list[str] = []
    _flatten(document, fields, classes)
    architectures = fields.pop("architectures", None)
    if isinstance(architectures, list) and architectures and isinstance(architectures[0], str):
        classes.insert(0, architectures[0])
    model_type = fields.pop("model_type", None)
    return SourceConfiguration(
        fields={_ALIASES.get(name, name): value for name, value in fields.items()},
        origin=str(path),
        architecture=classes[0] if classes else None,
        model_type=model_type if isinstance(model_type, str) else None,
        file=path,
    )


def _flatten(document: Mapping[str, Any], fields: dict[str, Any], classes: list[str]) -> None:
    """Collect the fields of nested `init_args`; an outer value and the outermost class come first."""
    init_class = document.get("init_class")
    if isinstance(init_class, str):
        classes.append(init_class)
    for name, value in document.items():
        if name not in ("init_class", "init_args") and not (isinstance(value, dict) and "init_class" in value):
            fields.setdefault(name, value)
    arguments = document.get("init_args", [])
    nested = [value for value in document.values() if isinstance(value, dict) and "init_class" in value]
    for inner in [*(arguments if isinstance(arguments, list) else [arguments]), *nested]:
        if isinstance(inner, dict):
            _flatten(inner, fields, classes)


def complete_fields(family: Family, fields: Mapping[str, Any]) -> dict[str, Any]:
    """PaddleNLP's fields with its defaults for absent ones and `num_labels` settled, checked.

    Raises ConfigurationError for a missing or impossible value or an activation whose equality is not established.
    """
    complete = dict(fields)
    for entry in family.fields:
        if entry.name not in complete:
            if entry.default is REQUIRED:
                raise ConfigurationError(f"configuration field {entry.name} is missing")
            complete[entry.name] = entry.default
    id2label = complete.get("id2label")
    if isinstance(id2label, dict):
        complete["num_labels"] = len(id2label)
    elif not isinstance(complete.setdefault("num_labels", 2), int):
        raise ConfigurationError(f"num_labels is {complete['num_labels']!r}, a whole number is expected")
    for name in ("hidden_size", "num_attention_heads", "num_hidden_layers", *family.repeat.values()):
        value = complete[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"configuration field {name} is {value!r}; a whole number from 1 on is needed")
    epsilon = complete["layer_norm_eps"]
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or epsilon <= 0:
        raise ConfigurationError(f"layer_norm_eps is {epsilon!r}; a positive number is expected")
    if complete["hidden_act"] not in family.activations:
        known = ", ".join(family.activations)
        raise ConfigurationError(
            f"hidden_act {complete['hidden_act']!r} is not known to be equal in both frameworks for family "
            f"{family.name}; known are {known}"
        )
    family.check_configuration(complete)
    return complete


def translate_configuration(
    family: Family, target_architecture: str, complete: Mapping[str, Any], torch_dtype: str, tie_word_embeddings: bool
) -> dict[str, Any]:
    """Hugging Face's config.json for PaddleNLP's `complete` fields: every field stated, Paddle-only ones left out."""
    labels = complete.get("id2label")
    if isinstance(labels, dict):
        id2label = {str(index): label for index, label in labels.items()}
    else:
        id2label = {str(index): f"LABEL_{index}" for index in range(complete["num_labels"])}
    document: dict[str, Any] = {
        "architectures": [target_architecture],
        "model_type": family.name,
        "torch_dtype": torch_dtype,
        "tie_word_embeddings": tie_word_embeddings,
        "id2label": id2label,
        "label2id": {label: int(index) for index, label in id2label.items()},
        **family.constants,
        **{entry.name: complete[entry.name] for entry in family.fields},
    }
    document.update({name: complete[name] for name in _CARRIED if complete.get(name) is not None})
    return dict(sorted(document.items()))
