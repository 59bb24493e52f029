"""Faults in what lies beside the weights: the kinds of change after which a user gets other ids, other code or another
model although every weight is right."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...converters.checkpoints.configuration import GENERATION_CONFIG
from ...converters.formats.shards import INDEX
from ...converters.tokenizers.files import CONFIG, TOKENIZER
from .state import Faulted, Injection

Change = Callable[[dict[str, Any]], object]
"""Changes a JSON document in place; False says that it has no place for the change."""


def _configured(**fields: Any) -> Injection:
    """Fields of config.json get other values, or one that they have already another."""
    return lambda state: replace(state, configuration={**state.configuration, **fields})


def _swapped_labels(state: Faulted) -> Faulted | None:
    labels = state.configuration["label2id"]
    if len(labels) < 2:
        return None
    names = list(labels)
    swapped = {**labels, names[0]: labels[names[1]], names[1]: labels[names[0]]}
    return replace(state, configuration={**state.configuration, "label2id": swapped})


def _without_labels(state: Faulted) -> Faulted:
    kept = {name: value for name, value in state.configuration.items() if name != "label2id"}
    return replace(state, configuration=kept)


def _other_type(state: Faulted) -> Faulted:
    other = "float16" if state.configuration["dtype"] != "float16" else "bfloat16"
    return replace(state, configuration={**state.configuration, "dtype": other})


def _other_class(state: Faulted) -> Faulted:
    (present,) = state.configuration["architectures"]
    classes = [model.target_architecture for model in state.plan.family.models]
    other = next(name for name in classes if name != present)
    return replace(state, configuration={**state.configuration, "architectures": [other]})


def _with_file(name: str, contents: bytes = b"{}") -> Injection:
    """One file more."""
    return lambda state: replace(state, files={**state.files, name: contents})


def _edited(name: str, change: Change) -> Injection:
    """A JSON file is changed; no place where there is none."""

    def inject(state: Faulted) -> Faulted | None:
        if name not in state.files:
            return None
        document = json.loads(state.files[name])
        before = json.dumps(document)
        if change(document) is False:
            return None
        if json.dumps(document) == before:
            # Written again it may be other bytes, of which none is the fault.
            return state
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        return replace(state, files={**state.files, name: text.encode()})

    return inject


def tokenizer_settings(change: Change) -> Injection:
    """The settings of the tokenizer are changed; no place where there is none."""
    return _edited(CONFIG, change)


def _tokenizer(**fields: Any) -> Injection:
    return tokenizer_settings(lambda document: document.update(fields))


def _word_of(document: Mapping[str, Any]) -> str:
    """A word of a fast tokenizer's vocabulary: its last token, as special ones come first."""
    vocabulary = document["model"]["vocab"]
    return str(list(vocabulary)[-1] if isinstance(vocabulary, dict) else vocabulary[-1][0])


def _replaced_word(document: dict[str, Any]) -> None:
    swap = {"type": "Replace", "pattern": {"String": _word_of(document)}, "content": "a"}
    document["normalizer"] = {"type": "Sequence", "normalizers": [swap, document["normalizer"]]}


def _added_word(document: dict[str, Any]) -> None:
    entry = {**document["added_tokens"][-1], "content": _word_of(document), "special": False}
    document["added_tokens"].append(entry)


def _other_end(document: dict[str, Any]) -> None:
    document["eos_token_id"] = document["eos_token_id"] + 1


def _other_place(document: dict[str, Any]) -> None:
    places = document["weight_map"]
    first = next(iter(places))
    places[first] = next(name for name in places.values() if name != places[first])


FILES: dict[str, Injection] = {
    "labels swapped in label2id only": _swapped_labels,
    "label2id lost": _without_labels,
    "another kind of problem": _configured(problem_type="regression"),
    "another dropout": _configured(hidden_dropout_prob=0.95),
    "another range of initial values": _configured(initializer_range=9.0),
    "another element type": _other_type,
    "an element type under the older name": _configured(torch_dtype="float16"),
    "another class": _other_class,
    "feed-forward in chunks": _configured(chunk_size_feed_forward=4),
    "outputs as a tuple": _configured(return_dict=False),
    "code for the configuration": _configured(auto_map={"AutoConfig": "somebody/x--configuration_x.C"}),
    "other weights by name": _configured(transformers_weights="other.safetensors"),
    "an adapter beside": _with_file("adapter_config.json"),
    "PyTorch's weights beside": _with_file("pytorch_model.bin", b"\x80\x02}q\x00."),
    "another end of a text": _edited(GENERATION_CONFIG, _other_end),
    "a configuration for one version": _with_file("config.4.0.0.json"),
    "code beside": _with_file("modeling_x.py", b"\n"),
    "a hidden file": _with_file(".hidden", b""),
    "an index to another file": _edited(INDEX, _other_place),
    "a note in the metadata": lambda state: replace(state, metadata={**state.metadata, "note": "x"}),
    "fewer inputs of the tokenizer": _tokenizer(model_input_names=["input_ids"]),
    "another class of tokenizer": _tokenizer(tokenizer_class="DistilBertTokenizer"),
    "special tokens split": _tokenizer(split_special_tokens=True),
    "decoded text not cleaned": _tokenizer(clean_up_tokenization_spaces=False),
    "code for the tokenizer": _tokenizer(auto_map={"AutoTokenizer": ["somebody/x--tok.T", None]}),
    "a word read as another": _edited(TOKENIZER, _replaced_word),
    "a word made an added token": _edited(TOKENIZER, _added_word),
    "another decoder": _edited(TOKENIZER, lambda document: document.update(decoder={"type": "Fuse"})),
}
"""Only the check of the files is asked for these: some are seen by no other, and no framework need run."""
