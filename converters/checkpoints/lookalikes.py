"""What people take for a model and is none, or not in a form that has a mapping: said in words, with the way out."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

_GIVE_TRAINING = "give the .pdparams of the training"
_MERGE = "merge it into its model first"
_UNPACK = "unpack it first"

_PROGRAM = re.compile(r".*\.(pdiparams|pdiparams\.info|pdmodel)")
"""Names of the files of an exported program, as `paddle.jit.save` writes them; its weights have no names."""

_ONLY = (
    (_PROGRAM, "an exported program", _GIVE_TRAINING),
    (re.compile(r"(adapter_model|peft_model).*\.(safetensors|bin|index\.json)"), "an adapter", _MERGE),
    (re.compile(r".*\.(zip|tar|tgz|gz|bz2|xz|zst|7z|rar)"), "an archive", _UNPACK),
)

_LORA = re.compile(r"(^|\.)lora_(embedding_)?[AB](\.|$)")
"""In names of tensors, those of PaddleNLP and of Hugging Face."""

_PREFIX_ENCODERS = ({"0.weight"}, {"0.weight", "1.weight", "1.bias", "3.weight", "3.bias"})
"""The tensors of a prefix, without and with a projection, as PaddleNLP saves them."""

_FUSED = re.compile(r"(^|\.)fused_attn\.")
"""In names of tensors: the attention of Paddle's `FusedTransformerEncoderLayer`."""


def held_instead(folder: Path) -> str | None:
    """What a folder without weights holds in their place, in words; None where nothing is known."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    for pattern, what, way_out in _ONLY:
        if found := next(filter(pattern.fullmatch, names), None):
            return f"holds only {what} ({found}); {way_out}"
    return None


def program_file(path: Path) -> str | None:
    """That a file belongs to an exported program, in words; None for any other."""
    return f"belongs to an exported program; {_GIVE_TRAINING}" if _PROGRAM.fullmatch(path.name) else None


def lookalike(names: Collection[str]) -> str | None:
    """What tensors of these names are instead of a model, in words; None for those of a model."""
    if any(map(_LORA.search, names)):
        return f"holds a LoRA adapter; {_MERGE}"
    if set(names) in _PREFIX_ENCODERS:
        return "holds the prefix of a prefix tuning, which is no model; give the .pdparams of its model"
    if fused := next(filter(_FUSED.search, names), None):
        return (
            f"holds fused layers ({fused}), as PaddleNLP writes them for a model with fuse=True; there is no mapping "
            "for them, give the .pdparams of a model with fuse=False"
        )
    return None
