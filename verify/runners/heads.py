"""A task head that no class of transformers has: its tensors join the backbone, and its lines are run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import protocol
else:
    # Run beside the scripts, this file is in no package.
    import protocol


def add_head(torch: Any, model: Any, folder: str, beside: Mapping[str, Any], dtype: Any) -> None:
    """Make the tensors of the head's file parameters of a live model, under their own names."""
    from safetensors.torch import load_file

    path = os.path.join(folder, beside["file"])
    if not os.path.isfile(path):
        raise protocol.RequestError(f"the folder holds no {beside['file']}, which is its head")
    tensors, expected = load_file(path), set(beside["tensors"])
    if different := sorted(tensors.keys() ^ expected):
        raise protocol.RequestError(f"{beside['file']} and the head disagree about {', '.join(different)}")
    if twice := sorted(expected & model.state_dict().keys()):
        raise protocol.RequestError(f"{', '.join(twice)} of the head is also one of the backbone")
    for name, tensor in tensors.items():
        *parts, leaf = name.split(".")
        module = model
        for part in parts:
            if part not in dict(module.named_children()):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        module.register_parameter(leaf, torch.nn.Parameter(tensor.to(dtype)))


def head_output(torch: Any, model: Any, beside: Mapping[str, Any], hidden: Any, needed: Mapping[str, Any]) -> Any:
    """What the lines of the head make of the backbone's last hidden state; they come from the mapping of the model's
    family, which is part of this package."""
    parameters = dict(model.named_parameters())
    names: dict[str, Any] = {"Tensor": torch.Tensor}
    exec(compile(beside["code"], beside["name"], "exec", dont_inherit=True), names)
    return names[beside["name"]]({name: parameters[name] for name in beside["tensors"]}, hidden, **needed)
