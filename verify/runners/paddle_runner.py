"""Runs PaddleNLP models in a process of its own: requests on standard input, answers on standard output.

Started as `python paddle_runner.py --dtype float64`. The type is fixed for the life of the process because
PaddleNLP reads Paddle's default type when it is imported.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from . import loading_calls, operations, paddle_loading, protocol, tokenizer_calls
else:
    # Run as a script, this file is in no package, and its own folder is where Python looks first.
    import loading_calls
    import operations
    import paddle_loading
    import protocol
    import tokenizer_calls


DRAWN_ELEMENTS = 1 << 16
"""How many random numbers are drawn at a time."""


class PaddleRunner(operations.ModelRunner):
    """The operations over PaddleNLP's models, and the frameworks once they are imported."""

    epsilon_attribute = "_epsilon"

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.dtype = dtype
        self._frameworks: tuple[Any, Any] | None = None

    def frameworks(self) -> tuple[Any, Any]:
        """Import Paddle, then PaddleNLP under the right default type; return `paddle` and `paddlenlp.transformers`."""
        if self._frameworks is None:
            try:
                import paddle

                paddle.set_default_dtype(self.dtype)
                import paddlenlp.transformers
                from paddlenlp.utils.log import logger
            except ImportError as error:
                raise protocol.FrameworkMissingError(f"PaddleNLP cannot be imported: {error}") from error
            logger.set_level("ERROR")
            paddle.set_device("cpu")
            self._frameworks = (paddle, paddlenlp.transformers)
            protocol.collect_garbage()
        return self._frameworks

    def model_class(self, architecture: str) -> Any:
        """Return PaddleNLP's class for an architecture."""
        _, transformers = self.frameworks()
        found = getattr(transformers, architecture, None)
        if found is None or not hasattr(found, "from_pretrained"):
            raise protocol.RequestError(f"PaddleNLP has no architecture {architecture!r}")
        return found

    def versions(self, request: protocol.Request) -> protocol.Answer:
        """Return the versions of everything that takes part in a computation."""
        paddle, _ = self.frameworks()
        import numpy
        import paddlenlp

        return {
            "versions": {
                "python": platform.python_version(),
                "numpy": numpy.__version__,
                "paddlepaddle": paddle.__version__,
                "paddlenlp": paddlenlp.__version__,
            }
        }

    def operations(self) -> dict[str, protocol.Operation]:
        """The operations by name."""
        return {**super().operations(), "seed": self.seed, "tokenize": self.tokenize}

    def load(self, request: protocol.Request) -> tuple[Any, Mapping[str, list[str]]]:
        """Load a model with PaddleNLP's own code; also return the names that did not fit, which it only logs."""
        paddle, _ = self.frameworks()
        if protocol.requested_dtype(request) != self.dtype:
            raise protocol.RequestError(f"this process computes in {self.dtype} only")
        architecture, folder = str(protocol.field(request, "architecture")), protocol.existing_folder(request)
        model_class = self.model_class(architecture)
        loading: dict[str, list[str]] = {"missing": [], "unexpected": [], "mismatched": []}
        original = model_class._load_pretrained_model

        def recording(cls: Any, *arguments: Any, **keywords: Any) -> Any:
            result = original(*arguments, **keywords)
            for label, names in zip(loading, result[1:], strict=True):
                loading[label] = sorted(str(name) for name in names)
            return result

        model_class._load_pretrained_model = classmethod(recording)
        try:
            # A parameter that the folder lacks stays NaN, and so does all that is computed from it.
            with (
                paddle_loading.initial_values(paddle, math.nan),
                paddle_loading.doubling(paddle) if self.dtype == "float64" else nullcontext(),
            ):
                # The folder's configuration may name a type of its own, which would win over the default type.
                model = model_class.from_pretrained(folder, dtype=self.dtype)
                if self.dtype == "float64":
                    paddle_loading.widen_buffers(paddle, model)
        finally:
            with suppress(AttributeError):
                del model_class._load_pretrained_model
        model.eval()
        if self.dtype == "float64":
            paddle_loading.widen_layers(paddle, model)
        if request.get("cast"):
            with self.no_gradients():
                for parameter in model.state_dict().values():
                    if parameter.is_floating_point():
                        parameter.set_value(protocol.rounded(parameter.numpy(), request["cast"]))
        return model, loading

    def prepare(self, model: Any, inputs: Mapping[str, protocol.Array]) -> None:
        """PaddleNLP's BERT for multiple choice shapes its answer by a number and not by its input."""
        if hasattr(model, "num_choices") and inputs["input_ids"].ndim == 3:
            model.num_choices = inputs["input_ids"].shape[1]

    def call(
        self, request: protocol.Request, model: Any, tensors: Mapping[str, Any], attentions: bool
    ) -> dict[str, Any]:
        """As for all models; one that `returns` plain tensors cannot be asked for its states: its encoder can, or gives
        them unasked."""
        returns = request.get("returns")
        tensors = {**tensors, **self.needed(request)}
        if returns is None:
            return super().call(request, model, tensors, attentions)
        if request.get("unasked"):
            return dict(zip(returns["names"], self.parts(model(**tensors, **request["asks"])), strict=True))
        paddle, _ = self.frameworks()
        own: dict[str, Any] = {}
        parts: list[Any] = []
        encoder = model.base_model.encoder
        plain = encoder.forward

        def asked(*given: Any, **named: Any) -> Any:
            if returns["encoder"] is not None:
                result = plain(*given, **named)
                own.update(zip(returns["encoder"], result, strict=True))
                return result
            named.update(output_hidden_states=True, output_attentions=attentions, return_dict=True)
            result = plain(*given, **named)
            own.update(result.items())
            return result.last_hidden_state

        hooks = [
            self.add_hook(getattr(model, name), lambda module, given, result: parts.append(result))
            for name in returns["modules"]
        ]
        # Not by assignment, which PaddleNLP intercepts.
        vars(encoder)["forward"] = asked
        try:
            results = model(**tensors, **request["asks"])
        finally:
            del vars(encoder)["forward"]
            for hook in hooks:
                hook.remove()
        if (scores := own.pop("attention_scores", None)) is not None and attentions:
            own["attentions"] = [paddle.nn.functional.softmax(one, axis=-1) for one in scores]
        if parts:
            own["qa_logits"] = paddle.concat(parts, axis=-1)
        return {**own, **dict(zip(returns["names"], self.parts(results), strict=True))}

    def written(self, model: Any, ids: Any, count: int) -> Any:
        """PaddleNLP gives the new tokens alone, with their scores. It takes 20 for the number for none stated, and then
        the older name of it."""
        asked = {"max_new_tokens": count, "max_length": count, "decode_strategy": "greedy_search", "use_cache": True}
        return model.generate(ids, **asked)[0]

    @staticmethod
    def parts(result: Any) -> list[Any]:
        """What a model gives, in its order, without names."""
        if isinstance(result, dict):
            return [one for one in result.values() if one is not None]
        return list(result) if isinstance(result, tuple | list) else [result]

    def named_modules(self, model: Any) -> list[tuple[str, Any]]:
        """All modules of a model, each before its parts and the model itself first."""
        return list(model.named_sublayers(include_self=True))

    def is_layer_norm(self, module: Any) -> bool:
        """Whether a module is a layer normalisation."""
        paddle, _ = self.frameworks()
        return isinstance(module, paddle.nn.LayerNorm)

    def is_module_list(self, module: Any) -> bool:
        """Whether a module is a plain list of modules."""
        paddle, _ = self.frameworks()
        return isinstance(module, paddle.nn.LayerList)

    def add_hook(self, module: Any, hook: Callable[..., Any]) -> Any:
        """Call `hook(module, inputs, output)` after a module."""
        return module.register_forward_post_hook(hook)

    def no_gradients(self) -> AbstractContextManager[Any]:
        """A context that computes without recording for gradients."""
        paddle, _ = self.frameworks()
        context: AbstractContextManager[Any] = paddle.no_grad()
        return context

    def lifting(self) -> AbstractContextManager[Any]:
        """A context in which casts to float32 are casts to float64."""
        paddle, _ = self.frameworks()
        return paddle_loading.lifting(paddle)

    def from_array(self, array: protocol.Array) -> Any:
        """Make a tensor of an array."""
        paddle, _ = self.frameworks()
        return paddle.to_tensor(array)

    def to_array(self, tensor: Any) -> protocol.Array:
        """Copy a tensor into an array."""
        array: protocol.Array = tensor.numpy()
        return array

    def numbers_of(self, tensor: Any) -> protocol.Array:
        """The numbers of a tensor, in its own memory where numpy can have that."""
        paddle, _ = self.frameworks()
        if tensor.dtype == paddle.bfloat16:
            return self.to_array(tensor.astype("float32"))
        try:
            return np.from_dlpack(tensor.detach())
        # An older Paddle has no such protocol, and what lies otherwise than in one row, or nowhere, is not shared.
        except (AttributeError, BufferError, RuntimeError, TypeError):
            return self.to_array(tensor)

    def tokenize(self, request: protocol.Request) -> protocol.Answer:
        """Run the cases of a request with PaddleNLP's tokenizer."""
        return tokenizer_calls.run_cases(request, tokenizer_calls.cutting_once(self.tokenizer(request)))

    def tokenizer(self, request: protocol.Request) -> Any:
        """PaddleNLP's `tokenizer_class` on the files of `folder`.

        `settings` are laid over those of the folder. With a `name`, they are PaddleNLP's own for that pretrained name,
        which otherwise hold only for what PaddleNLP downloads.
        """
        _, transformers = self.frameworks()
        folder, name = protocol.existing_folder(request), str(protocol.field(request, "tokenizer_class"))
        tokenizer_class = getattr(transformers, name, None)
        if tokenizer_class is None:
            raise protocol.RequestError(f"PaddleNLP has no tokenizer {name!r}")
        settings: dict[str, Any] = {}
        if request.get("name"):
            # Some classes state no settings for a name, or no length.
            settings.update(tokenizer_class.pretrained_init_configuration.get(request["name"], {}))
            if (length := tokenizer_class.max_model_input_sizes.get(request["name"])) is not None:
                settings["model_max_length"] = length
        settings.update(request.get("settings") or {})
        # AlbertTokenizer asks for the files of both kinds of vocabulary, and never finds the other one in a folder.
        for argument, file in tokenizer_class.resource_files_names.items():
            if not os.path.isfile(os.path.join(folder, file)):
                settings[argument] = None
        return tokenizer_class.from_pretrained(folder, **settings)

    def as_loaded(self, request: protocol.Request) -> protocol.Answer:
        """Call the model with what PaddleNLP's tokenizer gives, or with the ids of the cases, and nothing else.

        Writes `CASE.given.FIELD`, and `CASE.NN` for what comes back in PaddleNLP's order, beside `CASE.part.NAME`. The
        model is that of the other operations: they load it in the plain way too.
        """
        loaded = self._loaded(request)
        named = request.get("tokenizer")
        tokenizer = self.tokenizer(named) if named else None
        arrays: dict[str, protocol.Array] = {}
        cases = loading_calls.read_cases(request)
        typed = bool((named or {}).get("token_types", True))
        stated = {case["name"] for case in cases if case.get("state_positions")}
        for case, given in loading_calls.encode_cases(self, cases, tokenizer, "pd", typed).items():
            modules = (request.get("returns") or {}).get("modules", ())
            asks = request.get("asks") or {}
            taken = given if case not in stated else {**given, "position_ids": positions_of(given["input_ids"])}
            result, parts = loading_calls.call_model(
                self, loaded.model, loaded.architecture, taken, modules, asks, bool(request.get("decodes"))
            )
            arrays.update({f"{case}.given.{name}": array for name, array in given.items()})
            arrays.update({f"{case}.part.{name}": array for name, array in parts.items()})
            # A cache for decoding, a tuple that comes back where use_cache is set, follows from the rest.
            tensors = [tensor for tensor in self.parts(result) if hasattr(tensor, "ndim")]
            arrays.update({f"{case}.{index:02d}": self.to_array(tensor) for index, tensor in enumerate(tensors)})
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, protocol.field(request, "outputs")
        )
        return {
            **loading_calls.labels_of(loaded.model.config),
            "special": loading_calls.special_tokens(tokenizer) if tokenizer is not None else {},
            "seconds": {"load": loaded.seconds},
        }

    def seed(self, request: protocol.Request) -> protocol.Answer:
        """Build a model with seeded weights and let PaddleNLP write it to a folder.

        The configuration is that of the request; with a `name`, it is laid over PaddleNLP's own for that
        pretrained name.
        """
        paddle, _ = self.frameworks()
        self.release(request)
        if self.dtype != "float32":
            raise protocol.RequestError("seeded weights are written by a float32 process only")
        model_class = self.model_class(str(protocol.field(request, "architecture")))
        fields = dict(request.get("configuration") or {})
        if request.get("name"):
            known = model_class.pretrained_init_configuration
            if request["name"] not in known:
                raise protocol.RequestError(f"PaddleNLP has no configuration for the name {request['name']!r}")
            fields = {**known[request["name"]], **fields}
        folder = str(protocol.field(request, "folder"))
        seed = int(protocol.field(request, "seed"))

        started = time.perf_counter()
        # Paddle numbers its layers, and saves those names too: starting over makes equal seeds give equal files.
        with paddle_loading.initial_values(paddle, math.nan), paddle.utils.unique_name.guard():
            model = model_class(model_class.config_class(**fields))
        built = time.perf_counter()
        set_seeded_values(paddle, model, seed)
        if request.get("zero_padding"):
            zero_padding_rows(paddle, model)
        for name, buffer in model.named_buffers():
            # Otherwise called after a counter of the whole process, which would end up in the file.
            buffer.name = name
        seeded = time.perf_counter()
        model.save_pretrained(folder)
        answer = {
            "folder": folder,
            "digests": self.state_digests(model) if request.get("digests") else {},
            "configuration": protocol.configuration_of(model.config),
            "parameters": sum(parameter_sizes(model)),
            "seconds": {
                "build": built - started,
                "values": seeded - built,
                "save": time.perf_counter() - seeded,
            },
        }
        # Its memory is needed by what comes next.
        del model
        self.release(request)
        return answer


def positions_of(ids: protocol.Array) -> protocol.Array:
    """Positions from 0 for ids of shape [rows, tokens]."""
    return np.tile(np.arange(ids.shape[1], dtype=np.int64), (len(ids), 1))


def parameter_sizes(model: Any) -> list[int]:
    """Return the number of elements of each parameter, a shared one counted once."""
    return [int(parameter.size) for _, parameter in model.named_parameters()]


def set_seeded_values(paddle: ModuleType, model: Any, seed: int) -> None:
    """Give every parameter values that depend on the seed and its name only.

    Biases and LayerNorm gains are random too, and so is the padding row: with zeros and ones there, a wrong
    conversion of them would go unseen.
    """
    weights = (getattr(module, "weight", None) for module in model.sublayers(include_self=True))
    gains = {id(weight) for weight in weights if weight is not None and weight.ndim == 1}

    def fill(named: tuple[str, Any]) -> None:
        name, parameter = named
        key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
        generator = np.random.Generator(np.random.PCG64(int.from_bytes(key[:16], "little")))
        spread, middle = (0.3, 1.0) if id(parameter) in gains else (0.02 if parameter.ndim > 1 else 0.1, 0.0)
        values = memory_of(parameter)
        # In pieces that stay in the cache.
        for start in range(0, values.size, DRAWN_ELEMENTS):
            piece = values[start : start + DRAWN_ELEMENTS]
            generator.standard_normal(dtype=np.float32, out=piece)
            piece *= np.float32(spread)
            if middle:
                piece += np.float32(middle)

    # A shared parameter is listed once, under its first name, and so stays shared.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, model.named_parameters()))


def memory_of(parameter: Any) -> protocol.Array:
    """The float32 numbers of a parameter in its own memory, in one row: filling it in the way of Paddle's takes two
    copies beside it."""
    if not parameter.is_contiguous() or parameter.element_size() != 4:
        raise protocol.RequestError(f"{parameter.name} cannot be filled: its numbers do not lie in one row of float32")
    size = int(parameter.size)
    if not size:
        return np.empty(0, np.float32)
    return np.ctypeslib.as_array((ctypes.c_float * size).from_address(parameter.data_ptr()))


def zero_padding_rows(paddle: ModuleType, model: Any) -> None:
    """Write zeros into the rows that embeddings read as zeros."""
    for module in model.sublayers():
        row = module._padding_idx if isinstance(module, paddle.nn.Embedding) else None
        if row is not None and row >= 0:
            values = module.weight.numpy()
            values[row] = 0
            module.weight.set_value(values)


def main() -> int:
    """Read the options and serve requests until standard input ends."""
    parser = argparse.ArgumentParser(description="Runs PaddleNLP models on request.")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    dtype = parser.parse_args().dtype
    answers = protocol.prepare_process()
    status = protocol.serve(PaddleRunner(dtype).operations(), answers)
    sys.stderr.flush()
    # Skips the frameworks' own teardown, which has nothing left to do and sometimes crashes.
    os._exit(status)


if __name__ == "__main__":
    main()
