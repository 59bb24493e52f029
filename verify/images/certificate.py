"""The certificate of a network: what was proven, bound to the bytes it was proven for."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ...converters.images.source import ImageSource
from ...converters.inspection import inspect_checkpoint, tensor_facts
from ...converters.outputs.certificate import (
    certified_files,
    differences,
    folder_problems,
    read_certificate,
    recorded_problems,
)
from ...converters.outputs.hashes import hash_files
from ...errors import ConfigurationError, UnknownNameError, UnmatchedTensorsError
from ..certificate import Stamps, certificate_of, files_of_folder, recorded_moves, stamps_of
from ..checks.files import check_files
from ..reports.result import CheckResult, Report
from .checks.files import rebuild
from .checks.weights import compare_weights
from .pair import NetworkPair, open_network_pair


def source_files(pair: NetworkPair) -> list[Path]:
    """The files of the source that the conversion reads."""
    characters = pair.found.characters
    dictionary = characters.dictionary if characters is not None else None
    return [*pair.source.files, *(one for one in (pair.source.training, dictionary) if one is not None)]


def stamps(pair: NetworkPair) -> Stamps:
    """The state of the files of both sides, to be compared by `check_stamps`."""
    return stamps_of([*source_files(pair), *files_of_folder(pair.converted)])


def hashes_of_files(pair: NetworkPair) -> dict[str, Any]:
    """The sha256 and the size of the files of both sides, for a report."""
    return {
        "source": hash_files(source_files(pair)),
        "output": hash_files(certified_files(pair.converted), pair.converted),
    }


def make_network_certificate(report: Report, pair: NetworkPair) -> dict[str, Any]:
    """The certificate of a report: as that of a model of PaddleNLP's, with the network's mapping."""
    return certificate_of(report, pair.converted, _sides(pair), _mapping(pair))


def _sides(pair: NetworkPair) -> dict[str, Any]:
    held = {fact["name"]: _hashed(fact) for fact in tensor_facts(pair.opened.stored, with_hash=True)}
    written = {fact["name"]: _hashed(fact) for fact in inspect_checkpoint(pair.converted, with_hash=True).tensors}
    return {
        "source": {
            "name": pair.source.path.resolve().name,
            "files": hash_files(source_files(pair)),
            "tensors": held,
        },
        "output": {"files": hash_files(certified_files(pair.converted), pair.converted), "tensors": written},
    }


def _hashed(fact: dict[str, Any]) -> dict[str, Any]:
    return {name: fact[name] for name in ("dtype", "shape", "sha256")}


def _mapping(pair: NetworkPair) -> dict[str, Any]:
    return {
        "family": pair.network.name,
        "architecture": pair.found.name,
        "target_architecture": pair.network.target,
        "tie_word_embeddings": True,
        **(
            {"renamed": {f"{pair.opened.prefix}{name}": name for name in pair.opened.tensors}}
            if pair.opened.prefix
            else {}
        ),
        "moves": recorded_moves(pair.found.moves),
        "tied": [],
        "dropped": [
            {"source": name, "reason": reason} for reason, names in pair.found.dropped.items() for name in names
        ],
        "ignored": [],
    }


def check_network_certificate(source: ImageSource, converted: Path, library: Path | None = None) -> CheckResult:
    """Compare an existing certificate with the files of both sides, and when these are right, convert in thought: as
    `check_certificate` does for models of PaddleNLP's. Raises as that."""
    certificate = read_certificate(converted)
    problems, compared = list(recorded_problems(certificate)), 0
    try:
        with (
            open_network_pair(source, converted, certificate["mapping"]["family"], library) as pair,
            tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch,
        ):
            found = _sides(pair)
            compared = sum(len(found[side][kind]) for side in ("source", "output") for kind in ("files", "tensors"))
            problems += [
                *differences(certificate["source"]["files"], found["source"]["files"], "source file"),
                *differences(certificate["source"]["tensors"], found["source"]["tensors"], "source tensor"),
                *folder_problems(certificate, converted, found["output"]["files"]),
                *differences(certificate["output"]["tensors"], found["output"]["tensors"], "converted tensor"),
            ]
            if not problems:
                if certificate["mapping"] != json.loads(json.dumps(_mapping(pair))):
                    problems.append("the recorded mapping is not that of this source")
                problems += [f"weights: {problem}" for problem in compare_weights(pair)[0]]
                if not pair.is_foreign:
                    problems += [
                        f"files: {one}" for one in check_files(converted, rebuild(pair, Path(scratch))).problems
                    ]
    except (ConfigurationError, UnknownNameError, UnmatchedTensorsError) as error:
        problems.append(f"the source does not convert to what the certificate says: {error}")
    return CheckResult(
        name="certificate",
        passed=not problems,
        worst=float(len(problems)),
        limit=0.0,
        where=problems[0] if problems else f"{compared} hashes and the mapping equal, weights and files checked again",
        measure="files and tensors that differ from the certificate, or from what the source converts to",
        problems=tuple(problems),
    )
