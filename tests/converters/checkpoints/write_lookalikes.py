"""Lets Paddle and PaddleNLP write what people take for a model and is none, or not in a form that has a mapping.

Runs as a child process that reads {"folder": ..., "configuration": ...} and writes FOLDER/KIND/.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddlenlp.peft import LoRAConfig, LoRAModel, PrefixConfig, PrefixModelForCausalLM
from paddlenlp.peft.prefix import llama_postprocess_past_key_value
from paddlenlp.transformers import BertConfig, BertForSequenceClassification, BertModel, GPTConfig, GPTForCausalLM
from paddlenlp.utils.log import logger


def adapters(folder: Path, configuration: dict[str, Any]) -> None:
    def adapted(**options: Any) -> Any:
        model = BertForSequenceClassification(BertConfig(**configuration))
        return LoRAModel(model, LoRAConfig(target_modules=[".*q_proj.*"], r=2, lora_alpha=4, **options))

    adapted().save_pretrained(str(folder / "lora"))
    adapted(trainable_bias="all").save_pretrained(str(folder / "lora with biases"))
    model = adapted()
    model.model.config.save_pretrained(str(folder / "lora beside its model"))
    paddle.save(model.model.state_dict(), str(folder / "lora beside its model" / "model_state.pdparams"))
    for name, projection in (("prefix", False), ("prefix with a projection", True)):
        sizes = {"num_attention_heads": 2, "num_hidden_layers": 2, "hidden_size": 8}
        small = GPTConfig(vocab_size=9, intermediate_size=8, max_position_embeddings=8, **sizes)
        prefix = PrefixConfig(
            num_prefix_tokens=4, prefix_projection=projection, prefix_projection_hidden_size=6, **sizes
        )
        model = PrefixModelForCausalLM(
            GPTForCausalLM(small), prefix, postprocess_past_key_value=llama_postprocess_past_key_value
        )
        model.save_pretrained(str(folder / name))


def fused(folder: Path, configuration: dict[str, Any]) -> None:
    for name, model_class in (("fused", BertModel), ("fused with a head", BertForSequenceClassification)):
        model_class(BertConfig(**configuration, fuse=True)).save_pretrained(str(folder / name))


def programs(folder: Path) -> None:
    """As Paddle 3 writes them and as Paddle 2 did."""
    spec = [paddle.static.InputSpec([None, 4], "float32")]
    paddle.jit.save(paddle.nn.Linear(4, 3), str(folder / "program" / "model"), input_spec=spec)
    with paddle.pir_utils.OldIrGuard():
        paddle.disable_static()
        paddle.jit.save(paddle.nn.Linear(4, 3), str(folder / "old program" / "model"), input_spec=spec)


def without_tensors(folder: Path) -> None:
    (folder / "no tensor").mkdir()
    rate = paddle.optimizer.lr.StepDecay(0.1, 3)
    optimizer = paddle.optimizer.SGD(learning_rate=rate, parameters=paddle.nn.Linear(4, 3).parameters())
    paddle.save(optimizer.state_dict(), str(folder / "no tensor" / "model.pdopt"))
    paddle.save({}, str(folder / "no tensor" / "empty.pdparams"))
    paddle.save({"epoch": 3, "name": "x", "rates": [0.1, 0.2]}, str(folder / "no tensor" / "numbers.pdparams"))


def main() -> None:
    logger.set_level("ERROR")
    paddle.set_device("cpu")
    np.random.seed(3)
    request = json.load(sys.stdin)
    folder = Path(request["folder"])
    adapters(folder, request["configuration"])
    fused(folder, request["configuration"])
    programs(folder)
    without_tensors(folder)
    print("{}", flush=True)
    # Paddle's own teardown sometimes crashes.
    os._exit(0)


if __name__ == "__main__":
    main()
