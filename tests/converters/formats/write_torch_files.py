"""Writes files with `torch.save`, and beside each what `torch.load(weights_only=True)` reads from it.

Runs as a child process: `write_torch_files.py FOLDER`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import torch

DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "bool": torch.bool,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}


def bits(tensor: torch.Tensor) -> bytes:
    data: bytes = tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
    return data


def tensors_in(value: Any, name: str = "") -> dict[str, torch.Tensor]:
    """The tensors in nested dicts and lists, their names joined with dots."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return {
        key: tensor
        for index, part in parts
        for key, tensor in tensors_in(part, f"{name}.{index}" if name else str(index)).items()
    }


def save(folder: Path, name: str, value: Any) -> None:
    """Write FOLDER/NAME.bin and, as PyTorch did before 1.6, FOLDER/NAME.legacy.bin, each with what is read from it."""
    for ending, is_zip in ((".bin", True), (".legacy.bin", False)):
        path = folder / f"{name}{ending}"
        torch.save(value, path, _use_new_zipfile_serialization=is_zip)
        read = torch.load(path, weights_only=True)
        facts = {
            key: [
                str(tensor.dtype).removeprefix("torch."),
                list(tensor.shape),
                hashlib.sha256(bits(tensor)).hexdigest(),
            ]
            for key, tensor in tensors_in(read).items()
        }
        path.with_suffix(".json").write_text(json.dumps(facts))


def views() -> dict[str, torch.Tensor]:
    """Tensors whose elements do not lie in one piece, or lie there more than once."""
    table, block = torch.randn(30, 20), torch.randn(4, 5, 6, 7)
    return {
        "columns": table[:, 3:9],
        "column": table[:, 4],
        "every third row": table[::3],
        "every second column": table[:, ::2],
        "columns, transposed": table[:, 3:9].t(),
        "diagonal": table.diagonal(),
        "swapped": block.transpose(1, 2),
        "permuted": block.permute(2, 0, 3, 1),
        "corner": block[1:3, 2:, ::2, 1:4],
        "channels last": block.contiguous(memory_format=torch.channels_last),
        "one row, many times": table[:1].expand(50, 20),
        "one number, many times": table[0, 0].expand(3, 4),
        "rows, many times": table[:, None, 2:5].expand(30, 3, 3),
        "windows": table.view(-1).as_strided((40, 10), (5, 1), 7),
        "one row": table[3:4, ::5],
        "empty": table[:0, ::2],
        "numbers": torch.arange(60).view(6, 10)[:, 1::3],
        "halves": table.to(torch.bfloat16)[:, 1:],
    }


def beside(table: torch.Tensor) -> dict[Any, Any]:
    """What training scripts keep beside their tensors."""
    return {
        "x": table,
        "epoch": 3,
        "note": "text",
        "rate": 0.5,
        "shape": table.shape,
        "dtype": torch.float16,
        "device": torch.device("cuda", 0),
        "milestones": Counter({30: 1, 60: 2}),
        "names": {"a", "b"},
        "pole": 1 - 2j,
        "raw": b"bytes",
        "state": {0: {"step": 5}, 1: {"sizes": [torch.Size([]), torch.Size([2, 3])]}},
    }


def main(folder: Path) -> None:
    torch.manual_seed(5)
    base = torch.randn(7, 5)
    for name, dtype in DTYPES.items():
        values = base * 40
        save(folder, name, {"matrix": values.to(dtype), "vector": values[0].clone().to(dtype)})
    table = torch.randn(6, 4)
    save(folder, "shared", {"one": table, "other": table, "rows": table[2:4], "vector": table.view(-1)[3:9]})
    save(folder, "transposed", {"matrix": table.t(), "three": torch.randn(2, 3, 4).permute(2, 1, 0)})
    save(folder, "shapes", {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "ones": torch.randn(1, 4, 1)})
    model = torch.nn.Sequential(OrderedDict(first=torch.nn.Linear(3, 4), norm=torch.nn.BatchNorm1d(4)))
    save(folder, "state_dict", model.state_dict())
    save(folder, "parameters", dict(model.named_parameters()))
    save(folder, "模型", {"x": table})
    save(folder, "many", {f"tensor.{index}": torch.randn(3) for index in range(500)})
    save(folder, "views", views())
    save(folder, "beside", beside(table))
    save(folder, "nested", {"model": {"x": table}, "list": [table, table]})
    save(folder, "integers", {7: table, -1: {0: table[0]}, "x": table})
    torch.serialization.set_crc32_options(False)
    save(folder, "unchecked", {"x": table, "empty": torch.zeros(0)})
    torch.serialization.set_crc32_options(True)
    torch.save({"x": table.to(torch.float8_e4m3fn)}, folder / "float8.bin")
    torch.save({"x": torch.quantize_per_tensor(table, 0.1, 0, torch.qint8)}, folder / "quantized.bin")
    torch.save({"x": table.to_sparse()}, folder / "sparse.bin")
    torch.save(model, folder / "module.bin")
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 4)), str(folder / "script.bin"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
