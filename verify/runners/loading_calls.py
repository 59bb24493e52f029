"""What a runner does to use a folder as its users do: the tokenizer and the model of the path, called with what the
tokenizer gives and nothing else.

A request names a JSON file of `cases`. Each has a name and either `texts`, perhaps with `pairs` (as many second texts),
or `ids`, perhaps with a `mask`, both [rows, tokens]. `ask_mask` asks the tokenizer for a mask too, and with
`state_positions` PaddleNLP's model is given positions from 0, which are none of the tokenizer's fields. `decoder` are
ids that a decoder is given beside each row. A case with `error_of`, the name of another, is not run in float64.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from . import operations, outputs, protocol, tokenizer_calls
else:
    # Run beside the scripts, this file is in no package.
    import outputs
    import protocol
    import tokenizer_calls

LIBRARY_ERRORS = (
    *(protocol.RequestError, protocol.FrameworkMissingError),
    *(AttributeError, ImportError, NameError, NotImplementedError, MemoryError),
)
"""Errors that lie in a library or a request, and not in the folder."""

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")

Case = dict[str, Any]
Given = dict[str, dict[str, "protocol.Array"]]


class RefusedError(Exception):
    """The folder cannot be used so: the answer is that it cannot."""


def step(what: str, work: Callable[[], Any]) -> Any:
    """Do one step of a user's; raises RefusedError when it fails, and the errors of LIBRARY_ERRORS as they are."""
    try:
        return work()
    except LIBRARY_ERRORS:
        raise
    except Exception as error:
        raise RefusedError(f"{what} fails: {type(error).__name__}: {' '.join(str(error).split())}") from error


def read_cases(request: protocol.Request) -> list[Case]:
    """The cases of a request."""
    with open(protocol.field(request, "cases"), encoding="utf-8") as file:
        cases: list[Case] = json.load(file)
    return cases


def encode_cases(
    runner: operations.ModelRunner, cases: list[Case], tokenizer: Any, tensors: str, typed: bool = True
) -> Given:
    """What a model is given in each case, by the names of its arguments; `tensors` is how the tokenizer calls the
    framework's tensors. Without `typed`, it is told to give no token types, as it fails otherwise."""
    given: Given = {}
    for case in cases:
        name = case["name"]
        if "texts" in case:
            asked = {"return_attention_mask": True} if case.get("ask_mask") else {}
            asked |= {} if typed else {"return_token_type_ids": False}
            texts = (case["texts"], case["pairs"]) if "pairs" in case else (case["texts"],)

            def call(texts: tuple[list[str], ...] = texts, asked: Mapping[str, bool] = asked) -> Any:
                return tokenizer_calls.call(tokenizer, *texts, padding=True, return_tensors=tensors, **asked)

            encoded = step(f"calling the tokenizer with {name}", call)
            given[name] = {
                field: np.asarray(values, np.int64) if isinstance(values, list) else runner.to_array(values)
                for field, values in encoded.items()
            }
        else:
            given[name] = {"input_ids": np.asarray(case["ids"], np.int64)}
            if "mask" in case:
                given[name]["attention_mask"] = np.asarray(case["mask"], np.int64)
        if "decoder" in case:
            rows = len(given[name]["input_ids"])
            given[name]["decoder_input_ids"] = np.tile(np.asarray(case["decoder"], np.int64), (rows, 1))
    return given


def call_model(
    runner: operations.ModelRunner,
    model: Any,
    architecture: str,
    given: Mapping[str, protocol.Array],
    head: Sequence[str] = (),
    asks: Mapping[str, Any] | None = None,
    decodes: bool = False,
) -> tuple[Any, dict[str, protocol.Array]]:
    """What a model answers when called with `given`, and nothing else but `asks`, and what its parts gave on the way:
    the backbone's `last_hidden_state` and `pooler_output`, or those of an encoder-decoder, which `decodes`, and, for
    question answering, the `qa_logits` of the head, which is the modules `head` side by side where they are named."""
    choices = architecture.endswith("ForMultipleChoice")
    tensors = {name: runner.from_array(array[None] if choices else array) for name, array in given.items()}
    recorded: dict[str, list[protocol.Array]] = {}

    def on_backbone(module: Any, taken: Any, result: Any) -> None:
        for name, tensor in outputs.of_backbone(result, decodes).items():
            if tensor is not None:
                recorded.setdefault(name, []).append(runner.to_array(tensor))

    def on_head(module: Any, taken: Any, result: Any) -> None:
        recorded.setdefault("qa_logits", []).append(runner.to_array(result))

    runner.prepare(model, {"input_ids": given["input_ids"][None] if choices else given["input_ids"]})
    hooks = [runner.add_hook(model.base_model, on_backbone)]
    if "ForQuestionAnswering" in architecture:
        head = ["qa_outputs" if hasattr(model, "qa_outputs") else "classifier"]
    hooks += [runner.add_hook(getattr(model, name), on_head) for name in head]
    try:
        with runner.no_gradients():
            result = model(**tensors, **(asks or {}))
        parts = {name: np.concatenate(arrays, axis=-1) for name, arrays in recorded.items()}
        return result, outputs.collect_outputs(parts.items(), architecture, decodes)
    finally:
        for hook in hooks:
            hook.remove()


def labels_of(config: Any) -> protocol.Answer:
    """The label names of a live configuration, by number and by name."""
    return {
        "labels": {str(number): str(label) for number, label in (getattr(config, "id2label", None) or {}).items()},
        "label2id": {str(label): int(number) for label, number in (getattr(config, "label2id", None) or {}).items()},
    }


def special_tokens(tokenizer: Any) -> dict[str, Any]:
    """The special tokens by role, each with its id."""
    known = {role: tokenizer.special_tokens_map.get(f"{role}_token") for role in ROLES}
    return {
        role: [str(token), int(tokenizer.convert_tokens_to_ids(str(token)))]
        for role, token in known.items()
        if token is not None
    }


def class_of(thing: Any) -> str | None:
    """The class of what was loaded, with its package where that is not transformers."""
    if thing is None:
        return None
    package = type(thing).__module__.partition(".")[0]
    name = type(thing).__name__
    return name if package == "transformers" else f"{package}.{name}"
