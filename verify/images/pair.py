"""The two sides of a verification of a network: the source, recognised, and the converted folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...converters.formats.casting import cast, widened
from ...converters.formats.dtypes import Array
from ...converters.formats.tensors import Tensor
from ...converters.images.recognition import OpenedNetwork, RecognisedNetwork, recognise_network
from ...converters.images.source import ImageSource
from ...converters.outputs.alterations import Alterations
from ...converters.outputs.record import SEED_FILE, own_record
from ...mappings.language.images.network import Constant, Network
from ..sides.pair import open_converted, recorded_alterations


@dataclass(frozen=True)
class NetworkPair:
    """A recognised source and a converted folder, `tensors` by name. `library` is the copy of PaddleOCR that builds
    Paddle's side, None for the installed one. `alterations` are those that the converted weights record."""

    source: ImageSource
    opened: OpenedNetwork
    found: RecognisedNetwork
    converted: Path
    tensors: dict[str, Tensor]
    alterations: Alterations
    library: Path | None

    @property
    def network(self) -> Network:
        """The kind of network."""
        return self.found.network

    @property
    def is_foreign(self) -> bool:
        """Whether another program wrote the converted folder."""
        return not own_record(self.converted)

    @property
    def weights(self) -> str:
        """Say "seeded" for a folder that this package seeded, else "local"."""
        return "seeded" if (self.source.folder / SEED_FILE).is_file() else "local"

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The constants in which the two libraries differ for this network."""
        return tuple(one for one in self.network.constants if one.applies(self.found.sizes))

    def values(self, name: str) -> Array:
        """The elements of a source's tensor as both sides compute with them: rounded as the converted ones were."""
        tensor = self.opened.tensors[name]
        array = tensor.read()
        if self.alterations.dtype is not None:
            array = cast(array, tensor.dtype, self.alterations.dtype, name)
        values: Array = widened(array, self.alterations.dtype or tensor.dtype)
        return np.ascontiguousarray(values)

    def compared(self) -> dict[str, Array]:
        """The source's tensors that the network computes with, for Paddle's side."""
        dropped = {name for names in self.found.dropped.values() for name in names}
        return {name: self.values(name) for name in self.opened.tensors if name not in dropped}


@contextmanager
def open_network_pair(
    source: ImageSource, converted: Path, family: str | None = None, library: Path | None = None
) -> Iterator[NetworkPair]:
    """Open both sides. Raises what recognising the source and reading either raise."""
    tensors = open_converted(converted)
    alterations = recorded_alterations(converted)
    with OpenedNetwork(source) as opened:
        found = recognise_network(opened, family, alterations.no_tokenizer, library)
        yield NetworkPair(source, opened, found, converted, tensors, alterations, library)
