"""What a runner does with a model, the same for both frameworks; how a framework does it is left to subclasses.

Operations that take a model name its `folder`, `architecture` and `dtype`. With a `session`, a text that the caller
makes up for one verification, the model stays loaded for the next request of that session, because loading takes
longer than running; a request for another model, or `release`, drops it.
"""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    from . import embedding_calls, layer_calls, outputs, protocol
else:
    # Run beside the scripts, this file is in no package.
    import embedding_calls
    import layer_calls
    import outputs
    import protocol


@dataclass
class Loaded:
    """A live model: `loading` lists names that did not fit, `epsilons` are those of its LayerNorms as loaded,
    `replaced` the tables that others stand in place of, and `lifted` the modules whose casts are lifted."""

    model: Any
    architecture: str
    loading: Mapping[str, list[str]]
    modules: list[tuple[str, Any]]
    norms: dict[str, Any]
    epsilons: dict[str, float]
    seconds: float
    replaced: dict[str, Any] = field(default_factory=dict)
    lifted: list[Any] = field(default_factory=list)


class ModelRunner(ABC):
    """The operations of a runner over one framework."""

    epsilon_attribute: str
    """Where a live LayerNorm holds its epsilon."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[str, ...], Loaded] | None = None

    @abstractmethod
    def versions(self, request: protocol.Request) -> protocol.Answer:
        """Return the versions of everything that takes part in a computation."""

    @abstractmethod
    def load(self, request: protocol.Request) -> tuple[Any, Mapping[str, list[str]]]:
        """Load the model of a request as a user would, ready to evaluate; also return names that did not fit."""

    @abstractmethod
    def as_loaded(self, request: protocol.Request) -> protocol.Answer:
        """Load a folder as a user does, call the model with what its tokenizer gives, and say what that is."""

    @abstractmethod
    def written(self, model: Any, ids: Any, count: int) -> Any:
        """The tokens, at most `count`, that a model writes behind each row of ids by its library's `generate`."""

    @abstractmethod
    def named_modules(self, model: Any) -> list[tuple[str, Any]]:
        """All modules of a model, each before its parts and the model itself first."""

    @abstractmethod
    def is_layer_norm(self, module: Any) -> bool:
        """Whether a module is a layer normalisation."""

    @abstractmethod
    def is_module_list(self, module: Any) -> bool:
        """Whether a module is a plain list of modules."""

    @abstractmethod
    def add_hook(self, module: Any, hook: Callable[..., Any]) -> Any:
        """Call `hook(module, inputs, output)` after a module; what it returns, unless None, replaces the output."""

    @abstractmethod
    def no_gradients(self) -> AbstractContextManager[Any]:
        """A context that computes without recording for gradients."""

    @abstractmethod
    def from_array(self, array: protocol.Array) -> Any:
        """Make a tensor of an array."""

    @abstractmethod
    def to_array(self, tensor: Any) -> protocol.Array:
        """Make an array of a tensor; the two may share memory."""

    @abstractmethod
    def numbers_of(self, tensor: Any) -> protocol.Array:
        """The numbers of a tensor of any type, bfloat16 as float32, to be read only; where that can be without a copy
        of them."""

    def prepare(self, model: Any, inputs: Mapping[str, protocol.Array]) -> None:  # noqa: B027
        """Adapt a live model to inputs where its class asks for that; by default nothing."""

    def replace_tables(self, loaded: Loaded, tables: Mapping[str, Mapping[str, Any]]) -> None:  # noqa: B027
        """Put the arrays of files in place of a live model's, and its own back in place of others; by default
        nothing."""

    @abstractmethod
    def lifting(self) -> AbstractContextManager[Any]:
        """A context in which casts to float32 are casts to float64."""

    def lift_casts(self, loaded: Loaded, classes: Sequence[str]) -> None:
        """Let modules of these classes, and no others, compute in float64 where they would cast to float32."""
        for module in loaded.lifted:
            del vars(module)["forward"]
        loaded.lifted[:] = layer_calls.running_within(loaded.modules, classes, self.lifting)

    def one_per_layer(self, model: Any, states: Sequence[Any]) -> Sequence[Any]:
        """The hidden states that a model puts out, one before its layers and one after each; by default all."""
        return states

    def call(
        self, request: protocol.Request, model: Any, tensors: Mapping[str, Any], attentions: bool
    ) -> dict[str, Any]:
        """Call a model and return what it puts out, all hidden states included, by the framework's names; with
        `unasked`, it is not asked for these, nor for attention maps."""
        if request.get("unasked"):
            return dict(model(**tensors, return_dict=True).items())
        asked = {"output_hidden_states": True, "output_attentions": attentions, "return_dict": True}
        return dict(model(**tensors, **asked).items())

    def needed(self, request: protocol.Request) -> dict[str, Any]:
        """The arguments that a class insists on beside the usual ones: positions."""
        given = (request.get("needs") or {}).items()
        return {name: self.from_array(np.array(values, np.int64)) for name, values in given}

    def operations(self) -> dict[str, protocol.Operation]:
        """The operations by name."""
        return {
            "versions": self.versions,
            "forward": self.forward,
            "layers": self.layers,
            "trace": self.trace,
            "embeddings": self.embeddings,
            "gradients": self.gradients,
            "generate": self.generate,
            "as_loaded": self.as_loaded,
            "release": self.release,
        }

    def forward(self, request: protocol.Request) -> protocol.Answer:
        """Run one batch through a model, write the outputs and describe the live model."""
        loaded = self._loaded(request)
        options = request.get("options") or {}
        started = time.perf_counter()
        with self.no_gradients():
            tensors = self._run(request, loaded, bool(options.get("attentions")))
            arrays = {name: self.to_array(tensor) for name, tensor in tensors.items()}
        seconds = time.perf_counter() - started

        def evaluate(function: Any, points: protocol.Array) -> protocol.Array:
            with self.no_gradients():
                return self.to_array(function(self.from_array(points.astype(request["dtype"]))))

        epsilons = {name: float(getattr(norm, self.epsilon_attribute)) for name, norm in loaded.norms.items()}
        return {
            "outputs": protocol.write_outputs(request, arrays, request["dtype"]),
            "digests": self.state_digests(loaded.model) if request.get("digests") else {},
            "loading": dict(loaded.loading),
            "parameters": sum(math.prod(parameter.shape) for _, parameter in loaded.model.named_parameters()),
            **protocol.describe(loaded.model.config, loaded.modules, epsilons, evaluate, request),
            "seconds": {"load": loaded.seconds, "forward": seconds},
        }

    def layers(self, request: protocol.Request) -> protocol.Answer:
        """Feed `states`, a file with the reference's hidden states, into one layer call at a time.

        Writes `hidden_state.00` as the model made it, `hidden_state.NN` as layer NN made it from the reference's
        state NN - 1, and all else that the model puts out, made from the reference's last state. Of an encoder-decoder,
        both are fed so.
        """
        loaded = self._loaded(request)
        calls, _, tensors = self._run_fed(request, loaded, 0, {})
        # The states that the model hands out are partly those that were fed.
        given = ("hidden_state.", "attention.", "last_hidden_state")
        arrays = {name: self.to_array(tensor) for name, tensor in tensors.items() if not name.startswith(given)}
        for stack, own in calls.items():
            arrays.update({f"{stack}hidden_state.{index:02d}": array for index, array in enumerate(own.own)})
        return {
            "outputs": protocol.write_outputs(request, arrays, request["dtype"]),
            "seconds": {"load": loaded.seconds},
        }

    def trace(self, request: protocol.Request) -> protocol.Answer:
        """Feed `states` as `layers` does and write what the named `modules` take and give at one `stage`, of an
        encoder-decoder's `stack`.

        Stage 0 is before the layers, i is layer i, one more than the number of layers is behind them. Answers with
        the `order` in which the modules were called; a module that is called twice is recorded the first time.
        """
        loaded = self._loaded(request)
        wanted = set(protocol.field(request, "modules"))
        modules = {name: module for name, module in loaded.modules if name in wanted}
        _, recorder, _ = self._run_fed(request, loaded, int(protocol.field(request, "stage")), modules)
        protocol.write_outputs(request, recorder.arrays, request["dtype"])
        return {"order": recorder.order}

    def embeddings(self, request: protocol.Request) -> protocol.Answer:
        """Put one long row of ids, or many rows, through the embeddings alone; write them block by block, each to a
        file in the existing folder `outputs`: of a large vocabulary all together are as large as the model."""
        loaded = self._loaded(request)
        # Without an architecture, the inputs keep their two axes.
        inputs = protocol.read_inputs(request, "")
        inputs.pop("attention_mask", None)
        stacks, form = self._stacks(request, loaded.model), _layer_form(request)
        with self.no_gradients():
            backbone, arrays_of = loaded.model.base_model, (self.to_array, self.from_array)
            blocks = embedding_calls.Embeddings(backbone, stacks, form, *arrays_of).blocks(inputs)
            return {"outputs": protocol.write_each(request, blocks, request["dtype"])}

    def gradients(self, request: protocol.Request) -> protocol.Answer:
        """Write d(sum of outputs times projections) / d(parameter) for every parameter.

        `projections` is a file of arrays with the names and shapes of outputs; `outputs` is an existing folder for
        one `.npy` file per parameter. Answers with the file's name by parameter, None where there is no gradient.
        """
        files = self._write_gradients(request)
        buffers = [name for name, _ in self._loaded(request).model.named_buffers()]
        # The gradients live as long as the model.
        self.release(request)
        return {"files": files, "buffers": buffers}

    def _write_gradients(self, request: protocol.Request) -> dict[str, str | None]:
        loaded = self._loaded(request)
        projections = load_file(protocol.field(request, "projections"))
        tensors = self._run(request, loaded, False)
        if absent := sorted(projections.keys() - tensors.keys()):
            raise protocol.RequestError(f"the model puts out no {', '.join(absent)}")
        # An output that lacks axes of length 1 is projected as it is.
        shaped = {name: array.reshape(tuple(tensors[name].shape)) for name, array in projections.items()}
        parts = [(tensors[name] * self.from_array(array)).sum() for name, array in shaped.items()]
        total = sum(parts[1:], start=parts[0])
        total.backward()
        files: dict[str, str | None] = {}
        for index, (name, parameter) in enumerate(loaded.model.named_parameters()):
            files[name] = None
            if parameter.grad is not None:
                files[name] = f"{index:05d}.npy"
                # One at a time: all together are as large as the model.
                np.save(os.path.join(protocol.field(request, "outputs"), f"{index:05d}.npy"), self._gradient(parameter))
        return files

    def generate(self, request: protocol.Request) -> protocol.Answer:
        """Let a model write up to `count` tokens behind the rows of `ids`, the most probable one each time and with a
        cache. One that has an encoder reads the ids, and its decoder begins as the configuration says.

        Writes `tokens` [rows, steps], and the logits [rows, vocabulary] that each step chose from as `logits.NN`.
        """
        loaded = self._loaded(request)
        steps: list[protocol.Array] = []

        def record(module: Any, given: Any, result: Any) -> None:
            logits = getattr(result, "logits", result[0] if isinstance(result, tuple) else result)
            steps.append(np.array(self.to_array(logits)[:, -1]))

        ids, count = np.asarray(protocol.field(request, "ids"), np.int64), int(protocol.field(request, "count"))
        hook = self.add_hook(loaded.model, record)
        try:
            with self.no_gradients():
                tokens = self.to_array(self.written(loaded.model, self.from_array(ids), count))
        finally:
            hook.remove()
        arrays = {"tokens": np.ascontiguousarray(tokens)}
        arrays.update({f"logits.{index:02d}": one for index, one in enumerate(steps)})
        save_file(arrays, protocol.field(request, "outputs"))
        return {"steps": len(steps)}

    def release(self, request: protocol.Request) -> protocol.Answer:
        """Drop the model that is kept."""
        self._kept = None
        # Models hold cycles; without this, several large ones would be in memory at a time.
        protocol.collect_garbage()
        protocol.return_free_memory()
        return {}

    def state_digests(self, model: Any) -> dict[str, Any]:
        """The digest of every entry of a model's state."""
        return {name: protocol.digest(self.numbers_of(tensor)) for name, tensor in model.state_dict().items()}

    def _gradient(self, parameter: Any) -> protocol.Array:
        return self.to_array(parameter.grad)

    def _loaded(self, request: protocol.Request) -> Loaded:
        """The model of a request, kept or loaded, with the epsilons that the request wants."""
        dtype = protocol.requested_dtype(request)
        architecture = str(protocol.field(request, "architecture"))
        folder = protocol.existing_folder(request)
        session = str(request.get("session") or "")
        key = (session, folder, architecture, str(request.get("auto_class")), dtype, str(request.get("cast")))
        if self._kept is not None and session and self._kept[0] == key:
            loaded = self._kept[1]
            loaded.seconds = 0.0
        else:
            self.release(request)
            loaded = self._load(request, architecture)
            if session:
                self._kept = (key, loaded)
        for name, norm in loaded.norms.items():
            setattr(norm, self.epsilon_attribute, loaded.epsilons[name])
        options = request.get("options") or {}
        protocol.set_layer_norm_eps(loaded.norms, self.epsilon_attribute, options.get("layer_norm_eps") or {})
        self.replace_tables(loaded, options.get("tables") or {})
        self.lift_casts(loaded, options.get("lifted") or () if dtype == "float64" else ())
        return loaded

    def _load(self, request: protocol.Request, architecture: str) -> Loaded:
        started = time.perf_counter()
        model, loading = self.load(request)
        seconds = time.perf_counter() - started
        modules = self.named_modules(model)
        norms = {name: module for name, module in modules if self.is_layer_norm(module)}
        epsilons = {name: getattr(norm, self.epsilon_attribute) for name, norm in norms.items()}
        return Loaded(model, architecture, loading, modules, norms, epsilons, seconds)

    def _stacks(self, request: protocol.Request, model: Any) -> dict[str, list[layer_calls.Step]]:
        """The layers of a model: its encoder's, and those of a decoder behind that, by what stands before the names of
        their states."""
        backbone = model.base_model
        stacks = {"": self._layer_modules(request, model, getattr(backbone, "encoder", backbone))}
        if request.get("decodes"):
            stacks[outputs.DECODER] = self._layer_modules(request, model, backbone.decoder)
        return stacks

    def _layer_modules(self, request: protocol.Request, model: Any, encoder: Any) -> list[layer_calls.Step]:
        """What an encoder or a decoder calls once per hidden state: the parts of the first list of modules in it, the
        first one with what comes after it."""
        lists = [one for _, one in self.named_modules(encoder) if self.is_module_list(one)]
        if not lists:
            raise protocol.RequestError(f"no list of layers was found in {type(model).__name__}")
        steps = [(layer, layer) for layer in lists[0]]
        name = _layer_form(request).after_first
        if name is not None and (last := getattr(encoder, name, None)) is not None:
            steps[0] = (steps[0][0], last)
        return steps

    def _run_fed(
        self, request: protocol.Request, loaded: Loaded, stage: int, modules: Mapping[str, Any]
    ) -> tuple[dict[str, layer_calls.LayerCalls], layer_calls.ModuleRecorder, dict[str, Any]]:
        arrays = load_file(protocol.field(request, "states"))
        stacks = self._stacks(request, loaded.model)
        calls = {stack: self._calls(request, layer_calls.read_states(arrays, stack)) for stack in stacks}
        stack = str(request.get("stack") or "")
        recorder = layer_calls.ModuleRecorder(calls[stack], stage, self.to_array, calls[""] if stack else None)
        with ExitStack() as watched:
            watched.enter_context(self.no_gradients())
            for stack, layers in stacks.items():
                watched.enter_context(calls[stack].feeding(layers))
            watched.enter_context(recorder.recording(modules, self.add_hook))
            return calls, recorder, self._run(request, loaded, False, fed=True)

    def _calls(self, request: protocol.Request, states: Sequence[protocol.Array]) -> layer_calls.LayerCalls:
        return layer_calls.LayerCalls(states, _layer_form(request), self.to_array, self.from_array)

    def _run(self, request: protocol.Request, loaded: Loaded, attentions: bool, fed: bool = False) -> dict[str, Any]:
        """Run a model once and return every tensor it puts out, with those of its backbone, by neutral names. The
        hidden states are those of its layers' calls where the request wants them `recorded`, unless they are `fed`."""
        model, decodes = loaded.model, bool(request.get("decodes"))
        inputs = protocol.read_inputs(request, loaded.architecture)
        self.prepare(model, inputs)
        backbone: dict[str, Any] = {}
        raw: dict[str, Any] = {}

        def on_backbone(module: Any, given: Any, result: Any) -> None:
            backbone.update(outputs.of_backbone(result, decodes))

        def on_question_answering(module: Any, given: Any, result: Any) -> None:
            raw["qa_logits"] = result

        stacks = self._stacks(request, model) if request.get("recorded") and not fed else {}
        recorded = {stack: self._calls(request, ()) for stack in stacks}
        hooks = [self.add_hook(model.base_model, on_backbone)]
        if "ForQuestionAnswering" in loaded.architecture:
            linear = model.qa_outputs if hasattr(model, "qa_outputs") else model.classifier
            hooks.append(self.add_hook(linear, on_question_answering))
        try:
            tensors = {name: self.from_array(array) for name, array in inputs.items()}
            with ExitStack() as watched:
                for stack, layers in stacks.items():
                    watched.enter_context(recorded[stack].feeding(layers))
                own = self.call(request, model, tensors, attentions)
        finally:
            for hook in hooks:
                hook.remove()
        # What was recorded goes before what a configuration makes one side give unasked.
        states = {stack: [self.from_array(state) for state in calls.own] for stack, calls in recorded.items()}
        if decodes:
            own["encoder_hidden_states"], own["decoder_hidden_states"] = states.get(""), states.get(outputs.DECODER)
        elif states.get(""):
            own["hidden_states"] = states[""]
        elif own.get("hidden_states") is not None:
            own["hidden_states"] = self.one_per_layer(model, own["hidden_states"])
        # The task's own tensors come last so that the backbone's never replace them.
        return outputs.collect_outputs([*backbone.items(), *raw.items(), *own.items()], loaded.architecture, decodes)


def _layer_form(request: protocol.Request) -> layer_calls.LayerForm:
    return layer_calls.LayerForm(**(request.get("layers") or {}))
