"""The parity certificate: what was proven, bound to the bytes it was proven for."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import __version__
from ..converters.checkpoints.snapshot import name_of_place, origin_of
from ..converters.checkpoints.source import find_source, is_paddle_folder
from ..converters.checkpoints.torch_checkpoint import find_torch_source
from ..converters.inspection import inspect_checkpoint
from ..converters.outputs.certificate import (
    CERTIFICATE,
    FORMAT,
    certificate_schema,
    certified_files,
    differences,
    folder_problems,
    odd_entries,
    read_certificate,
    recorded_problems,
)
from ..converters.outputs.hashes import hash_files
from ..converters.outputs.record import own_record
from ..converters.outputs.schema import problems as schema_problems
from ..converters.tokenizers.files import plain_tokenizer_paths, tokenizer_paths
from ..errors import ConfigurationError, OutputError, SourceChangedError, UnknownNameError, UnmatchedTensorsError
from ..mappings.language.beside import HEAD_FILE
from ..mappings.language.matching.inverse import InversePlan
from ..mappings.language.matching.plan import Plan
from ..mappings.language.rules import Move
from .check import Context
from .checks import all_checks
from .reports.result import CheckResult, Report
from .runners.forward import Runners
from .sides.pair import find_pair, open_pair, refuse_swapped
from .sides.way_back import UnfitOutputError

Stamps = dict[Path, tuple[int, int, int, int]]
"""Inode, size and the times of modification and change of files. The last cannot be set back by whoever writes."""


def stamp_files(source: str | Path, converted: Path, config: Path | None = None) -> Stamps:
    """The state of the files of both sides that a certificate covers, to be compared by `check_stamps`: what the
    conversion reads of the source, and whatever lies in the converted folder. Raises UnreadableFileError."""
    return stamps_of([*_source_files(source, converted, config)[1], *files_of_folder(converted)])


def files_of_folder(converted: Path) -> list[Path]:
    """Whatever lies in a converted folder. Raises UnreadableFileError."""
    return [*certified_files(converted), *(converted / name for name in odd_entries(converted))]


def stamps_of(paths: Iterable[Path]) -> Stamps:
    """The state of files, of those that are there."""
    stamps: Stamps = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            stamps[path] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return stamps


def check_stamps(before: Stamps, after: Stamps) -> None:
    """Raise SourceChangedError when a file changed, came or went: its hash is not that of what was verified."""
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            raise SourceChangedError(f"{path}: changed while it was being verified; try again when it is complete")


def make_certificate(
    report: Report, plan: Plan | InversePlan, source: str | Path, converted: Path, config: Path | None = None
) -> dict[str, Any]:
    """The certificate of a report: hashes of source and output per file and per tensor (sha256 of the elements in
    C order), the mapping, checks with limits and worst values, inputs, versions, origin of the weights. The source is
    named by its pretrained name where that led to it, by its repository on the Hub and the commit, else by the last
    part of its path. `config` is a file that was
    its configuration."""
    return certificate_of(report, converted, _bytes_of(source, converted, config), _mapping(plan))


def certificate_of(
    report: Report, converted: Path, sides: Mapping[str, Any], mapping: Mapping[str, Any]
) -> dict[str, Any]:
    """The certificate of a report on two `sides`, whose hashes these are, and between which this is the mapping."""
    document = report.to_json()
    return {
        "format": FORMAT,
        "tool": {"name": "paddle2torch", "version": __version__},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "passed": report.passed,
        "foreign": not own_record(converted),
        "weights": report.weights,
        "direction": report.direction,
        **sides,
        "mapping": dict(mapping),
        "checks": [{name: value for name, value in check.items() if name != "details"} for check in document["checks"]],
        "not_run": list(report.not_run),
        "could_not_run": dict(report.accidents),
        "not_covered": list(report.not_covered),
        "environments": report.environments(),
        "declared_differences": document["declared_differences"],
        "inputs_digest": report.inputs_digest,
        "versions": dict(report.versions),
    }


def _mapping(plan: Plan | InversePlan) -> dict[str, Any]:
    """How the source's tensors become the output's."""
    return {
        "family": plan.family.name,
        "architecture": plan.architecture,
        "target_architecture": plan.target_architecture,
        **({"target": plan.family.target} if plan.family.target is not None else {}),
        "tie_word_embeddings": plan.tie_word_embeddings,
        **({"renamed": dict(plan.renamed)} if plan.renamed else {}),
        "moves": recorded_moves(plan.moves),
        **_left_out(plan),
    }


def recorded_moves(moves: Iterable[Move]) -> list[dict[str, Any]]:
    """What is written, and of what it is made, as a certificate records it."""
    return [{**_sources(move), "target": move.target, "transform": move.transform.name} for move in moves]


def _left_out(plan: Plan | InversePlan) -> dict[str, Any]:
    """What of the source was left out, and on the way to Paddle also what was added."""
    if isinstance(plan, InversePlan):
        return {
            "tied": [{"source": name, "twin": twin} for name, twin in plan.repeated.items()],
            "dropped": [
                {"source": name, "reason": reason} for reason, names in plan.drop_reasons.items() for name in names
            ],
            "ignored": [name for name, _ in plan.ignored],
            "made": [name for name, _, _ in plan.made],
            "random": list(plan.random),
        }
    return {
        "tied": [{"source": rule.source, "twin": rule.twin} for rule in plan.tied],
        "dropped": [{"source": rule.source, "reason": rule.reason} for rule in plan.dropped],
        "ignored": [rule.source for rule in plan.ignored],
    }


def refusal_of(report: Report, full: bool, place: Path | None, converted: Path) -> str | None:
    """Why no certificate of a report is written, None where one is; `full` says that no default check was left out, and
    `place` is the folder for it."""
    if not full:
        return "it is written when no default check is left out"
    if any(side.accidents for side in report.sides):
        return "not every check could be run"
    if place is None:
        return f"nothing is written into {converted}, which is not this package's; --report-dir gives it a place"
    return None


def find_place(converted: Path, elsewhere: Path | None) -> Path | None:
    """The folder into which the certificate of a converted folder is written: itself, where it is this package's own
    and neither read-only nor in the Hub's cache, else `elsewhere`; None for a foreign folder without that, and for one
    in the cache. Raises OutputError for a read-only one without that, before minutes are spent on the checks."""
    if not own_record(converted) or origin_of(converted) is not None:
        return elsewhere
    if elsewhere is None and not os.access(converted, os.W_OK | os.X_OK):
        raise OutputError(
            f"{converted}: is read-only, and {CERTIFICATE} would be written into it; --report-dir DIR gives it another "
            "place, --no-certificate leaves it"
        )
    return converted if os.access(converted, os.W_OK | os.X_OK) else elsewhere


def write_certificate(folder: Path, certificate: Mapping[str, Any]) -> Path:
    """Write the certificate into a folder, replacing an older one whole. Raises OutputError; LookupError for one that
    is not in the form of its schema, which would be unreadable."""
    path = folder / CERTIFICATE
    if (problem := next(schema_problems(certificate, certificate_schema()), None)) is not None:
        raise LookupError(f"{path}: {problem}")
    temporary = folder / f".{CERTIFICATE}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(certificate, indent=1, allow_nan=False) + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def check_certificate(source: str | Path, converted: Path, config: Path | None = None) -> CheckResult:
    """Compare an existing certificate with the files of both sides through their hashes, and when these are right,
    convert in thought: the checks that need no framework compare the sides themselves, so that a certificate that was
    edited together with the files fails too.

    It also fails when the certificate itself records a failure, or a check that could not be run. Raises
    UnreadableFileError when there is no certificate or it cannot be understood, ConfigurationError when the arguments
    are swapped, and the Paddle2TorchErrors of `open_pair`.
    """
    refuse_swapped(source, converted)
    certificate = read_certificate(converted)
    found = _bytes_of(source, converted, config)
    compared = sum(len(found[side][kind]) for side in ("source", "output") for kind in ("files", "tensors"))
    problems = [
        *recorded_problems(certificate),
        *differences(certificate["source"]["files"], found["source"]["files"], "source file"),
        *differences(certificate["source"]["tensors"], found["source"]["tensors"], "source tensor"),
        *folder_problems(certificate, converted, found["output"]["files"]),
        *differences(certificate["output"]["tensors"], found["output"]["tensors"], "converted tensor"),
    ]
    recomputed: list[str] = []
    if not problems:
        problems, recomputed = _recomputed(certificate, source, converted, config)
    return CheckResult(
        name="certificate",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0]
        if problems
        else f"{compared} hashes and the mapping equal, {' and '.join(recomputed)} checked again",
        measure="files and tensors that differ from the certificate, or from what the source converts to",
        problems=tuple(problems),
    )


def _recomputed(
    certificate: Mapping[str, Any], source: str | Path, converted: Path, config: Path | None
) -> tuple[list[str], list[str]]:
    """What is wrong with the files when they are compared anew, without a framework, under the class that the
    certificate names; and the names of the checks that were run."""
    mapping = certificate["mapping"]
    found = find_pair(source, converted, config)
    problems: list[str] = []
    checks = [check for check in all_checks() if not check.needs.frameworks and not check.needs.published]
    try:
        with (
            open_pair(found, converted, mapping["family"], mapping["architecture"], mapping.get("target")) as pair,
            tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch,
            Runners() as runners,
        ):
            if mapping != json.loads(json.dumps(_mapping(pair.certified))):
                problems.append("the recorded mapping is not that of this source")
            context = Context(pair, pair.inputs(), runners, Path(scratch))
            for check in checks:
                result = check.run(context).result
                if result is not None and not result.passed:
                    problems += [f"{check.name}: {problem}" for problem in result.problems or (result.where,)]
    except (ConfigurationError, UnknownNameError, UnmatchedTensorsError, UnfitOutputError) as error:
        problems.append(f"the source does not convert to what the certificate says: {error}")
    return problems, [check.name for check in checks]


def _bytes_of(source: str | Path, converted: Path, config: Path | None) -> dict[str, Any]:
    """Hashes of both sides. The configurations count: a changed activation is another model."""
    name, files = _source_files(source, converted, config)
    return {
        "source": {"name": name, **_commit_of(source), **_hashes(files, source)},
        "output": _hashes(certified_files(converted), converted, converted),
    }


def _source_files(source: str | Path, converted: Path, config: Path | None) -> tuple[str, list[Path]]:
    """The name of a source, without its place, and the files of it that a conversion reads."""
    if is_paddle_folder(converted):
        torch = find_torch_source(source)
        folder = _folder_of(torch.path)
        return _name_of(torch.path), [
            *torch.files,
            folder / HEAD_FILE,
            folder / "config.json",
            *plain_tokenizer_paths(folder),
        ]
    found = find_source(source, config)
    files = [*found.files, *([found.index] if found.index is not None else [])]
    if found.configuration is not None and found.configuration.file is not None:
        files.append(found.configuration.file)
    name = found.pretrained if found.looked_up and found.pretrained else _name_of(found.path)
    return name, [*files, *tokenizer_paths(found)]


def _name_of(path: Path) -> str:
    return path.resolve().name if origin_of(path) is None else name_of_place(path)


def _commit_of(source: str | Path) -> dict[str, str | None]:
    origin = origin_of(source)
    return {} if origin is None else {"commit": origin.revision}


def _hashes(files: Iterable[Path], path: str | Path, root: Path | None = None) -> dict[str, Any]:
    """Hashes of the files that exist, and of the tensors of the checkpoint `path`."""
    tensors = {
        tensor["name"]: {name: tensor[name] for name in ("dtype", "shape", "sha256")}
        for tensor in inspect_checkpoint(path, with_hash=True).tensors
    }
    return {"files": hash_files((file for file in files if file.exists()), root), "tensors": tensors}


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _sources(move: Move) -> dict[str, Any]:
    """What a move takes: one tensor as `source`, none or several as `sources`."""
    return {"source": move.source} if len(move.sources) == 1 else {"sources": list(move.sources)}
