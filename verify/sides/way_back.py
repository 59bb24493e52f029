"""The verification of a conversion to Paddle: the same machinery with the roles of the two folders swapped.

The PaddleNLP folder is what the machinery calls source, although it was converted, and the Hugging Face folder is what
it calls converted. What is left out of the comparison that way, because PaddleNLP's files hold more, is compared here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...converters.checkpoints.checkpoint import Checkpoint, Recognised, open_checkpoint, recognise
from ...converters.checkpoints.comparison import settle_values
from ...converters.checkpoints.torch_checkpoint import (
    RecognisedTorch,
    TorchCheckpoint,
    open_torch_checkpoint,
    recognise_torch,
)
from ...converters.formats.piecewise import Entry
from ...converters.formats.safetensors_file import write_safetensors
from ...converters.formats.tensors import Tensor
from ...converters.outputs.links import link
from ...converters.outputs.record import own_record
from ...errors import ConfigurationError, UnknownNameError, UnmatchedTensorsError
from ...mappings.language.alternative import of_type
from ...mappings.language.beside import HEAD_FILE
from ...mappings.language.matching.inverse import InversePlan
from ...mappings.language.matching.plan import Plan
from ...mappings.registry import family_of_architecture


class UnfitOutputError(Exception):
    """The folder to be verified cannot be what its source converts to: a finding, not an accident."""

    def __init__(self, reason: str, inverse: InversePlan) -> None:
        super().__init__(reason)
        self.inverse = inverse


def tensors_of_model(torch: TorchCheckpoint, recognised: RecognisedTorch, plan: Plan) -> dict[str, Tensor]:
    """The tensors of a Hugging Face folder by the names of Hugging Face's model, as far as `plan` leads to them: each
    under its own name, or else the one that holds its values."""
    inverse = recognised.plan
    places = {move.target: move.sources[0] for move in inverse.moves if len(move.sources) == 1}
    found: dict[str, Tensor] = {}
    for move in plan.moves:
        names = (inverse.prefix + move.target, *(places[name] for name in move.sources if name in places))
        held = [torch.tensors[name] for name in names if name in torch.tensors]
        if held:
            found[move.target] = held[0]
    return found


def names_in_model(stored_names: Mapping[str, str], recognised: RecognisedTorch) -> dict[str, str | None]:
    """Names in the files of a Hugging Face folder -> names in Hugging Face's model, None for what it has no place for;
    only those that differ. `stored_names` leads from the names of the checkpoint's tensors to those in the files."""
    inverse = recognised.plan
    absent = {*(name for name, _ in inverse.ignored), *inverse.beyond}
    names = {
        stored: None if name in absent else name.removeprefix(inverse.prefix) for name, stored in stored_names.items()
    }
    return {stored: name for stored, name in names.items() if stored != name}


@dataclass(frozen=True)
class WayBack:
    """A Hugging Face source, what it was recognised as, and the PaddleNLP folder that was converted from it; `plan`
    leads from that folder to the source. `loaded` is the folder from which transformers loads the source: its own, or
    one with the same tensors under the names of transformers' model."""

    torch: TorchCheckpoint
    source: RecognisedTorch
    paddle: Checkpoint
    recognised: Recognised
    plan: Plan
    loaded: Path

    @property
    def stored_names(self) -> dict[str, str | None]:
        """Names in the files that transformers loads -> names in its model, as `names_in_model` gives them."""
        stored = self.torch.stored_names if not self.inverse.renamed else {name: name for name in self.torch.tensors}
        return names_in_model(stored, self.source)

    @property
    def inverse(self) -> InversePlan:
        """The plan of the conversion, from the source to the PaddleNLP folder."""
        return self.source.plan

    @property
    def foreign(self) -> bool:
        """Whether another program wrote the PaddleNLP folder."""
        return not own_record(self.paddle.source.path)

    def problems(self) -> list[str]:
        """What differs among the tensors that PaddleNLP's files hold and the plan does not lead from: copies of tied
        tensors, a pooler that Hugging Face's class lacks, and buffers."""
        compared = {name for move in self.plan.moves for name in move.sources}
        problems = []
        for move in self.inverse.moves:
            if move.target not in self.paddle.tensors:
                problems.append(f"{move.target} is missing in the converted weights")
            elif move.target not in compared:
                found = self.paddle.tensors[move.target].read()
                expected = move.transform.apply([self.torch.tensors[name].read() for name in move.sources], np)
                bits = np.dtype(f"u{expected.dtype.itemsize}")
                if found.dtype != expected.dtype or found.shape != expected.shape:
                    problems.append(
                        f"{move.target} has another shape or element type than {' and '.join(move.sources)}"
                    )
                elif not np.array_equal(np.ascontiguousarray(expected).view(bits), found.view(bits)):
                    problems.append(f"{move.target} differs from {' and '.join(move.sources)}")
        problems += [
            f"{name} is missing in the converted weights"
            for name, _, _ in self.inverse.made
            if name not in self.paddle.tensors
        ]
        return problems


@contextmanager
def open_way_back(
    source: str | Path, converted: Path, family: str | None, architecture: str | None, target: str | None = None
) -> Iterator[WayBack]:
    """Open both folders. Raises a Paddle2TorchError when the source cannot be converted or a file cannot be read, and
    UnfitOutputError when the converted folder holds another model."""
    with open_torch_checkpoint(source) as torch, open_checkpoint(converted) as paddle:
        if family is None and architecture is None:
            family, architecture = _named(torch, paddle)
        source_side = recognise_torch(torch, family, architecture, target)
        inverse = source_side.plan
        try:
            recognised = recognise(paddle, target=source_side.family.target)
            plan = settle_values(paddle, recognised.plan)
            if not inverse.tie_word_embeddings:
                for rule in plan.tied:
                    plan = plan.untie(rule) if rule.target is not None and not rule.one else plan
        except (ConfigurationError, UnknownNameError, UnmatchedTensorsError) as error:
            raise UnfitOutputError(str(error), inverse) from error
        if not plan.loads_as_stored:
            stored, name = next(iter(plan.renamed.items()))
            raise UnfitOutputError(
                f"PaddleNLP does not load the converted folder: {stored} is there for {name}", inverse
            )
        if plan.architecture != inverse.architecture:
            reason = f"the converted folder holds {plan.architecture}, the source converts to {inverse.architecture}"
            raise UnfitOutputError(reason, inverse)
        with TemporaryDirectory(prefix="paddle2torch-") as scratch:
            loaded = stage_torch(torch, plan, Path(scratch)) if inverse.renamed else torch.folder
            yield WayBack(torch, source_side, paddle, recognised, plan, loaded)
        torch.check_unchanged()


def stage_torch(torch: TorchCheckpoint, plan: Plan, folder: Path) -> Path:
    """Make an empty folder one from which transformers loads a recognised source: its tensors under the names of the
    model, and links to its small files and to that of a head beside it. `plan` leads to the source."""
    weights = {path.name for path in torch.source.files} | {torch.source.index.name if torch.source.index else ""}
    for path in torch.folder.iterdir():
        small = path.suffix in (".json", ".txt", ".model") or path.name == HEAD_FILE
        if path.is_file() and path.name not in weights and small:
            link(path, folder / path.name)
    beside = {move.target for move in plan.moves if move.beside}
    entries = [Entry(name, (tensor,)) for name, tensor in torch.tensors.items() if name not in beside]
    write_safetensors(folder / "model.safetensors", entries, {"format": "pt"}, lambda count: None)
    return folder


def _named(torch: TorchCheckpoint, paddle: Checkpoint) -> tuple[str | None, str | None]:
    """Family and class that the PaddleNLP folder names, where that is one of several that become the source's class:
    the source alone does not tell which of them it was converted to."""
    configuration = paddle.source.configuration
    named = configuration.architecture if configuration is not None else None
    family = family_of_architecture(named) if named is not None else None
    family = of_type(family, torch.configuration.model_type) if family is not None else None
    models = family.models if family is not None else ()
    target = next((model.target_architecture for model in models if model.source == named), None)
    if family is None or target is None or target != torch.configuration.architecture:
        return None, None
    return family.name, named
