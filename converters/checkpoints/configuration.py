"""Configurations: PaddleNLP's read in its two file forms, Hugging Face's written with every field explicit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError, UnreadableFileError
from ...mappings.language.family import Family
from ...mappings.language.fields import Field, running
from ...mappings.registry import FAMILIES, family_of_architecture

CONFIG_FILES = ("config.json", "model_config.json")
"""PaddleNLP's file since 2023, and the one before."""

_ALIASES = {"num_classes": "num_labels", "dropout": "classifier_dropout"}
"""Older names of fields, as PaddleNLP itself translates them."""

_CARRIED = ("problem_type",)
"""Fields outside the tables that Hugging Face knows under the same name; carried over where a source has them."""

_COUNTS = {"hidden_size", "num_attention_heads", "num_hidden_layers"}
"""Fields that must be whole numbers from 1 on where a family has them."""

_PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")


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
            return parse_configuration(path)
    return None


def parse_configuration(path: Path) -> SourceConfiguration:
    """The configuration in a file. Raises UnreadableFileError for one that is no JSON object."""
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
    aliases = {older: name for older, name in _ALIASES.items() if older not in _own_names(classes, model_type)}
    for older, name in aliases.items():
        if older in fields and name in fields and fields[older] != fields[name]:
            raise ConfigurationError(
                f"{path}: {older} is {fields[older]!r} and {name}, which means the same, is {fields[name]!r}; keep one"
            )
    return SourceConfiguration(
        fields={aliases.get(name, name): value for name, value in fields.items()},
        origin=str(path),
        architecture=classes[0] if classes else None,
        model_type=model_type if isinstance(model_type, str) else None,
        file=path,
    )


def _own_names(classes: Sequence[str], model_type: Any) -> set[str]:
    """The names that PaddleNLP's configuration has of itself in the family that a file names, if that is known."""
    named = family_of_architecture(classes[0]) if classes else None
    family = named or (FAMILIES.get(model_type) if isinstance(model_type, str) else None)
    return set() if family is None else {entry.stored_name for entry in family.fields}


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
            if not entry.has_default:
                raise ConfigurationError(f"configuration field {entry.name} is missing")
            complete[entry.name] = entry.default
    complete = running(family.fields, complete)
    if complete.get("id2label") is not None:
        _check_labels(complete["id2label"])
        complete["num_labels"] = len(complete["id2label"])
    complete.setdefault("num_labels", 2)
    names = {entry.name for entry in family.fields}
    for name in (*sorted(names & _COUNTS), "num_labels", *family.repeat.values()):
        value = complete[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"configuration field {name} is {value!r}; a whole number from 1 on is needed")
    for entry in family.fields:
        _check_number(entry, complete[entry.name])
        if entry.only is not None and complete[entry.name] != entry.only[0]:
            raise ConfigurationError(
                f"{entry.name} is {complete[entry.name]!r}, and only {entry.only[0]!r} converts: {entry.only[1]}"
            )
    if "layer_norm_eps" in names and complete["layer_norm_eps"] == 0:
        raise ConfigurationError("layer_norm_eps is 0; a positive number is expected")
    padding = complete.get("pad_token_id")
    if padding is not None and padding >= complete["vocab_size"]:
        raise ConfigurationError(f"pad_token_id {padding} is not below vocab_size {complete['vocab_size']}")
    if complete.get("problem_type") not in (None, *_PROBLEM_TYPES):
        raise ConfigurationError(f"problem_type is {complete['problem_type']!r}; known are {', '.join(_PROBLEM_TYPES)}")
    if "hidden_act" in names and complete["hidden_act"] not in family.activations:
        known = ", ".join(family.activations)
        raise ConfigurationError(
            f"hidden_act {complete['hidden_act']!r} is not known to be equal in both frameworks for family "
            f"{family.name}; known are {known}"
        )
    family.check_configuration(complete)
    return complete


def check_stated(family: Family, fields: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for a stated field that is not of its kind: before rows are made of it. One that is null
    states nothing."""
    for entry in family.fields:
        if fields.get(entry.name) is not None and not entry.is_fixed:
            _check_number(entry, entry.formed(fields[entry.name]))


def _check_number(entry: Field, value: Any) -> None:
    """Raise ConfigurationError for anything but a finite number from 0 on, or from the default on where that is
    negative, or true or false where the default is one; ids and fields without default may be null, and a name is left
    to others, as is what has a form of its own."""
    if isinstance(entry.default, bool):
        if not isinstance(value, bool):
            raise ConfigurationError(f"configuration field {entry.name} is {value!r}; true or false is expected")
        return
    identifier, named = entry.name.endswith("_token_id"), isinstance(entry.default, str) or entry.form is not None
    if named or (value is None and (identifier or entry.nullable or entry.default is None)):
        return
    whole = identifier or entry.name == "vocab_size"
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    least = min(0, entry.default) if isinstance(entry.default, int | float) else 0
    if not number or not math.isfinite(value) or value < least:
        kind = "whole number" if whole else "number"
        raise ConfigurationError(f"configuration field {entry.name} is {value!r}; a {kind} from {least} on is expected")


def _check_labels(labels: Any) -> None:
    """Raise ConfigurationError unless `labels` leads from numbers to texts."""
    try:
        for index, label in labels.items():
            int(index)
            label.encode()
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"id2label does not lead from numbers to texts: {error}") from error


def label_notes(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What to say of names of labels that the two fields of a source contradict each other in; `fields` are complete.

    PaddleNLP and transformers hold both as they are, and name a model's outputs by `id2label`.
    """
    stated = fields.get("label2id")
    if not stated or stated == _indices(_labels(fields, fields["num_labels"])):
        return ()
    if fields.get("id2label") is None:
        return (
            "label2id without id2label names no label in either library: it is left out, and labels are LABEL_0, ...",
        )
    return ("label2id contradicts id2label: id2label is kept, and label2id is written as it follows from that",)


def _labels(fields: Mapping[str, Any], count: int) -> dict[str, str]:
    """The names of labels by their numbers; made up where the `fields` have none or not `count`."""
    labels = fields.get("id2label")
    if isinstance(labels, dict) and count == fields["num_labels"]:
        return {str(index): label for index, label in labels.items()}
    return {str(index): f"LABEL_{index}" for index in range(count)}


def _indices(labels: Mapping[str, str]) -> dict[str, int]:
    return {label: int(index) for index, label in labels.items()}


def label_fields(fields: Mapping[str, Any], count: int | None = None) -> dict[str, Any]:
    """Both fields that name labels, of a model that has `count`, by default as many as the complete `fields` say."""
    labels = _labels(fields, fields["num_labels"] if count is None else count)
    return {"id2label": labels, "label2id": _indices(labels)}


GENERATION_CONFIG = "generation_config.json"
"""Hugging Face's file of what `generate` takes where a call says nothing else."""


def generation_configuration(
    family: Family, target_architecture: str, complete: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Hugging Face's generation_config.json for PaddleNLP's `complete` fields; None for a class that writes no
    texts."""
    generation = family.model(target_architecture).generation
    if generation is None:
        return None
    entries = {entry.name: entry for entry in family.fields}
    stated = {entries[name].target_name: entries[name].of_target(complete[name]) for name in generation.fields}
    return dict(sorted((name, value) for name, value in stated.items() if value is not None))


def translate_configuration(
    family: Family, target_architecture: str, complete: Mapping[str, Any], dtype: str, tie_word_embeddings: bool
) -> dict[str, Any]:
    """Hugging Face's config.json for PaddleNLP's `complete` fields: every field stated, Paddle-only ones left out.

    The element type stands under the name that transformers 4.57 and 5 both read; the older `torch_dtype` is read only
    where it is absent.
    """
    document: dict[str, Any] = {
        "architectures": [target_architecture],
        "model_type": family.model_type,
        "dtype": dtype,
        "tie_word_embeddings": tie_word_embeddings,
        **label_fields(complete, family.model(target_architecture).labels),
        **family.constants,
        **{
            entry.target_name: entry.of_target(complete[entry.name])
            for entry in family.fields
            if entry.applies(complete)
        },
    }
    document.update({name: complete[name] for name in _CARRIED if complete.get(name) is not None})
    return dict(sorted(document.items()))
