"""What the tensors of a network are, and what the training configuration says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import ConfigurationError, UnmatchedTensorsError, UnreadableFileError
from ...mappings.language.images.network import Network, Sizes
from ...mappings.language.images.preparation import Preparation
from ...mappings.language.matching.plan import TensorFacts
from ...mappings.language.rules import Kind, Move, Rule
from ...mappings.refused import REFUSED_BACKBONES
from ...mappings.registry import NETWORKS, get_network
from ..formats.exports.file import open_export
from ..formats.pdparams import PdparamsFile, open_pdparams
from ..formats.tensors import Tensor
from .architecture import check_architecture
from .characters import Characters, read_characters
from .names import without_prefix
from .source import ImageSource
from .training import Training, read_training


class OpenedNetwork:
    """The tensors of a network, which stay on disk until they are read, under its own names. Use it as a context
    manager. `stored` are all tensors in the file, under the names there."""

    def __init__(self, source: ImageSource) -> None:
        """Open the weights. Raises UnreadableFileError and RefusedFileError."""
        self.source = source
        self.file: PdparamsFile = open_export(source.weights) if source.is_export else open_pdparams(source.weights)
        self.stored = dict(self.file.tensors)
        if not self.stored:
            self.file.close()
            raise UnreadableFileError(f"{source.weights}: holds no tensor")

    @cached_property
    def _names(self) -> tuple[str, dict[str, str]]:
        try:
            return without_prefix(self.stored)
        except UnmatchedTensorsError as error:
            raise UnmatchedTensorsError(f"{self.source.weights}: {error}") from error

    @property
    def prefix(self) -> str:
        """What stands before the names. Raises UnmatchedTensorsError, as `tensors` and `others` do, where there are
        several networks and they are no distillation's."""
        return self._names[0]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors by the network's own names."""
        return {name: self.stored[stored] for name, stored in self._names[1].items()}

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The tensors of other networks in the file."""
        kept = set(self._names[1].values())
        return tuple(name for name in self.stored if name not in kept)

    @property
    def facts(self) -> dict[str, TensorFacts]:
        """Element type and shape of each tensor."""
        return {name: TensorFacts(tensor.dtype.name, tensor.shape) for name, tensor in self.tensors.items()}

    def check_unchanged(self) -> None:
        """Raise SourceChangedError when the weights changed since they were opened."""
        self.file.check_unchanged()

    def __enter__(self) -> OpenedNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


OF_ANOTHER = "; of a model of PaddleNLP's that was exported, give the .pdparams of the training"


@dataclass(frozen=True)
class RecognisedNetwork:
    """What a network was recognised as: its kind and sizes, its rules, the training configuration, the characters, and
    how pictures are prepared, None of each where there is none. `guesses` and `notes` are to be printed, `cautions`
    too, whatever else is not."""

    network: Network
    sizes: Sizes
    rules: tuple[Rule, ...]
    training: Training | None
    characters: Characters | None
    preparation: Preparation
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
    cautions: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the network is called: its official name where the configuration states one, else its kind."""
        stated = self.training.model_name if self.training is not None else None
        return stated if stated is not None and stated in self.network.official else self.network.name

    @property
    def thresholds(self) -> Mapping[str, float]:
        """What makes boxes of a detector's map, as the training configuration says; nothing of other networks."""
        if self.training is None or self.network.task != "detection":
            return {}
        return self.training.thresholds

    @property
    def moves(self) -> tuple[Move, ...]:
        """What is written."""
        return tuple(move for rule in self.rules if rule.kind is Kind.MAPPED for move in rule.moves())

    @property
    def dropped(self) -> dict[str, tuple[str, ...]]:
        """The reasons why tensors are dropped, each with their names."""
        found: dict[str, tuple[str, ...]] = {}
        for rule in self.rules:
            if rule.kind is Kind.DROPPED:
                found[str(rule.reason)] = (*found.get(str(rule.reason), ()), *rule.sources)
        return found


def recognise_network(
    opened: OpenedNetwork, family: str | None = None, no_characters: bool = False, library: Path | None = None
) -> RecognisedNetwork:
    """Settle the kind and the sizes of a network by its tensors, and what the training configuration says of it.

    `family` overrides the kind. With `no_characters`, neither characters nor the preparation of pictures are settled.
    `library` is a copy of PaddleOCR, for its dictionaries. Raises UnknownNameError, ConfigurationError and
    UnmatchedTensorsError.
    """
    source = opened.source
    training = read_training(source.training) if source.training is not None else None
    if training is not None:
        _refuse_backbone(training, opened.prefix)
    network, sizes, guesses = _kind(opened, family, training)
    if problems := network.problems(sizes, opened.facts):
        raise UnmatchedTensorsError(f"{source.weights}: the tensors do not fit {network.name}: {'; '.join(problems)}")
    notes, cautions = [], []
    if opened.prefix:
        notes.append(f"the names of the tensors begin with {opened.prefix}, which is left out")
    if opened.others:
        notes.append(f"{len(opened.others)} tensors of the distillation's other networks are left out")
    if source.passed_over:
        others = ", ".join(source.passed_over)
        notes.append(f"{source.weights.name} is read, and not {others} beside it; pass the file if that is meant")
    if training is not None:
        check_architecture(network, sizes, training.section(opened.prefix), str(training.path))
    if sizes.get("fused"):
        notes.append(
            "the blocks are fused, as exports have them: each convolution becomes the first branch of its block, and "
            "what transformers' class has besides adds nothing"
        )
    characters = None
    if network.task == "recognition" and not no_characters:
        characters = read_characters(source, training, int(sizes["classes"]), library)
        notes.append(characters.line)
        guesses += (characters.guess,) if characters.guess is not None else ()
        if characters.reversed:
            cautions.append(
                "PaddleOCR turns texts around that it reads with an Arabic dictionary; transformers' image processor "
                "does not: turn each text around yourself"
            )
    preparation = _prepared(network, sizes, source, training) if not no_characters else NOT_PREPARED
    notes += preparation.notes
    if training is not None and network.task == "detection" and training.thresholds:
        said = ", ".join(f"{name}={value}" for name, value in training.thresholds.items())
        notes.append(
            f"boxes: the training configuration has {said}, for which no file of transformers has a place: hand them "
            "to post_process_object_detection"
        )
    rules = network.rules(sizes)
    cautions += network.cautions(sizes) if network.cautions is not None else ()
    cautions += dict.fromkeys(str(rule.reason) for rule in rules if rule.reason in network.losses)
    return RecognisedNetwork(
        network, sizes, rules, training, characters, preparation, guesses, tuple(notes), tuple(cautions)
    )


NOT_PREPARED = Preparation({}, ())
"""Where the weights alone are converted."""


def _prepared(network: Network, sizes: Sizes, source: ImageSource, training: Training | None) -> Preparation:
    """How pictures are prepared. Raises ConfigurationError with the file that says it."""
    try:
        found = network.prepare(training.transforms if training is not None else ())
        side = int(sizes[network.square]) if network.square is not None else None
        if side is not None and set(found.fields["pad_size"].values()) != {side}:
            raise ConfigurationError(
                f"pictures are prepared {found.fields['pad_size']['height']} pixels high, and the network takes "
                f"squares of {side} alone"
            )
        return found
    except ConfigurationError as error:
        origin = training.path if training is not None else source.path
        raise ConfigurationError(
            f"{origin}: {error}; the weights alone convert, without an image processor, with --no-tokenizer"
        ) from error


def _refuse_backbone(training: Training, prefix: str) -> None:
    """Raise ConfigurationError, with the reason, for a backbone that is known to have no class in transformers."""
    backbone = training.section(prefix).get("Backbone")
    name = backbone.get("name") if isinstance(backbone, Mapping) else None
    if isinstance(name, str) and name in REFUSED_BACKBONES:
        raise ConfigurationError(f"{training.path}: the backbone {name} is refused: {REFUSED_BACKBONES[name]}")


def _kind(
    opened: OpenedNetwork, family: str | None, training: Training | None
) -> tuple[Network, Sizes, tuple[str, ...]]:
    """The kind of a network and its sizes: as it is named, else the one that its tensors fit."""
    shapes = {name: tensor.shape for name, tensor in opened.tensors.items()}
    if family is not None:
        chosen = get_network(family)
        sizes = chosen.measured(shapes)
        if sizes is None:
            raise UnmatchedTensorsError(
                f"{opened.source.weights}: the tensors are not those of {family}, {chosen.title}{_seen(shapes)}"
            )
        return chosen, sizes, ()
    found = [(network, sizes) for network in NETWORKS.values() if (sizes := network.measured(shapes)) is not None]
    if len(found) > 1 and training is not None:
        # Their tensors are alike, and the configuration says what none of them tells.
        section = training.section(opened.prefix)
        found = [one for one in found if _describes(*one, section)] or found
    if len(found) != 1:
        fitting = " and ".join(network.name for network, _ in found)
        raise UnmatchedTensorsError(
            f"{opened.source.weights}: the tensors fit {fitting}; choose with --family"
            if found
            else f"{opened.source.weights}: the tensors are those of no known network{_seen(shapes)}; known are "
            f"{', '.join(NETWORKS)}{OF_ANOTHER if opened.source.is_export else ''}"
        )
    network, sizes = found[0]
    stated = training.model_name if training is not None else None
    if stated is None or stated not in network.official:
        return network, sizes, (f"{network.name}, from the names and shapes of the tensors",)
    return network, sizes, ()


def _describes(network: Network, sizes: Sizes, section: Mapping[str, Any]) -> bool:
    """Whether a training configuration's section is that of a network."""
    try:
        check_architecture(network, sizes, section, "")
    except ConfigurationError:
        return False
    return True


def _seen(shapes: Mapping[str, Any]) -> str:
    """The parts that tensors belong to, for a message."""
    parts = sorted({".".join(name.split(".")[:2]) for name in shapes})
    more = f" and {len(parts) - 8} more" if len(parts) > 8 else ""
    return f" (they belong to {', '.join(parts[:8])}{more})"
