"""What a loader follows: names of files that it opens unasked, and fields that send it elsewhere.

Read from transformers 4.57.6 and 5.24.0, peft and sentence-transformers; the first pattern that fits a name counts.
"""

from __future__ import annotations

import re

_WEIGHTS = "a loader follows this to other weights"
_ADAPTER = "a loader follows this to an adapter, which changes the model where peft is installed"
_CODE = "a loader follows this to code, which runs for who trusts remote code"
_CONFIGURATION = "a loader follows this to another configuration"
_TOKENIZER = "a loader follows this to another tokenizer"
_TEMPLATE = "a loader follows this to a chat template"
_GENERATION = "a loader follows this to other settings of generation"

_FILES = (
    (re.compile(r"adapter_.*"), _ADAPTER),
    (re.compile(r".*\.py[cdo]?|.*\.so"), _CODE),
    (
        re.compile(
            r".*\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|gguf|ggml|onnx|onnx_data|ot|pdparams|pdmodel|pdiparams|npz|pkl|mlmodel"
            r"|tflite)(\.index\.json|\.index|\.data-.*)?"
        ),
        _WEIGHTS,
    ),
    (re.compile(r"generation_config\.json"), _GENERATION),
    (re.compile(r"chat_template.*|additional_chat_templates|.*\.jinja"), _TEMPLATE),
    (
        re.compile(r"(special_)?tokens?_?(izer|s)?.*\.json|tokenizer.*|added_tokens\.json|special_tokens_map\.json"),
        _TOKENIZER,
    ),
    (re.compile(r"vocab\..*|.*\.vocab|merges\.txt|.*spiece\.model|sentencepiece.*|.*\.bpe(\.model)?"), _TOKENIZER),
    (
        re.compile(r"config\..*\.json|(.*_)?config\.json|modules\.json|model_index\.json|quantize.*\.json"),
        _CONFIGURATION,
    ),
)

_FIELDS = {
    "transformers_weights": _WEIGHTS,
    "configuration_files": _CONFIGURATION,
    "auto_map": _CODE,
    "custom_pipelines": _CODE,
    "_name_or_path": "a loader may follow this to another model",
    "base_model_name_or_path": _WEIGHTS,
    "quantization_config": "a loader follows this to other weights: it quantises them",
    "fast_tokenizer_files": _TOKENIZER,
    "tokenizer_file": _TOKENIZER,
    "vocab_file": _TOKENIZER,
    "merges_file": _TOKENIZER,
    "spm_file": _TOKENIZER,
    "tokenizer_class": "a loader follows this to another class of tokenizers",
    "backend": _TOKENIZER,
    "processor_class": "a loader follows this to a processor",
    "chat_template": _TEMPLATE,
}


def where_file_leads(name: str) -> str:
    """What a loader does with a file or folder of this name that no conversion writes."""
    return next((text for pattern, text in _FILES if pattern.fullmatch(name)), "no conversion writes it")


def where_field_leads(field: str) -> str | None:
    """Where a field of a configuration sends a loader, None for one that stays where it is."""
    return _FIELDS.get(field)
