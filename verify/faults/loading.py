"""Faults that change what a user gets from the path alone: the check of the files sees them by their bytes, and the
check of what is loaded by what they do."""

from __future__ import annotations

from collections.abc import Mapping

from .files import FILES, tokenizer_settings
from .state import Faulted, Injection

SEEN_IN_FILES = (
    "labels swapped in label2id only",
    "label2id lost",
    "another element type",
    "another class",
    "feed-forward in chunks",
    "outputs as a tuple",
    "fewer inputs of the tokenizer",
)
"""Those of the faults in files that every version of transformers obeys on a few words."""

MAY_FAIL: Mapping[str, frozenset[str]] = {"outputs as a tuple": frozenset({"as_loaded"})}
"""The checks that a library may fail to run under a fault, though it runs without: some classes of transformers' read
their own outputs by names that a tuple does not have."""


def _other_side(state: Faulted) -> Faulted | None:
    def change(document: dict[str, object]) -> None:
        document["padding_side"] = "right" if document["padding_side"] == "left" else "left"

    return tokenizer_settings(change)(state)


def _other_separator(state: Faulted) -> Faulted | None:
    return tokenizer_settings(lambda document: document.update(sep_token=document["unk_token"]))(state)


def _class_that_is_obeyed(state: Faulted) -> Faulted | None:
    facts = state.plan.family.tokenizer
    return FILES["another class of tokenizer"](state) if facts is not None and facts.obeyed else None


LOADING: dict[str, Injection] = {
    **{name: FILES[name] for name in SEEN_IN_FILES},
    "another class of tokenizer that is obeyed": _class_that_is_obeyed,
    "padding on the other side": _other_side,
    "another token as separator": _other_separator,
}
