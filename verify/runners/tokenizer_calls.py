"""What a runner does with a tokenizer: PaddleNLP's and transformers' are called alike.

A request names a JSON file of `cases`. Each has a name, `texts`, perhaps `pairs` (as many second texts), the `options`
of the call, and `batch`, how many texts go into one call.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection
from functools import cache
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


OLDER_NAMES = {
    "max_length": "max_seq_len",
    "padding": "pad_to_max_seq_len",
    "truncation": "truncation_strategy",
    "return_tensors": None,
}
"""Options of a call as some of PaddleNLP's classes alone know them, which hand them on; they make no tensors."""


def call(tokenizer: Any, *texts: Any, **options: Any) -> Any:
    """What a tokenizer gives for texts and perhaps second ones, whatever its class calls the options."""
    known = _parameters(tokenizer.__class__)
    if "pad_to_max_seq_len" in known:
        named = {name if name in known else OLDER_NAMES.get(name, name): value for name, value in options.items()}
        options = {name: value for name, value in named.items() if name is not None}
    return tokenizer(*texts, **options)


@cache
def _parameters(tokenizer_class: Any) -> Collection[str]:
    """What a call of a tokenizer takes."""
    return inspect.signature(tokenizer_class.__call__).parameters.keys()


def cutting_once(tokenizer: Any) -> Any:
    """One of PaddleNLP's tokenizers that cuts each text into tokens once, in Python, and remembers it: the cases hold
    the same texts alone, in pairs, padded and truncated."""
    cut, known = tokenizer.tokenize, {}

    def tokenize(text: str, **options: Any) -> list[str]:
        key = (text, repr(sorted(options.items())))
        if key not in known:
            known[key] = tuple(cut(text, **options))
        return list(known[key])

    tokenizer.tokenize = tokenize
    return tokenizer


def answer(request: protocol.Request, load: Callable[[], Any]) -> protocol.Answer:
    """Run all cases of a request with the tokenizer that `load` makes, or say in `refused` why it cannot be made or
    cannot be called so: that is what a user gets. Errors that lie in a library, not in the files, are raised."""
    try:
        return run_cases(request, load())
    except (protocol.RequestError, AttributeError, ImportError, NameError, NotImplementedError, MemoryError):
        raise
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def run_cases(request: protocol.Request, tokenizer: Any) -> protocol.Answer:
    """Run all cases of a request; write `CASE.FIELD`, one row after the other, and `CASE.lengths` to `outputs`.

    With `token_types` false, a tokenizer that fails where it is asked for types is not asked, and they are zeros.
    Answers with the tokenizer's settings and the texts that the ids of cases with `decode` give back, and writes its
    tokens by id to `vocabulary`, a JSON file.
    """
    with open(protocol.field(request, "cases"), encoding="utf-8") as file:
        cases = json.load(file)
    typed = bool(request.get("token_types", True))
    arrays: dict[str, protocol.Array] = {}
    decoded: dict[str, list[str]] = {}
    for case in cases:
        rows: dict[str, list[list[int]]] = {name: [] for name in FIELDS}
        texts, pairs = case["texts"], case.get("pairs")
        for start in range(0, len(texts), case["batch"]):
            stop = start + case["batch"]
            answer = call(
                tokenizer,
                texts[start:stop],
                pairs[start:stop] if pairs else None,
                return_attention_mask=True,
                return_token_type_ids=typed,
                **case["options"],
            )
            if not typed:
                answer["token_type_ids"] = [[0] * len(row) for row in answer["input_ids"]]
            for name in FIELDS:
                rows[name] += answer[name]
        if case.get("decode"):
            decoded[case["name"]] = [tokenizer.decode(row) for row in rows["input_ids"]]
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
    return {"settings": settings_of(tokenizer), "decoded": decoded}


def settings_of(tokenizer: Any) -> dict[str, Any]:
    """What both libraries call by the same names, and what a call without options gives."""
    settings: dict[str, Any] = {"size": len(tokenizer), "fields of a call": sorted(tokenizer("a", "b"))}
    for role in ROLES:
        # Asking for a token that is not set logs an error.
        token = tokenizer.special_tokens_map.get(f"{role}_token")
        settings[f"{role}_token"] = None if token is None else str(token)
        settings[f"{role}_token_id"] = None if token is None else int(tokenizer.convert_tokens_to_ids(str(token)))
    # transformers 5 calls those without a role otherwise; some that transformers finds in a text it lists nowhere else.
    roles = {settings[f"{role}_token"] for role in ROLES}
    found = [token for token in tokenizer.added_tokens_decoder.values() if getattr(token, "special", False)]
    special = {str(token) for token in (*tokenizer.all_special_tokens, *found)}
    settings["other special tokens"] = sorted(special - roles)
    settings["model_max_length"] = int(tokenizer.model_max_length)
    settings["pad_token_type_id"] = int(tokenizer.pad_token_type_id)
    for name in ("padding_side", "truncation_side"):
        settings[name] = str(getattr(tokenizer, name))
    return settings
