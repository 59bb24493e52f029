"""Whether a converted folder may be published: its certificate, and whether each byte is one it was made for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..converters.checkpoints.source import find_weights
from ..converters.formats.safetensors_file import open_safetensors
from ..converters.outputs.alterations import UNALTERED, Alterations, read_alterations
from ..converters.outputs.certificate import (
    CERTIFICATE,
    hash_files,
    match_output_files,
    read_certificate,
    visible_files,
)
from ..converters.outputs.folder import is_name_of_conversion
from ..errors import ParityError, PublishError, UnreadableFileError
from ..mappings.language.family import Family, Model
from ..mappings.registry import family_of_architecture
from .evidence import Evidence, RecordedFile, read_evidence, recorded_files

MODEL_CARD = "README.md"


@dataclass(frozen=True)
class Proof:
    """What is known of a converted folder.

    `evidence` is that of a certificate made for these very bytes, else None. `doubts` say why the folder is not
    proven, without a path of this machine; none means that every byte was verified and every check passed. `files`
    are those to publish, the model card excepted, in the order of their names. `alterations` are those that the
    weights record.
    """

    folder: Path
    evidence: Evidence | None
    doubts: tuple[str, ...]
    files: tuple[RecordedFile, ...]
    family: Family
    model: Model
    alterations: Alterations = UNALTERED

    @property
    def seeded(self) -> bool:
        """Whether the weights are known to be random ones."""
        return self.evidence is not None and self.evidence.weights == "seeded"


def examine(converted: Path, allow_unverified: bool) -> Proof:
    """Compare a converted folder with its certificate, byte for byte.

    Without `allow_unverified` every doubt is an error: ParityError when a check recorded a failure for these bytes,
    PublishError otherwise. Whatever is allowed, raises UnreadableFileError for a folder without weights or
    configuration and PublishError for a file that has no business there.
    """
    alterations = _alterations_of(find_weights(converted))
    family, model = _model_of(converted / "config.json")
    visible = visible_files(converted)
    if odd := [path for path in visible if not path.is_file()]:
        raise PublishError(f"{odd[0]}: is not a regular file; a converted folder holds nothing else, remove it")
    hashes = hash_files(path for path in visible if path.name != MODEL_CARD)
    certificate, doubts = _certificate_of(converted)
    known = certificate["output"]["files"].keys() if certificate is not None else ()
    if foreign := [name for name in hashes if name not in known and not is_name_of_conversion(name)]:
        raise PublishError(
            f"{converted / foreign[0]}: no conversion wrote this file and no certificate knows it; remove it"
        )
    evidence = None
    if certificate is not None and not (doubts := _mismatches(certificate, hashes)):
        evidence = read_evidence(certificate, converted)
        doubts = _doubts_of(evidence, converted, allow_unverified)
    if doubts and not allow_unverified:
        advice = "run `paddle2torch verify`" if evidence is None else "convert and verify the published weights"
        raise PublishError(
            f"{converted}: {doubts[0]}; {advice}, or pass --allow-unverified, and the model card says it too"
        )
    if evidence is None:
        # A certificate of other bytes would only mislead.
        hashes.pop(CERTIFICATE, None)
    return Proof(converted, evidence, tuple(doubts), recorded_files(hashes), family, model, alterations)


def _certificate_of(converted: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The certificate, or None and why there is none."""
    if not (converted / CERTIFICATE).exists():
        words = "of a verification; one that could not be run leaves none"
        return None, [f"there is no certificate ({CERTIFICATE}) {words}"]
    try:
        certificate = read_certificate(converted)
        read_evidence(certificate, converted)
    except UnreadableFileError as error:
        return None, [str(error).replace(str(converted / CERTIFICATE), CERTIFICATE)]
    return certificate, []


def _mismatches(certificate: Mapping[str, Any], hashes: Mapping[str, Any]) -> list[str]:
    """That a certificate was made for other bytes, if so."""
    problems = match_output_files(certificate, hashes)
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return [f"the certificate was made for other bytes: {problems[0]}{more}"] if problems else []


def _doubts_of(evidence: Evidence, converted: Path, allow_unverified: bool) -> list[str]:
    doubts = [f"the check {check.name} found a difference: {check.where}" for check in evidence.failed]
    if doubts and not allow_unverified:
        raise ParityError(f"{converted}: {doubts[0]}; these weights are not those of the source")
    if not doubts and not (evidence.passed and evidence.checks):
        doubts.append("the certificate records a verification that did not pass")
    if evidence.weights == "seeded":
        doubts.append("the weights are seeded, that is random: good for tests only")
    return doubts


def _alterations_of(weights: Sequence[Path]) -> Alterations:
    """What the files of weights record as altered; without a certificate it may be the first of them alone."""
    opened = open_safetensors(weights[0])
    opened.source.close()
    return read_alterations(weights[0], opened.metadata)


def _model_of(config: Path) -> tuple[Family, Model]:
    """Family and model that a config.json names by its architecture."""
    try:
        architecture = json.loads(config.read_text("utf-8"))["architectures"][0]
        family = family_of_architecture(architecture)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UnreadableFileError(
            f"{config}: is no configuration that `paddle2torch convert` wrote: {error}"
        ) from error
    if family is None:
        raise UnreadableFileError(
            f"{config}: names the architecture {architecture!r}, which belongs to no known family"
        )
    return family, family.model(architecture)
