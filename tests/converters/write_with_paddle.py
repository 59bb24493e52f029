"""Writes one file of every kind that Paddle saves, with the expected values of each beside it.

Runs as a child process, because Paddle and PyTorch must never share one: `python write_with_paddle.py FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle


def tensors_of_every_dtype() -> dict[str, Any]:
    paddle.seed(7)
    weights = paddle.randn([5, 3])
    return {
        "albert.embeddings.word_embeddings.weight": weights,
        "albert.half": weights.astype("float16"),
        "albert.brain": weights.astype("bfloat16"),
        "albert.double": weights.astype("float64"),
        "albert.complex": paddle.complex(weights, weights),
        "albert.embeddings.position_ids": paddle.arange(512, dtype="int64").reshape([1, 512]),
        "albert.mask": paddle.to_tensor([True, False, True]),
        "albert.small": paddle.to_tensor([-3, 4], dtype="int32"),
        "albert.bytes": paddle.to_tensor([200, 4], dtype="uint8"),
        "albert.scalar": paddle.to_tensor(2.5),
        "albert.none": paddle.zeros([0, 4]),
        "albert.one_byte": paddle.to_tensor([1], dtype="int8"),
        "albert.one_more_byte": paddle.to_tensor([1], dtype="int8"),
    }


def bits(value: Any) -> Any:
    """The values as numpy: bfloat16 comes as its bit patterns."""
    return value if isinstance(value, np.ndarray) else value.numpy()


class Writer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def expect(self, name: str, tensors: dict[str, Any]) -> None:
        np.savez(self.folder / f"{name}.npz", **{key: bits(value) for key, value in tensors.items()})

    def save(self, name: str, value: Any, expected: dict[str, Any], protocol: int = 4) -> None:
        paddle.save(value, str(self.folder / name), protocol=protocol)
        self.expect(name, expected)


def write_states(writer: Writer) -> None:
    state = tensors_of_every_dtype()
    for protocol in (2, 3, 4):
        writer.save(f"state-{protocol}.pdparams", state, state, protocol)
        writer.save(f"epoch-{protocol}.pdparams", {**state, "epoch": 3, "best": 0.5, "tag": "a"}, state, protocol)
        arrays = {name: bits(value) for name, value in state.items()}
        writer.save(f"numpy-{protocol}.pdparams", arrays, arrays, protocol)
        bare = state["albert.half"]
        writer.save(f"bare-{protocol}.pdparams", bare, {"tensor": bare}, protocol)
        listed = list(state.values())[:3]
        writer.save(f"list-{protocol}.pdparams", listed, {str(i): value for i, value in enumerate(listed)}, protocol)
    tied = {"a.weight": state["albert.half"], "b.weight": state["albert.half"]}
    writer.save("tied.pdparams", tied, tied)
    writer.save("tied-epoch.pdparams", {**tied, "epoch": 1}, tied)
    large = {"large.weight": paddle.randn([700, 1024]), "large.bias": paddle.randn([1024])}
    writer.save("large-2.pdparams", large, large, 2)
    writer.save("empty-table.pdparams", {"epoch": 3}, {})


def write_training(writer: Writer) -> None:
    layer = paddle.nn.Linear(4, 3)
    scheduler = paddle.optimizer.lr.NoamDecay(d_model=8, warmup_steps=10)
    optimizer = paddle.optimizer.AdamW(scheduler, parameters=layer.parameters())
    layer(paddle.randn([2, 4])).sum().backward()
    optimizer.step()
    scheduler.step()
    state = optimizer.state_dict()
    flat = {name: value for name, value in state.items() if name not in ("LR_Scheduler", "master_weights")}
    writer.save("adam.pdopt", state, flat)
    nested = {"model": layer.state_dict(), "optimizer": state, "epoch": 2, "losses": [0.5, 0.25], "done": None}
    expected = {f"model.{name}": value for name, value in layer.state_dict().items()}
    expected.update({f"optimizer.{name}": value for name, value in flat.items()})
    for protocol in (2, 4):
        writer.save(f"nested-{protocol}.pdparams", nested, expected, protocol)
    dense = layer.weight.value().get_tensor()
    writer.save("dense.pdparams", {"epoch": 1, "inner": {"w": dense}}, {"inner.w": layer.weight})


def write_static(writer: Writer) -> None:
    paddle.enable_static()
    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(program, startup):
        inputs = paddle.static.data("x", [None, 4], "float32")
        paddle.static.nn.fc(inputs, 3)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(startup)
    paddle.static.save(program, str(writer.folder / "static"))
    state = program.state_dict()
    writer.expect("static.pdparams", {name: np.array(value) for name, value in state.items()})
    paddle.disable_static()


def write_binary(writer: Writer) -> None:
    paddle.save(paddle.randn([4]), str(writer.folder / "binary.pdparams"), use_binary_format=True)


if __name__ == "__main__":
    main = Writer(Path(sys.argv[1]))
    write_states(main)
    write_training(main)
    write_binary(main)
    write_static(main)
