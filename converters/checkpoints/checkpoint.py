"""A checkpoint, opened: its configuration and its tensors, which stay on disk until they are read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import (
    ConfigurationError,
    Paddle2TorchError,
    UnknownNameError,
    UnmatchedTensorsError,
    UnreadableFileError,
)
from ...mappings.language.alternative import becoming, of_type
from ...mappings.language.beside import HEAD_FILE
from ...mappings.language.family import Family
from ...mappings.language.fields import in_words
from ...mappings.language.matching.inverse import fitting_targets
from ...mappings.language.matching.plan import Plan, TensorFacts, make_plan
from ...mappings.registry import FAMILIES, family_of_architecture, family_of_class, get_family, refuse
from ..formats.byte_source import ByteSource
from ..formats.pdparams import PdparamsFile, open_pdparams
from ..formats.pickle_objects import shown
from ..formats.safetensors_file import SafetensorsFile, open_safetensors
from ..formats.tensors import Tensor
from ..formats.torch_save.file import is_torch_file, open_torch_file
from .configuration import SourceConfiguration, label_notes
from .lookalikes import lookalike
from .recognition import understand
from .source import Source, find_source

HEAD_KEY = "paddle2torch.head"
"""In the metadata of converted weights: the PaddleNLP class whose head lies beside them, in HEAD_FILE."""


class Checkpoint:
    """The tensors of all files of a source, in file order, and the source itself. Use it as a context manager.

    Once it is recognised, tensors have the names of PaddleNLP's model; `stored_names` leads to those in the files.

    `notes` say in a line each what was read as something else than the files call it. `head` is the PaddleNLP class
    whose head lies beside the weights that transformers loads, if any.
    """

    def __init__(
        self,
        source: Source,
        tensors: dict[str, Tensor],
        files: list[ByteSource],
        notes: tuple[str, ...] = (),
        head: str | None = None,
    ) -> None:
        self.source = source
        self.tensors = tensors
        self.files = files
        self.notes = notes
        self.head = head
        self.stored_names = {name: name for name in tensors}

    @property
    def facts(self) -> dict[str, TensorFacts]:
        """What a plan needs to know of each tensor."""
        return {name: TensorFacts(tensor.dtype.name, tensor.shape) for name, tensor in self.tensors.items()}

    @property
    def renamed(self) -> dict[str, str]:
        """The names in the files that tensors do not have any more, and those that they have."""
        return {stored: name for name, stored in self.stored_names.items() if stored != name}

    def check_model(self) -> None:
        """Raise UnmatchedTensorsError when the tensors are not those of a model, such as an adapter's."""
        if (instead := lookalike(self.tensors)) is not None:
            raise UnmatchedTensorsError(f"{self.source.weights}: {instead}")

    def rename(self, names: Mapping[str, str]) -> None:
        """Call the tensors by other names; `names` leads from those that they have."""
        self.tensors = {names[name]: tensor for name, tensor in self.tensors.items()}
        self.stored_names = {names[name]: stored for name, stored in self.stored_names.items()}

    def check_unchanged(self) -> None:
        """Raise SourceChangedError when a file changed since it was opened."""
        for file in self.files:
            file.check_unchanged()

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_checkpoint(source: str | Path, config: str | Path | None = None) -> Checkpoint:
    """Open a pretrained name (from PaddleNLP's cache), a folder, or a .pdparams or .safetensors file; `config` is a
    file that is to be its configuration.

    Executes nothing of the files and reads no tensor. Raises UnreadableFileError, RefusedFileError or
    UnknownNameError.
    """
    return open_files(find_source(source, Path(config) if config is not None else None))


def open_files(found: Source, of_paddle: bool = True) -> Checkpoint:
    """Open the weight files of a source that was found; raises as `open_checkpoint`. `of_paddle` says whose folder it
    is, which decides what an element type means."""
    files: list[ByteSource] = []
    tensors: dict[str, Tensor] = {}
    read_as_bfloat16 = 0
    others: list[str] = []
    heads: set[str] = set()

    def open_file(path: Path) -> SafetensorsFile | PdparamsFile:
        opened = _open(path, of_paddle)
        files.append(opened.source)
        return opened

    try:
        for path in found.files:
            opened = open_file(path)
            heads |= recorded_head(opened)
            read_as_bfloat16 += opened.read_as_bfloat16 if isinstance(opened, SafetensorsFile) else 0
            if twice := next((name for name in opened.tensors if name in tensors), None):
                raise UnreadableFileError(f"{path}: tensor {twice} is also in another shard")
            tensors.update(opened.tensors)
            others += opened.ignored if isinstance(opened, PdparamsFile) else ()
        if not tensors:
            held = f", only {', '.join(map(shown, others[:5]))}" if others else ""
            raise UnreadableFileError(f"{found.weights}: holds no tensor{held}; give the file of the model's weights")
        _check_index(found, tensors)
        alone = found.weights.parent / HEAD_FILE
        if not of_paddle and not heads and alone.is_file():
            raise UnreadableFileError(
                f"{alone}: lies beside weights whose metadata do not say whose head it is, as transformers drops them "
                "when it saves a model; convert PaddleNLP's model again, or take the file away"
            )
        for name in sorted(heads):
            tensors.update(_tensors_of_head(found, name, open_file, tensors))
    except BaseException:
        for file in files:
            file.close()
        raise
    head = next(iter(sorted(heads)), None)
    return Checkpoint(found, tensors, files, _notes(found, read_as_bfloat16, head), head)


def _notes(found: Source, read_as_bfloat16: int, head: str | None) -> tuple[str, ...]:
    notes = [f"{HEAD_FILE}: the head of PaddleNLP's {head}, which no class of transformers has"] if head else []
    if read_as_bfloat16:
        notes.append(f"{read_as_bfloat16} tensors of element type U16 read as bfloat16, as PaddleNLP writes it")
    if found.passed_over:
        others = ", ".join(found.passed_over)
        notes.append(f"{found.weights.name} is read, and not {others} beside it; pass the file if that is meant")
    return tuple(notes)


def recorded_head(opened: SafetensorsFile | PdparamsFile) -> set[str]:
    """The PaddleNLP class whose head lies beside a file, as its metadata say; none of most files."""
    return {opened.metadata[HEAD_KEY]} if isinstance(opened, SafetensorsFile) and HEAD_KEY in opened.metadata else set()


def _tensors_of_head(
    found: Source,
    name: str,
    open_file: Callable[[Path], SafetensorsFile | PdparamsFile],
    others: Mapping[str, Tensor],
) -> Mapping[str, Tensor]:
    path = found.weights.parent / HEAD_FILE
    if not path.is_file():
        raise UnreadableFileError(
            f"{path}: is missing; {found.weights.name} was written with the head of {name} beside it: put the file "
            "back, or convert again"
        )
    opened = open_file(path)
    if recorded_head(opened) != {name}:
        raise UnreadableFileError(f"{path}: does not record the head of {name}, which {found.weights.name} names")
    if twice := next((tensor for tensor in opened.tensors if tensor in others), None):
        raise UnreadableFileError(f"{path}: tensor {twice} is also in {found.weights.name}")
    return opened.tensors


def _open(path: Path, of_paddle: bool) -> SafetensorsFile | PdparamsFile:
    if path.suffix == ".safetensors":
        return open_safetensors(path, of_paddle)
    return open_torch_file(path) if is_torch_file(path) else open_pdparams(path)


def _check_index(source: Source, tensors: Mapping[str, Tensor]) -> None:
    """A sharded checkpoint holds exactly the tensors that its index lists."""
    if source.index is not None:
        listed = set(json.loads(source.index.read_text(encoding="utf-8"))["weight_map"])
        if different := sorted(listed ^ set(tensors)):
            raise UnreadableFileError(f"{source.index}: disagrees with its shards about {', '.join(different[:5])}")


@dataclass(frozen=True)
class Recognised:
    """What a checkpoint was recognised as: family, complete configuration, plan, the guesses made on the way, and what
    else is to be said. `measured` are fields that the configuration does not state and the tensors tell, where they are
    not as PaddleNLP would take them."""

    family: Family
    configuration: dict[str, Any]
    plan: Plan
    guesses: tuple[str, ...]
    notes: tuple[str, ...] = ()
    measured: Mapping[str, int] = field(default_factory=dict)


def recognise(
    checkpoint: Checkpoint,
    family: str | None = None,
    architecture: str | None = None,
    target: str | None = None,
    target_type: str | None = None,
) -> Recognised:
    """Settle family, architecture, configuration and the names of a checkpoint's tensors, call them by these names, and
    plan its conversion.

    `family` and `architecture` override what the configuration says. `target` is one of the family's alternatives; for
    None the only one that becomes Hugging Face's `target_type`, if there is one, else the usual one. Raises
    UnknownNameError, ConfigurationError or UnmatchedTensorsError.
    """
    checkpoint.check_model()
    source = checkpoint.source
    found = source.configuration
    if found is None and family is None and architecture is None:
        raise ConfigurationError(
            f"{source.path}: no configuration: neither config.json nor model_config.json lies beside the weights, and "
            "the file name is no pretrained name; name a file with --config, or give --family and --architecture"
        )
    configuration = found or SourceConfiguration({}, str(source.path))
    known = _family(family, architecture, configuration.model_type, configuration.architecture, configuration.origin)
    known = becoming(known, target) if target is not None else of_type(known, target_type)
    stated = in_words(known.fields, configuration.fields, configuration.origin)
    configuration = replace(configuration, fields=stated)
    # A file that names no model is no configuration of PaddleNLP's, in which what is left out has PaddleNLP's default.
    partial = source.given is not None and configuration.architecture is None and configuration.model_type is None
    understood = understand(
        known,
        architecture or configuration.architecture,
        configuration,
        checkpoint.facts,
        source.path,
        complete=found is not None and not partial,
    )
    checkpoint.rename(understood.naming.names)
    guesses = list(understood.guesses)
    if found is not None and found.file is None and not source.looked_up:
        guesses.insert(0, f"configuration, from the name: {configuration.origin}")
    fields = understood.fields
    try:
        plan = make_plan(known, understood.architecture, fields, checkpoint.facts)
    except UnmatchedTensorsError as error:
        if fitting := fitting_targets(known, fields, checkpoint.facts, tie_word_embeddings=True):
            raise UnmatchedTensorsError(
                f"{source.path}: these are the tensors of Hugging Face's {' or '.join(fitting)}; `paddle2torch convert "
                "--to paddle` makes a PaddleNLP folder of them"
            ) from error
        if understood.naming.reading is not None:
            raise UnmatchedTensorsError(f"{source.path}: {understood.naming.reading}; read so, {error}") from error
        raise
    plan = replace(plan, renamed=checkpoint.renamed, old=understood.naming.old)
    notes = (*checkpoint.notes, *understood.naming.notes, *label_notes(fields))
    return Recognised(known, fields, plan, tuple(guesses), notes, understood.measured)


def family_of(configuration: SourceConfiguration) -> Family:
    """The family that a configuration names. Raises UnknownNameError and ConfigurationError."""
    return _family(None, None, configuration.model_type, configuration.architecture, configuration.origin)


def _family(
    family: str | None, architecture: str | None, model_type: str | None, named: str | None, origin: str
) -> Family:
    if (chosen := architecture or named) is not None and family_of_class(chosen) is None:
        try:
            refuse(chosen)
        except ConfigurationError as error:
            raise ConfigurationError(f"{origin}: {error}") from error
    if family is not None:
        return get_family(family)
    for name in (architecture, named):
        if name is not None and (found := family_of_architecture(name)) is not None:
            return found
    if architecture is not None:
        near = difflib.get_close_matches(architecture, [m.source for f in FAMILIES.values() for m in f.models], 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UnknownNameError(f"unknown architecture {architecture!r}{hint}")
    if model_type is not None:
        try:
            return get_family(model_type)
        except Paddle2TorchError as error:
            raise type(error)(f"{origin}: {error}") from error
    if named is not None:
        raise UnknownNameError(f"{origin}: names the architecture {named!r}, which belongs to no known family")
    raise ConfigurationError(f"{origin}: names neither model_type nor architectures; choose with --family")
