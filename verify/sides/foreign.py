"""A foreign folder: a Hugging Face folder that this package did not write, read for what transformers makes of it.

Its files may name tensors in older ways, hold tied tensors twice or once, and buffers; its configuration may leave out
what transformers has a default for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...converters.checkpoints.checkpoint import Recognised
from ...converters.checkpoints.torch_checkpoint import (
    RecognisedTorch,
    TorchCheckpoint,
    open_torch_checkpoint,
    recognise_torch,
)
from ...converters.formats.tensors import Tensor
from ...converters.outputs.alterations import with_own_decoder
from ...errors import ConfigurationError, UnknownNameError, UnmatchedTensorsError
from ...mappings.language.matching.plan import Plan
from .way_back import names_in_model, tensors_of_model


@dataclass(frozen=True)
class Foreign:
    """A foreign folder. `recognised` is what it was recognised as, the class of the plan; None where it is no model of
    that class, for the `reason`."""

    torch: TorchCheckpoint
    recognised: RecognisedTorch | None
    reason: str | None = None

    def plan(self, plan: Plan, configuration: Mapping[str, Any]) -> Plan:
        """The plan that leads from PaddleNLP's checkpoint to this folder: a decoder of its own is compared as such."""
        untied = self.recognised is not None and not self.recognised.plan.tie_word_embeddings
        return with_own_decoder(plan, configuration) if untied and plan.tie_word_embeddings else plan

    def written(self, plan: Plan) -> Mapping[str, Tensor]:
        """The folder's tensors by the names of Hugging Face's model; as they are where nothing explains them."""
        return self.torch.tensors if self.recognised is None else tensors_of_model(self.torch, self.recognised, plan)

    def stored_names(self) -> dict[str, str | None]:
        """Names in the files -> names in Hugging Face's model, as `names_in_model` gives them."""
        return {} if self.recognised is None else names_in_model(self.torch.stored_names, self.recognised)

    def problems(self, recognised: Recognised) -> list[str]:
        """The fields of the configuration that mean something else than PaddleNLP's, its own defaults included."""
        if self.recognised is None:
            return [f"{self.torch.configuration.file}: {self.reason}"]
        ours, theirs = recognised.configuration, self.recognised.fields
        problems = [
            f"{entry.target_name} is {ours[entry.name]!r} in PaddleNLP's configuration and means "
            f"{theirs[entry.name]!r} in the foreign one"
            for entry in recognised.family.fields
            # What an activation computes is compared in the live models, not its name.
            if entry.applies(ours) and entry.name != "hidden_act" and ours[entry.name] != theirs[entry.name]
        ]
        sides = ours.get("problem_type"), theirs.get("problem_type")
        if sides[0] != sides[1]:
            problems.append(
                f"problem_type is {sides[0]!r} in PaddleNLP's configuration, {sides[1]!r} in the foreign one"
            )
        return problems


@contextmanager
def open_foreign(converted: Path, plan: Plan) -> Iterator[Foreign]:
    """Open a foreign folder as the class of a plan. Raises UnreadableFileError and RefusedFileError."""
    with open_torch_checkpoint(converted) as torch:
        recognised, reason = None, None
        try:
            recognised = recognise_torch(
                torch, plan.family.name, plan.target_architecture, plan.family.target, rename=False
            )
        except (ConfigurationError, UnknownNameError, UnmatchedTensorsError) as error:
            reason = str(error)
        yield Foreign(torch, recognised, reason)
        torch.check_unchanged()
