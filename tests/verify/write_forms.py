"""Writes one small BERT in every form PaddleNLP and Paddle save it in. Run in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    import paddle
    from paddlenlp.transformers import BertConfig, BertForSequenceClassification

    paddle.seed(7)
    config = BertConfig(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=36,
        max_position_embeddings=24,
        type_vocab_size=2,
        num_labels=3,
    )
    model = BertForSequenceClassification(config)
    for parameter in model.parameters():
        parameter.set_value(paddle.randn(parameter.shape) * 0.1 + (1.0 if parameter.ndim == 1 else 0.0))
    model.save_pretrained(str(folder / "plain"))
    model.save_pretrained(str(folder / "sharded"), max_shard_size="10KB")
    model.save_pretrained(str(folder / "safetensors"), safe_serialization=True)
    model.save_pretrained(str(folder / "sharded_safetensors"), safe_serialization=True, max_shard_size="10KB")
    document = json.loads((folder / "plain" / "config.json").read_text())
    for name in ("float16", "bfloat16", "protocol_2", "protocol_3", "epoch", "older"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(document))
    state = model.state_dict()
    for name in ("float16", "bfloat16"):
        cast = {key: value.astype(name) for key, value in state.items()}
        paddle.save(cast, str(folder / name / "model_state.pdparams"))
    for protocol in (2, 3):
        paddle.save(state, str(folder / f"protocol_{protocol}" / "model_state.pdparams"), protocol=protocol)
    # A value that is no tensor makes Paddle write every tensor as a tuple.
    paddle.save({**state, "epoch": 3}, str(folder / "epoch" / "model_state.pdparams"))
    # Before 2023: model_config.json, with the backbone's arguments nested.
    (folder / "older" / "config.json").unlink()
    backbone = {
        name: value for name, value in document.items() if name not in ("architectures", "id2label", "label2id")
    }
    older = {
        "init_args": [{**backbone, "init_class": "BertModel"}],
        "init_class": "BertForSequenceClassification",
        "num_classes": 3,
    }
    (folder / "older" / "model_config.json").write_text(json.dumps(older))
    paddle.save(state, str(folder / "older" / "model_state.pdparams"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
