"""Runs both frameworks on the same inputs and gathers what they answer."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from ...converters.formats.dtypes import Array
from ...converters.outputs.card import head_code
from ...errors import RunnerAccidentError, RunnerAnswerError, RunnerError
from ...mappings.language.beside import HEAD_FILE
from ...mappings.language.family import Model
from ...mappings.language.limits import NO_LIMITS, Limits
from ...mappings.language.matching.plan import Plan
from ..inputs import Inputs, needed
from .client import RunnerProcess
from .environments import find_interpreters
from .networks.processes import NetworkRunners
from .outputs import kind_of


class Runners:
    """The runner processes of a verification: Paddle in float32 and in float64, and torch in each of its environments,
    of which `torch` is the one that is compared. They start when first asked, or with `begin`, and can serve many
    verifications, which saves the frameworks' slow imports. Use it as a context manager."""

    def __init__(self, paddle_python: str | None = None, torch_python: str | Sequence[str] | None = None) -> None:
        """`paddle_python` and `torch_python`, one or several, are interpreters; `find_interpreters` has the default."""
        found = find_interpreters(paddle_python, torch_python)
        self.paddle32 = RunnerProcess("paddle", found.paddle.python, ("--dtype", "float32"))
        # The largest of them: gaps in its memory would bring it near 4 GiB with the largest models.
        self.paddle64 = RunnerProcess("paddle", found.paddle.python, ("--dtype", "float64"), reuse_memory=False)
        self.torches = tuple(RunnerProcess("torch", one.python) for one in found.torch)
        self.torch = self.torches[0]
        self._networks: NetworkRunners | None = None
        self._pool = ThreadPoolExecutor(2)
        self._begun: dict[RunnerProcess, Future[dict[str, Any]]] = {}

    @property
    def networks(self) -> NetworkRunners:
        """The processes for networks that read pictures, with the same interpreters."""
        if self._networks is None:
            self._networks = NetworkRunners(self.paddle32.python, [one.python for one in self.torches])
        return self._networks

    def sides(self) -> tuple[Runners, ...]:
        """These runners once for each torch environment, with that one's as `torch`. They share the processes: only
        the whole is to be closed."""
        sides = []
        for torch in self.torches:
            side = copy(self)
            side.torches, side.torch = (torch,), torch
            sides.append(side)
        return tuple(sides)

    def begin(self) -> None:
        """Let torch and Paddle in float64 import their frameworks while Paddle in float32 is asked for something."""
        for runner in (self.torch, self.paddle64):
            if runner not in self._begun:
                self._begun[runner] = self._pool.submit(runner.request, {"operation": "versions"})

    def versions(self) -> dict[str, str]:
        """Versions of the frameworks, and of Python and numpy on each side; all processes run afterwards."""
        self.begin()
        paddle = self.paddle32.request({"operation": "versions"})["versions"]
        self._begun[self.paddle64].result()
        torch = self._begun[self.torch].result()["versions"]
        shared = {
            f"{name} ({side})": found[name]
            for side, found in (("paddle", paddle), ("torch", torch))
            for name in ("python", "numpy")
        }
        return {
            **{name: value for name, value in {**paddle, **torch}.items() if name not in ("python", "numpy")},
            **shared,
        }

    def close(self) -> None:
        """End the processes."""
        for runner, future in self._begun.items():
            # One that still imports would not notice for seconds that nobody asks any more.
            if not future.done():
                runner.stop()
        self._pool.shutdown()
        self.rest()

    def rest(self) -> None:
        """End the processes for now; the next request starts them anew."""
        for runner in (self.paddle32, self.paddle64, *self.torches, *self._of_networks()):
            runner.close()

    def _of_networks(self) -> tuple[RunnerProcess, ...]:
        return self._networks.all if self._networks is not None else ()

    def stop(self) -> None:
        """End the processes at once and for good; requests under way fail."""
        for runner in (self.paddle32, self.paddle64, *self.torches, *self._of_networks()):
            runner.stop()

    def __enter__(self) -> Runners:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Run:
    """One run: the runner's answer and its output arrays."""

    answer: Mapping[str, Any]
    outputs: Mapping[str, Array]


class Session:
    """The requests of one verification: the same model, inputs and options every time.

    `folder` is what PaddleNLP loads, `converted` what transformers loads. `aligned` are epsilons that torch's
    LayerNorms get for the comparison. Files go to `scratch`. `seconds` by request, loading apart, and `memory`, the
    largest resident bytes by framework and type, grow with every request. Runners keep their models until `release`.
    `cast` is an element type that Paddle's weights are rounded to after loading. `stored_names` leads from names in
    the files of `converted` to those in Hugging Face's model where they differ, None where that has no place for one.
    `lifted` are classes of torch's modules whose cast to float32 is lifted in float64, and `lifted_in_paddle` such ones
    of Paddle's. `alone`: one runner at a time holds a model.
    """

    def __init__(
        self,
        runners: Runners,
        folder: Path,
        converted: Path,
        plan: Plan,
        inputs: Inputs,
        aligned: Mapping[str, float],
        scratch: Path,
        cast: str | None = None,
    ) -> None:
        self.runners = runners
        self.folder = folder
        self.converted = converted
        self.plan = plan
        self.aligned = dict(aligned)
        self.scratch = scratch
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, int] = {}
        self.cast = cast
        self.stored_names: Mapping[str, str | None] = {}
        self.tables: dict[str, dict[str, Any]] = {}
        self.lifted: tuple[str, ...] = ()
        self.lifted_in_paddle: tuple[str, ...] = ()
        self.alone = False
        self._needed = needed(self.model.needs, inputs)
        self._name = uuid.uuid4().hex
        self._shape = inputs.input_ids.shape
        self._inputs = self.save_inputs("inputs", inputs, self.limits)

    def paddle(self, dtype: str, operation: str, *, uncast: bool = False, **fields: Any) -> Run:
        """Ask Paddle in `dtype`; `uncast` leaves the weights as they were loaded.

        Raises RunnerError when the runner dies or PaddleNLP cannot run the source.
        """
        if self.cast is not None and not uncast:
            fields["cast"] = self.cast
        encoder = self.plan.family.encoder_gives
        if (probabilities := self.model.probabilities) is not None:
            names, modules = list(probabilities.outputs), list(probabilities.modules)
            fields["returns"] = {"names": names, "modules": modules, "encoder": encoder}
        elif (returns := self.model.returns) is not None:
            fields["returns"] = {"names": list(returns), "modules": [], "encoder": encoder}
        fields["fields"] = [entry.stored_name for entry in self.plan.family.fields]
        runner = self.runners.paddle64 if dtype == "float64" else self.runners.paddle32
        if self._needed:
            fields["needs"] = self._as_lists()
        fields["asks"] = dict(self.model.asks)
        if self.lifted_in_paddle:
            fields["options"] = {**fields.get("options", {}), "lifted": list(self.lifted_in_paddle)}
        run = self._apart(self._ask(runner, self.folder, self.plan.architecture, dtype, operation, fields))
        declared = self.plan.family.declared(self.plan.architecture)
        if any(difference.scores for difference in declared):
            run = replace(run, outputs={name: _attention(name, array) for name, array in run.outputs.items()})
        squeezed = {name for difference in declared for name in difference.squeezed if name in run.outputs}
        whole = {name: self._unsqueezed(run.outputs[name]) for name in squeezed}
        return replace(run, outputs={**run.outputs, **whole})

    def torch(self, dtype: str, operation: str, *, as_it_is: bool = False, **fields: Any) -> Run:
        """Ask torch in `dtype`; `as_it_is` leaves epsilons, tables and casts alone.

        Raises RunnerAnswerError when it cannot load or run the converted folder, which is a finding.
        """
        if self.aligned and not as_it_is:
            fields["options"] = {**fields.get("options", {}), "layer_norm_eps": self.aligned}
        if self.tables and dtype == "float64" and not as_it_is:
            fields["options"] = {**fields.get("options", {}), "tables": self.tables}
        if self.lifted and not as_it_is:
            fields["options"] = {**fields.get("options", {}), "lifted": list(self.lifted)}
        if self.stored_names:
            fields["stored_names"] = dict(self.stored_names)
        fields["auto_class"] = self.model.auto_class
        if (beside := self.model.beside) is not None:
            tensors = [move.target for move in self.plan.moves if move.beside]
            fields["beside"] = {
                "file": HEAD_FILE,
                "tensors": tensors,
                "name": beside.logits.__name__,
                "code": head_code(beside),
            }
            fields["needs"] = self._as_lists()
        if self.plan.family.widened:
            fields["widened"] = True
        fields["fields"] = [entry.target_name for entry in self.plan.family.fields]
        run = self._ask(self.runners.torch, self.converted, self.plan.target_architecture, dtype, operation, fields)
        run = self._apart(run)
        return run if self.model.probabilities is None else replace(run, outputs=self._probable(run.outputs))

    @property
    def model(self) -> Model:
        """The architecture that is run."""
        return self.plan.family.model(self.plan.architecture)

    def _probable(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Torch's outputs with the sigmoids that PaddleNLP returns in place of the logits."""
        outputs = dict(outputs)
        stated = self.model.probabilities.outputs.items() if self.model.probabilities is not None else ()
        for name, logits in stated:
            for key in [key for key in outputs if key.rpartition(".")[2] == logits]:
                values = outputs.pop(key)
                made = 1 / (1 + np.exp(-values.astype(np.float64)))
                outputs[key.removesuffix(logits) + name] = made.astype(values.dtype)
        return outputs

    def _unsqueezed(self, array: Array) -> Array:
        """An output by token with all its axes, where it lacks no more than those of length 1."""
        longer = tuple(one for one in self._shape if one > 1)
        return array.reshape(self._shape) if array.squeeze().shape == longer else array

    def _as_lists(self) -> dict[str, Any]:
        return {name: array.tolist() for name, array in self._needed.items()}

    def _apart(self, run: Run) -> Run:
        """A run in which logits that stand for nothing are an output of their own, 0 where the others are, and the
        other way round: they are so large that beside them no other would count."""
        masked = None if self.model.beside is None else self.model.beside.masked
        logits = run.outputs.get("logits")
        if masked is None or logits is None or logits.shape != self._needed[masked].shape:
            return run
        nothing = self._needed[masked] == 0
        parts = {"logits": np.where(nothing, 0, logits), "masked_logits": np.where(nothing, logits, 0)}
        return replace(run, outputs={**run.outputs, **parts})

    @property
    def limits(self) -> Limits:
        """What the architecture cannot take or give."""
        return self.plan.family.limits_of(self.plan.architecture)

    @property
    def decodes(self) -> bool:
        """Whether a decoder stands behind an encoder."""
        return self.plan.family.decodes(self.plan.architecture)

    def save_inputs(self, name: str, inputs: Inputs, limits: Limits = NO_LIMITS) -> dict[str, str]:
        """Write inputs for a request to what has these `limits`; returns the path by framework."""
        paths = {side: self.scratch / f"{name} {side}.safetensors" for side in ("paddle", "torch")}
        for side, path in paths.items():
            inputs.save(path, self.plan.family, side, limits)
        return {side: str(path) for side, path in paths.items()}

    def save_tables(self, tables: Mapping[str, tuple[Array, float | None]]) -> None:
        """Write float64 arrays that take the place of torch's parameters or buffers, by the ends of their names, each
        with how far within it those must be."""
        for number, (name, (table, within)) in enumerate(tables.items()):
            path = str(self.scratch / f"table{number}.npy")
            np.save(path, table)
            self.tables[name] = {"path": path, "within": within}

    def save(self, name: str, arrays: Mapping[str, Array]) -> str:
        """Write arrays for a request; returns the path."""
        path = str(self.scratch / f"{name}.safetensors")
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path)
        return path

    def release(self, but: RunnerProcess | None = None) -> None:
        """Let the runners drop their models, all or all `but` one."""
        for runner in (self.runners.paddle32, self.runners.paddle64, self.runners.torch):
            # A runner that is gone holds nothing.
            if runner is not but and runner.pid is not None:
                with suppress(RunnerError):
                    runner.request({"operation": "release"})

    def _ask(
        self,
        runner: RunnerProcess,
        folder: Path,
        architecture: str,
        dtype: str,
        operation: str,
        fields: dict[str, Any],
    ) -> Run:
        if self.alone:
            self.release(but=runner)
        started = time.perf_counter()
        side = f"{runner.kind} {dtype}"
        label = f"{side} {fields.pop('label', operation)}"
        outputs = self.scratch / f"{label}.safetensors"
        request = {
            "operation": operation,
            "folder": str(folder),
            "architecture": architecture,
            "dtype": dtype,
            "session": self._name,
            "inputs": self._inputs[runner.kind],
            "outputs": str(outputs),
            "layers": asdict(self.plan.family.layers),
            "recorded": self.decodes or self.limits.states is not None or self.plan.family.final_norm,
            "unasked": self.limits.states is not None,
            "decodes": self.decodes,
            **fields,
        }
        answer = runner.request(request)
        elapsed = time.perf_counter() - started
        load = min(float(answer.get("seconds", {}).get("load", 0.0)), elapsed)
        for name, seconds in ((f"{side} load", load), (label, elapsed - load)):
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.memory[side] = max(self.memory.get(side, 0), int(answer.get("peak_memory_bytes", 0)))
        return Run(answer, load_file(request["outputs"]) if os.path.isfile(request["outputs"]) else {})


def _attention(name: str, scores: Array) -> Array:
    """The attention map of attention scores, anything else as it is."""
    if not name.startswith("attention."):
        return scores
    wide = scores.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    made: Array = (powers / powers.sum(axis=-1, keepdims=True)).astype(scores.dtype)
    return made


@dataclass
class Runs:
    """The runs of a verification that were needed.

    `paddle32_uncast` is of the weights as loaded where a cast is compared;
    `torch64_as_is` is without declared epsilons aligned; `fed32` and `fed64` are torch's layers fed with Paddle's
    states; `paddle_as_loaded` is Paddle's side of the check of that name, once it was made. A failure says why torch
    could not load or run the converted folder, or could not be fed: that is a finding. An accident is none: the runs
    that are missing could not be made, and nothing is known of the folder.
    """

    paddle32: Run | None = None
    paddle32_uncast: Run | None = None
    paddle64: Run | None = None
    torch32: Run | None = None
    torch64: Run | None = None
    torch64_as_is: Run | None = None
    fed32: Run | None = None
    fed64: Run | None = None
    paddle_as_loaded: Run | None = None
    torch_failure: str | None = None
    fed_failure: str | None = None
    accident: str | None = None


def run_both(session: Session, dtypes: tuple[str, ...], fed: bool, reference: Runs | None = None) -> Runs:
    """Run both frameworks in each of `dtypes`; Paddle's runs and torch's in float32 come with digests. `fed` also feeds
    torch's layers.

    `reference` are runs of the same source in the same types whose Paddle side is taken instead of running it again.
    Raises RunnerError when a runner dies or PaddleNLP cannot run the source.
    """
    known = reference or Runs()
    runs = Runs(paddle_as_loaded=known.paddle_as_loaded)
    attentions: dict[str, Any] = {"options": {"attentions": True}}

    def paddle32() -> Run:
        if session.cast is not None:
            # First, with the digests of what was loaded: the cast model is another one.
            runs.paddle32_uncast = known.paddle32_uncast or session.paddle(
                "float32", "forward", uncast=True, label="forward uncast", digests=True, **attentions
            )
        runs.paddle32 = known.paddle32 or session.paddle("float32", "forward", digests=True, **attentions)
        return runs.paddle32

    def paddle64() -> Run:
        runs.paddle64 = known.paddle64 or session.paddle("float64", "forward", digests=True, **attentions)
        return runs.paddle64

    def feed(dtype: str, paddle: Future[Run]) -> Run | None:
        try:
            return session.torch(dtype, "layers", states=_save_states(session, dtype, paddle.result()))
        except RunnerAnswerError as error:
            runs.fed_failure = str(error)
        except RunnerAccidentError as error:
            runs.accident = str(error)
        return None

    def torch() -> None:
        # In each type, what is fed comes after what is not: meanwhile Paddle makes the states.
        try:
            if "float32" in dtypes:
                runs.torch32 = session.torch("float32", "forward", digests=True, **attentions)
                runs.fed32 = feed("float32", paddles["float32"]) if fed else None
            if "float64" in dtypes:
                runs.torch64 = session.torch("float64", "forward", **attentions)
                if session.aligned or session.tables or session.lifted:
                    runs.torch64_as_is = session.torch("float64", "forward", as_it_is=True, label="forward as it is")
                runs.fed64 = feed("float64", paddles["float64"]) if fed else None
        except RunnerAnswerError as error:
            runs.torch_failure = str(error)
        except RunnerAccidentError as error:
            runs.accident = str(error)

    # One after the other, each finds what it waits for.
    with ThreadPoolExecutor(1 if session.alone else 3) as pool:
        paddles = {dtype: pool.submit({"float32": paddle32, "float64": paddle64}[dtype]) for dtype in dtypes}
        futures: list[Future[Any]] = [*paddles.values(), pool.submit(torch)]
        try:
            for future in futures:
                future.result()
        except Exception:
            raise
        except BaseException:
            # An interrupt of any kind. Leaving the pool waits for its threads, which wait for the runners.
            session.runners.stop()
            raise
    return runs


def _save_states(session: Session, dtype: str, paddle: Run) -> str:
    states = {name: array for name, array in paddle.outputs.items() if kind_of(name) == "hidden_state"}
    return session.save(f"states {dtype}", states)
