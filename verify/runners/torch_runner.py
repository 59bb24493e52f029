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
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import protocol
else:
    # Run as a script, this file is in no package, and its own folder is where Python looks first.
    import protocol


class TorchRunner:
    """The operations, and the frameworks once they are imported."""

    def __init__(self) -> None:
        self._frameworks: tuple[Any, Any] | None = None

    def frameworks(self) -> tuple[Any, Any]:
        """Import and return `torch` and `transformers`."""
        if self._frameworks is None:
            try:
                import torch
                import transformers
            except ImportError as error:
                raise protocol.FrameworkMissingError(f"transformers cannot be imported: {error}") from error
            self._frameworks = (torch, transformers)
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

    def forward(self, request: protocol.Request) -> protocol.Answer:
        """Load a folder, run one batch through it, write the outputs and describe the live model."""
        torch, _ = self.frameworks()
        dtype = protocol.requested_dtype(request)
        architecture = str(protocol.field(request, "architecture"))
        inputs = protocol.read_inputs(request, architecture)
        options = request.get("options") or {}

        started = time.perf_counter()
        model = self.load(architecture, protocol.existing_folder(request), dtype)
        loaded = time.perf_counter()
        modules = list(model.named_modules())
        norms = {name: module for name, module in modules if isinstance(module, torch.nn.LayerNorm)}
        if dtype == "float64":
            # Paddle holds every epsilon as float32; in float64 that rounding alone would show.
            for norm in norms.values():
                norm.eps = protocol.as_float32(norm.eps)
        protocol.set_layer_norm_eps(norms, "eps", options.get("layer_norm_eps") or {})

        running = time.perf_counter()
        arrays = run_model(torch, model, architecture, inputs, bool(options.get("attentions")))
        ran = time.perf_counter()

        def evaluate(function: Any, points: protocol.Array) -> protocol.Array:
            with torch.inference_mode():
                return to_array(function(torch.from_numpy(points.astype(dtype))))

        return {
            "outputs": protocol.write_outputs(request, arrays, dtype),
            "digests": state_digests(model) if request.get("digests") else {},
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            **protocol.describe(
                model.config, modules, {name: float(module.eps) for name, module in norms.items()}, evaluate
            ),
            "seconds": {"load": loaded - started, "forward": ran - running},
            "peak_memory_bytes": protocol.peak_memory_bytes(),
        }

    def load(self, architecture: str, folder: str, dtype: str) -> Any:
        """Load a model as a user would, and refuse it unless every tensor of the folder was used and sufficed."""
        torch, transformers = self.frameworks()
        known = getattr(transformers, architecture, None)
        if known is None or not hasattr(known, "from_pretrained"):
            raise protocol.RequestError(f"transformers has no architecture {architecture!r}")
        loader = transformers.AutoModel if architecture.endswith("Model") else known
        # Parameters that the folder lacks would get random values; the seed makes them repeatable.
        torch.manual_seed(0)
        model, loading = loader.from_pretrained(
            folder,
            output_loading_info=True,
            # Not to let them pass, but to have them listed by name below.
            ignore_mismatched_sizes=True,
            attn_implementation="eager",
            torch_dtype=getattr(torch, dtype),
            local_files_only=True,
            use_safetensors=True,
        )
        if type(model).__name__ != architecture:
            raise protocol.RequestError(f"the folder describes a {type(model).__name__}, not a {architecture}")
        model.eval()
        problems = loading_problems(loading, stored_shapes(folder), model.state_dict())
        if problems:
            raise protocol.RequestError(f"{architecture} does not fit its folder: {'; '.join(problems)}")
        return model


def stored_shapes(folder: str) -> dict[str, list[int]]:
    """Return the names and shapes of all tensors in a folder's safetensors files."""
    from safetensors import safe_open

    shapes: dict[str, list[int]] = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.safetensors"))):
        with safe_open(path, framework="np") as tensors:
            shapes.update({name: list(tensors.get_slice(name).get_shape()) for name in tensors.keys()})  # noqa: SIM118
    return shapes


def loading_problems(
    loading: Mapping[str, Any], stored: Mapping[str, list[int]], state: Mapping[str, Any]
) -> list[str]:
    """List what did not fit, as transformers reports it and as names and shapes show.

    transformers keeps quiet about names that a class is declared to ignore, hence the second look.
    """
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
        "unexpected": unexpected.union(loading.get("unexpected_keys", ())),
        # Names or tuples, depending on the version; the shapes above say the same and more.
        "mismatched": mismatched or {str(entry) for entry in loading.get("mismatched_keys", ())},
    }
    problems = [f"{label} {', '.join(sorted(names))}" for label, names in found.items() if names]
    return problems + [str(message) for message in loading.get("error_msgs", ())]


def to_array(tensor: Any) -> protocol.Array:
    """Copy a torch tensor into an array."""
    array: protocol.Array = tensor.detach().cpu().numpy()
    return array


def run_model(
    torch: ModuleType, model: Any, architecture: str, inputs: dict[str, protocol.Array], attentions: bool
) -> dict[str, protocol.Array]:
    """Run a model once and return every tensor it puts out, with those of its backbone."""
    backbone: dict[str, Any] = {}
    raw: dict[str, Any] = {}

    def on_backbone(module: Any, given: Any, result: Any) -> None:
        backbone["last_hidden_state"] = result[0]
        backbone["pooler_output"] = result.get("pooler_output")

    def on_question_answering(module: Any, given: Any, result: Any) -> None:
        raw["qa_logits"] = result

    hooks = [model.base_model.register_forward_hook(on_backbone)]
    if architecture.endswith("ForQuestionAnswering"):
        hooks.append(model.qa_outputs.register_forward_hook(on_question_answering))
    try:
        with torch.inference_mode():
            result = model(
                **{name: torch.from_numpy(array) for name, array in inputs.items()},
                output_hidden_states=True,
                output_attentions=attentions,
                return_dict=True,
            )
    finally:
        for hook in hooks:
            hook.remove()
    # The task's own tensors come last so that the backbone's never replace them.
    items = [*backbone.items(), *raw.items(), *result.items()]
    return protocol.collect_outputs(items, architecture, to_array)


def state_digests(model: Any) -> dict[str, Any]:
    """Return the digest of every entry of a model's state."""
    return {
        name: protocol.digest(to_array(tensor.float() if tensor.is_floating_point() else tensor))
        for name, tensor in model.state_dict().items()
    }


def main() -> int:
    """Serve requests until standard input ends."""
    argparse.ArgumentParser(description="Runs transformers models on request.").parse_args()
    answers = protocol.prepare_process()
    runner = TorchRunner()
    status = protocol.serve({"versions": runner.versions, "forward": runner.forward}, answers)
    sys.stderr.flush()
    # Skips the frameworks' own teardown, which has nothing left to do and sometimes crashes.
    os._exit(status)


if __name__ == "__main__":
    main()
