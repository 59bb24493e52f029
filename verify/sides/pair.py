"""The two sides of a verification, opened: all that is known of them before a framework runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...converters.checkpoints.checkpoint import Checkpoint, Recognised, open_files, recognise
from ...converters.checkpoints.comparison import settle_values
from ...converters.checkpoints.snapshot import name_of_place, origin_of
from ...converters.checkpoints.source import Source, find_converted, find_source, find_weights, is_paddle_folder
from ...converters.checkpoints.targets import check_asked, recorded_family
from ...converters.checkpoints.torch_checkpoint import find_torch_source
from ...converters.checkpoints.torch_configuration import read_torch_configuration
from ...converters.formats.dtypes import Array
from ...converters.formats.safetensors_file import open_safetensors
from ...converters.formats.tensors import Tensor
from ...converters.outputs.alterations import UNALTERED, Alterations, altered_plan, check_recorded, read_alterations
from ...converters.outputs.record import SEED_FILE, own_record, weight_files
from ...errors import ConfigurationError, UnreadableFileError
from ...mappings.language.family import DeclaredDifference
from ...mappings.language.limits import Limits
from ...mappings.language.matching.inverse import InversePlan
from ...mappings.language.matching.plan import Plan
from ...mappings.registry import is_published
from ..inputs import Inputs, inputs_for
from .foreign import Foreign, open_foreign
from .way_back import WayBack, open_way_back, tensors_of_model


@dataclass(frozen=True)
class Pair:
    """A PaddleNLP checkpoint and a Hugging Face folder that are to be the same model.

    `plan` leads from `checkpoint` to `converted`, the Hugging Face folder, after `alterations`; `written` are the
    folder's tensors by the names of Hugging Face's model. `way_back` is there when the checkpoint was converted from
    the folder and not the other way round, `foreign` when this package did not write the folder.
    """

    checkpoint: Checkpoint
    recognised: Recognised
    plan: Plan
    converted: Path
    written: Mapping[str, Tensor]
    alterations: Alterations = UNALTERED
    way_back: WayBack | None = None
    foreign: Foreign | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether this package did not write what stands on the converted side."""
        return self.foreign is not None if self.way_back is None else self.way_back.foreign

    @property
    def stored_names(self) -> Mapping[str, str | None]:
        """Names in the Hugging Face folder's files -> names in Hugging Face's model, None for what it has no place for;
        only those that differ."""
        if self.way_back is not None:
            return self.way_back.stored_names
        return self.foreign.stored_names() if self.foreign is not None else {}

    @property
    def names(self) -> tuple[str, str]:
        """Source and converted folder, as a report names them."""
        sides = name_of_place(self.checkpoint.source.path), name_of_place(self.converted)
        return sides if self.way_back is None else (name_of_place(self.way_back.torch.source.path), sides[0])

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the source was read otherwise than it stands there, and how its framework got it all the same."""
        source = self.recognised if self.way_back is None else self.way_back.source
        framework, given = "PaddleNLP", not self.recognised.plan.loads_as_stored
        if self.way_back is not None:
            framework, given = "transformers", bool(self.way_back.inverse.renamed)
        staged = f"{framework} got the same tensors under the names of its own model, and not the source's file"
        guesses = [f"guessed: {guess}" for guess in source.guesses]
        if self.foreign is not None and self.foreign.recognised is not None:
            guesses += [f"guessed of {self.converted}: {guess}" for guess in self.foreign.recognised.guesses]
        became = self.recognised.family.target_notes(self.plan.target_architecture)
        return (*guesses, *source.notes, *became, *([staged] if given else []))

    @property
    def weights(self) -> str:
        """Say "seeded" for a folder this package seeded, "published" for what a pretrained name led to, "hub" for what
        lies in the Hub's cache, else "local"."""
        source = self.checkpoint.source
        if self.way_back is not None:
            return _origin(self.way_back.torch.source)
        if source.path.is_dir() and (source.path / SEED_FILE).is_file():
            return "seeded"
        return "published" if source.looked_up else _origin(source)

    @property
    def certified(self) -> Plan | InversePlan:
        """The plan of the conversion that is verified, which on the way back is the inverse one."""
        return self.plan if self.way_back is None else self.way_back.inverse

    @property
    def configuration(self) -> Mapping[str, Any]:
        """PaddleNLP's, with every field."""
        return self.recognised.configuration

    @property
    def limits(self) -> Limits:
        """What PaddleNLP's class cannot take or give, so that it is not covered."""
        return self.recognised.family.limits_of(self.plan.architecture)

    def inputs(self, seed: int = 0) -> Inputs:
        """The inputs that both sides run on."""
        return inputs_for(self.recognised.family, self.plan.architecture, self.configuration, seed)

    @property
    def declared(self) -> tuple[DeclaredDifference, ...]:
        """The declared differences that apply; where both frameworks read a padding row of zeros, what was excused is
        compared."""
        declared = self.recognised.family.declared(self.plan.architecture)
        return tuple(
            difference
            for difference in declared
            if difference.applies(self.configuration) and not (self.zeroed and difference.padding)
        )

    @property
    def zeroed(self) -> bool:
        """Whether both frameworks read zeros for the padding id, so that every position is compared."""
        return self.alterations.zero_padding_row is not None or self.recognised.family.zero_padding_row

    @property
    def longest(self) -> int | None:
        """The number of tokens that the tokenizer must not exceed, whatever PaddleNLP's says; None for what it says, as
        on the way back, on which nothing is shortened."""
        return self.recognised.family.longest(self.configuration) if self.way_back is None else None

    @property
    def cast(self) -> str | None:
        """The element type that Paddle's weights are rounded to before they are compared."""
        return self.alterations.dtype.name if self.alterations.dtype is not None else None

    @property
    def aligned(self) -> dict[str, float]:
        """Epsilons that PaddleNLP hard-codes, for torch's LayerNorms by their target names, as Paddle's float32."""
        targets = {name: move.target for move in self.plan.moves for name in move.sources}
        return {
            targets[f"{difference.epsilon[0]}.weight"].removesuffix(".weight"): float(np.float32(difference.epsilon[1]))
            for difference in self.declared
            if difference.epsilon
        }

    @property
    def tables(self) -> dict[str, tuple[Array, float | None]]:
        """What PaddleNLP computes for itself in float64, for torch's parameters and buffers by the ends of their
        names, each with how far within it those must be."""
        return {
            name: (np.asarray(formula(self.configuration, np), np.float64), difference.within)
            for difference in self.declared
            for name, formula in difference.tables.items()
        }

    @property
    def lifted(self) -> tuple[str, ...]:
        """The classes of torch's modules whose cast to float32 is lifted where they are compared in float64."""
        return tuple(name for difference in self.declared for name in difference.lifted)

    @property
    def lifted_in_paddle(self) -> tuple[str, ...]:
        """The classes of Paddle's modules whose cast to float32 is lifted in float64."""
        return tuple(name for difference in self.declared for name in difference.lifted_in_paddle)

    @property
    def padding(self) -> int | None:
        """The vocabulary id that the frameworks embed differently on purpose, where there is one."""
        padding = self.configuration["pad_token_id"]
        return int(padding) if padding is not None and any(one.padding for one in self.declared) else None

    @property
    def left_out(self) -> frozenset[str]:
        """Outputs that a declared difference takes out of the comparison, or a pooler that is dropped or became part of
        the head."""
        left_out = {name for difference in self.declared for name in difference.outputs}
        model = self.recognised.family.model(self.plan.architecture)
        if not model.pooler or model.takes_pooler:
            left_out.add("pooler_output")
        return frozenset(left_out)

    def unsqueezed(self, outputs: Mapping[str, Array], others: Mapping[str, Array]) -> dict[str, Array]:
        """Paddle's `outputs`, those that its class returns without axes of length 1 in the shape of torch's, `others`,
        where it is that."""
        squeezed = {name for difference in self.declared for name in difference.squeezed}
        return {
            name: array.reshape(others[name].shape)
            if name in squeezed and name in others and array.squeeze().shape == others[name].squeeze().shape
            else array
            for name, array in outputs.items()
        }

    def comparable(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a run that are compared."""
        left_out = self.left_out
        return {name: array for name, array in outputs.items() if name not in left_out}

    def compared_positions(self, inputs: Inputs) -> Array:
        """1 where hidden states are compared: everywhere when the padding row is zeros on both sides."""
        return np.ones_like(inputs.attention_mask) if self.zeroed else inputs.attention_mask


def _origin(source: Source) -> str:
    return "local" if origin_of(source.path) is None else "hub"


def find_pair(source: str | Path, converted: Path, config: Path | None = None) -> Source:
    """The weight files of the source, Hugging Face's where `converted` is PaddleNLP's. Raises UnreadableFileError when
    either side has none, and ConfigurationError when only the source was written by a conversion: they are swapped; and
    when a source that is Hugging Face's is given a `config`."""
    refuse_swapped(source, converted)
    if is_paddle_folder(converted):
        if config is not None:
            raise ConfigurationError(
                f"{source}: is Hugging Face's, and has its config.json; --config goes with PaddleNLP's"
            )
        place = Path(source)
        if place.suffix == ".pdparams" or is_paddle_folder(place):
            raise ConfigurationError(
                f"{converted}: is a PaddleNLP folder, as {source} is; one of the two must be Hugging Face's, such as "
                "one that `paddle2torch convert` wrote"
            )
        return find_torch_source(source)
    found = find_source(source, config)
    find_weights(converted)
    return found


def refuse_swapped(source: str | Path, converted: Path) -> None:
    """Raise ConfigurationError when what stands on the source's side was written by a conversion and what stands on the
    converted side, weights or what leads to published ones, was not."""
    published = not converted.exists() and is_published(str(converted))
    if not own_record(Path(source)) or own_record(converted) or not (published or weight_files(converted)):
        return
    # A file stands for its folder, which is what is verified.
    folder = Path(source).parent if Path(source).is_file() else source
    first, second = name_of_place(converted), name_of_place(folder)
    raise ConfigurationError(
        f"{name_of_place(source)}: was written by paddle2torch and {first} was not, so the arguments are swapped: the "
        f"source comes first, `{shlex.join(['paddle2torch', 'verify', first, second])}`"
    )


@contextmanager
def open_pair(
    found: Source, converted: Path, family: str | None, architecture: str | None, target: str | None = None
) -> Iterator[Pair]:
    """Open what `find_pair` found and the converted folder, in either direction. `target` is the alternative of the
    family that the Hugging Face folder holds, where its weights do not record it and it is not the only one possible.

    Raises a Paddle2TorchError when a side cannot be read or recognised, or a file of the source changed in the
    meantime, and UnfitOutputError when a converted PaddleNLP folder holds another model.
    """
    if is_paddle_folder(converted):
        with open_way_back(found.path, converted, family, architecture, target) as back:
            written = tensors_of_model(back.torch, back.source, back.plan)
            yield Pair(back.paddle, back.recognised, back.plan, back.loaded, written, way_back=back)
            back.paddle.check_unchanged()
        return
    with ExitStack() as opened:
        checkpoint = opened.enter_context(open_files(found))
        recognised = recognise_as(checkpoint, converted, family, architecture, target)
        alterations = recorded_alterations(converted)
        plan = settle_values(checkpoint, recognised.plan)
        check_recorded(converted, alterations, plan, recognised.configuration)
        plan = altered_plan(plan, recognised.configuration, alterations)
        if own_record(converted):
            yield Pair(checkpoint, recognised, plan, converted, open_converted(converted), alterations)
        else:
            foreign = opened.enter_context(open_foreign(converted, plan))
            plan = foreign.plan(plan, recognised.configuration)
            yield Pair(checkpoint, recognised, plan, converted, foreign.written(plan), alterations, foreign=foreign)
        checkpoint.check_unchanged()


def recognise_as(
    checkpoint: Checkpoint, converted: Path, family: str | None, architecture: str | None, target: str | None
) -> Recognised:
    """Recognise a PaddleNLP source as what became the Hugging Face folder `converted`; raises as `recognise`, and
    ConfigurationError where another `target` is asked for than a folder of this package's has."""
    recorded = recorded_family(find_weights(converted))
    if own_record(converted):
        check_asked(converted, None if recorded is None else recorded.target, target)
        return recognise(checkpoint, family, architecture, None if recorded is None else recorded.target)
    return recognise(checkpoint, family, architecture, target, read_torch_configuration(converted).model_type)


def open_converted(folder: Path) -> dict[str, Tensor]:
    """The tensors of a converted folder, all shards and a head beside them together. Raises UnreadableFileError."""
    tensors: dict[str, Tensor] = {}
    for path in find_converted(folder):
        tensors.update(open_safetensors(path).tensors)
    return tensors


def recorded_alterations(folder: Path) -> Alterations:
    """What the files of a converted folder record as altered; all of them say the same. Raises UnreadableFileError."""
    found: list[Alterations] = []
    for path in find_converted(folder):
        opened = open_safetensors(path)
        opened.source.close()
        found.append(read_alterations(path, opened.metadata))
        if found[-1] != found[0]:
            raise UnreadableFileError(f"{path}: records other alterations than the files before it")
    return found[0]
