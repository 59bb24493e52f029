"""The parity certificate as a file: its form, and whether it and the folder in which it lies agree.

Nothing here needs a framework or the source. `validate_certificate` is the whole of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from ...errors import UnreadableFileError
from ..checkpoints.snapshot import is_strange_link
from .folder import SURVIVING, is_name_of_conversion
from .hashes import hash_files
from .record import own_record
from .schema import problems
from .sentences import entries_below

CERTIFICATE = "parity.json"
"""Its name, beside the converted weights."""

FORMAT = 2

NOT_CERTIFIED = SURVIVING | {CERTIFICATE}
"""Files of a converted folder that no certificate covers: itself, the model card, which is written from it, what the
hub and git keep there, and texts of licenses."""

_TO_PADDLE = "Hugging Face to PaddleNLP"


@cache
def certificate_schema() -> dict[str, Any]:
    """The JSON schema of a certificate, which is part of the package."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("parity.schema.json").read_text("utf-8"))
    return schema


def certified_files(converted: Path) -> list[Path]:
    """The files of a converted folder that a certificate covers: all, hidden ones too, but for NOT_CERTIFIED. Sorted;
    raises UnreadableFileError."""
    return [path for name, path in _entries(converted).items() if not _is_odd(path) and name not in NOT_CERTIFIED]


def odd_entries(converted: Path) -> list[str]:
    """The names in a converted folder that are no files but folders, links and the like, which no certificate covers
    and no conversion writes. Raises UnreadableFileError."""
    return [name for name, path in _entries(converted).items() if _is_odd(path)]


def _entries(converted: Path) -> dict[str, Path]:
    try:
        return entries_below(converted)
    except OSError as error:
        raise UnreadableFileError(f"{converted}: cannot be read: {error.strerror or error}") from error


def _is_odd(path: Path) -> bool:
    return is_strange_link(path) or not path.is_file()


def read_certificate(converted: Path) -> dict[str, Any]:
    """The certificate of a converted folder, in the form that the schema asks for. Raises UnreadableFileError when it
    is absent or has another form."""
    path = converted / CERTIFICATE
    try:
        document = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
    except FileNotFoundError as error:
        raise UnreadableFileError(f"{path}: no such file; `paddle2torch verify` writes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path}: cannot be read as JSON: {error}") from error
    found = document.get("format") if isinstance(document, dict) else None
    if isinstance(found, int) and found != FORMAT:
        raise UnreadableFileError(
            f"{path}: is a certificate of format {found}, this version reads format {FORMAT}; verify again"
        )
    if (problem := next(problems(document, certificate_schema()), None)) is not None:
        raise UnreadableFileError(f"{path}: is no certificate of format {FORMAT}: {problem}")
    certificate: dict[str, Any] = document
    return certificate


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def validate_certificate(converted: str | Path) -> list[str]:
    """What speaks against a converted folder by its certificate, one line each: what the certificate itself says, and
    where the folder is not the one that it was made for. Empty when every byte is one that was verified and everything
    asked for was run and holds. Raises UnreadableFileError when there is no certificate of this format."""
    converted = Path(converted)
    certificate = read_certificate(converted)
    return [
        *recorded_problems(certificate),
        *folder_problems(certificate, converted, hash_files(certified_files(converted), converted)),
    ]


def recorded_problems(certificate: Mapping[str, Any]) -> list[str]:
    """What a certificate says against the verification that it records, in any of its environments."""
    found = [
        *(
            f"the check {check['name']} found a difference{where}: {check['where']}"
            for check, where in _failed(certificate)
        ),
        *accidents(certificate),
    ]
    if not certificate["checks"]:
        found.append("the certificate records no check")
    if not found and not all(place["passed"] for place, _ in _places(certificate)):
        found.append("the certificate records a verification that failed")
    return found


def has_failed(certificate: Mapping[str, Any]) -> bool:
    """Whether a recorded check found a difference, in any environment."""
    return bool(_failed(certificate))


def accidents(certificate: Mapping[str, Any]) -> list[str]:
    """The recorded checks that could not be run, one line each with where and why."""
    lines = {
        (name, reason): f"the check {name} could not be run{where}: {reason}"
        for place, where in reversed(_places(certificate))
        for name, reason in place["could_not_run"].items()
    }
    return list(lines.values())


def _failed(certificate: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """The recorded checks that did not pass, each once, with the environment in words where there are several."""
    places = _places(certificate)
    failed = [(check, where) for place, where in places for check in place["checks"] if not check["passed"]]
    return [one for number, one in enumerate(failed) if one[0] not in [check for check, _ in failed[:number]]]


def _places(certificate: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    """Where checks are recorded: in each environment, named where there are several, and in the certificate itself."""
    environments = certificate["environments"]
    named = len(environments) > 1
    return [*((one, f" with {one['name']}" if named else "") for one in environments), (certificate, "")]


def folder_problems(certificate: Mapping[str, Any], converted: Path, hashes: Mapping[str, Any]) -> list[str]:
    """How a converted folder differs from the one that a certificate was made for; `hashes` are those of
    `certified_files`."""
    return [
        *(f"converted {name} is a folder or a link; no certificate covers it" for name in odd_entries(converted)),
        *differences(certificate["output"]["files"], hashes, "converted file"),
        *_contradictions(certificate, converted),
    ]


def _contradictions(certificate: Mapping[str, Any], converted: Path) -> list[str]:
    """Where parts of a certificate contradict each other, or the folder."""
    if certificate["foreign"]:
        return [] if not own_record(converted) else ["the certificate is that of a foreign folder, and this is none"]
    found = [
        f"converted file {name} is none that a conversion writes"
        for name in certificate["output"]["files"]
        if not is_name_of_conversion(name)
    ]
    if not own_record(converted):
        found.append("the converted weights lack the record of this package")
    mapping, back = certificate["mapping"], certificate["direction"] == _TO_PADDLE
    made = Counter([*(move["target"] for move in mapping["moves"]), *mapping.get("made", ())])
    if made != Counter(certificate["output"]["tensors"].keys()):
        found.append("the recorded mapping does not lead to the recorded tensors, each once")
    expected = mapping["architecture" if back else "target_architecture"]
    named = architectures(converted / "config.json")
    if named != [expected]:
        found.append(f"config.json names the architectures {named}, the weights were converted for {expected}")
    return found


def architectures(config: Path) -> Any:
    """What a configuration says under `architectures`, None without any. Raises UnreadableFileError."""
    try:
        return json.loads(config.read_text("utf-8")).get("architectures")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UnreadableFileError(f"{config}: is no configuration: {error}") from error


def differences(recorded: Mapping[str, Any], found: Mapping[str, Any], what: str) -> list[str]:
    """One line per name whose record is not what was found, such as "converted file config.json is missing"."""
    lines = []
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            lines.append(f"{what} {name} is missing")
        elif name not in recorded:
            lines.append(f"{what} {name} is not in the certificate")
        elif recorded[name] != found[name]:
            lines.append(f"{what} {name} is not what was verified")
    return lines
