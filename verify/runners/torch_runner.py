"""Runs Hugging Face transformers models in a process of its own: requests on standard input, answers on standard
output.

Started as `python torch_runner.py`; every request names its floating-point type.
"""

from __future__ import annotations

import argparse
import glob
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from . import heads, layer_calls, loading_calls, operations, outputs, protocol, tokenizer_calls
else:
    # Run as a script, this file is in no package, and its own folder is where Python looks first.
    import heads
    import layer_calls
    import loading_calls
    import operations
    import outputs
    import protocol
    import tokenizer_calls


class TorchRunner(operations.ModelRunner):
    """The operations over transformers' models, and the frameworks once they are imported."""

    epsilon_attribute = "eps"

    def __init__(self) -> None:
        super().__init__()
        self._frameworks: tuple[Any, Any] | None = None

    def frameworks(self) -> tuple[Any, Any]:
        """Import and return `torch` and `transformers`."""
        if self._frameworks is None:
            try:
                import torch
                import transformers

                # Imported lazily otherwise, at the first model; the same class is behind every model.
                _ = transformers.PreTrainedModel
            except ImportError as error:
                raise protocol.FrameworkMissingError(f"transformers cannot be imported: {error}") from error
            self._frameworks = (torch, transformers)
            protocol.collect_garbage()
        return self._frameworks

    def versions(self, request: protocol.Request) -> protocol.Answer:
        """Return the versions of everything that takes part in a computation."""
        torch, transformers = self.frameworks()
        import numpy
        import safetensors

        return {
            "versions": {
                "python": platform.python_version(),
                "numpy": numpy.__version__,
                "torch": str(torch.__version__),
                "transformers": transformers.__version__,
                "safetensors": safetensors.__version__,
            }
        }

    def load(self, request: protocol.Request) -> tuple[Any, Mapping[str, list[str]]]:
        """Load a model as a user would, and refuse it unless every tensor of the folder was used and sufficed."""
        torch, _ = self.frameworks()
        folder, dtype = protocol.existing_folder(request), protocol.requested_dtype(request)
        architecture, loader = str(protocol.field(request, "architecture")), self.loader(request)
        # Parameters that the folder lacks would get random values; the seed makes them repeatable.
        torch.manual_seed(0)
        model, loading = loader.from_pretrained(
            folder,
            output_loading_info=True,
            # Not to let them pass, but to have them listed by name below.
            ignore_mismatched_sizes=True,
            attn_implementation="eager",
            torch_dtype=torch.float32 if request.get("widened") else getattr(torch, dtype),
            local_files_only=True,
            # PyTorch's own files, which transformers reads without executing anything, where there are no others.
            use_safetensors=all(path.endswith(".safetensors") for path in weight_files(folder)),
        )
        if type(model).__name__ != architecture:
            raise protocol.RequestError(f"the folder describes a {type(model).__name__}, not a {architecture}")
        model.eval()
        names, beside = request.get("stored_names") or {}, request.get("beside")
        if request.get("widened") and dtype == "float64":
            self.widen(model, folder, names)
        files = stored_shapes(folder, None if beside is None else beside["file"])
        problems = loading_problems(loading, files, model.state_dict(), names)
        if problems:
            raise protocol.RequestError(f"{architecture} does not fit its folder: {'; '.join(problems)}")
        if beside is not None:
            heads.add_head(torch, model, folder, beside, getattr(torch, dtype))
        if dtype == "float64":
            # Paddle holds every epsilon as float32; in float64 that rounding alone would show.
            for module in model.modules():
                if self.is_layer_norm(module):
                    module.eps = protocol.as_float32(module.eps)
        return model, {}

    def call(
        self, request: protocol.Request, model: Any, tensors: Mapping[str, Any], attentions: bool
    ) -> dict[str, Any]:
        """As for all models; what a head beside the model makes of its last hidden state comes with it."""
        result = super().call(request, model, tensors, attentions)
        if (beside := request.get("beside")) is not None:
            torch, _ = self.frameworks()
            hidden = result["last_hidden_state"]
            result["logits"] = heads.head_output(torch, model, beside, hidden, self.needed(request))
        return result

    def written(self, model: Any, ids: Any, count: int) -> Any:
        """transformers gives what the decoder began with, too: the ids, or one token where an encoder read those."""
        torch, _ = self.frameworks()
        asked = {"attention_mask": torch.ones_like(ids), "max_new_tokens": count, "do_sample": False, "num_beams": 1}
        begun = 1 if model.config.is_encoder_decoder else ids.shape[1]
        return model.generate(ids, use_cache=True, **asked)[:, begun:]

    def widen(self, model: Any, folder: str, names: Mapping[str, str | None]) -> None:
        """Make a model that was loaded in single precision a double one, with all digits that the files hold; `names`
        are as for `loading_problems`."""
        torch, _ = self.frameworks()
        model.double()
        state = model.state_dict()
        for stored, tensor in stored_doubles(folder):
            name = names.get(stored, stored)
            # What does not fit is listed by name afterwards.
            if name in state and state[name].shape == tensor.shape:
                with torch.no_grad():
                    state[name].copy_(tensor)

    def loader(self, request: protocol.Request) -> Any:
        """The class of transformers whose `from_pretrained` makes the model of a request."""
        _, transformers = self.frameworks()
        architecture = str(protocol.field(request, "architecture"))
        auto_class = str(request.get("auto_class") or ("AutoModel" if architecture.endswith("Model") else architecture))
        loader = getattr(transformers, auto_class, None)
        if loader is None or not hasattr(loader, "from_pretrained"):
            raise protocol.RequestError(f"transformers has no architecture {auto_class!r}")
        return loader

    def operations(self) -> dict[str, protocol.Operation]:
        """The operations by name."""
        return {**super().operations(), "tokenize": self.tokenize}

    def tokenize(self, request: protocol.Request) -> protocol.Answer:
        """Run the cases of a request with the tokenizer that `AutoTokenizer` makes of `folder`."""
        _, transformers = self.frameworks()
        folder = protocol.existing_folder(request)

        def load() -> Any:
            return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)

        return tokenizer_calls.answer(request, load)

    def as_loaded(self, request: protocol.Request) -> protocol.Answer:
        """Load tokenizer and model with the path alone and call the one with what the other gives.

        Writes `CASE.given.FIELD` and, by run, `CASE.RUN.NAME`: `loaded` is the model as it was loaded, computing in
        float32; `aligned` is it with the epsilons that the request wants, where it wants any; `float64` is the latter
        in double precision, where the request asks for the `rounding`. What the folder refuses is the answer `refused`.
        """
        self.release(request)
        try:
            return self._as_loaded(request)
        except loading_calls.RefusedError as refused:
            return {"refused": str(refused)}

    def _as_loaded(self, request: protocol.Request) -> protocol.Answer:
        _, transformers = self.frameworks()
        folder, named, loader = protocol.existing_folder(request), request.get("tokenizer"), self.loader(request)
        tokenizer = None
        if named:
            tokenizer = loading_calls.step(
                "AutoTokenizer.from_pretrained", lambda: transformers.AutoTokenizer.from_pretrained(folder)
            )
        started = time.perf_counter()
        # Asking what did not fit changes nothing in how a model is loaded.
        model, loading = loading_calls.step(
            f"{loader.__name__}.from_pretrained", lambda: loader.from_pretrained(folder, output_loading_info=True)
        )
        seconds = time.perf_counter() - started
        names = request.get("stored_names") or {}
        stated = loading_calls.step(
            "AutoConfig.from_pretrained", lambda: transformers.AutoConfig.from_pretrained(folder)
        )
        facts = {
            "transformers": transformers.__version__,
            "tokenizer_class": loading_calls.class_of(tokenizer),
            "tokenizer_fits": named is None or _is_of_class(tokenizer, transformers, named["class"]),
            "special": loading_calls.special_tokens(tokenizer) if tokenizer is not None else {},
            "model_class": loading_calls.class_of(model),
            "architectures": list(model.config.architectures or ()),
            "chunk": getattr(model.config, "chunk_size_feed_forward", 0),
            "evaluating": not any(module.training for module in model.modules()),
            "problems": loading_problems(loading, stored_shapes(folder), model.state_dict(), names),
            "dtypes": sorted({str(one.dtype).removeprefix("torch.") for one in model.parameters()}),
            "stated_dtype": _stated_dtype(stated),
            **loading_calls.labels_of(model.config),
        }
        cases = loading_calls.read_cases(request)
        given = loading_calls.encode_cases(self, cases, tokenizer, "pt")
        arrays = {f"{case}.given.{field}": array for case, one in given.items() for field, array in one.items()}
        # Exact, and what PaddleNLP computes in.
        model.float()
        found, returned = self._call_cases(request, model, given, "loaded")
        arrays.update(found)
        if wanted := (request.get("options") or {}).get("layer_norm_eps"):
            norms = {name: module for name, module in model.named_modules() if self.is_layer_norm(module)}
            protocol.set_layer_norm_eps(norms, self.epsilon_attribute, wanted)
            arrays.update(self._call_cases(request, model, given, "aligned")[0])
        if request.get("rounding"):
            model.double()
            lifted = (request.get("options") or {}).get("lifted") or ()
            layer_calls.running_within(model.named_modules(), lifted, self.lifting)
            doubled = {case["name"]: given[case["name"]] for case in cases if "error_of" not in case}
            arrays.update(self._call_cases(request, model, doubled, "float64")[0])
        save_file({name: np.ascontiguousarray(one) for name, one in arrays.items()}, protocol.field(request, "outputs"))
        return {**facts, "returned": returned, "seconds": {"load": seconds}}

    def _call_cases(
        self, request: protocol.Request, model: Any, given: loading_calls.Given, run: str
    ) -> tuple[dict[str, protocol.Array], dict[str, Any]]:
        """The arrays of one run, and by case what came back: its class, and the names of its fields in their order,
        None where they have no names."""
        architecture, decodes = str(request["architecture"]), bool(request.get("decodes"))
        arrays: dict[str, protocol.Array] = {}
        returned: dict[str, Any] = {}
        for case, one in given.items():

            def call(one: dict[str, protocol.Array] = one) -> Any:
                return loading_calls.call_model(self, model, architecture, one, decodes=decodes)

            result, parts = loading_calls.step(f"calling the model with {case}", call)
            named = result.items() if hasattr(result, "items") else None
            tensors = None if named is None else outputs.collect_outputs(named, architecture, decodes)
            returned[case] = [type(result).__name__, None if tensors is None else list(tensors)]
            given_out = {name: self.to_array(tensor) for name, tensor in (tensors or {}).items()}
            arrays.update({f"{case}.{run}.{name}": array for name, array in {**parts, **given_out}.items()})
        return arrays, returned

    def one_per_layer(self, model: Any, states: Sequence[Any]) -> Sequence[Any]:
        """One state before the layers and one after each: transformers 5 gives one for every part of a layer that has
        several (ALBERT's inner groups), transformers 4 and PaddleNLP do not."""
        parts = int(getattr(model.config, "inner_group_num", 1))
        return states[::parts] if len(states) == model.config.num_hidden_layers * parts + 1 else states

    def replace_tables(self, loaded: Any, tables: Mapping[str, Mapping[str, Any]]) -> None:
        """`tables` leads from the ends of names of parameters or buffers to the `path` of a numpy array each, and to
        how far `within` of it the model's own must be, None for any number."""
        torch, _ = self.frameworks()
        held = {**dict(loaded.model.named_parameters()), **dict(loaded.model.named_buffers())}
        for name, own in loaded.replaced.items():
            held[name].data = own
        loaded.replaced.clear()
        for ending, given in tables.items():
            names = [name for name in held if name == ending or name.endswith(f".{ending}")]
            if not names:
                raise protocol.RequestError(f"no parameter and no buffer is called {ending!r}")
            # One for all layers: a table may be larger than the layer.
            table = torch.from_numpy(np.load(given["path"]))
            for name in names:
                own = held[name].data
                if problem := protocol.table_problem(self.to_array(own), self.to_array(table), given["within"]):
                    raise protocol.RequestError(f"{name} {problem}")
                loaded.replaced[name], held[name].data = own, table

    def lifting(self) -> AbstractContextManager[Any]:
        """A context in which casts to float32 are casts to float64."""
        torch, _ = self.frameworks()

        class Lifting(torch.overrides.TorchFunctionMode):  # type: ignore[misc,name-defined]
            def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                return _to_double(torch, function, args, kwargs or {})

        context: AbstractContextManager[Any] = Lifting()
        return context

    def named_modules(self, model: Any) -> list[tuple[str, Any]]:
        """All modules of a model, each before its parts and the model itself first."""
        return list(model.named_modules())

    def is_layer_norm(self, module: Any) -> bool:
        """Whether a module is a layer normalisation."""
        torch, _ = self.frameworks()
        return isinstance(module, torch.nn.LayerNorm)

    def is_module_list(self, module: Any) -> bool:
        """Whether a module is a plain list of modules."""
        torch, _ = self.frameworks()
        return isinstance(module, torch.nn.ModuleList)

    def add_hook(self, module: Any, hook: Callable[..., Any]) -> Any:
        """Call `hook(module, inputs, output)` after a module."""
        return module.register_forward_hook(hook)

    def no_gradients(self) -> AbstractContextManager[Any]:
        """A context that computes without recording for gradients."""
        torch, _ = self.frameworks()
        context: AbstractContextManager[Any] = torch.no_grad()
        return context

    def from_array(self, array: protocol.Array) -> Any:
        """Make a tensor of an array."""
        torch, _ = self.frameworks()
        return torch.from_numpy(array)

    def to_array(self, tensor: Any) -> protocol.Array:
        """Make an array of a tensor; the two share memory."""
        array: protocol.Array = tensor.detach().cpu().numpy()
        return array

    def numbers_of(self, tensor: Any) -> protocol.Array:
        """The numbers of a tensor, in its own memory where numpy knows their type."""
        torch, _ = self.frameworks()
        return self.to_array(tensor.float() if tensor.dtype == torch.bfloat16 else tensor)


def _is_of_class(tokenizer: Any, transformers: Any, name: str | None) -> bool:
    """Whether a tokenizer is of transformers' class of this name, or without a name of any of its classes."""
    if name is None:
        return type(tokenizer).__module__.startswith("transformers.")
    # transformers 5 keeps the name of a class that it calls otherwise.
    return type(tokenizer) is getattr(transformers, name, None)


def _stated_dtype(config: Any) -> str | None:
    """The element type that a configuration states; its name changed in transformers 4.56."""
    stated = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)
    return None if stated is None else str(stated).removeprefix("torch.")


def _to_double(torch: Any, function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """What a function of torch's gives, a cast to float32 being one to float64."""
    if function is torch.Tensor.float:
        return args[0].double()
    if function is torch.Tensor.to:
        args = tuple(torch.float64 if one is torch.float32 else one for one in args)
        named = {name: torch.float64 if one is torch.float32 else one for name, one in named.items()}
    return function(*args, **named)


def weight_files(folder: str) -> list[str]:
    """The safetensors files of a folder, or PyTorch's own where it has none."""
    found = (glob.glob(os.path.join(glob.escape(folder), kind)) for kind in ("*.safetensors", "pytorch_model*.bin"))
    return sorted(next((paths for paths in found if paths), []))


def stored_shapes(folder: str, beside: str | None = None) -> dict[str, list[int]]:
    """Return the names and shapes of all tensors in a folder's weight files but the one that is called `beside`."""
    from safetensors import safe_open

    shapes: dict[str, list[int]] = {}
    for path in weight_files(folder):
        if os.path.basename(path) == beside:
            continue
        if path.endswith(".bin"):
            import torch

            state = torch.load(path, map_location="meta", weights_only=True)
            shapes.update({name: list(tensor.shape) for name, tensor in state.items()})
            continue
        with safe_open(path, framework="np") as tensors:
            shapes.update({name: list(tensors.get_slice(name).get_shape()) for name in tensors.keys()})  # noqa: SIM118
    return shapes


def stored_doubles(folder: str) -> Iterator[tuple[str, Any]]:
    """The tensors in double precision of a folder's weight files, by the names in the files."""
    import torch
    from safetensors import safe_open

    for path in weight_files(folder):
        if path.endswith(".bin"):
            state = torch.load(path, map_location="cpu", weights_only=True)
            yield from ((name, tensor) for name, tensor in state.items() if tensor.dtype == torch.float64)
            continue
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                if tensors.get_slice(name).get_dtype() == "F64":
                    yield name, tensors.get_tensor(name)


def loading_problems(
    loading: Mapping[str, Any],
    files: Mapping[str, list[int]],
    state: Mapping[str, Any],
    names: Mapping[str, str | None],
) -> list[str]:
    """List what did not fit, as transformers reports it and as names and shapes show.

    `names` leads from names in the files to those in the model where they are known to differ, None where the model
    is known to have no place for a tensor. transformers keeps quiet about names that a class is declared to ignore,
    hence the second look.
    """
    known = {stored: names.get(stored, stored) for stored in files}
    stored = {name: files[file] for file, name in known.items() if name is not None}
    shared = {state[name].data_ptr() for name in stored if name in state}
    missing = {name for name in state if name not in stored and state[name].data_ptr() not in shared}
    unexpected = {name for name in stored if name not in state}
    mismatched = {
        f"{name} (stored {stored[name]}, expected {list(state[name].shape)})"
        for name in stored
        if name in state and list(state[name].shape) != stored[name]
    }
    found = {
        "missing": missing.union(loading.get("missing_keys", ())),
        "unexpected": unexpected.union(loading.get("unexpected_keys", ())) - {n for n in names if names[n] is None},
        # Names or tuples, depending on the version; the shapes above say the same and more.
        "mismatched": mismatched or {str(entry) for entry in loading.get("mismatched_keys", ())},
    }
    problems = [f"{label} {protocol.few(names)}" for label, names in found.items() if names]
    return problems + [str(message) for message in loading.get("error_msgs", ())]


def main() -> int:
    """Serve requests until standard input ends."""
    argparse.ArgumentParser(description="Runs transformers models on request.").parse_args()
    answers = protocol.prepare_process()
    status = protocol.serve(TorchRunner().operations(), answers)
    sys.stderr.flush()
    # Skips the frameworks' own teardown, which has nothing left to do and sometimes crashes.
    os._exit(status)


if __name__ == "__main__":
    main()
