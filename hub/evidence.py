"""What a certificate says, checked for its form, as the model card needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..converters.outputs.certificate import CERTIFICATE
from ..errors import UnknownNameError, UnreadableFileError
from ..mappings.language.family import Family, Model
from ..mappings.language.pretrained import Pretrained
from ..mappings.registry import PRETRAINED, get_family

ORIGINS = ("published", "seeded", "local")
"""What a certificate may say of the weights."""

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class RecordedCheck:
    """One check as recorded; numbers are None where it measured none, and their names where they are not finite."""

    name: str
    passed: bool
    worst: float | str | None
    limit: float | str | None
    where: str
    measure: str


@dataclass(frozen=True)
class RecordedFile:
    """A file by its name, with the sha256 of its bytes in hexadecimal digits and its size in bytes."""

    name: str
    sha256: str
    nbytes: int


@dataclass(frozen=True)
class Evidence:
    """The contents of a certificate. `source_name` is a pretrained name or the last part of a path; None in
    certificates that do not record it. `differences` are declared ones: name, text and measured size."""

    created: str
    tool: str
    passed: bool
    weights: str
    source_name: str | None
    source_files: tuple[RecordedFile, ...]
    family: Family
    model: Model
    tensors: int
    tied: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    checks: tuple[RecordedCheck, ...]
    not_run: tuple[str, ...]
    differences: tuple[tuple[str, str, float | str | None], ...]
    versions: Mapping[str, str]

    @property
    def pretrained(self) -> Pretrained | None:
        """The published weights that the source was, None for seeded and local ones whatever their name."""
        return PRETRAINED.get(self.source_name or "") if self.weights == "published" else None

    @property
    def failed(self) -> tuple[RecordedCheck, ...]:
        """The checks that found a difference."""
        return tuple(check for check in self.checks if not check.passed)


def read_evidence(certificate: Mapping[str, Any], converted: Path) -> Evidence:
    """The evidence in the certificate of the folder `converted`. Raises UnreadableFileError for one that lacks
    something or holds what no verification writes."""
    path = converted / CERTIFICATE
    try:
        mapping = certificate["mapping"]
        family = get_family(_text(mapping["family"]))
        tool = certificate["tool"]
        name = certificate["source"].get("name")
        evidence = Evidence(
            created=_text(certificate["created"]),
            tool=f"{_text(tool['name'])} {_text(tool['version'])}",
            passed=_truth(certificate["passed"]),
            weights=_text(certificate["weights"]),
            source_name=None if name is None else _text(name),
            source_files=recorded_files(certificate["source"]["files"]),
            family=family,
            model=family.model(_text(mapping["architecture"])),
            tensors=len(certificate["output"]["tensors"]),
            tied=tuple(_text(entry["source"]) for entry in mapping["tied"]),
            dropped=tuple((_text(entry["source"]), _text(entry["reason"])) for entry in mapping["dropped"]),
            checks=tuple(_check(entry) for entry in certificate["checks"]),
            not_run=tuple(_text(entry) for entry in certificate.get("not_run", ())),
            differences=tuple(
                (_text(entry["name"]), _text(entry["text"]), _number(entry["measured"]))
                for entry in certificate["declared_differences"]
            ),
            versions={_text(part): _text(version) for part, version in certificate["versions"].items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError, UnknownNameError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UnreadableFileError(f"{path}: is no certificate that this version understands: {reason}") from error
    if evidence.weights not in ORIGINS:
        raise UnreadableFileError(
            f"{path}: says that the weights are {evidence.weights!r}; known are {', '.join(ORIGINS)}"
        )
    return evidence


def recorded_files(files: Mapping[str, Mapping[str, Any]]) -> tuple[RecordedFile, ...]:
    """Files by name as a certificate holds them, {"sha256", "bytes"} each. Raises KeyError, TypeError or ValueError."""
    recorded = []
    for name, entry in sorted(files.items()):
        if not _SHA256.fullmatch(entry["sha256"]) or not isinstance(entry["bytes"], int):
            raise ValueError(f"the record of the file {name} is no sha256 and size")
        recorded.append(RecordedFile(name, entry["sha256"], entry["bytes"]))
    return tuple(recorded)


def _check(entry: Mapping[str, Any]) -> RecordedCheck:
    return RecordedCheck(
        _text(entry["name"]),
        _truth(entry["passed"]),
        _number(entry["worst"]),
        _number(entry["limit"]),
        _text(entry["where"]),
        _text(entry["measure"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} stands where a text is expected")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} stands where true or false is expected")
    return value


def _number(value: object) -> float | str | None:
    if value is None or (isinstance(value, str) and value in ("nan", "inf", "-inf")):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} stands where a number is expected")
    return float(value)
