"""The configuration of a training of PaddleOCR's or PaddleClas's: a YAML file, of which only plain values are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from ...errors import ConfigurationError, MissingDependencyError, UnreadableFileError
from ...mappings.language.images.preparation import Transforms
from .names import TWO_NETWORKS

SUFFIXES = (".yml", ".yaml")

NAMES = ("config.yml", "config.yaml")
"""What PaddleOCR's training leaves beside its weights."""

MOST_BYTES = 4 << 20

MOST_WRITTEN_OUT = 4 * MOST_BYTES
"""Characters and values that a configuration may have once all its anchors are written out."""


@dataclass(frozen=True)
class Training:
    """A training configuration: what of it concerns a converted network.

    `architecture` is the section that builds the network, that of the student where there are several; `transforms`
    prepare the pictures that the trained network is evaluated with; `dictionary` is the path to the characters as it
    stands there, and `space` says that a blank follows them. `thresholds` are those by which a detector's map becomes
    boxes, by the names of transformers' arguments.
    """

    path: Path
    model_name: str | None
    architecture: Mapping[str, Any]
    transforms: Transforms
    dictionary: str | None
    space: bool
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def section(self, prefix: str) -> Mapping[str, Any]:
        """The architecture of the network whose tensors have this prefix, such as "Student."; without any, that of the
        student where there are several, which is the one that is handed on."""
        models = self.architecture.get("Models")
        name = prefix.rstrip(".") or TWO_NETWORKS[0]
        chosen = models.get(name) if isinstance(models, Mapping) else self.architecture
        return chosen if isinstance(chosen, Mapping) else {}


def read_training(path: Path) -> Training:
    """Read a training configuration safely: a tag that would make an object of it is refused.

    Raises UnreadableFileError for what is no such file, ConfigurationError for one without a section on the
    architecture, and MissingDependencyError without PyYAML.
    """
    document = _document(path)
    if not isinstance(document, Mapping):
        raise UnreadableFileError(f"{path}: is no training configuration: a mapping of sections is expected")
    general = _section(path, document, "Global")
    architecture = _section(path, document, "Architecture") or _section(path, document, "Arch")
    if not architecture:
        raise ConfigurationError(
            f"{path}: has no section Architecture; the configuration is expected that the network was trained with"
        )
    dictionary = general.get("character_dict_path")
    if dictionary is not None and not isinstance(dictionary, str):
        raise ConfigurationError(f"{path}: Global.character_dict_path is {shown(dictionary)}; a path is expected")
    name = general.get("model_name")
    return Training(
        path,
        name if isinstance(name, str) else None,
        architecture,
        _transforms(path, document),
        dictionary,
        bool(general.get("use_space_char", False)),
        _thresholds(document),
    )


BOXES = {
    "thresh": "threshold",
    "box_thresh": "box_threshold",
    "max_candidates": "max_candidates",
    "unclip_ratio": "unclip_ratio",
}
"""Arguments of PaddleOCR's DBPostProcess, and what post_process_object_detection of transformers calls them."""


def _thresholds(document: Mapping[Any, Any]) -> dict[str, float]:
    given = document.get("PostProcess")
    if not isinstance(given, Mapping):
        return {}
    return {
        name: given[stored]
        for stored, name in BOXES.items()
        if isinstance(given.get(stored), int | float) and not isinstance(given[stored], bool)
    }


def dump_training(path: Path, document: Mapping[str, Any]) -> None:
    """Write a training configuration. Raises MissingDependencyError without PyYAML."""
    path.write_text(_yaml(path).safe_dump(json.loads(json.dumps(document)), sort_keys=False), "utf-8")


def _yaml(path: Path) -> Any:
    """The library that reads and writes YAML."""
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: a training configuration takes PyYAML: {sys.executable} -m pip install 'pyyaml>=6'", str(error)
        ) from error
    return yaml


def _plain_loader(yaml: Any) -> Any:
    """PyYAML's loader of plain values, for which a tuple, as Python's own writer of YAML marks one, is a list."""
    loader: Any = type("PlainLoader", (yaml.SafeLoader,), {})
    loader.add_constructor("tag:yaml.org,2002:python/tuple", loader.construct_sequence)
    return loader


def _document(path: Path) -> Any:
    yaml = _yaml(path)
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UnreadableFileError(
                f"{path}: has {size:,} bytes; a training configuration has at most {MOST_BYTES:,}"
            )
        document = yaml.load(path.read_text("utf-8"), _plain_loader(yaml))
        if _written_out(document, {}) > MOST_WRITTEN_OUT:
            raise ValueError("its anchors make it too long")
        return document
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    # PyYAML looks at no text before it reads a number, a date or a truth value of it.
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError) as error:
        what = " ".join(str(error).split())
        raise UnreadableFileError(f"{path}: is no YAML of plain values: {what}") from error


def _written_out(value: Any, known: dict[int, int]) -> int:
    """The characters and values in `value` with all anchors written out; `known` are those of the parts that were seen.
    Raises ValueError for a number that is no sensible one."""
    if isinstance(value, int) and value.bit_length() > 64:
        raise ValueError("it has a whole number of more than 64 bits")
    if not isinstance(value, dict | list | tuple | set):
        return 1 + len(value) if isinstance(value, str | bytes) else 1
    if id(value) not in known:
        # What holds itself has no end.
        known[id(value)] = MOST_WRITTEN_OUT
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(value)]


def _section(path: Path, document: Mapping[Any, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name) or {}
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"{path}: {name} is {shown(section)}; a section is expected")
    return section


def _transforms(path: Path, document: Mapping[Any, Any]) -> Transforms:
    """The transforms of the evaluation: PaddleOCR has them under Eval, PaddleClas in two places."""
    places = (
        ("Eval", "dataset", "transforms"),
        ("DataLoader", "Eval", "dataset", "transform_ops"),
        ("Infer", "transforms"),
    )
    for place in places:
        found: Any = document
        for name in place:
            found = found.get(name) if isinstance(found, Mapping) else None
        if found is None:
            continue
        if not isinstance(found, list) or not all(map(_is_transform, found)):
            raise ConfigurationError(f"{path}: {'.'.join(place)} is no list of transforms")
        return found
    return ()


def _is_transform(value: Any) -> bool:
    """Whether a value is a name with its arguments."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(next(iter(value)), str)
