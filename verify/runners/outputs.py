"""The names of what models put out: one for both frameworks, in the files that runners write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Both frameworks' names of one output, and the name used in the output files.
OUTPUT_NAMES = {
    "prediction_logits": "mlm_logits",
    "sop_logits": "sequence_relationship_logits",
    "seq_relationship_logits": "sequence_relationship_logits",
}


LANGUAGE_MODELS = ("ForMaskedLM", "ForCausalLM", "LMHeadModel", "Generator", "ForConditionalGeneration")
"""What the names of classes end in whose logits are of words, one row for each token."""

DECODER = "decoder."
"""What stands before the names of what a decoder behind an encoder puts out."""

STATE_LISTS = {"hidden_states": "hidden_state", "attentions": "attention"}
"""Outputs of which there is one per layer, and the names of each."""

STATE_LISTS_OF_TWO = {
    "encoder_hidden_states": "hidden_state",
    "encoder_attentions": "attention",
    "decoder_hidden_states": f"{DECODER}hidden_state",
    "decoder_attentions": f"{DECODER}attention",
    "cross_attentions": f"{DECODER}cross_attention",
}
"""The same of an encoder-decoder."""

OF_DECODER = ("last_hidden_state", "mlm_logits", "qa_logits", "start_logits", "end_logits")
"""Of the outputs of an encoder-decoder, those that have one entry for each of the decoder's tokens."""


def stack_of(name: str) -> str:
    """What stands before the names of the outputs of the same stack of layers: nothing, or the decoder's."""
    return DECODER if name.startswith(DECODER) else ""


def kind_of(name: str) -> str:
    """What an output is, of which there may be one per layer: `decoder.hidden_state.03` is a hidden_state."""
    return name.removeprefix(DECODER).partition(".")[0]


def collect_outputs(items: Iterable[tuple[str, Any]], architecture: str, decodes: bool = False) -> dict[str, Any]:
    """Flatten a framework's output object into tensors under neutral names; those of an encoder-decoder, which
    `decodes`, say which of the two they are of."""
    tensors: dict[str, Any] = {}
    lists = STATE_LISTS_OF_TWO if decodes else STATE_LISTS
    for key, value in items:
        # A cache, for decoding (PaddleNLP's BERT returns one where use_cache is set) or for reading on, follows from
        # the hidden states.
        if value is None or key in ("past_key_values", "cache", "mems"):
            continue
        if key in lists:
            tensors.update({f"{lists[key]}.{index:02d}": one for index, one in enumerate(value)})
        elif isinstance(value, (tuple, list)):
            tensors.update({f"{key}.{index:02d}": one for index, one in enumerate(value)})
        elif key == "logits" and architecture.endswith(LANGUAGE_MODELS):
            tensors["mlm_logits"] = value
        elif key == "logits" and architecture.endswith("ForPreTraining"):
            # Whether a token was replaced: one number for each.
            tensors["replaced_logits"] = value
        else:
            tensors[OUTPUT_NAMES.get(key, key)] = value
    if not decodes:
        return tensors
    return {DECODER + name if name in OF_DECODER else name: tensor for name, tensor in tensors.items()}


def of_backbone(result: Any, decodes: bool = False) -> dict[str, Any]:
    """What a backbone puts out, by the frameworks' names; the pooler's is None where it has none. One that `decodes`
    gives what its decoder does before what its encoder does."""
    if decodes:
        names = ("last_hidden_state", "encoder_last_hidden_state")
        if isinstance(result, tuple):
            # Unless it was asked for more, there is one of either.
            return dict(zip(names, (result[0], result[-1] if len(result) == len(names) else None), strict=True))
        return {name: result.get(name) for name in names}
    if hasattr(result, "ndim"):
        return {"last_hidden_state": result, "pooler_output": None}
    if isinstance(result, tuple):
        # All hidden states, which some give unasked, are a tuple themselves.
        pooled = result[1] if len(result) > 1 and hasattr(result[1], "ndim") else None
        return {"last_hidden_state": result[0], "pooler_output": pooled}
    return {name: result.get(name) for name in ("last_hidden_state", "pooler_output")}
