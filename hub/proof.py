"""Whether a converted folder may be published: its certificate, and whether each byte is one it was made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..converters.checkpoints.checkpoint import HEAD_KEY
from ..converters.checkpoints.source import find_weights
from ..converters.checkpoints.targets import recorded_family
from ..converters.formats.safetensors_file import open_safetensors
from ..converters.outputs.alterations import UNALTERED, Alterations, read_alterations
from ..converters.outputs.certificate import (
    CERTIFICATE,
    architectures,
    certified_files,
    folder_problems,
    has_failed,
    odd_entries,
    read_certificate,
    recorded_problems,
)
from ..converters.outputs.folder import LICENSES, is_name_of_conversion
from ..converters.outputs.hashes import hash_files
from ..converters.outputs.record import own_record, weight_files
from ..errors import ParityError, PublishError, UnreadableFileError
from ..mappings.language.family import Model
from ..mappings.registry import NETWORKS, family_of_architecture
from .evidence import (
    Evidence,
    Kind,
    RecordedFile,
    kind_of_family,
    kind_of_network,
    read_evidence,
    recorded_files,
)


@dataclass(frozen=True)
class Proof:
    """What is known of a converted folder.

    `evidence` is that of a certificate made for these very bytes, else None. `doubts` say why the folder is not
    proven, without a path of this machine; none means that every byte was verified and every check passed. `files`
    are those to publish, the publisher's LICENSES included and the model card excepted, in the order of their names.
    `alterations` are those that the weights record.
    """

    folder: Path
    evidence: Evidence | None
    doubts: tuple[str, ...]
    files: tuple[RecordedFile, ...]
    kind: Kind
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
    configuration and PublishError for a foreign folder, for a file that has no business there, and when the
    configuration names another class than the certificate.
    """
    metadata = _metadata_of(weights := _weights_of(converted))
    alterations = read_alterations(weights[0], metadata)
    hashes = _certifiable(converted)
    certificate, doubts = _certificate_of(converted)
    recorded = evidence = None
    if certificate is not None:
        recorded = read_evidence(certificate, converted)
        _check_class(recorded.model, converted)
        doubts = _mismatches(certificate, converted, hashes)
        if not doubts:
            evidence = recorded
            doubts = _doubts_of(certificate, converted, allow_unverified)
    if doubts and not allow_unverified:
        advice = "run `paddle2torch verify`" if evidence is None else "convert and verify the published weights"
        raise PublishError(
            f"{converted}: {doubts[0]}; {advice}, or pass --allow-unverified, and the model card says it too"
        )
    hashes |= hash_files(converted / name for name in LICENSES if (converted / name).exists())
    if evidence is not None:
        # A certificate of other bytes would only mislead.
        hashes |= hash_files([converted / CERTIFICATE])
    kind, model = (recorded.kind, recorded.model) if recorded is not None else _model_of(converted, metadata)
    return Proof(converted, evidence, tuple(doubts), recorded_files(hashes), kind, model, alterations)


def _weights_of(converted: Path) -> tuple[Path, ...]:
    """The files of weights. Raises PublishError for a file and a PaddleNLP folder, and UnreadableFileError without
    weights."""
    if converted.is_file():
        raise PublishError(f"{converted}: is a file; what is published is the folder that holds it")
    found = weight_files(converted)
    paddle = [path for path in found if path.suffix == ".pdparams"]
    if paddle and len(paddle) < len(found):
        raise PublishError(f"{paddle[0]}: lies beside weights in safetensors, where no conversion wrote it; remove it")
    if paddle:
        kind = "that `convert --to paddle` wrote" if own_record(converted) else "of Paddle's weights"
        raise PublishError(
            f"{converted}: is a folder {kind}, and what is published is a Hugging Face folder with its proof: "
            f"`paddle2torch convert {converted} OUTPUT`, `paddle2torch verify {converted} OUTPUT`, then publish OUTPUT"
        )
    return find_weights(converted)


def _certifiable(converted: Path) -> dict[str, dict[str, Any]]:
    """The hashes of all files of a folder, hidden ones too, that are to be sent. Raises PublishError for a foreign
    folder, and for a folder, a link or a file that no conversion wrote: nothing of it goes out."""
    if odd := odd_entries(converted):
        raise PublishError(
            f"{converted / odd[0]}: is not a regular file; a converted folder holds nothing else, remove it"
        )
    files = certified_files(converted)
    if unknown := [path for path in files if not is_name_of_conversion(path.relative_to(converted).as_posix())]:
        raise PublishError(f"{unknown[0]}: no conversion wrote this file; remove it")
    if not own_record(converted):
        raise PublishError(
            f"{converted}: is a foreign folder, one that this package did not write (its weights lack the record); "
            "convert the checkpoint and publish what comes out"
        )
    return hash_files(files, converted)


def _check_class(model: Model, converted: Path) -> None:
    """Raise PublishError unless the configuration names the class that the weights were converted for."""
    named = architectures(converted / "config.json")
    if named != [model.target_architecture]:
        raise PublishError(
            f"{converted / 'config.json'}: names the architectures {named}; the weights were converted for "
            f"{model.target_architecture}: convert again"
        )


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


def _mismatches(certificate: Mapping[str, Any], converted: Path, hashes: Mapping[str, Any]) -> list[str]:
    """That a certificate was made for another folder, if so."""
    problems = folder_problems(certificate, converted, hashes)
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return [f"the certificate was made for other bytes: {problems[0]}{more}"] if problems else []


def _doubts_of(certificate: Mapping[str, Any], converted: Path, allow_unverified: bool) -> list[str]:
    """What a certificate of these very bytes says against publishing them."""
    doubts = recorded_problems(certificate)
    if has_failed(certificate) and not allow_unverified:
        raise ParityError(f"{converted}: {doubts[0]}; these weights are not those of the source")
    if certificate["weights"] == "seeded":
        doubts.append("the weights are seeded, that is random: good for tests only")
    return doubts


def _metadata_of(weights: Sequence[Path]) -> Mapping[str, str]:
    """What the files of weights record; without a certificate it may be the first of them alone that does."""
    opened = open_safetensors(weights[0])
    opened.source.close()
    return opened.metadata


def _model_of(converted: Path, metadata: Mapping[str, str]) -> tuple[Kind, Model]:
    """The model that a folder's config.json names by its architecture, or the weights by the head that lies beside, and
    its kind, as far as the weights record no other one."""
    config = converted / "config.json"
    named = [metadata[HEAD_KEY]] if HEAD_KEY in metadata else architectures(config)
    architecture = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else None
    network = next((one for one in NETWORKS.values() if one.target == architecture), None)
    if network is not None:
        return kind_of_network(network, network.name)
    family = recorded_family(weight_files(converted))
    if family is None and architecture is not None:
        family = family_of_architecture(architecture)
    if family is None or architecture is None:
        raise UnreadableFileError(f"{config}: names the architectures {named}, which belong to no known family")
    model = family.model(architecture)
    return kind_of_family(family, model), model
