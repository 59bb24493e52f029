"""Faults that change what a user gets from the path alone: the check of the files sees them by their bytes, and the
check of what is loaded by what they do."""

from __future__ import annotations

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
"""Those of the faults in files that every version of transformers obeys on a few words. Another class of tokenizer is
none of them: transformers 5 passes it over for model types without a class of their own, such as Nystromformer's."""


def _other_side(state: Faulted) -> Faulted | None:
    def change(document: dict[str, object]) -> None:
        document["padding_side"] = "right" if document["padding_side"] == "left" else "left"

    return tokenizer_settings(change)(state)


def _other_separator(state: Faulted) -> Faulted | None:
    return tokenizer_settings(lambda document: document.update(sep_token=document["unk_token"]))(state)


LOADING: dict[str, Injection] = {
    **{name: FILES[name] for name in SEEN_IN_FILES},
    "padding on the other side": _other_side,
    "another token as separator": _other_separator,
}
