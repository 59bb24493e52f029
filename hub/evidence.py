"""What a certificate says, as the model card needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..converters.checkpoints.snapshot import HubName, parse_hub_name
from ..converters.images.documents import using_lines
from ..converters.outputs.card import loading_lines
from ..converters.outputs.certificate import CERTIFICATE, accidents
from ..errors import UnknownNameError, UnreadableFileError
from ..mappings.language.alternative import becoming
from ..mappings.language.family import Family, Model
from ..mappings.language.images.network import Network
from ..mappings.language.limits import Withdrawn
from ..mappings.language.pretrained import MARK, Pretrained
from ..mappings.registry import NETWORKS, PRETRAINED, get_family


@dataclass(frozen=True)
class Kind:
    """A kind of model for a card: its `name`, the `library` that trained it, the lines of its citation, why
    transformers no longer has it, the alternative that the weights became, and `notes` on it. `network` is that of a
    network."""

    name: str
    library: str = "PaddleNLP"
    citation: tuple[str, ...] = ()
    withdrawn: Withdrawn | None = None
    target: str | None = None
    notes: tuple[str, ...] = ()
    network: Network | None = None

    def loading_lines(self, model: Model, place: str, prepared: bool) -> list[str]:
        """Python that loads the model at `place`, a path or a repository, and with `prepared` what prepares its inputs
        too: the tokenizer, or the image processor."""
        if self.network is not None:
            return list(using_lines(self.network, place, prepared))
        return loading_lines(model.auto_class, place, prepared)


def kind_of_family(family: Family, model: Model) -> Kind:
    """The kind of a model of PaddleNLP's."""
    notes = family.target_notes(model.target_architecture)
    return Kind(family.name, citation=family.citation, withdrawn=family.withdrawn, target=family.target, notes=notes)


def kind_of_network(network: Network, name: str) -> tuple[Kind, Model]:
    """The kind of a network, and what stands for its class: the `name` by which it was recognised."""
    kind = Kind(network.name, network.builder, network.citation, notes=(f"{network.title}, {name}",), network=network)
    return kind, Model(name, network.target, auto_class=network.auto_class)


def recorded_kind(family: str, architecture: str, target: str | None) -> tuple[Kind, Model]:
    """The kind and the model that a certificate names. Raises UnknownNameError."""
    if family in NETWORKS:
        return kind_of_network(NETWORKS[family], architecture)
    known = becoming(get_family(family), target)
    model = known.model(architecture)
    return kind_of_family(known, model), model


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
class RecordedEnvironment:
    """A torch environment that PaddleNLP was compared with, and what was found there."""

    name: str
    versions: Mapping[str, str]
    checks: tuple[RecordedCheck, ...]


@dataclass(frozen=True)
class Evidence:
    """The contents of a certificate. `source_name` is a pretrained name, hf:OWNER/NAME@COMMIT of the Hub, or the last
    part of a path; None in
    certificates that do not record it. `accidents` are checks that could not be run, in a line each.
    `not_covered` is what no check covers, each with the reason. `differences` are declared ones: name, text and
    measured size."""

    created: str
    tool: str
    weights: str
    source_name: str | None
    source_files: tuple[RecordedFile, ...]
    kind: Kind
    model: Model
    tensors: int
    tied: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    checks: tuple[RecordedCheck, ...]
    not_run: tuple[str, ...]
    not_covered: tuple[str, ...]
    accidents: tuple[str, ...]
    environments: tuple[RecordedEnvironment, ...]
    differences: tuple[tuple[str, str, float | str | None], ...]
    versions: Mapping[str, str]

    @property
    def pretrained(self) -> Pretrained | None:
        """The published weights that the source was, None for seeded and local ones whatever their name."""
        return PRETRAINED.get(self.source_name or "") if self.weights == "published" else None

    @property
    def community(self) -> str | None:
        """The name in PaddleNLP's community of the published weights that the source was."""
        name = self.source_name or ""
        return name.removeprefix(MARK) if self.weights == "published" and name.startswith(MARK) else None

    @property
    def hub(self) -> HubName | None:
        """The repository on the Hub that the source was, at a commit; None where its name is not of that form."""
        if self.weights != "hub" or self.source_name is None:
            return None
        with suppress(UnknownNameError):
            return parse_hub_name(self.source_name)
        return None


def read_evidence(certificate: Mapping[str, Any], converted: Path) -> Evidence:
    """The evidence in the certificate of the folder `converted`, as `read_certificate` gives it. Raises
    UnreadableFileError for one that names a class that is not known here."""
    mapping = certificate["mapping"]
    try:
        kind, model = recorded_kind(mapping["family"], mapping["architecture"], mapping.get("target"))
    except UnknownNameError as error:
        raise UnreadableFileError(f"{converted / CERTIFICATE}: {error}") from error
    if model.target_architecture != mapping["target_architecture"]:
        raise UnreadableFileError(
            f"{converted / CERTIFICATE}: says that {model.source} becomes {mapping['target_architecture']}; "
            f"{model.target_architecture} is known"
        )
    tool = certificate["tool"]
    return Evidence(
        created=certificate["created"],
        tool=f"{tool['name']} {tool['version']}",
        weights=certificate["weights"],
        source_name=certificate["source"].get("name"),
        source_files=recorded_files(certificate["source"]["files"]),
        kind=kind,
        model=model,
        tensors=len(certificate["output"]["tensors"]),
        tied=tuple(entry["source"] for entry in mapping["tied"]),
        dropped=tuple((entry["source"], entry["reason"]) for entry in mapping["dropped"]),
        checks=_checks(certificate["checks"]),
        not_run=tuple(certificate["not_run"]),
        # Older ones have no such entry.
        not_covered=tuple(certificate.get("not_covered", ())),
        accidents=tuple(accidents(certificate)),
        environments=tuple(
            RecordedEnvironment(entry["name"], entry["versions"], _checks(entry["checks"]))
            for entry in certificate["environments"]
        ),
        differences=tuple(
            (entry["name"], entry["text"], entry["measured"]) for entry in certificate["declared_differences"]
        ),
        versions=certificate["versions"],
    )


def _checks(entries: Iterable[Mapping[str, Any]]) -> tuple[RecordedCheck, ...]:
    names = [field.name for field in fields(RecordedCheck)]
    return tuple(RecordedCheck(**{name: entry[name] for name in names}) for entry in entries)


def recorded_files(files: Mapping[str, Mapping[str, Any]]) -> tuple[RecordedFile, ...]:
    """Files by name as a certificate holds them, {"sha256", "bytes"} each."""
    return tuple(RecordedFile(name, entry["sha256"], entry["bytes"]) for name, entry in sorted(files.items()))
