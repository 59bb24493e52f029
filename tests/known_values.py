"""What Paddle computes from seeded weights plays the part of the values that are published for a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from paddle2torch.mappings.language.pretrained import HiddenSlice, Reference, TextIds, TopWords
from paddle2torch.verify.inputs import Inputs
from paddle2torch.verify.runners.client import RunnerProcess

MASK = 103
IDS = (101, 104, 105, MASK, 106, 107, 108, 102)
TEXT = "今天[MASK]情很好"


def known_values(
    runner: RunnerProcess, source: Path, architecture: str, scratch: Path, tokens: Sequence[str] = ()
) -> Reference:
    """Ask Paddle, in float32, what `source` computes from IDS, which are the ids of TEXT.

    The words for the mask are named by `tokens`, where the class has a head for them.
    """
    ids = np.array([IDS], dtype=np.int64)
    inputs, outputs = scratch / "inputs.safetensors", scratch / "outputs.safetensors"
    Inputs(ids, np.ones_like(ids), np.zeros_like(ids), np.arange(len(IDS))[None]).save(inputs)
    runner.request(
        {
            "operation": "forward",
            "folder": str(source),
            "architecture": architecture,
            "dtype": "float32",
            "inputs": str(inputs),
            "outputs": str(outputs),
        }
    )
    found = load_file(outputs)
    words: tuple[str, ...] = ("not", "asked")
    if tokens and "mlm_logits" in found:
        words = tuple(tokens[index] for index in np.argsort(-found["mlm_logits"][0, IDS.index(MASK)])[:5])
    values = found["last_hidden_state"][0, 2:5, 1:4]
    return Reference(
        hidden=HiddenSlice(
            input_ids=IDS,
            attention_mask=(1,) * len(IDS),
            first=(2, 1),
            values=tuple(tuple(round(float(one), 4) for one in row) for row in values),
            tolerance=1e-4,
        ),
        words=(TopWords(TEXT, words),),
        ids=(TextIds(TEXT, IDS, special=True), TextIds(TEXT, IDS[1:-1], special=False)),
        pieces=21128,
        special_ids={"cls": 101, "sep": 102, "mask": MASK, "pad": 0},
    )
