"""Prints what PaddleNLP itself says: its tables of pretrained names, the state dicts of its models, and what they take
for a mask and for positions.

Runs as a child process that reads {"models": [[architecture, configuration], ...], "defaults": [[architecture,
configuration, whether it takes a mask of 0 and 1, whether it heeds positions], ...], "tables": [[backbone, tokenizer
class], ...]} and prints one JSON line.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from typing import Any

import numpy as np
import paddle
from paddlenlp.utils.log import logger

KINDS = {paddle.nn.Linear: "linear", paddle.nn.Embedding: "table"}
"""The layers whose matrices consist of vectors that must stay together, and how: a linear layer's columns are what one
output is made of, a table's rows are its entries."""


def facts_of(architecture: str, configuration: dict[str, Any]) -> dict[str, Any]:
    import paddlenlp.transformers

    model_class = getattr(paddlenlp.transformers, architecture)
    model = model_class(model_class.config_class(**configuration))
    layers = model.named_sublayers(include_self=True)
    return {
        "kinds": {f"{name}.weight": KINDS[type(layer)] for name, layer in layers if type(layer) in KINDS},
        "state": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
        "dtypes": sorted({str(tensor.dtype) for _, tensor in model.named_parameters()}),
        # A shared parameter is listed once.
        "parameters": sum(int(parameter.size) for _, parameter in model.named_parameters()),
    }


def defaults_of(
    architecture: str, configuration: dict[str, Any], takes_mask: bool, takes_positions: bool
) -> dict[str, Any]:
    """What a model takes for a mask and for positions when it is given ids alone, and whether it insists on some for
    its decoder. One that takes no mask of 0 and 1 is given what is to be added to the scores, or nothing where it takes
    no mask at all."""
    import paddlenlp.transformers

    paddle.seed(3)
    model_class = getattr(paddlenlp.transformers, architecture)
    model = model_class(model_class.config_class(**configuration))
    model.eval()
    for parameter in model.parameters():
        parameter.set_value(paddle.normal(0.0, 0.5, parameter.shape))
    padding = int(configuration["pad_token_id"])
    others = [index for index in range(configuration["vocab_size"]) if index != padding]
    # Behind the padding too, where a model that reads from left to right sees it.
    ids = np.array([[*others[4:8], padding, padding, padding, *others[8:10]]])
    attended = ids != padding
    known = inspect.signature(model.forward).parameters
    masks, named = (False, True) if "attention_mask" in known else (None,), "position_ids" in known
    behind = {}
    try:
        model(paddle.to_tensor(ids))
    except ValueError as error:
        if "specify either decoder_input_ids" not in str(error):
            raise
        behind = {"decoder_input_ids": paddle.to_tensor(ids)}

    def states(mask: Any = None, positions: Any = None) -> Any:
        if mask is not None and not takes_mask:
            mask = ((mask - 1) * 1e4).astype(np.float32)[:, None, None]
        given = {"attention_mask": mask, "position_ids": positions if named else None}
        stated = {name: paddle.to_tensor(value) for name, value in given.items() if value is not None}
        output = model(paddle.to_tensor(ids), **stated, **behind)
        state = output[0] if isinstance(output, tuple | list) else output
        return state.numpy()[attended]

    from_zero = np.arange(ids.shape[1])[None]
    after = np.where(attended, padding + np.cumsum(attended, axis=1), padding)
    everything, masked = np.ones_like(ids), attended.astype(ids.dtype)
    heeded = named and not np.allclose(states(None, from_zero), states(None, from_zero[:, ::-1]), rtol=0, atol=1e-5)
    assert heeded == takes_positions, f"{architecture} heeds positions: {heeded}"
    places = {"from 0": from_zero, "after padding": after} if heeded else {"from 0": from_zero}
    own = states()

    def fitting(places: dict[str, Any]) -> list[tuple[bool, str]]:
        return [
            (bool(hides), place)
            for hides in masks
            for place, numbers in places.items()
            if np.allclose(
                own,
                states(None if hides is None else masked if hides else everything, numbers),
                rtol=0,
                atol=1e-5,
            )
        ]

    (found,) = fitting(places) or fitting({"from 2": from_zero + 2})
    # Whether it attends to an id, the first of the vocabulary, that is not the padding's.
    ids[0, 1] = 0
    attended[:] = ids != 0
    positions = {**places, "from 2": from_zero + 2}[found[1]]
    masks_first = (
        padding != 0
        and None not in masks
        and np.allclose(states(), states(attended.astype(ids.dtype), positions), rtol=0, atol=1e-5)
    )
    return {
        "masks_padding": found[0],
        "positions_after_padding": found[1] == "after padding",
        "masked_id": 0 if masks_first else None,
        "first": 2 if found[1] == "from 2" else 0,
        "makes_decoder_ids": not behind,
    }


def tables_of(architecture: str, tokenizer: str) -> dict[str, Any]:
    """PaddleNLP's tables of the pretrained names of a backbone's family, and the defaults of its configuration; those
    of several tokenizers, separated by blanks, together."""
    import paddlenlp.transformers

    model_class = getattr(paddlenlp.transformers, architecture)
    addresses: dict[str, dict[str, str]] = {}
    for name in tokenizer.split():
        for file, table in getattr(paddlenlp.transformers, name).pretrained_resource_files_map.items():
            addresses.setdefault(file, {}).update(table)
    return {
        "configurations": model_class.pretrained_init_configuration,
        "weights": model_class.pretrained_resource_files_map["model_state"],
        "tokenizers": addresses,
        "names": sorted(model_class.config_class.pretrained_init_configuration),
        "defaults": model_class.config_class().to_dict(),
    }


def main() -> None:
    logger.set_level("ERROR")
    paddle.set_device("cpu")
    request = json.load(sys.stdin)
    answer = {
        "tables": [tables_of(*asked) for asked in request["tables"]],
        "defaults": [defaults_of(*asked) for asked in request["defaults"]],
        "models": [facts_of(architecture, configuration) for architecture, configuration in request["models"]],
    }
    print(json.dumps(answer), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
