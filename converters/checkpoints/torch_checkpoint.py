"""A Hugging Face checkpoint, opened: its configuration and its tensors, which stay on disk until they are read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigurationError, UnknownNameError, UnmatchedTensorsError, UnreadableFileError
from ...mappings.language.alternative import becoming, of_type
from ...mappings.language.family import Family
from ...mappings.language.matching.inverse import InversePlan, backbone_targets, fitting_targets, make_inverse_plan
from ...mappings.language.matching.naming import Naming, settle_names
from ...mappings.language.matching.plan import TensorFacts
from ...mappings.language.transforms import matrix_shape
from ...mappings.registry import FAMILIES, NETWORKS, family_of_architecture, get_family
from ..formats.casting import number_of, widened
from ..formats.tensors import Tensor
from .checkpoint import Checkpoint, open_files
from .comparison import bit_equal, counted, is_computed
from .configuration import label_notes
from .lookalikes import held_instead, program_file
from .source import TRAINING_FILE, Source, listed_shards
from .targets import check_asked, recorded_family
from .torch_configuration import TorchConfiguration, complete_torch_fields, read_torch_configuration

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""In the order in which transformers looks for them; each may be sharded, with an index beside it."""

_OLDER_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""How names end in files converted from the first TensorFlow checkpoints; transformers reads them the same way."""


def find_torch_source(source: str | Path) -> Source:
    """Find the weights of a Hugging Face folder, or take the file that is named.

    safetensors files are taken before PyTorch's. Raises UnreadableFileError when there are none.
    """
    path = Path(source)
    if path.is_dir():
        set_aside = tuple(sorted(file.name for file in path.iterdir() if TRAINING_FILE.fullmatch(file.name)))
        for name in WEIGHT_FILES:
            if (path / name).is_file():
                return Source(path, (path / name,), set_aside=set_aside)
            index = path / f"{name}.index.json"
            if index.is_file():
                return Source(path, listed_shards(index), index, set_aside=set_aside)
        if instead := held_instead(path):
            raise UnreadableFileError(f"{path}: {instead}")
        raise UnreadableFileError(
            f"{path}: holds no {' or '.join(WEIGHT_FILES)}, whole or in shards with an index; a Hugging Face folder is "
            "expected"
        )
    if not path.is_file():
        raise UnreadableFileError(f"{path}: no such file or folder; a Hugging Face folder is expected")
    if program := program_file(path):
        raise UnreadableFileError(f"{path}: {program}")
    if path.name.endswith(".index.json"):
        return Source(path, listed_shards(path), path)
    return Source(path, (path,))


class TorchCheckpoint(Checkpoint):
    """The tensors of a Hugging Face checkpoint under the names that Hugging Face's models use today.

    `stored_names` leads from these to the names in the files. Use it as a context manager.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        names = {_modern_name(name): name for name in checkpoint.tensors}
        if len(names) != len(checkpoint.tensors):
            raise UnreadableFileError(f"{checkpoint.source.path}: holds a LayerNorm under both its old and new names")
        super().__init__(
            checkpoint.source,
            {new: checkpoint.tensors[old] for new, old in names.items()},
            checkpoint.files,
            head=checkpoint.head,
        )
        self.stored_names = names
        self.configuration = read_torch_configuration(self.folder)

    @property
    def folder(self) -> Path:
        """The folder of the configuration, which transformers loads."""
        return self.source.path if self.source.path.is_dir() else self.source.path.parent

    def __enter__(self) -> TorchCheckpoint:
        return self


def _modern_name(name: str) -> str:
    for old, new in _OLDER_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def open_torch_checkpoint(source: str | Path) -> TorchCheckpoint:
    """Open a Hugging Face folder or a file of one; executes nothing of it and reads no tensor.

    Raises UnreadableFileError or RefusedFileError.
    """
    found = find_torch_source(source)
    checkpoint = open_files(found, of_paddle=False)
    try:
        return TorchCheckpoint(checkpoint)
    except BaseException:
        checkpoint.close()
        raise


STEPS = {"float16": 2**-11, "bfloat16": 2**-8}
"""The distance of neighbouring numbers below 1."""


@dataclass(frozen=True)
class RecognisedTorch:
    """What a Hugging Face checkpoint was recognised as; `fields` are complete and have PaddleNLP's names."""

    family: Family
    fields: dict[str, Any]
    plan: InversePlan
    guesses: tuple[str, ...]
    notes: tuple[str, ...] = ()


def recognise_torch(
    checkpoint: TorchCheckpoint,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    *,
    rename: bool = True,
) -> RecognisedTorch:
    """Settle family, architecture, configuration and the names of the tensors, call them by these names, plan the way
    to PaddleNLP, and look at the values that the plan leaves out.

    `family` and `architecture` override what the configuration says. `target` is the alternative of the family that the
    folder holds, where its weights do not record it. Without `rename`, tensors must have names under which transformers
    finds them: its own, or these without the backbone's prefix. Raises UnknownNameError for a class that PaddleNLP
    lacks, ConfigurationError, and UnmatchedTensorsError.
    """
    checkpoint.check_model()
    configuration = checkpoint.configuration
    known = _of_target(checkpoint, family, architecture or checkpoint.head, target)
    fields = complete_torch_fields(known, configuration)
    tie = bool(fields["tie_word_embeddings"])
    # Of the classes that become the one which the configuration names, the one whose head lies beside.
    chosen = architecture or checkpoint.head or configuration.architecture
    guesses: list[str] = []
    naming = _settle_names(known, chosen, fields, checkpoint.facts, tie)
    if not (rename or _finds(known, naming)):
        naming = Naming({name: name for name in checkpoint.tensors})
    checkpoint.rename(naming.names)
    if chosen is None:
        fitting = fitting_targets(known, fields, checkpoint.facts, tie)
        if len(fitting) > 1:
            raise ConfigurationError(
                f"{checkpoint.source.path}: the tensors fit {' and '.join(fitting)}, and the configuration names no "
                "architecture; choose with --architecture"
            )
        chosen = fitting[0] if fitting else known.base
        guesses.append(f"architecture {chosen}, from the names of the tensors")
    if all(chosen not in (model.source, model.target_architecture) for model in known.models):
        raise _no_counterpart(chosen, known, configuration)
    try:
        plan = make_inverse_plan(known, chosen, fields, checkpoint.facts, tie)
    except UnmatchedTensorsError as error:
        if naming.reading is not None:
            raise UnmatchedTensorsError(f"{checkpoint.source.path}: {naming.reading}; read so, {error}") from error
        raise
    settle_torch_values(checkpoint.tensors, plan)
    _check_padding_row(checkpoint.tensors, plan, fields["pad_token_id"])
    if naming.reading is not None:
        guesses.append(f"{naming.reading}; read so, they fit {plan.target_architecture}")
        plan = replace(plan, renamed={stored: name for stored, name in naming.names.items() if stored != name})
    return RecognisedTorch(known, fields, plan, tuple(guesses), label_notes(fields))


def _check_padding_row(tensors: Mapping[str, Tensor], plan: InversePlan, padding: int | None) -> None:
    """Raise UnmatchedTensorsError where Hugging Face's model reads a padding row that reaches attended positions, and
    PaddleNLP's would read zeros."""
    if not plan.family.zero_padding_row or padding is None:
        return
    table = f"{plan.family.roles['words']}.weight"
    words = next(move.sources[0] for move in plan.moves if move.target.endswith(table))
    if tensors[words].read()[padding].any():
        raise UnmatchedTensorsError(
            f"{words} does not hold zeros for the padding id {padding}: PaddleNLP reads zeros there whatever a file "
            "holds, and next to padding its model would compute something else; where that may be, write zeros into "
            "that row with transformers, save the model, and convert again"
        )


def _settle_names(
    family: Family, chosen: str | None, fields: Mapping[str, Any], facts: Mapping[str, TensorFacts], tie: bool
) -> Naming:
    """What tensors are to be called; see `settle_names`."""

    named = [
        model.target_architecture for model in family.models if chosen in (model.source, model.target_architecture)
    ]

    def fitting(names: Mapping[str, str]) -> list[str]:
        return fitting_targets(family, fields, {name: facts[stored] for stored, name in names.items()}, tie)

    def fitting_named(names: Mapping[str, str]) -> list[str]:
        return [name for name in (fitting(names) if named else ()) if name in named]

    return settle_names(facts, backbone_targets(family, fields), family.target_prefix, fitting, fitting_named)


def _finds(family: Family, naming: Naming) -> bool:
    """Whether transformers reads tensors under these names by itself."""
    return all(name in (stored, family.target_prefix + stored) for stored, name in naming.names.items())


def _of_target(checkpoint: TorchCheckpoint, family: str | None, architecture: str | None, target: str | None) -> Family:
    """The family, with the target that is recorded, asked for, or the only one of the configuration's model_type."""
    recorded = recorded_family(checkpoint.source.files)
    if recorded is not None and family in (None, recorded.name):
        check_asked(checkpoint.folder, recorded.target, target)
        return recorded
    said = checkpoint.configuration.model_type
    known = _family(family, architecture, checkpoint.configuration)
    if target is None:
        return of_type(known, said)
    chosen = becoming(known, target)
    if said not in (None, chosen.model_type):
        raise ConfigurationError(
            f"{checkpoint.configuration.file}: model_type is {said!r}, and with --target {target} it is "
            f"{chosen.model_type!r}; leave out --target"
        )
    return chosen


def _family(family: str | None, architecture: str | None, configuration: TorchConfiguration) -> Family:
    if family is not None:
        return get_family(family)
    for name in (architecture, configuration.architecture):
        if name is not None and (found := family_of_architecture(name)) is not None:
            return found
    if configuration.model_type is not None and configuration.model_type in FAMILIES:
        return FAMILIES[configuration.model_type]
    of_kind = [known for known in FAMILIES.values() if known.model_type == configuration.model_type]
    if len(of_kind) == 1:
        return of_kind[0]
    named = configuration.architecture or configuration.model_type
    if named is None:
        raise ConfigurationError(f"{configuration.file}: names neither model_type nor architectures; give --family")
    if any(named in (name, network.target) for name, network in NETWORKS.items()):
        raise ConfigurationError(
            f"{configuration.file}: {named} is a network that reads pictures, which is converted to torch alone; "
            "PaddleOCR and PaddleClas take the folder that the training left"
        )
    raise UnknownNameError(f"{configuration.file}: names {named!r}, which belongs to no known family")


def _no_counterpart(name: str, family: Family, configuration: TorchConfiguration) -> UnknownNameError:
    classes = [model.target_architecture for model in family.models]
    near = difflib.get_close_matches(name, classes, 1, 0.9)
    return UnknownNameError(
        f"{configuration.file}: {name} has no counterpart in PaddleNLP's {family.name}, whose classes are those of "
        f"Hugging Face's {', '.join(classes)}" + (f"; did you mean {near[0]}?" if near else "")
    )


def settle_torch_values(tensors: Mapping[str, Tensor], plan: InversePlan) -> None:
    """Raise UnmatchedTensorsError when a tensor that is left out holds anything that would be lost."""
    for name, twin in plan.repeated.items():
        if not bit_equal(tensors[name], tensors[twin]):
            why = (
                "the configuration says that Hugging Face's model holds the two as one: the values that transformers "
                "would use are not certain; load the model with transformers and save it again"
                if plan.tie_word_embeddings
                else "PaddleNLP has one tensor for both: transformers 5 computes with the first, transformers 4 may "
                "hold the two as one; save the model with both equal"
            )
            raise UnmatchedTensorsError(f"{name} differs from {twin}, but {why}")
    for name, region, tolerance in plan.constant:
        if name not in tensors:
            # PaddleNLP computes it itself.
            continue
        tensor = tensors[name]
        values = tensor.read().reshape(matrix_shape(tensor.shape))[
            region.top : region.bottom, region.left : region.right
        ]
        if region.table is not None:
            within = tolerance + STEPS.get(tensor.dtype.name, 0.0)
            if not np.allclose(widened(values, tensor.dtype), region.table(np), rtol=0, atol=within):
                raise UnmatchedTensorsError(
                    f"{name} does not hold what PaddleNLP computes in its place, within {within:g}: PaddleNLP's "
                    "model has no place for other values"
                )
        elif not (values == number_of(region.fill, tensor.dtype)).all():
            raise UnmatchedTensorsError(
                f"{name} does not hold {region.fill:g} in rows {region.top} to {region.bottom - 1} and columns "
                f"{region.left} to {region.right - 1}: PaddleNLP's model has no place for other values"
            )
    for name, first in plan.ignored:
        if not is_computed(tensors[name].read(), first):
            raise UnmatchedTensorsError(
                f"{name} does not hold {counted(first)}: transformers computes this buffer itself"
            )
