"""The parity certificate: what was proven, bound to the bytes it was proven for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import __version__
from ..converters.checkpoints.checkpoint import open_checkpoint
from ..converters.checkpoints.inspection import inspect_checkpoint
from ..converters.checkpoints.source import Source, find_source, find_weights
from ..converters.checkpoints.torch_checkpoint import find_torch_source
from ..converters.outputs.certificate import (
    CERTIFICATE,
    FORMAT,
    differences,
    hash_files,
    is_certified,
    read_certificate,
    visible_files,
)
from ..converters.tokenizers.files import plain_tokenizer_paths, tokenizer_paths
from ..errors import OutputError, SourceChangedError
from ..mappings.language.inverse import InversePlan
from ..mappings.language.plan import Plan
from ..mappings.language.rules import Move
from .reports.result import CheckResult, Report
from .sides.way_back import is_paddle_folder

Stamps = dict[Path, tuple[int, int, int]]
"""Inode, size and modification time of files."""


def stamp_files(source: Source, converted: Path) -> Stamps:
    """The state of the files of both sides, to be compared by `check_stamps`. Raises UnreadableFileError."""
    beside = [
        path
        for folder in (_folder_of(source.path), converted)
        for path in visible_files(folder)
        if is_certified(path.name)
    ]
    stamps: Stamps = {}
    written = find_source(converted).files if is_paddle_folder(converted) else ()
    for path in (*source.files, *written, *beside):
        with suppress(FileNotFoundError):
            status = path.stat()
            stamps[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return stamps


def check_stamps(before: Stamps, after: Stamps) -> None:
    """Raise SourceChangedError when a file changed, came or went: its hash is not that of what was verified."""
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            raise SourceChangedError(f"{path}: changed while it was being verified; try again when it is complete")


def make_certificate(report: Report, plan: Plan | InversePlan, source: str | Path, converted: Path) -> dict[str, Any]:
    """The certificate of a report: hashes of source and output per file and per tensor (sha256 of the elements in
    C order), the mapping, checks with limits and worst values, inputs, versions, origin of the weights. The source is
    named by its pretrained name where that led to it, else by the last part of its path."""
    return {
        "format": FORMAT,
        "tool": {"name": "paddle2torch", "version": __version__},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "passed": report.passed,
        "weights": report.weights,
        "direction": report.direction,
        **_bytes_of(source, converted),
        "mapping": {
            "family": plan.family.name,
            "architecture": plan.architecture,
            "target_architecture": plan.target_architecture,
            "tie_word_embeddings": plan.tie_word_embeddings,
            "moves": [
                {**_sources(move), "target": move.target, "transform": move.transform.name} for move in plan.moves
            ],
            **_left_out(plan),
        },
        "checks": [
            {name: value for name, value in check.to_json().items() if name != "details"} for check in report.checks
        ],
        "not_run": list(report.not_run),
        "declared_differences": [
            {"name": seen.name, "text": seen.text, "measured": seen.measured} for seen in report.declared_differences
        ],
        "inputs_digest": report.inputs_digest,
        "versions": dict(report.versions),
        "environments": report.environments(),
    }


def _left_out(plan: Plan | InversePlan) -> dict[str, Any]:
    """What of the source was left out, and on the way to Paddle also what was added."""
    if isinstance(plan, InversePlan):
        return {
            "tied": [{"source": name, "twin": twin} for name, twin in plan.repeated.items()],
            "dropped": [],
            "ignored": list(plan.ignored),
            "made": [name for name, _ in plan.made],
            "random": list(plan.random),
        }
    return {
        "tied": [{"source": rule.source, "twin": rule.twin} for rule in plan.tied],
        "dropped": [{"source": rule.source, "reason": rule.reason} for rule in plan.dropped],
        "ignored": [rule.source for rule in plan.ignored],
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


def check_certificate(source: str | Path, converted: Path) -> CheckResult:
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
            recorded = certificate[side][kind]
            compared += len(recorded)
            problems += differences(recorded, found[side][kind], f"{title} {kind[:-1]}")
    return CheckResult(
        name="certificate",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"{compared} hashes equal",
        measure="files and tensors that differ from the certificate",
        problems=tuple(problems),
    )


def _bytes_of(source: str | Path, converted: Path) -> dict[str, Any]:
    """Hashes of both sides. The configurations count: a changed activation is another model."""
    if is_paddle_folder(converted):
        found = find_torch_source(source)
        folder, weights = _folder_of(found.path), find_source(converted).files
        files = [*found.files, folder / "config.json", *plain_tokenizer_paths(folder)]
        return {
            "source": _side(files, source, found.path.resolve().name),
            "output": _side([*weights, converted / "config.json", *plain_tokenizer_paths(converted)], converted),
        }
    with open_checkpoint(source) as checkpoint:
        configuration = checkpoint.source.configuration
        name = checkpoint.source.pretrained if checkpoint.source.looked_up else checkpoint.source.path.resolve().name
        files = [*checkpoint.source.files]
        if configuration is not None and configuration.file is not None:
            files.append(configuration.file)
        files += tokenizer_paths(checkpoint.source)
    written = [path for path in visible_files(converted) if is_certified(path.name) and path.is_file()]
    outputs = dict.fromkeys([*find_weights(converted), converted / "config.json", *written])
    return {"source": _side(files, source, name), "output": _side(outputs, converted)}


def _side(files: Iterable[Path], path: str | Path, name: str | None = None) -> dict[str, Any]:
    """Hashes of the files that exist and of the tensors, with the name where there is one."""
    tensors = {
        tensor["name"]: {name: tensor[name] for name in ("dtype", "shape", "sha256")}
        for tensor in inspect_checkpoint(path, with_hash=True)
    }
    named = {"name": name} if name is not None else {}
    return {**named, "files": hash_files(file for file in files if file.exists()), "tensors": tensors}


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _sources(move: Move) -> dict[str, Any]:
    """What a move takes: one tensor as `source`, none or several as `sources`."""
    return {"source": move.source} if len(move.sources) == 1 else {"sources": list(move.sources)}
