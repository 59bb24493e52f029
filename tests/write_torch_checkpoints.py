"""Lets transformers write small checkpoints in all its forms.

Runs as a child process that reads {"folder": ..., "models": [[name, architecture, configuration], ...],
"every_form": [name, ...], "pickles": ..., "zeroed": [model type, ...]} and writes FOLDER/NAME/FORM/: safetensors files,
or with "pickles" true PyTorch's own, which transformers 4 was the last to write; only names in "every_form" are written
in more than one. Every parameter is random, so that no mistake is hidden by zeros and ones, but for the padding row of
"zeroed" types.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers

SHARD = "9KB"


def write(
    folder: Path, architecture: str, configuration: dict[str, Any], every_form: bool, pickles: bool, zeroed: bool
) -> None:
    model_class = getattr(transformers, architecture)
    model = model_class(model_class.config_class.from_dict(configuration))
    with torch.no_grad():
        for parameter in model.parameters():
            # A table of sines is computed and not trained.
            if parameter.requires_grad:
                parameter.normal_(1.0 if parameter.ndim == 1 else 0.0, 0.1)
        if configuration.get("type_vocab_size") == 1:
            # Of a model that knows no types.
            model.base_model.embeddings.token_type_embeddings.weight.zero_()
        if zeroed:
            model.get_input_embeddings().weight[configuration["pad_token_id"]].zero_()
        parameters = dict(model.named_parameters())
        for name in parameters:
            # transformers 5 has two for an untied decoder and computes with this one; before, they were one.
            if name.endswith("decoder.bias"):
                parameters[name.replace("decoder.bias", "bias")].copy_(parameters[name])
            # Without a tie, every stack has a table of words of its own; PaddleNLP has one for all.
            if name.endswith(".embed_tokens.weight"):
                parameters[name].copy_(model.get_input_embeddings().weight)
    if pickles:
        model.save_pretrained(folder / "bin", safe_serialization=False)
        model.save_pretrained(folder / "sharded-bin", safe_serialization=False, max_shard_size=SHARD)
        return
    model.save_pretrained(folder / "safetensors")
    if not every_form:
        return
    model.save_pretrained(folder / "sharded-safetensors", max_shard_size=SHARD)
    for dtype in ("float16", "bfloat16"):
        model.to(getattr(torch, dtype)).save_pretrained(folder / dtype)


def main() -> None:
    torch.manual_seed(11)
    request = json.load(sys.stdin)
    for name, architecture, configuration in request["models"]:
        write(
            Path(request["folder"], name),
            architecture,
            configuration,
            name in request["every_form"],
            request["pickles"],
            name in request["zeroed"],
        )
    print("{}", flush=True)


if __name__ == "__main__":
    main()
