"""What a runner does with a tokenizer: PaddleNLP's and transformers' are called alike.

A request names a JSON file of `cases`. Each has a name, `texts`, perhaps `pairs` (as many second texts), the `options`
of the call, and `batch`, how many texts go into one call.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from . import protocol
else:
    # Run beside the scripts, this file is in no package.
    import protocol

FIELDS = ("input_ids", "token_type_ids", "attention_mask")

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def run_cases(request: protocol.Request, tokenizer: Any) -> protocol.Answer:
    """Run all cases of a request; write `CASE.FIELD`, one row after the other, and `CASE.lengths` to `outputs`.

    Answers with the tokenizer's settings and writes its tokens by id to `vocabulary`, a JSON file.
    """
    with open(protocol.field(request, "cases"), encoding="utf-8") as file:
        cases = json.load(file)
    arrays: dict[str, protocol.Array] = {}
    for case in cases:
        rows: dict[str, list[list[int]]] = {name: [] for name in FIELDS}
        texts, pairs = case["texts"], case.get("pairs")
        for start in range(0, len(texts), case["batch"]):
            stop = start + case["batch"]
            answer = tokenizer(
                texts[start:stop],
                pairs[start:stop] if pairs else None,
                return_attention_mask=True,
                return_token_type_ids=True,
                **case["options"],
            )
            for name in FIELDS:
                rows[name] += answer[name]
        lengths = {name: [len(row) for row in rows[name]] for name in FIELDS}
        if any(lengths[name] != lengths["input_ids"] for name in FIELDS):
            raise protocol.RequestError(f"ids, types and masks of {case['name']} have different lengths")
        arrays[f"{case['name']}.lengths"] = np.asarray(lengths["input_ids"], dtype=np.int64)
        for name in FIELDS:
            arrays[f"{case['name']}.{name}"] = np.asarray([one for row in rows[name] for one in row], dtype=np.int64)
    save_file(arrays, protocol.field(request, "outputs"))
    size = len(tokenizer)
    with open(protocol.field(request, "vocabulary"), "w", encoding="utf-8") as file:
        json.dump([tokenizer.convert_ids_to_tokens(index) for index in range(size)], file)
    return {"settings": settings_of(tokenizer)}


def settings_of(tokenizer: Any) -> dict[str, Any]:
    """What both libraries call by the same names."""
    settings: dict[str, Any] = {"size": len(tokenizer)}
    for role in ROLES:
        # Asking for a token that is not set logs an error.
        token = tokenizer.special_tokens_map.get(f"{role}_token")
        settings[f"{role}_token"] = None if token is None else str(token)
        settings[f"{role}_token_id"] = None if token is None else int(tokenizer.convert_tokens_to_ids(str(token)))
    settings["additional_special_tokens"] = [str(token) for token in tokenizer.additional_special_tokens]
    settings["model_max_length"] = int(tokenizer.model_max_length)
    settings["pad_token_type_id"] = int(tokenizer.pad_token_type_id)
    for name in ("padding_side", "truncation_side"):
        settings[name] = str(getattr(tokenizer, name))
    return settings
