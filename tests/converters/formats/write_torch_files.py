"""Writes files with `torch.save`, and beside each what `torch.load(weights_only=True)` reads from it.

Runs as a child process: `write_torch_files.py FOLDER`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import OrderedDict
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


def save(folder: Path, name: str, value: Any, **options: Any) -> None:
    path = folder / f"{name}.bin"
    torch.save(value, path, **options)
    read = torch.load(path, weights_only=True)
    facts = {
        key: [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), hashlib.sha256(bits(tensor)).hexdigest()]
        for key, tensor in read.items()
        if isinstance(tensor, torch.Tensor)
    }
    path.with_suffix(".json").write_text(json.dumps(facts))


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
    torch.save({"epoch": 3, "x": table, "note": "text", "rate": 0.5}, folder / "beside.bin")
    torch.save({"model": {"x": table}, "list": [table, table]}, folder / "nested.bin")
    torch.save({"x": table}, folder / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"x": table[:, 1:3]}, folder / "strided.bin")
    torch.save({"x": table[:1].expand(4, 4)}, folder / "expanded.bin")
    torch.save({"x": table.to(torch.float8_e4m3fn)}, folder / "float8.bin")
    torch.save({"x": torch.quantize_per_tensor(table, 0.1, 0, torch.qint8)}, folder / "quantized.bin")
    torch.save({"x": table.to_sparse()}, folder / "sparse.bin")
    torch.save(model, folder / "module.bin")
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 4)), str(folder / "script.bin"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
