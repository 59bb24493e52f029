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
from ...converters.outputs.record import holds_seeded_weights, own_record
from ...errors import ConfigurationError
from ...mappings.language.images.network import Constant, Network
from ..sides.pair import open_converted, recorded_alterations

FOLDERS = {"PaddleOCR": "ppocr", "PaddleClas": "ppcls"}
"""The folder of code in a copy of each library."""


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
        return "seeded" if holds_seeded_weights(self.source.folder) else "local"

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


def builder_at(network: Network, library: Path | None) -> Path | None:
    """Of the copy of PaddleOCR that a user names, what builds a network: itself, and None, the installed library, for
    one of PaddleClas's. Raises ConfigurationError for a folder that is no copy of either."""
    if library is None or (library / FOLDERS[network.builder]).is_dir():
        return library
    if network.builder != "PaddleOCR" and (library / FOLDERS["PaddleOCR"]).is_dir():
        return None
    raise ConfigurationError(
        f"{library}: is no copy of PaddleOCR, whose folder {FOLDERS['PaddleOCR']} is expected there; name one with "
        "--paddleocr, or none to take what is installed"
    )


@contextmanager
def open_network_pair(
    source: ImageSource, converted: Path, family: str | None = None, library: Path | None = None
) -> Iterator[NetworkPair]:
    """Open both sides. Raises what recognising the source and reading either raise."""
    tensors = open_converted(converted)
    alterations = recorded_alterations(converted)
    with OpenedNetwork(source) as opened:
        found = recognise_network(opened, family, alterations.no_tokenizer, library)
        builder = builder_at(found.network, library)
        yield NetworkPair(source, opened, found, converted, tensors, alterations, builder)
