"""The verifier of networks that read pictures, tested on the network at hand: each fault is injected into a copy of the
converted folder, and every check that must see it has to turn red."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...converters.checkpoints.source import find_converted
from ...converters.formats.dtypes import Array
from ...converters.formats.safetensors_file import open_safetensors, write_safetensors
from ...converters.formats.shards import INDEX
from ...converters.formats.tensors import Tensor
from ...converters.images.documents import PREPROCESSOR
from ...converters.images.source import ImageSource
from ...converters.tokenizers.huggingface import write_json
from ...errors import ParityError, RunnerAccidentError, UnreadableFileError
from ...mappings.language.images.rows import BatchNorm, Convolution
from ...mappings.language.rows import Linear, MappedRow, Norm, Row
from ..images.check import NetworkContext
from ..images.checks import network_checks
from ..images.job import NetworkAsked, outcome_of
from ..images.pair import NetworkPair, open_network_pair
from ..reports.result import Report
from ..runners.networks.processes import NetworkRunners
from .runs import NO_PLACE, FaultResult, entry_of

SEEN = frozenset({"weights", "aligned"})
"""Who sees a wrong number: the bits, and what is computed with them."""

Tensors = dict[str, Array]
Documents = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class NetworkFault:
    """A named, single change to the tensors or the documents of a folder, which all checks of `seen_by` must see.
    `inject` says whether there was a place for it."""

    name: str
    seen_by: frozenset[str]
    inject: Callable[[NetworkPair, Tensors, Documents], bool]


def _rows(pair: NetworkPair, kind: type[Row]) -> Iterator[Row]:
    return (row for row in pair.network.rows(pair.found.sizes) if isinstance(row, kind))


def _target(row: Row, leaf: str) -> str:
    """The converted tensor of a row that ends in a leaf."""
    assert isinstance(row, MappedRow)
    return next(name for part in row.parts() for name in part.targets if name.endswith(f".{leaf}"))


def _swapped(tensors: Tensors, name: str) -> bool:
    """The first two rows of a tensor in each other's place; False where they are alike."""
    array = tensors[name]
    if len(array) < 2 or np.array_equal(array[0], array[1]):
        return False
    tensors[name] = array[[1, 0, *range(2, len(array))]]
    return True


def _channels(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    return any(
        _swapped(tensors, _target(row, "weight"))
        for row in _rows(pair, Convolution)
        if tensors[_target(row, "weight")].shape[1] > 1
    )


def _depthwise(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    kernels = [_target(row, "weight") for row in _rows(pair, Convolution)]
    kernels += [name for name in tensors if name.endswith(("conv_symmetric.0.convolution.weight",))]
    return any(_swapped(tensors, name) for name in kernels if tensors[name].shape[1] == 1 and len(tensors[name]) > 1)


def _mirrored(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    for name, array in tensors.items():
        if array.ndim == 4 and array.shape[-1] > 1 and not np.array_equal(array, array[..., ::-1]):
            tensors[name] = np.ascontiguousarray(array[..., ::-1])
            return True
    return False


def _statistics(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    for row in _rows(pair, BatchNorm):
        mean, variance = _target(row, "running_mean"), _target(row, "running_var")
        if not np.array_equal(tensors[mean], tensors[variance]):
            tensors[mean], tensors[variance] = tensors[variance], np.abs(tensors[mean])
            return True
    return False


def _variance(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    for row in _rows(pair, BatchNorm):
        name = _target(row, "running_var")
        array = tensors[name].copy()
        array[-1] *= np.float32(1.001)
        tensors[name] = array
        return True
    return False


def _gains(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    for row in _rows(pair, BatchNorm):
        gain, bias = _target(row, "weight"), _target(row, "bias")
        tensors[gain], tensors[bias] = tensors[bias], tensors[gain]
        return True
    return False


def _transposed(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    for row in _rows(pair, Linear):
        name = _target(row, "weight")
        if tensors[name].shape[0] == tensors[name].shape[1]:
            tensors[name] = np.ascontiguousarray(tensors[name].T)
            return True
    return False


def _query_key(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    for row in _rows(pair, Linear):
        name = _target(row, "weight")
        rows, columns = tensors[name].shape
        if "qkv" in name and rows == 3 * columns:
            query, key, value = np.split(tensors[name], 3)
            tensors[name] = np.concatenate([key, query, value])
            return True
    return False


def _norms(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    names = [_target(row, "weight") for row in _rows(pair, Norm)]
    for first, second in pairwise(names):
        if tensors[first].shape == tensors[second].shape and not np.array_equal(tensors[first], tensors[second]):
            tensors[first], tensors[second] = tensors[second], tensors[first]
            return True
    return False


def _classes(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    linear = [_target(row, "weight") for row in _rows(pair, Linear)]
    return bool(linear) and _swapped(tensors, linear[-1])


def _bit(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    name = max(tensors, key=lambda one: tensors[one].size)
    array = tensors[name].copy()
    array.reshape(-1).view(np.uint8)[0] ^= 1
    tensors[name] = array
    return True


def _missing(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    del tensors[next(move.target for move in pair.found.moves if move.sources)]
    return True


def _field(*path: str, value: Callable[[Any], Any]) -> Callable[[NetworkPair, Tensors, Documents], bool]:
    """A change of a field of config.json, where there is one: there, or in the part for a backbone of attention."""

    def inject(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
        configuration = documents["config.json"]
        for place in (configuration, configuration.get("vision_config") or {}):
            for name in path[:-1]:
                place = place.get(name) or {}
            if path[-1] in place:
                before = place[path[-1]]
                place[path[-1]] = value(before)
                return bool(place[path[-1]] != before)
        return False

    return inject


def _stride(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
    """The stride of the first block whose stride is 1 along both sides: no tensor's shape tells it."""
    configuration = documents["config.json"]
    backbone = configuration.get("backbone_config") or configuration
    blocks = [block for stage in backbone.get("block_configs") or [] for block in stage]
    for block in blocks:
        if isinstance(block, list) and len(block) == 5 and block[3] == 1 and block[1] != block[2]:
            block[3] = [1, 2]
            return True
    return False


def _processor(name: str, value: Callable[[Any], Any]) -> Callable[[NetworkPair, Tensors, Documents], bool]:
    def inject(pair: NetworkPair, tensors: Tensors, documents: Documents) -> bool:
        document = documents.get(PREPROCESSOR, {})
        if name not in document:
            return False
        before = document[name]
        document[name] = value(before)
        return bool(document[name] != before)

    return inject


FAULTS = (
    NetworkFault("two output channels of a convolution swapped", SEEN, _channels),
    NetworkFault("two channels of a depthwise convolution swapped", SEEN, _depthwise),
    NetworkFault("a kernel mirrored", SEEN, _mirrored),
    NetworkFault("mean and variance of a batch norm swapped", SEEN, _statistics),
    NetworkFault("one variance of a batch norm larger by a thousandth", SEEN, _variance),
    NetworkFault("gain and bias of a batch norm swapped", SEEN, _gains),
    NetworkFault("a square linear layer not transposed", SEEN, _transposed),
    NetworkFault("query and key of an attention block swapped", SEEN, _query_key),
    NetworkFault("gains of two layer norms swapped", SEEN, _norms),
    NetworkFault("two classes swapped", SEEN, _classes),
    NetworkFault("a tensor left out", SEEN, _missing),
    NetworkFault("the last bit of one number", frozenset({"weights"}), _bit),
    NetworkFault("a block with another stride", frozenset({"files", "aligned"}), _stride),
    NetworkFault(
        "half as many attention heads",
        frozenset({"files", "aligned"}),
        _field("num_attention_heads", value=lambda heads: heads // 2),
    ),
    NetworkFault(
        "another activation",
        frozenset({"files", "aligned"}),
        _field("hidden_act", value=lambda name: "gelu" if name != "gelu" else "silu"),
    ),
    NetworkFault(
        "another activation of the backbone",
        frozenset({"files", "aligned"}),
        _field("backbone_config", "hidden_act", value=lambda name: "relu" if name != "relu" else "silu"),
    ),
    NetworkFault(
        "the usual LayerNorm epsilon",
        frozenset({"files"}),
        _field("layer_norm_eps", value=lambda epsilon: 1e-6 if epsilon != 1e-6 else 1e-5),
    ),
    NetworkFault(
        "a LayerNorm epsilon that neither library has",
        frozenset({"files", "aligned"}),
        _field("layer_norm_eps", value=lambda epsilon: 3 * epsilon),
    ),
    NetworkFault(
        "two characters swapped",
        frozenset({"files", "decoding"}),
        _processor("character_list", lambda texts: [texts[0], texts[2], texts[1], *texts[3:]]),
    ),
    NetworkFault(
        "the blank left out of the characters",
        frozenset({"files", "decoding"}),
        _processor("character_list", lambda texts: texts[1:]),
    ),
    NetworkFault(
        "another mean of the picture",
        frozenset({"files", "preprocessing"}),
        _processor("image_mean", lambda mean: [mean[0] + 0.05, *mean[1:]]),
    ),
    NetworkFault(
        "deviations in another order",
        frozenset({"files", "preprocessing"}),
        _processor("image_std", lambda deviations: list(deviations)[::-1]),
    ),
)


def with_network_faults(
    report: Report,
    source: ImageSource,
    converted: Path,
    asked: NetworkAsked,
    runners: NetworkRunners,
    on_result: Callable[[str], None] | None = None,
) -> Report:
    """The report of a network with what became of every fault, in each torch environment. Raises ParityError when the
    folder is not the network before any fault: nothing would be proven by finding it wrong."""
    sides = []
    with open_network_pair(source, converted, asked.family, asked.library) as pair:
        for number, side in enumerate(report.sides):
            with tempfile.TemporaryDirectory(prefix="paddle2torch-") as scratch:
                context = NetworkContext(pair, runners.paddle, runners.torches[number], Path(scratch), asked.seed)
                found = [result.to_json() for result in _results(context, on_result)]
            sides.append(replace(side, faults=tuple(found)))
    return replace(sides[0], others=tuple(sides[1:]))


def _results(context: NetworkContext, on_result: Callable[[str], None] | None) -> Iterator[FaultResult]:
    first = _reds(context, frozenset({"aligned", "weights"}))
    if first:
        raise ParityError(
            f"{context.pair.converted}: {next(iter(first.values()))}; faults are injected into what passes"
        )
    for fault in FAULTS:
        result = _result(fault, context)
        if on_result is not None:
            on_result(result.line())
        yield result


def _result(fault: NetworkFault, context: NetworkContext) -> FaultResult:
    pair = context.pair
    known = {check.name for check in network_checks() if check.applies(pair.network)}
    if pair.is_foreign:
        known.discard("files")
    assigned = tuple(frozenset({name}) for name in sorted(fault.seen_by & known))
    tensors = {name: _read(tensor) for name, tensor in pair.tensors.items()}
    documents = {
        path.name: json.loads(path.read_text("utf-8")) for path in pair.converted.glob("*.json") if path.name != INDEX
    }
    if not assigned or not fault.inject(pair, tensors, documents):
        return FaultResult(fault.name, False, assigned, (), NO_PLACE)
    with tempfile.TemporaryDirectory(prefix="paddle2torch-") as place:
        folder = Path(place) / "converted"
        _write(pair, folder, tensors, documents)
        with open_network_pair(pair.source, folder, pair.network.name, pair.library) as copy:
            reds = _reds(context.beside(copy), fault.seen_by & known)
    where = next(iter(reds.values()), "no check saw it")
    return FaultResult(fault.name, True, assigned, tuple(reds), where)


def _write(pair: NetworkPair, folder: Path, tensors: Tensors, documents: Documents) -> None:
    """A copy of the converted folder with these tensors and documents."""
    shutil.copytree(pair.converted, folder)
    for path in find_converted(pair.converted):
        opened = open_safetensors(path)
        held, metadata = [name for name in opened.tensors if name in tensors], dict(opened.metadata)
        opened.source.close()
        # Laid out as a conversion does it: nothing but the fault is to be seen.
        (folder / path.name).unlink()
        entries = [entry_of(folder, name, tensors[name]) for name in held]
        write_safetensors(folder / path.name, entries, metadata, lambda count: None)
    for name, document in documents.items():
        write_json(folder / name, document)


def _read(tensor: Tensor) -> Array:
    if tensor.dtype.name not in ("float32", "float64"):
        raise UnreadableFileError(
            f"{tensor.name} holds {tensor.dtype.name}; faults are injected into float32 and float64 weights only"
        )
    return tensor.read()


def _reds(context: NetworkContext, names: frozenset[str]) -> dict[str, str]:
    """The checks of these names that fail, each with where. Raises RunnerAccidentError where one could not be run."""
    reds = {}
    for check in network_checks():
        if check.name not in names:
            continue
        outcome = outcome_of(check, context)
        if outcome.accident is not None:
            raise RunnerAccidentError(outcome.accident)
        if outcome.result is not None and not outcome.result.passed:
            reds[check.name] = outcome.result.where
    return reds
