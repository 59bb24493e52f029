"""What a check of a network is, and what it is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from ...converters.formats.dtypes import Array
from ...mappings.language.images.network import Constant, Network
from ..check import Outcome
from ..runners.client import RunnerProcess
from .inputs import arrays
from .pair import NetworkPair


@dataclass
class NetworkContext:
    """The pair, the processes, a folder for files, and what was run already: each run is made once."""

    pair: NetworkPair
    paddle: RunnerProcess
    torch: RunnerProcess
    scratch: Path
    seed: int = 0
    inputs: dict[str, Array] = field(default_factory=dict)
    kept: dict[Any, dict[str, Array]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    _loaded: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        network = self.pair.network
        self.inputs = self.inputs or arrays(network.pictures(self.pair.found.sizes), self.seed)
        # Where transformers' network takes channels in the other order, so it is given them.
        given = {name: np.ascontiguousarray(one[:, ::-1]) for name, one in self.inputs.items()}
        save_file(self.inputs, self._file("paddle inputs"))
        save_file(given if network.turned else self.inputs, self._file("torch inputs"))

    def paddle_run(self, dtype: str) -> dict[str, Array]:
        """What Paddle's network answers in a type, and, as NAME.logits, what comes before its last function."""
        key = ("paddle", dtype)
        if key not in self.kept:
            self._build(dtype)
            self.kept[key] = self._run(self.paddle, "paddle", {"logits": self.pair.network.source_logits})
        return self.kept[key]

    def torch_run(self, dtype: str, constants: Sequence[Constant] = ()) -> dict[str, Array]:
        """What torch's network answers in a type with these constants of Paddle's."""
        key = ("torch", dtype, tuple(one.name for one in constants))
        if key not in self.kept:
            self.load(dtype)
            told = [one.to_json() for one in constants]
            # Double arithmetic within a part gives doubles in a model of another type.
            checked = dtype == "float64"
            fields = {"logits": self.pair.network.logits, "constants": told, "checked": checked}
            self.kept[key] = self._run(self.torch, "torch", fields)
        return self.kept[key]

    def load(self, dtype: str) -> dict[str, Any]:
        """Let torch load the converted folder, as a user does; what it says of that."""
        if self._loaded.get("torch") != dtype:
            answer = self.torch.request(
                {
                    "operation": "load",
                    "folder": str(self.pair.converted),
                    "dtype": dtype,
                    "auto_class": self.pair.network.auto_class,
                    "target": self.pair.network.target,
                }
            )
            self._loaded["torch"] = dtype
            self.answers["torch"] = answer
        found: dict[str, Any] = self.answers["torch"]
        return found

    def beside(self, pair: NetworkPair) -> NetworkContext:
        """The context of a copy of the converted folder, for which Paddle's side need not be run again."""
        kept = {key: found for key, found in self.kept.items() if key[0] == "paddle"}
        answers = {"paddle": self.answers["paddle"]} if "paddle" in self.answers else {}
        loaded = {"paddle": self._loaded["paddle"]} if "paddle" in self._loaded else {}
        return NetworkContext(
            pair, self.paddle, self.torch, self.scratch, self.seed, self.inputs, kept, answers, _loaded=loaded
        )

    def _build(self, dtype: str) -> None:
        if self._loaded.get("paddle") == dtype:
            return
        weights = self._file("weights")
        if not Path(weights).exists():
            save_file(self.pair.compared(), weights)
        found, network = self.pair.found, self.pair.network
        self.answers["paddle"] = self.paddle.request(
            {
                "operation": "build",
                "builder": network.builder,
                "library": str(self.pair.library) if self.pair.library is not None else None,
                "architecture": network.architecture(found.sizes),
                "fused": bool(found.sizes.get("fused")),
                "unread": list(network.unread),
                "weights": weights,
                "dtype": dtype,
            }
        )
        self._loaded["paddle"] = dtype

    def built(self) -> dict[str, Any]:
        """What Paddle's side said when it was built."""
        self._build(self._loaded.get("paddle", "float64"))
        found: dict[str, Any] = self.answers["paddle"]
        return found

    def _run(self, runner: RunnerProcess, side: str, fields: dict[str, Any]) -> dict[str, Array]:
        inputs, outputs = self._file(f"{side} inputs"), self._file(f"{side} outputs")
        answer = runner.request({"operation": "run", "inputs": inputs, "outputs": outputs, **fields})
        self.answers[f"{side} run"] = answer
        found: dict[str, Array] = load_file(outputs)
        return found

    def of_library(self) -> dict[str, Any]:
        """The fields of a request that name the library of Paddle's side."""
        library = self.pair.library
        return {"builder": self.pair.network.builder, "library": str(library) if library is not None else None}

    def of_processor(self) -> dict[str, Any]:
        """The fields of a request that name the image processor of torch's side."""
        return {"folder": str(self.pair.converted), "processor_class": self.pair.network.processor_class}

    def exchange(self, runner: RunnerProcess, given: dict[str, Array], fields: dict[str, Any]) -> dict[str, Array]:
        """What a runner makes of arrays, as arrays; `fields` are those of the request, whose names of files are filled
        in for "given" and "outputs"."""
        where, outputs = self._file("given"), self._file("made")
        # Of arrays in another order than C's, the file would hold the bytes as they lie.
        save_file({name: np.ascontiguousarray(one) for name, one in given.items()}, where)
        runner.request(
            {name: where if value == GIVEN else value for name, value in fields.items()} | {"outputs": outputs}
        )
        found: dict[str, Array] = load_file(outputs)
        return found

    def _file(self, name: str) -> str:
        return str(self.scratch / f"{name}.safetensors")


GIVEN = "\0given"
"""In place of a file in a request: that of what is given."""


def always(network: Network) -> bool:
    """That a check applies to every network."""
    return True


@dataclass(frozen=True)
class NetworkCheck:
    """A check of a network: `name` is also its module's, `order` its place in reports; `establishes` and `limit` stand
    in the documents. `frameworks` says that it runs them. `run` raises a Paddle2TorchError when it could not be run."""

    name: str
    order: int
    establishes: str
    limit: str
    run: Callable[[NetworkContext], Outcome]
    frameworks: bool = True
    applies: Callable[[Network], bool] = always
    look_at: str = "what `--report-dir DIR` writes: DIR/report.json holds every problem and all details"


def largest(values: Array) -> float:
    """The largest absolute value, infinite where one is no number."""
    return float(np.max(np.abs(values))) if np.isfinite(values).all() else float("inf")


def distances(one: Mapping[str, Array], other: Mapping[str, Array]) -> dict[str, float]:
    """How far the outputs of two runs are apart, by name. Where what comes before the last function is compared too,
    the outputs are probabilities, of which a whole is 1: they may all be tiny, and the others are not."""
    return {
        name: distance(array, other[name], 1.0 if f"{name}.logits" in one else 0.0)
        for name, array in one.items()
        if name in other
    }


def distance(one: Array, other: Array, whole: float = 0.0) -> float:
    """How far two arrays are apart, as a share of the largest value of the first, or of `whole` if that is larger;
    infinite for other shapes and for what is no number."""
    if one.shape != other.shape or not np.isfinite(one).all() or not np.isfinite(other).all():
        return float("inf")
    size = max(largest(one), whole)
    apart = float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64))))
    return apart / size if size else (0.0 if not apart else float("inf"))
