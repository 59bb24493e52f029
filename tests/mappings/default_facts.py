"""Prints what PaddleNLP's models take for a mask and for positions when they are given ids alone.

Runs as a child process that reads {"models": [[architecture, configuration], ...]} and prints one JSON line.
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


def facts_of(architecture: str, configuration: dict[str, Any]) -> dict[str, bool]:
    import paddlenlp.transformers

    paddle.seed(3)
    model_class = getattr(paddlenlp.transformers, architecture)
    model = model_class(model_class.config_class(**configuration))
    model.eval()
    for parameter in model.parameters():
        parameter.set_value(paddle.normal(0.0, 0.5, parameter.shape))
    padding = int(configuration["pad_token_id"])
    others = [index for index in range(configuration["vocab_size"]) if index != padding]
    ids = np.array([[*others[4:9], padding, padding, padding]])
    attended = ids != padding
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters

    def states(mask: Any = None, positions: Any = None) -> Any:
        given = {"attention_mask": mask, "position_ids": positions if takes_positions else None}
        stated = {name: paddle.to_tensor(value) for name, value in given.items() if value is not None}
        output = model(paddle.to_tensor(ids), **stated)
        state = output[0] if isinstance(output, tuple | list) else output
        return state.numpy()[attended]

    from_zero = np.arange(ids.shape[1])[None]
    after = np.where(attended, padding + np.cumsum(attended, axis=1), padding)
    everything, masked = np.ones_like(ids), attended.astype(ids.dtype)
    known = {
        (masks, positions): states(masked if masks else everything, after if positions else from_zero)
        for masks in (False, True)
        for positions in ((False, True) if takes_positions else (False,))
    }
    own = states()
    (found,) = [key for key, value in known.items() if np.allclose(own, value, rtol=0, atol=1e-5)]
    return {"masks_padding": found[0], "positions_after_padding": found[1]}


def main() -> None:
    logger.set_level("ERROR")
    paddle.set_device("cpu")
    request = json.load(sys.stdin)
    print(json.dumps([facts_of(*asked) for asked in request["models"]]), flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
