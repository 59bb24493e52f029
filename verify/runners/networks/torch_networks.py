"""Runs transformers' networks that read pictures in a process of its own: requests on standard input, answers on
standard output.

A network stays loaded until the next `load`; arrays go through safetensors files.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    from .. import protocol
    from . import aligning
else:
    # Run as a script, this file is in no package; its own folder is where Python looks first.
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    import aligning
    import protocol


class TorchNetworks:
    """The operations over transformers' networks, one of which is loaded at a time."""

    def __init__(self) -> None:
        self._frameworks: tuple[Any, Any] | None = None
        self._model: Any = None
        self._aligned: aligning.Aligned | None = None
        self._dtype = "float32"

    def frameworks(self) -> tuple[Any, Any]:
        """Import and return torch and transformers."""
        if self._frameworks is None:
            try:
                import torch
                import transformers
            except ImportError as error:
                raise protocol.FrameworkMissingError(f"transformers with torch cannot be imported: {error}") from error
            self._check_torchvision(needed=False)
            self._frameworks = (torch, transformers)
        return self._frameworks

    def _check_torchvision(self, needed: bool) -> None:
        """Raise FrameworkMissingError where torchvision cannot be imported, with its own words: transformers hides
        them. Without `needed`, it may be absent."""
        if find_spec("torchvision") is None:
            if needed:
                raise protocol.FrameworkMissingError("image processors need torchvision, which is not installed")
            return
        try:
            import_module("torchvision")
        except (ImportError, RuntimeError, AttributeError) as error:
            # Both may be there in the versions that are asked for.
            other = "operator torchvision::" in str(error)
            mend = "; it was built for another PyTorch than the one here, take both from one index" if other else ""
            raise protocol.FrameworkMissingError(f"torchvision cannot be imported: {error}{mend}") from error

    def operations(self) -> dict[str, protocol.Operation]:
        """The operations by name."""
        return {
            "versions": self.versions,
            "load": self.load,
            "run": self.run,
            "preprocess": self.preprocess,
            "decode": self.decode,
        }

    def versions(self, request: protocol.Request) -> protocol.Answer:
        """Return the versions of everything that takes part in a computation."""
        torch, transformers = self.frameworks()
        found = {"torch": torch.__version__, "transformers": transformers.__version__}
        found |= protocol.installed("torchvision", *protocol.OPENCV)
        return {"versions": {"python": platform.python_version(), "numpy": np.__version__, **found}}

    def load(self, request: protocol.Request) -> protocol.Answer:
        """Load `folder` as a user does, with the class `auto_class`, its path and `dtype` alone: what a class keeps in
        single stays so. `class` is what came, and `loading` names what did not fit."""
        torch, transformers = self.frameworks()
        folder, self._dtype = protocol.existing_folder(request), protocol.requested_dtype(request)
        auto_class = str(protocol.field(request, "auto_class"))
        self._expect(auto_class, str(protocol.field(request, "target")))
        loader = getattr(transformers, auto_class)
        model, loading = loader.from_pretrained(folder, dtype=getattr(torch, self._dtype), output_loading_info=True)
        self._model = model.eval()
        self._aligned = aligning.Aligned(torch, self._model)
        named = {
            "missing": loading["missing_keys"],
            "unexpected": loading["unexpected_keys"],
            "mismatched": [name for name, *_ in loading["mismatched_keys"]],
        }
        return {
            "class": type(model).__name__,
            "loading": {label: sorted(map(str, one)) for label, one in named.items()},
            # How many batches were seen is no number that anything is computed with.
            "digests": {
                name: protocol.digest(tensor.detach().numpy())
                for name, tensor in self._model.state_dict().items()
                if not name.endswith("num_batches_tracked")
            },
        }

    def run(self, request: protocol.Request) -> protocol.Answer:
        """Give each picture of the file `inputs` to the model, with these `constants` of Paddle's and no others; write
        what it returns to `outputs`, and as NAME.logits what the module `logits` gives, where one is named. `idle` are
        constants that concern nothing here, `unlike` lines on values of the model's own that these may not replace."""
        torch, _ = self.frameworks()
        if self._model is None or self._aligned is None:
            raise protocol.RequestError("no network is loaded")
        idle, unlike = self._aligned.align(request.get("constants") or [])
        gathered: list[Any] = []
        hook = None
        if (name := request.get("logits")) is not None:
            module = self._model.get_submodule(name)
            hook = module.register_forward_hook(lambda module, given, result: gathered.append(result))
        arrays: dict[str, protocol.Array] = {}
        try:
            for key, array in load_file(protocol.field(request, "inputs")).items():
                gathered.clear()
                with torch.no_grad():
                    given = torch.from_numpy(array).to(getattr(torch, self._dtype))
                    result = self._model(pixel_values=given)
                arrays[key] = _first(result).numpy()
                if gathered:
                    # One step after the other, where the head writes by steps.
                    whole = gathered[0] if len(gathered) == 1 else torch.stack(gathered, 1)
                    arrays[f"{key}.logits"] = whole.numpy()
        finally:
            if hook is not None:
                hook.remove()
        # What a class keeps in single, and no constant lifts, is not computed in double.
        kept = self._dtype == "float64" and any(one.dtype is torch.float32 for one in self._model.parameters())
        if request.get("checked", True) and not kept:
            written = protocol.write_outputs(request, arrays, self._dtype)
        else:
            written = sorted(_saved(request, arrays))
        return {"idle": idle, "unlike": unlike, "outputs": written}

    def preprocess(self, request: protocol.Request) -> protocol.Answer:
        """Prepare each picture of the file `pictures`, [height, width, 3] in red, green and blue, as a user does who
        loads the image processor of `folder` with its path alone."""
        processor = self._processor(request)
        from PIL import Image

        arrays = {}
        for key, array in load_file(protocol.field(request, "pictures")).items():
            given = processor(images=Image.fromarray(array), return_tensors="pt")
            arrays[key] = given["pixel_values"].numpy()
        return {"class": type(processor).__name__, "outputs": sorted(_saved(request, arrays))}

    def decode(self, request: protocol.Request) -> protocol.Answer:
        """The texts that the image processor of `folder` reads, line by line, where the numbers of classes in the file
        `numbers`, [lines, steps], are the most probable of `classes`."""
        torch, transformers = self.frameworks()
        processor = self._processor(request)
        texts = []
        for line in load_file(protocol.field(request, "numbers"))["numbers"]:
            probable = torch.nn.functional.one_hot(torch.from_numpy(line), int(request["classes"])).float()[None]
            answer = transformers.modeling_outputs.BaseModelOutputWithNoAttention(probable)
            texts.append(processor.post_process_text_recognition(answer)[0]["text"])
        return {"texts": texts}

    def _expect(self, *classes: str) -> None:
        """Raise FrameworkMissingError where transformers lacks a class, or what it imports for one: neither is a
        difference of the folder's."""
        _, transformers = self.frameworks()
        try:
            missing = [name for name in classes if not hasattr(transformers, name)]
        except (ImportError, RuntimeError) as error:
            raise protocol.FrameworkMissingError(f"transformers' {', '.join(classes)}: {error}") from error
        if missing:
            raise protocol.FrameworkMissingError(f"transformers {transformers.__version__} has no {missing[0]}")

    def _processor(self, request: protocol.Request) -> Any:
        """The image processor of `folder`, loaded with its path alone."""
        _, transformers = self.frameworks()
        self._check_torchvision(needed=True)
        self._expect(str(protocol.field(request, "processor_class")))
        try:
            return transformers.AutoImageProcessor.from_pretrained(protocol.existing_folder(request))
        except (ImportError, RuntimeError) as error:
            raise protocol.FrameworkMissingError(
                f"transformers' image processors, which need torchvision and Pillow: {error}"
            ) from error


def _first(result: Any) -> Any:
    """The tensor that a class of transformers answers with."""
    for name in ("logits", "last_hidden_state"):
        if (found := getattr(result, name, None)) is not None:
            return found
    raise protocol.RequestError(f"{type(result).__name__} holds neither logits nor a last hidden state")


def _saved(request: protocol.Request, arrays: dict[str, protocol.Array]) -> list[str]:
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, protocol.field(request, "outputs"))
    return list(arrays)


def main() -> None:
    """Serve requests until standard input ends."""
    answers = protocol.prepare_process()
    status = protocol.serve(TorchNetworks().operations(), answers)
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
