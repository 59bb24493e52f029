"""A checkpoint, opened: its configuration and its tensors, which stay on disk until they are read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
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
from ...mappings.language.family import Family
from ...mappings.language.inverse import fitting_targets
from ...mappings.language.plan import Plan, TensorFacts, fitting_architectures, make_plan
from ...mappings.registry import FAMILIES, family_of_architecture, get_family, refuse
from ..formats.byte_source import ByteSource
from ..formats.pdparams import PdparamsFile, open_pdparams
from ..formats.pickle_objects import shown
from ..formats.safetensors_file import SafetensorsFile, open_safetensors
from ..formats.tensors import Tensor
from ..formats.torch_file import is_torch_file, open_torch_file
from .configuration import complete_fields
from .lookalikes import lookalike
from .source import Source, find_source


class Checkpoint:
    """The tensors of all files of a source, in file order, and the source itself. Use it as a context manager.

    `notes` say in a line each what was read as something else than the files call it.
    """

    def __init__(
        self, source: Source, tensors: dict[str, Tensor], files: list[ByteSource], notes: tuple[str, ...] = ()
    ) -> None:
        self.source = source
        self.tensors = tensors
        self.files = files
        self.notes = notes

    @property
    def facts(self) -> dict[str, TensorFacts]:
        """What a plan needs to know of each tensor."""
        return {name: TensorFacts(tensor.dtype.name, tensor.shape) for name, tensor in self.tensors.items()}

    def check_model(self) -> None:
        """Raise UnmatchedTensorsError when the tensors are not those of a model, such as an adapter's."""
        if (instead := lookalike(self.tensors)) is not None:
            raise UnmatchedTensorsError(f"{self.source.weights}: {instead}")

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


def open_checkpoint(source: str | Path) -> Checkpoint:
    """Open a pretrained name (from PaddleNLP's cache), a folder, or a .pdparams or .safetensors file.

    Executes nothing of the files and reads no tensor. Raises UnreadableFileError, RefusedFileError or
    UnknownNameError.
    """
    return open_files(find_source(source))


def open_files(found: Source, of_paddle: bool = True) -> Checkpoint:
    """Open the weight files of a source that was found; raises as `open_checkpoint`. `of_paddle` says whose folder it
    is, which decides what an element type means."""
    files: list[ByteSource] = []
    tensors: dict[str, Tensor] = {}
    read_as_bfloat16 = 0
    others: list[str] = []
    try:
        for path in found.files:
            opened = _open(path, of_paddle)
            files.append(opened.source)
            read_as_bfloat16 += opened.read_as_bfloat16 if isinstance(opened, SafetensorsFile) else 0
            if twice := next((name for name in opened.tensors if name in tensors), None):
                raise UnreadableFileError(f"{path}: tensor {twice} is also in another shard")
            tensors.update(opened.tensors)
            others += opened.ignored if isinstance(opened, PdparamsFile) else ()
        if not tensors:
            held = f", only {', '.join(map(shown, others[:5]))}" if others else ""
            raise UnreadableFileError(f"{found.weights}: holds no tensor{held}; give the file of the model's weights")
        _check_index(found, tensors)
    except BaseException:
        for file in files:
            file.close()
        raise
    return Checkpoint(found, tensors, files, _notes(read_as_bfloat16))


def _notes(read_as_bfloat16: int) -> tuple[str, ...]:
    if not read_as_bfloat16:
        return ()
    return (f"{read_as_bfloat16} tensors of element type U16 read as bfloat16, as PaddleNLP writes it",)


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
    """What a checkpoint was recognised as: family, complete configuration, plan, and the guesses made on the way."""

    family: Family
    configuration: dict[str, Any]
    plan: Plan
    guesses: tuple[str, ...]


def recognise(checkpoint: Checkpoint, family: str | None = None, architecture: str | None = None) -> Recognised:
    """Settle family, architecture and configuration of a checkpoint and plan its conversion.

    `family` and `architecture` override what the configuration says. Raises UnknownNameError, ConfigurationError or
    UnmatchedTensorsError.
    """
    checkpoint.check_model()
    source = checkpoint.source
    configuration = source.configuration
    if configuration is None:
        raise ConfigurationError(
            f"{source.path}: no configuration: neither config.json nor model_config.json lies beside the weights, and "
            "the file name is no pretrained name"
        )
    guesses: list[str] = []
    if configuration.file is None and not source.looked_up:
        guesses.append(f"configuration, from the name: {configuration.origin}")
    known = _family(family, architecture, configuration.model_type, configuration.architecture, configuration.origin)
    fields = complete_fields(known, configuration.fields)
    chosen = architecture or configuration.architecture
    if chosen is None:
        fitting = fitting_architectures(known, fields, checkpoint.facts)
        if len(fitting) > 1:
            raise ConfigurationError(
                f"{source.path}: the tensors fit {' and '.join(fitting)}, and the configuration names no architecture; "
                "choose with --architecture"
            )
        chosen = fitting[0] if fitting else known.base
        guesses.append(f"architecture {chosen}, from the names of the tensors")
    try:
        plan = make_plan(known, chosen, fields, checkpoint.facts)
    except UnmatchedTensorsError as error:
        if fitting := fitting_targets(known, fields, checkpoint.facts, tie_word_embeddings=True):
            raise UnmatchedTensorsError(
                f"{source.path}: these are the tensors of Hugging Face's {' or '.join(fitting)}; `paddle2torch convert "
                "--to paddle` makes a PaddleNLP folder of them"
            ) from error
        raise
    return Recognised(known, fields, plan, tuple(guesses))


def _family(
    family: str | None, architecture: str | None, model_type: str | None, named: str | None, origin: str
) -> Family:
    if (chosen := architecture or named) is not None:
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
