"""The parity certificate: what was proven, bound to the bytes it was proven for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import __version__
from ..converters.checkpoint import open_checkpoint
from ..converters.inspection import inspect_checkpoint
from ..converters.source import find_weights
from ..mappings.errors import OutputError, UnreadableFileError
from ..mappings.plan import Plan
from .report import Check, Report

CERTIFICATE = "parity.json"
"""Its name, beside the converted weights."""

FORMAT = 1

_BLOCK = 1 << 20


def hash_files(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """sha256 and size of each file, by file name. Raises UnreadableFileError."""
    hashes: dict[str, dict[str, Any]] = {}
    for path in paths:
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                hashes[path.name] = {"sha256": digest.hexdigest(), "bytes": file.tell()}
        except OSError as error:
            raise UnreadableFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return hashes


def make_certificate(report: Report, plan: Plan, source: str | Path, converted: Path) -> dict[str, Any]:
    """The certificate of a report: hashes of source and output per file and per tensor (sha256 of the elements in
    C order), the mapping, checks with limits and worst values, inputs, versions, origin of the weights."""
    return {
        "format": FORMAT,
        "tool": {"name": "paddle2torch", "version": __version__},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "passed": report.passed,
        "weights": report.weights,
        **_bytes_of(source, converted),
        "mapping": {
            "family": plan.family.name,
            "architecture": plan.architecture,
            "target_architecture": plan.target_architecture,
            "tie_word_embeddings": plan.tie_word_embeddings,
            "moves": [
                {"source": move.source, "target": move.target, "transform": move.transform.value} for move in plan.moves
            ],
            "tied": [{"source": rule.source, "twin": rule.twin} for rule in plan.tied],
            "dropped": [{"source": rule.source, "reason": rule.reason} for rule in plan.dropped],
            "ignored": [rule.source for rule in plan.ignored],
        },
        "checks": [
            {name: value for name, value in check.to_json().items() if name != "details"} for check in report.checks
        ],
        "declared_differences": [
            {"name": seen.name, "text": seen.text, "measured": seen.measured} for seen in report.declared_differences
        ],
        "inputs_digest": report.inputs_digest,
        "versions": dict(report.versions),
    }


def write_certificate(converted: Path, certificate: Mapping[str, Any]) -> Path:
    """Write the certificate beside the weights, replacing an older one whole. Raises OutputError."""
    path = converted / CERTIFICATE
    temporary = converted / f".{CERTIFICATE}.partial"
    try:
        temporary.write_text(json.dumps(certificate, indent=1) + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def check_certificate(source: str | Path, converted: Path) -> Check:
    """Compare an existing certificate with the files, byte by byte through their hashes; runs no framework.

    It fails when a file changed, is missing or new, or when the certificate itself records a failure. Raises
    UnreadableFileError when there is no certificate or it cannot be understood.
    """
    certificate = read_certificate(converted)
    problems = [] if certificate["passed"] else ["the certificate records a verification that failed"]
    found = _bytes_of(source, converted)
    compared = 0
    for side, title in (("source", "source"), ("output", "converted")):
        for kind in ("files", "tensors"):
            recorded, present = certificate[side][kind], found[side][kind]
            compared += len(recorded)
            for name in sorted(recorded.keys() | present.keys()):
                if name not in present:
                    problems.append(f"{title} {kind[:-1]} {name} is missing")
                elif name not in recorded:
                    problems.append(f"{title} {kind[:-1]} {name} is not in the certificate")
                elif recorded[name] != present[name]:
                    problems.append(f"{title} {kind[:-1]} {name} is not what was verified")
    return Check(
        name="certificate",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"{compared} hashes equal",
        measure="files and tensors that differ from the certificate",
        problems=tuple(problems),
    )


def read_certificate(converted: Path) -> dict[str, Any]:
    """The certificate of a converted folder. Raises UnreadableFileError when it is absent or malformed."""
    path = converted / CERTIFICATE
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UnreadableFileError(f"{path}: no such file; `paddle2torch verify` writes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path}: cannot be read as JSON: {error}") from error
    sides = (document.get("source"), document.get("output")) if isinstance(document, dict) else ()
    well_formed = (
        isinstance(document, dict)
        and document.get("format") == FORMAT
        and isinstance(document.get("passed"), bool)
        and all(
            isinstance(side, dict) and isinstance(side.get("files"), dict) and isinstance(side.get("tensors"), dict)
            for side in sides
        )
    )
    if not well_formed:
        raise UnreadableFileError(f"{path}: is not a certificate of format {FORMAT}")
    certificate: dict[str, Any] = document
    return certificate


def _bytes_of(source: str | Path, converted: Path) -> dict[str, Any]:
    """Hashes of both sides. The configurations count: a changed activation is another model."""
    with open_checkpoint(source) as checkpoint:
        configuration = checkpoint.source.configuration
        files = [*checkpoint.source.files]
        if configuration is not None and configuration.file is not None:
            files.append(configuration.file)
    outputs = [*find_weights(converted), *(p for p in (converted / "config.json",) if p.exists())]
    return {
        "source": {"files": hash_files(files), "tensors": _tensors(source)},
        "output": {"files": hash_files(outputs), "tensors": _tensors(converted)},
    }


def _tensors(path: str | Path) -> dict[str, dict[str, Any]]:
    return {
        tensor["name"]: {name: tensor[name] for name in ("dtype", "shape", "sha256")}
        for tensor in inspect_checkpoint(path, with_hash=True)
    }
